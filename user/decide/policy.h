/* SPDX-License-Identifier: GPL-2.0 */
/* What the operator wants: the input of decide/ beside the containers. */
#ifndef CMGR_DECIDE_POLICY_H
#define CMGR_DECIDE_POLICY_H

#include "container.h"

enum rank_key {
	RANK_DOMINANT, /* the larger of CPU share and memory share */
	RANK_CPU,
	RANK_MEMORY,
	RANK_DEMAND, /* CPU time ran and waited for */
};

struct policy {
	unsigned int keep_high;
	unsigned int keep_low;
	enum rank_key rank;
	bool scope_all; /* not only containers with the label */
	uint64_t min_age_ns;
	enum action action;
	char **protect; /* names */
	size_t protect_count;
	char own_id[CONTAINER_ID_DIGITS + 1]; /* the daemon's own container; "" outside of one */
};

#endif

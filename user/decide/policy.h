/* SPDX-License-Identifier: GPL-2.0 */
/* What the operator wants: the input of decide/ beside the containers. */
#ifndef CMGR_DECIDE_POLICY_H
#define CMGR_DECIDE_POLICY_H

#include <string.h>

#include "container.h"

enum rank_key {
	RANK_DOMINANT, /* the larger of CPU share and memory share */
	RANK_CPU,
	RANK_MEMORY,
	RANK_DEMAND, /* CPU time ran and waited for */
};

/* What the options take */
#define POLICY_MAX_COUNT   1000000
#define POLICY_MAX_SECONDS 86400
/* The least of an ID that names a container. */
#define POLICY_ID_DIGITS 12

struct policy {
	unsigned int keep_high;
	unsigned int keep_low;
	enum rank_key rank;
	bool scope_all; /* not only containers with the label */
	uint64_t min_age_ns;
	enum action action;
	char **protect; /* names, and IDs or how they begin */
	size_t protect_count;
	/* The daemon's own container, by either: in a cgroup namespace its path tells no ID. */
	char own_id[CONTAINER_ID_DIGITS + 1]; /* "": not known */
	uint64_t own_cgroup_id;		      /* 0: not known */
};

static inline bool policy_lists(const struct policy *policy, const char *word)
{
	size_t i;

	for (i = 0; i < policy->protect_count; i++)
		if (!strcmp(policy->protect[i], word))
			return true;
	return false;
}

/* By its name, its ID, or as much of that as an engine shows: a few digits may be the name of another. */
static inline bool policy_protects(const struct policy *policy, const char *name, const char *id)
{
	size_t i;

	for (i = 0; i < policy->protect_count; i++) {
		size_t length = strlen(policy->protect[i]);

		if (length >= POLICY_ID_DIGITS && !strncmp(id, policy->protect[i], length))
			return true;
	}
	return policy_lists(policy, name);
}

#endif

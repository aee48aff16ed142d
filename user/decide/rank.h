/* SPDX-License-Identifier: GPL-2.0 */
/* Scores containers and puts them in order. Pure. */
#ifndef CMGR_DECIDE_RANK_H
#define CMGR_DECIDE_RANK_H

#include "decide/policy.h"
#include "observe/merge.h"

/* Fills cpu_ppb, memory_ppb and score_ppb of every container: its shares of the host. */
void rank_score(struct window *window, enum rank_key key);

/*
 * Sorts pointers to containers, the highest consumer first: by score, then by the other resource,
 * then the older first, then by full ID. The order is total: it does not depend on the input's.
 */
void rank_sort(struct container **order, size_t count, enum rank_key key);

/* "CPU", "memory", "demand": what the container's score is a share of. */
const char *rank_resource(const struct container *container, enum rank_key key);

/* "dominant", "cpu", "memory", "demand" */
const char *rank_key_name(enum rank_key key);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Decides what becomes of every container in the window. Pure. */
#ifndef CMGR_DECIDE_PLAN_H
#define CMGR_DECIDE_PLAN_H

#include "decide/policy.h"
#include "observe/merge.h"

/*
 * Fills shares, rank, class, decision, reason and margin of every container, and moves the ranked
 * ones to the front of the list, in their order; the others follow by name and ID. While the window
 * is distrusted every decision is to keep. 0 or -ENOMEM.
 */
int plan_build(struct window *window, const struct policy *policy);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* Carries out what was decided. */
#ifndef CMGR_ACT_REAP_H
#define CMGR_ACT_REAP_H

#include "decide/policy.h"
#include "engine/docker.h"

/*
 * Removes (or stops, or pauses) every container that was decided so, a few side by side. Each is
 * inspected once more first and kept if it is no longer the one that was measured. Fills the outcome
 * of every container in @list: "kept", "removed", "gone", "kept: …", "failed: …", and with @dry_run,
 * which asks the engine for nothing, "dry-run". 0 or -ENOMEM.
 */
int reap(const struct docker *docker, struct container_list *list, const struct policy *policy,
	 bool dry_run);

#endif

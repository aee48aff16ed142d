/* SPDX-License-Identifier: GPL-2.0 */
/* What a run holds for as long as it is the only one: the journal and the run directory's lock. */
#ifndef CMGR_CLAIM_H
#define CMGR_CLAIM_H

#include "journal.h"
#include "options.h"

struct claim {
	struct journal journal;
	int lock_fd;
};

/*
 * Takes both locks, and undoes what an earlier run wrote down and did not come to undo. With "cleanup" also
 * what is at the usual places, written down or not. 0, or an exit code with one line logged.
 */
int claim_take(const struct options *options, struct claim *ret);

/* Undoes whatever is still installed, and gives the claim up. 0, or an exit code with one line logged. */
int claim_release(const struct options *options, struct claim *claim);

#endif

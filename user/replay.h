/* SPDX-License-Identifier: GPL-2.0 */
/* The command "replay": decides again on recorded readings, and touches nothing. */
#ifndef CMGR_REPLAY_H
#define CMGR_REPLAY_H

#include "options.h"

/*
 * Decides again what is recorded in @options->replay, by the recorded policy with the policy options
 * of the command line in its place, prints it, and compares it with the recorded decisions. Returns an
 * exit code: with the recorded policy every decision has to be as recorded.
 */
int replay(const struct options *options);

#endif

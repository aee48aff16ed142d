/* SPDX-License-Identifier: GPL-2.0 */
/* One cycle: observe, decide, write it down, act, report. */
#ifndef CMGR_CYCLE_H
#define CMGR_CYCLE_H

#include "governor.h"

/*
 * Runs a cycle over the window since the last reading; observe_first() took the first. @final: the
 * last pass, whose window begins one reading earlier, so that it is not a short one. A cycle ends within
 * the interval; what the engine is still at is taken up by the next, and waited for in the last. 0, or
 * -errno with one line logged. A reading, an engine or a log server that fails is no error: it is reported,
 * and nothing is removed.
 */
int cycle_run(struct governor *governor, bool final);

#endif

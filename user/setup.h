/* SPDX-License-Identifier: GPL-2.0 */
/* Set-up and tear-down of a run. */
#ifndef CMGR_SETUP_H
#define CMGR_SETUP_H

#include "governor.h"

/*
 * Step by step: engine, BPF program, spool and log server, cron entry, each written down in the journal first.
 * Stops early, with 0, when a signal has come. 0, or an exit code with one line logged; tear_down() follows
 * either.
 */
int set_up(struct governor *governor);
void tear_down(struct governor *governor);

/* Removes the cron entry, if there is one. */
void unschedule(struct governor *governor);

#endif

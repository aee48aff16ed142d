/* SPDX-License-Identifier: GPL-2.0 */
/* The last stage: tells the operator and the log server what was seen and done. */
#ifndef CMGR_REPORT_REPORT_H
#define CMGR_REPORT_REPORT_H

#include "governor.h"

/*
 * Puts the record on disk as it is decided, before that is carried out. A disk that fails is logged and
 * stops nothing. 0 or -ENOMEM.
 */
int report_decision(struct governor *governor, bool final, const struct window *window);

/*
 * Completes the record in the spool, whence it is sent meanwhile, saves sysinfo.json, and prints the
 * record (or the console report). A disk that fails is logged and stops nothing. 0 or -ENOMEM.
 */
int report(struct governor *governor, bool final, const struct window *window);

/* Sends what is left and asks for the final graphs; in a bounded time. */
void report_finish(struct governor *governor);

#endif

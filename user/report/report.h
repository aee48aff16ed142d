/* SPDX-License-Identifier: GPL-2.0 */
/* The last stage: tells the operator and the log server what was seen and done. */
#ifndef CMGR_REPORT_REPORT_H
#define CMGR_REPORT_REPORT_H

#include "governor.h"

/*
 * Puts the record in the spool, saves sysinfo.json, prints the record (or the console report), and
 * sends what the spool holds. A disk or a server that fails is logged and stops nothing. 0 or -ENOMEM.
 */
int report(struct governor *governor, bool final, const struct window *window);

/* Sends what is left and asks for the final graphs. */
void report_finish(struct governor *governor);

#endif

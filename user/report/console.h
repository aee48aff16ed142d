/* SPDX-License-Identifier: GPL-2.0 */
/* The report of a cycle that an operator reads. */
#ifndef CMGR_REPORT_CONSOLE_H
#define CMGR_REPORT_CONSOLE_H

#include <stdio.h>

#include "observe/merge.h"

/*
 * Prints what was found and done. @sysinfo_json: where the reading was saved, NULL when it was not.
 */
void console_report(FILE *out, const struct window *window, const char *sysinfo_json);

#endif

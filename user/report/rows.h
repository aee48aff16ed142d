/* SPDX-License-Identifier: GPL-2.0 */
/* The lines of a recording; their format is told in recording.h. */
#ifndef CMGR_REPORT_ROWS_H
#define CMGR_REPORT_ROWS_H

#include <stdio.h>

#include "observe/merge.h"

/* A space and the text; "-" for NULL and for nothing. */
void rows_put_text(FILE *out, const char *text);
/* A line with one text. */
void rows_put_line(FILE *out, const char *name, const char *text);

/* What has changed since @before. */
void rows_put_readings(FILE *out, const struct readings *now, const struct readings *before);

/* NULL is the same as NULL alone. */
bool rows_same_text(const char *a, const char *b);

#endif

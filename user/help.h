/* SPDX-License-Identifier: GPL-2.0 */
/* What --help prints: each command's fits a screen of 24 lines and 80 columns. */
#ifndef CMGR_HELP_H
#define CMGR_HELP_H

#include "options.h"

/* The text of "cmgr-bpf COMMAND --help". */
const char *help_text(enum command command);

#endif

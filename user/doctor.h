/* SPDX-License-Identifier: GPL-2.0 */
/* What must be there before anything is done, and how to mend what is not. */
#ifndef CMGR_DOCTOR_H
#define CMGR_DOCTOR_H

#include "options.h"

/* Logs the first requirement that is not met. 0 or EXIT_MISSING. */
int doctor_require(const struct options *options);

/* Prints every requirement with ok, warning or missing, and what mends it. EXIT_DONE or EXIT_MISSING. */
int doctor_report(const struct options *options);

/* The line that tells why docker_open() failed and what to do, logged. Returns the exit code. */
int doctor_engine_missing(const struct options *options, int err);

/* The TCP port in a URL, by its scheme's default where none is named; 0: not a http URL. */
uint16_t url_port(const char *url);

#endif

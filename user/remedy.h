/* SPDX-License-Identifier: GPL-2.0 */
/* What mends something on this host, as a text to be freed; NULL without memory. */
#ifndef CMGR_REMEDY_H
#define CMGR_REMEDY_H

#include <stddef.h>

#include "host.h"

/* This very command line by root, with @more at its end unless that is NULL: "sudo ./cmgr-bpf --once". */
char *remedy_sudo(const char *more);

/* @words, each ended by a NUL, @size bytes in all, as a shell takes them. */
char *quote_words(const char *words, size_t size);

enum package {
	PACKAGE_HEADERS, /* and a kernel that there are headers of */
	PACKAGE_DOCKER,
	PACKAGE_CRON,
};

/* "run: sudo apt-get …", or in words where there is no package manager that we know. */
char *remedy_install(const struct host *host, enum package what);

/*
 * The kernel's command line without @without and with @with, each of which may be NULL. "run: sudo …, and
 * restart", or in words where the boot loader is none that we know.
 */
char *remedy_boot(const struct host *host, const char *without, const char *with);

#endif

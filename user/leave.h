/* SPDX-License-Identifier: GPL-2.0 */
/* The signals that end a run, at any time of it. */
#ifndef CMGR_LEAVE_H
#define CMGR_LEAVE_H

#include <stdbool.h>
#include <stdint.h>

#include "util.h"

/* A second signal that comes sooner is the same one: "timeout" and others send one twice. */
#define LEAVE_SAME_NS (NS_PER_S / 2)

/*
 * From here on SIGINT, SIGTERM and SIGQUIT are noted, and the second, half a second or more after the
 * first, ends the process at once. What the caller ignores (nohup) stays ignored. SIGHUP counts as they
 * do where there is a terminal that can hang up; a service has none, and is told that there is nothing to
 * read again. 0 or -errno.
 */
int leave_listen(void);

/* Readable once a signal has come, until leave_take(). */
int leave_fd(void);

/* Takes that back; tells of a SIGHUP that changes nothing. */
void leave_take(void);

/* When the first signal came, on CLOCK_BOOTTIME; 0: none has. */
uint64_t leave_asked_ns(void);

/* The time @ns after that, or @otherwise_ns where that is earlier or no signal has come. */
uint64_t leave_deadline_ns(uint64_t ns, uint64_t otherwise_ns);

#endif

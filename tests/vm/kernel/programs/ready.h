/* SPDX-License-Identifier: GPL-2.0 */
/* What every program of the checks ends with: it says so, and sleeps until it is killed. */
#ifndef CHECKS_READY_H
#define CHECKS_READY_H

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void fail(const char *what)
{
	perror(what);
	exit(1);
}

static inline void stay(void)
{
	for (;;)
		pause();
}

static inline void ready(void)
{
	puts("ready");
	fflush(stdout);
	stay();
}

#endif

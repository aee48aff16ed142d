/* SPDX-License-Identifier: GPL-2.0 */
/* What the four workload programs share: one number from the environment, and a prompt end. */
#ifndef WORKLOAD_H
#define WORKLOAD_H

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void workload_on_term(int sig)
{
	(void)sig;
	_exit(0);
}

/* PID 1 of a container ignores SIGTERM unless it has a handler. */
static inline void workload_end_on_term(void)
{
	struct sigaction sa = {.sa_handler = workload_on_term};

	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGINT, &sa, NULL);
}

/* Returns the whole number in variable `name`, or `fallback` where it is unset. Anything else than
 * digits that make a number from `min` to `max` ends the program with one line and exit code 2. */
static inline long workload_number(const char *name, long fallback, long min, long max)
{
	const char *text = getenv(name);
	char *end;
	long value;

	if (!text)
		return fallback;
	errno = 0;
	value = strtol(text, &end, 10);
	if (text[0] >= '0' && text[0] <= '9' && !*end && !errno && value >= min && value <= max)
		return value;
	fprintf(stderr, "workload: %s='%s': give a whole number from %ld to %ld\n", name, text, min,
		max);
	exit(2);
}

#endif

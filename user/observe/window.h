/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was observed, and what is remembered of earlier cycles, become a window. No I/O and no clock:
 * "replay" does the same with what was recorded.
 */
#ifndef CMGR_OBSERVE_WINDOW_H
#define CMGR_OBSERVE_WINDOW_H

#include "governor.h"

/* Everything that a cycle is told from outside. */
struct observation {
	bool final; /* the last pass: its window begins one reading earlier */
	unsigned int cpus;
	uint64_t end_unix_ns;
	struct container_list containers; /* who they are, by the engine */
	char *no_list;			  /* why it gives no list; NULL: it does */
	struct readings now;
	char *no_reading; /* why there are no readings; NULL: there are */
};

void observation_free(struct observation *seen);

/*
 * Fills @window from @seen, whose list and readings are taken out of it, and from the readings and the
 * containers that @governor remembers. What could not be had is told in @window->distrust. 0 or
 * -ENOMEM.
 */
int window_build(struct governor *governor, struct observation *seen, struct window *window);

/* In scope and without the label that protects: decided about, once it is known who it is. */
bool window_may_touch(const struct container *container, const struct policy *policy);

/* Keeps the containers of @window, which gives them away, as those that the next cycle knows. */
void window_remember(struct governor *governor, struct window *window);

/* Frees what the governor remembers. */
void window_forget(struct governor *governor);

#endif

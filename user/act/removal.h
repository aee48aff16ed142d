/* SPDX-License-Identifier: GPL-2.0 */
/* One removal (stop, pause), from the inspection before it to its outcome. reap.c runs them side by side. */
#ifndef CMGR_ACT_REMOVAL_H
#define CMGR_ACT_REMOVAL_H

#include "act/asked.h"
#include "decide/policy.h"
#include "engine/docker.h"

/* More makes an engine slower, not faster: it takes a lock for each removal. */
#define SIDE_BY_SIDE 8

struct removal {
	struct http_call call;
	bool used;
	bool inspected;
	bool asked;		     /* the action has been sent: never a second time */
	bool finishing;		     /* what an earlier one, whose answer was lost, has left */
	uint64_t seq;		     /* of the cycle that decided it */
	struct container *container; /* in the window; NULL: of an earlier cycle */
	struct container victim;     /* what outlives the window of it */
};

struct reaper {
	const struct docker *docker;
	const struct policy *policy;
	CURLM *multi;
	struct removal removals[SIDE_BY_SIDE];
	struct window *window; /* of this cycle */
	struct asked_list asked;
};

/*
 * Asks the engine to inspect @victim. @finishing: it was to be removed before, and is stopped. 0 or -errno;
 * @removal is then unused.
 */
int removal_start(struct reaper *reaper, struct removal *removal, const struct container *victim,
		  bool finishing);

/* Its call has ended: the next one is made, or its outcome told and its place free. 0 or -ENOMEM. */
int removal_advance(struct reaper *reaper, const CURLMsg *message);

/*
 * Nothing more is waited for. @not_tried: the outcome, if nothing was asked for; NULL: a time-out. 0 or
 * -ENOMEM.
 */
int removal_give_up(struct reaper *reaper, struct removal *removal, const char *not_tried);

/* Without an outcome. */
void removal_release(struct reaper *reaper, struct removal *removal);

#endif

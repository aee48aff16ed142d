/* SPDX-License-Identifier: GPL-2.0 */
/* Carries out what was decided. */
#ifndef CMGR_ACT_REAP_H
#define CMGR_ACT_REAP_H

#include "decide/policy.h"
#include "engine/docker.h"
#include "observe/merge.h"

struct reaper;

/* When what reap() does has to end, on CLOCK_BOOTTIME, and for whom. */
struct reap_turn {
	uint64_t seq;	      /* of the cycle's record */
	uint64_t deadline_ns; /* no removal is begun any more */
	bool last;	      /* no cycle follows: what is under way is waited for */
};

/* 0 or -ENOMEM. @docker and @policy are the caller's. */
int reaper_open(const struct docker *docker, const struct policy *policy, struct reaper **ret);

/* Leaves the engine alone with what is still under way, and logs what was done and not seen to be. */
void reaper_close(struct reaper *reaper);

/*
 * Takes up what has ended of the removals that earlier cycles left under way, and waits for nothing:
 * their outcomes go into @window->late. 0 or -ENOMEM.
 */
int reap_collect(struct reaper *reaper, struct window *window);

/* Whether the engine was asked to remove (stop, pause) this one and has not answered yet. */
bool reap_is_pending(const struct reaper *reaper, const char *id);

/*
 * Whether it was, this one as it was started then, and did not answer in time. It may be at it still,
 * however long: it is not asked again.
 */
bool reap_is_overdue(const struct reaper *reaper, const struct container *container);

/* Whether it was, and no reading has shown yet what came of that. */
bool reap_was_asked(const struct reaper *reaper, const char *id);

/*
 * Logs what the reading of @window shows of those that the engine was asked for before, then removes (or
 * stops, or pauses) every container that was decided so, at most 8 side by side. Each is inspected once
 * more first, and asked for only if it is still the one that was measured.
 *
 * At the deadline an inspection is given up, so that no removal ever follows from an old one. What the
 * engine was asked for is left under way: it keeps its place among the 8, is never asked for again
 * while it does, and ends by its own time-out at the latest. Its outcome comes in a later cycle.
 *
 * One that is found stopped though the answer to its removal was lost is inspected once more, too, and
 * removed without force. That is logged, and changes no outcome.
 *
 * Fills the outcome of every container: "kept", "removed", "stopped", "paused", "gone", "kept: …",
 * "failed: …", "unknown: …" (it was asked for, and the answer was lost), or "pending". 0 or -ENOMEM.
 */
int reap(struct reaper *reaper, struct window *window, const struct reap_turn *turn);

/* Asks the engine for nothing: the outcomes are "kept" and "dry-run". 0 or -ENOMEM. */
int reap_nothing(struct container_list *list);

#endif

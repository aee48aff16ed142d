/* SPDX-License-Identifier: GPL-2.0 */
/* What the engine was asked to do, until a reading shows what came of it. */
#ifndef CMGR_ACT_ASKED_H
#define CMGR_ACT_ASKED_H

#include "observe/merge.h"

enum answer {
	ANSWER_DONE,	/* it has done it */
	ANSWER_LOST,	/* the connection ended before it told */
	ANSWER_OVERDUE, /* it has not told in time: it may be at it still */
};

struct asked {
	struct container victim;
	enum answer answer;
	/* It was to be removed, no answer came, and it has ended: it may be there still. */
	bool stopped;
	bool tried; /* in this cycle, to remove what is left of it */
};

struct asked_list {
	struct asked *items;
	size_t count;
};

/*
 * The reading may show that @victim is gone before the engine answers: what that freed is then kept in
 * its usage_kib, and its cgroup_id is not 0.
 */
void asked_see(struct container *victim, const struct window *window);

/*
 * Notes the @answer to what was asked for @victim, whose texts are copied. One that is gone already is
 * logged at once, and so is a pause that is done, which frees nothing; but one whose removal was not
 * answered is `stopped`. 0 or -ENOMEM.
 */
int asked_add(struct asked_list *list, const struct container *victim, enum answer answer);

/* NULL: nothing was asked for it whose end is still to be seen. */
const struct asked *asked_find(const struct asked_list *list, const char *id);

/*
 * Logs those whose cgroup is gone from the window's reading, and forgets them. Without an answer: one
 * that runs on is logged and forgotten, too, but while it is overdue, which ends with another StartedAt;
 * one that was to be removed is `stopped`, unless overdue, until asked_end() or somebody starts it again.
 */
void asked_tell(struct asked_list *list, const struct window *window);

/* A `stopped` one that has not been tried, and now is, until the list changes; or NULL. */
const struct asked *asked_try(struct asked_list *list);

/* What became of a `stopped` one: @why it is not removed, or NULL. Logs and forgets it. */
void asked_end(struct asked_list *list, const char *id, const char *why);

/* Logs the others that were done, whose memory is not known, or are `stopped`, and empties the list. */
void asked_close(struct asked_list *list);

#endif

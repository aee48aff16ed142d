// SPDX-License-Identifier: GPL-2.0
#include "act/reap.h"

#include <errno.h>
#include <string.h>

#include "act/removal.h"
#include "leave.h"
#include "util.h"

#define POLL_MS 1000

#define BUSY	  "failed: not tried, the engine is still busy with others"
#define CUT_SHORT "failed: not tried, the run was to end"

#define LEAVE_PATIENCE_NS (8 * NS_PER_S)

/* Takes up every call that has ended. 1 if there was one, 0 or -errno. */
static int advance_ended(struct reaper *reaper)
{
	const CURLMsg *message;
	int active, left, err, any = 0;

	if (curl_multi_perform(reaper->multi, &active))
		return -ENOMEM;
	while ((message = curl_multi_info_read(reaper->multi, &left))) {
		if (message->msg != CURLMSG_DONE)
			continue;
		err = removal_advance(reaper, message);
		if (err)
			return err;
		any = 1;
	}
	return any;
}

/* What begins where moves on, so that some that hang do not keep the others from their turn. */
static struct container *next_victim(const struct container_list *list, uint64_t seq,
				     size_t *position)
{
	while (*position < list->count) {
		struct container *container =
			&list->items[(seq % list->count + (*position)++) % list->count];

		if (container->decision != ACTION_KEEP)
			return container;
	}
	return NULL;
}

bool reap_is_pending(const struct reaper *reaper, const char *id)
{
	size_t i;

	for (i = 0; i < SIDE_BY_SIDE; i++)
		if (reaper->removals[i].used && !strcmp(reaper->removals[i].victim.id, id))
			return true;
	return false;
}

/* Those of this cycle come first: what is left of earlier ones takes no memory and no CPU. */
static int start_next(struct reaper *reaper, const struct reap_turn *turn, struct removal *removal,
		      size_t *position)
{
	struct container *victim = next_victim(&reaper->window->containers, turn->seq, position);
	const struct asked *asked;
	int err;

	if (!victim) {
		asked = reaper->window->distrust ? NULL : asked_try(&reaper->asked);
		return asked && !reap_is_pending(reaper, asked->victim.id)
			       ? removal_start(reaper, removal, &asked->victim, true)
			       : 0;
	}
	err = removal_start(reaper, removal, victim, false);
	if (err)
		return err;
	removal->seq = turn->seq;
	removal->container = victim;
	return 0;
}

static int fill(struct reaper *reaper, const struct reap_turn *turn, size_t *position)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < SIDE_BY_SIDE; i++)
		if (!reaper->removals[i].used)
			err = start_next(reaper, turn, &reaper->removals[i], position);
	return err;
}

/* Whether there is something to wait for in this cycle. */
static bool is_busy(const struct reaper *reaper, const struct reap_turn *turn)
{
	size_t i;

	for (i = 0; i < SIDE_BY_SIDE; i++) {
		const struct removal *removal = &reaper->removals[i];

		if (removal->used &&
		    (removal->container || (removal->finishing && !removal->asked) || turn->last))
			return true;
	}
	return false;
}

static int wait_for_engine(struct reaper *reaper, const struct reap_turn *turn)
{
	uint64_t now_ns = boottime_ns(), left_ms = POLL_MS;
	struct curl_waitfd signals = {.fd = leave_fd(), .events = CURL_WAIT_POLLIN};

	if (!turn->last && now_ns < turn->deadline_ns)
		left_ms = (turn->deadline_ns - now_ns) / NS_PER_MS + 1;
	if (left_ms > POLL_MS)
		left_ms = POLL_MS;
	if (curl_multi_poll(reaper->multi, &signals, 1, (int)left_ms, NULL))
		return -ENOMEM;
	if (signals.revents)
		leave_take();
	return 0;
}

/*
 * Whether to stop because the run is to end: in a cycle that is under way, at once, as at its deadline; in
 * the last, when the engine has answered nothing for so long.
 */
static bool is_left(const struct reap_turn *turn, uint64_t answered_ns)
{
	uint64_t asked_ns = leave_asked_ns();

	if (!asked_ns || !turn->last)
		return asked_ns;
	if (answered_ns < asked_ns)
		answered_ns = asked_ns;
	return boottime_ns() - answered_ns >= LEAVE_PATIENCE_NS;
}

static int run(struct reaper *reaper, const struct reap_turn *turn)
{
	uint64_t answered_ns = boottime_ns();
	size_t position = 0;
	int any = 0, err = 0;

	while (!err && !is_left(turn, answered_ns)) {
		bool over = boottime_ns() >= turn->deadline_ns;

		if (!over)
			err = fill(reaper, turn, &position);
		if (err || !is_busy(reaper, turn) || (over && !turn->last))
			break;
		any = advance_ended(reaper);
		if (any < 0)
			return any;
		/* Between an inspection and its action there must be no wait. */
		if (any)
			answered_ns = boottime_ns();
		else
			err = wait_for_engine(reaper, turn);
	}
	return err;
}

static bool is_cut_short(const struct reap_turn *turn)
{
	return !turn->last && leave_asked_ns();
}

/*
 * The cycle is over: what was asked for is left under way, what was not is given up. Under way after the
 * last nobody would learn what came of it.
 */
static int end_turn(struct reaper *reaper, const struct reap_turn *turn)
{
	int err = 0;
	size_t i;

	for (i = 0; i < SIDE_BY_SIDE; i++) {
		struct removal *removal = &reaper->removals[i];

		if (!removal->used || (!turn->last && !removal->container && removal->asked))
			continue;
		if (removal->asked && removal->container)
			removal->container->acted = true;
		if (turn->last || !removal->asked) {
			err |= removal_give_up(reaper, removal,
					       is_cut_short(turn) ? CUT_SHORT : NULL);
			continue;
		}
		err |= container_set_outcome(removal->container, strdup("pending"));
		removal->container = NULL;
	}
	return err ? -ENOMEM : 0;
}

/* Those that have an outcome keep it. */
static int fill_outcomes(struct container_list *list, const char *not_tried)
{
	int err = 0;
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct container *container = &list->items[i];

		if (!container->outcome)
			err |= container_set_outcome(
				container,
				strdup(container->decision == ACTION_KEEP ? "kept" : not_tried));
	}
	return err;
}

/* What the reading shows of those that the engine was asked for before it. */
static void tell(struct reaper *reaper, const struct window *window)
{
	size_t i;

	for (i = 0; i < SIDE_BY_SIDE; i++)
		if (reaper->removals[i].used)
			asked_see(&reaper->removals[i].victim, window);
	asked_tell(&reaper->asked, window);
}

int reap(struct reaper *reaper, struct window *window, const struct reap_turn *turn)
{
	int err, end_err, fill_err;

	reaper->window = window;
	tell(reaper, window);
	err = run(reaper, turn);
	end_err = end_turn(reaper, turn);
	fill_err = fill_outcomes(&window->containers, is_cut_short(turn) ? CUT_SHORT : BUSY);
	return err || end_err || fill_err ? -ENOMEM : 0;
}

int reap_nothing(struct container_list *list)
{
	return fill_outcomes(list, "dry-run");
}

int reap_collect(struct reaper *reaper, struct window *window)
{
	int any;

	reaper->window = window;
	do
		any = advance_ended(reaper);
	while (any > 0);
	return any;
}

bool reap_is_overdue(const struct reaper *reaper, const struct container *container)
{
	const struct asked *asked = asked_find(&reaper->asked, container->id);

	return asked && asked->answer == ANSWER_OVERDUE &&
	       (!container->started_at || !strcmp(container->started_at, asked->victim.started_at));
}

bool reap_was_asked(const struct reaper *reaper, const char *id)
{
	return asked_find(&reaper->asked, id) || reap_is_pending(reaper, id);
}

int reaper_open(const struct docker *docker, const struct policy *policy, struct reaper **ret)
{
	struct reaper *reaper = calloc(1, sizeof(*reaper));

	if (!reaper)
		return -ENOMEM;
	reaper->docker = docker;
	reaper->policy = policy;
	reaper->multi = curl_multi_init();
	if (!reaper->multi) {
		free(reaper);
		return -ENOMEM;
	}
	*ret = reaper;
	return 0;
}

void reaper_close(struct reaper *reaper)
{
	size_t i;

	if (!reaper)
		return;
	for (i = 0; i < SIDE_BY_SIDE; i++)
		if (reaper->removals[i].used)
			removal_release(reaper, &reaper->removals[i]);
	curl_multi_cleanup(reaper->multi);
	asked_close(&reaper->asked);
	free(reaper);
}

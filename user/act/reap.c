// SPDX-License-Identifier: GPL-2.0
#include "act/reap.h"

#include <errno.h>
#include <string.h>

#include "act/asked.h"
#include "leave.h"
#include "util.h"

/* More makes an engine slower, not faster: it takes a lock for each removal. */
#define SIDE_BY_SIDE 8
#define POLL_MS	     1000

#define BUSY	  "failed: not tried, the engine is still busy with others"
#define CUT_SHORT "failed: not tried, the run was to end"

#define LEAVE_PATIENCE_NS (8 * NS_PER_S)

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

static int set_outcome(struct container *container, char *outcome)
{
	if (!outcome)
		return -ENOMEM;
	free(container->outcome);
	container->outcome = outcome;
	return 0;
}

/* "failed: the engine did not answer in time" */
static char *outcome_of(const char *what, char *why)
{
	char *outcome = why ? format_text("%s: %s", what, why) : NULL;

	free(why);
	return outcome;
}

/* Why the container is kept all the same, such as a change since it was measured, or NULL. */
static const char *objection(const struct container *container, const struct docker_state *state,
			     const struct policy *policy, bool finishing)
{
	if (strcmp(container->id, state->id))
		return "the engine answered for another container";
	if (strcmp(container->started_at, state->started_at))
		return "it was restarted meanwhile";
	if (!state->running && !finishing)
		return "it is not running any more";
	if (state->labelled_protect || policy_protects(policy, state->name, state->id))
		return "it is protected now";
	if (!state->managed && !policy->scope_all)
		return "it is not managed any more";
	if (state->auto_remove && policy->action == ACTION_STOP)
		return "it was started with --rm; stopping would remove it and its volumes";
	return NULL;
}

/* libcurl asks again by itself when a connection that it kept turns out to be closed. */
static int before_asking(void *user, char *ip, char *local_ip, int port, int local_port)
{
	struct removal *removal = user;

	(void)ip;
	(void)local_ip;
	(void)port;
	(void)local_port;
	if (removal->asked)
		return CURL_PREREQFUNC_ABORT;
	removal->asked = true;
	return CURL_PREREQFUNC_OK;
}

static int copy_victim(const struct container *container, struct container *ret)
{
	struct container copy = {
		.rank = container->rank,
		.score_ppb = container->score_ppb,
		.anon_kib = container->anon_kib,
		.decision = container->decision,
		.name = strdup(container->name),
		.started_at = strdup(container->started_at),
	};

	if (!copy.name || !copy.started_at) {
		free(copy.name);
		free(copy.started_at);
		return -ENOMEM;
	}
	memcpy(copy.id, container->id, sizeof(copy.id));
	*ret = copy;
	return 0;
}

static void release(struct reaper *reaper, struct removal *removal)
{
	curl_multi_remove_handle(reaper->multi, removal->call.easy);
	http_call_free(&removal->call);
	free(removal->victim.name);
	free(removal->victim.started_at);
	*removal = (struct removal){};
}

static int start(struct reaper *reaper, struct removal *removal, const struct container *victim,
		 bool finishing)
{
	int err = docker_call_init(reaper->docker, &removal->call);

	if (err)
		return err;
	err = docker_call_inspect(reaper->docker, &removal->call, victim->id);
	if (!err)
		err = copy_victim(victim, &removal->victim);
	if (!err && curl_multi_add_handle(reaper->multi, removal->call.easy))
		err = -ENOMEM;
	if (err) {
		release(reaper, removal);
		return err;
	}
	curl_easy_setopt(removal->call.easy, CURLOPT_PRIVATE, removal);
	removal->used = true;
	removal->finishing = finishing;
	return 0;
}

static int add_late(struct window *window, const struct removal *removal, char *outcome)
{
	struct late late = {
		.seq = removal->seq,
		.decision = removal->victim.decision,
		.outcome = outcome,
		.name = strdup(removal->victim.name),
	};

	if (!late.name || !outcome ||
	    grow_array((void **)&window->late, window->late_count, sizeof(late))) {
		free(late.name);
		free(outcome);
		return -ENOMEM;
	}
	memcpy(late.id, removal->victim.id, sizeof(late.id));
	window->late[window->late_count++] = late;
	return 0;
}

/* The one outcome of a decision, @outcome, is taken; it goes where it can be told. */
static int conclude(struct reaper *reaper, struct removal *removal, char *outcome)
{
	int err = removal->container ? set_outcome(removal->container, outcome)
				     : add_late(reaper->window, removal, outcome);

	release(reaper, removal);
	return err;
}

static int ask(struct reaper *reaper, struct removal *removal)
{
	const struct container *victim = &removal->victim;
	int err = removal->finishing
			  ? docker_call_remove_stopped(reaper->docker, &removal->call, victim->id)
			  : docker_call_action(reaper->docker, &removal->call, victim->id,
					       victim->decision);

	if (err)
		return err;
	removal->inspected = true;
	curl_easy_setopt(removal->call.easy, CURLOPT_PREREQFUNCTION, before_asking);
	curl_easy_setopt(removal->call.easy, CURLOPT_PREREQDATA, removal);
	curl_multi_remove_handle(reaper->multi, removal->call.easy);
	return curl_multi_add_handle(reaper->multi, removal->call.easy) ? -ENOMEM : 0;
}

/* Asked for, and whatever came of it is ours. */
static int note(struct reaper *reaper, struct removal *removal, enum answer answer)
{
	if (removal->container)
		removal->container->acted = true;
	return asked_add(&reaper->asked, &removal->victim, answer);
}

/* The inspection has been answered: go on to the action, or end with an outcome. */
static int after_inspection(struct reaper *reaper, struct removal *removal, long status)
{
	struct container *container = removal->container;
	struct docker_state state = {};
	const char *why;
	int err = docker_inspect_result(&removal->call, status, &state);

	if (err == -ENOENT)
		return conclude(reaper, removal, strdup("gone"));
	if (err)
		return conclude(reaper, removal,
				outcome_of("failed", docker_why(&removal->call, err, status)));
	why = objection(container, &state, reaper->policy, false);
	if (strcmp(container->started_at, state.started_at)) {
		/* To be asked again: it is another incarnation that the next cycle measures. */
		free(container->started_at);
		container->started_at = NULL;
	}
	docker_state_free(&state);
	if (why)
		return conclude(reaper, removal, format_text("kept: %s", why));
	return ask(reaper, removal);
}

static int after_action(struct reaper *reaper, struct removal *removal, long status)
{
	enum action action = removal->victim.decision;

	switch (docker_action_result(&removal->call, action, status)) {
	case DOCKER_DONE:
		if (note(reaper, removal, ANSWER_DONE))
			return -ENOMEM;
		return conclude(reaper, removal, strdup(action_done(action)));
	case DOCKER_GONE:
		return conclude(reaper, removal, strdup("gone"));
	case DOCKER_REMOVING:
		return conclude(reaper, removal, strdup("kept: the engine is removing it already"));
	case DOCKER_REFUSED:
		break;
	}
	/* It may have stopped it all the same. */
	if (status >= 500 && removal->container)
		removal->container->acted = true;
	return conclude(reaper, removal, outcome_of("failed", docker_error_text(&removal->call)));
}

/* There is no answer. What was asked for may have been done, or be under way. */
static int after_failure(struct reaper *reaper, struct removal *removal, int err)
{
	char *why;

	if (removal->asked &&
	    note(reaper, removal, err == -ETIMEDOUT ? ANSWER_OVERDUE : ANSWER_LOST))
		return -ENOMEM;
	why = docker_why(&removal->call, err, 0);
	return conclude(reaper, removal, outcome_of(removal->asked ? "unknown" : "failed", why));
}

/* @why it is there still, or NULL. */
static int finish(struct reaper *reaper, struct removal *removal, const char *why)
{
	asked_end(&reaper->asked, removal->victim.id, why);
	release(reaper, removal);
	return 0;
}

static int finish_refused(struct reaper *reaper, struct removal *removal, char *why)
{
	int err = why ? finish(reaper, removal, why) : -ENOMEM;

	free(why);
	return err;
}

static int finish_inspected(struct reaper *reaper, struct removal *removal, long status)
{
	struct docker_state state = {};
	const char *why;
	int err = docker_inspect_result(&removal->call, status, &state);

	if (err == -ENOENT)
		return finish(reaper, removal, NULL);
	if (err)
		return finish_refused(reaper, removal, docker_why(&removal->call, err, status));
	why = objection(&removal->victim, &state, reaper->policy, true);
	docker_state_free(&state);
	return why ? finish(reaper, removal, why) : ask(reaper, removal);
}

static int finish_asked(struct reaper *reaper, struct removal *removal, long status)
{
	switch (docker_action_result(&removal->call, ACTION_REMOVE, status)) {
	case DOCKER_DONE:
	case DOCKER_GONE:
		return finish(reaper, removal, NULL);
	case DOCKER_REMOVING:
		release(reaper, removal);
		return 0;
	case DOCKER_REFUSED:
		break;
	}
	return finish_refused(reaper, removal, docker_error_text(&removal->call));
}

/* If the engine is down, or at it already, it is tried again in the next cycle. */
static int advance_finishing(struct reaper *reaper, struct removal *removal, int err, long status)
{
	if (err == -ETIMEDOUT && removal->asked)
		return finish_refused(reaper, removal, docker_why(&removal->call, err, 0));
	if (err) {
		release(reaper, removal);
		return 0;
	}
	return removal->inspected ? finish_asked(reaper, removal, status)
				  : finish_inspected(reaper, removal, status);
}

static int advance(struct reaper *reaper, const CURLMsg *message)
{
	struct removal *removal;
	long status;
	int err;

	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&removal);
	err = http_call_result(&removal->call, message->data.result, &status);
	if (removal->finishing)
		return advance_finishing(reaper, removal, err, status);
	if (err)
		return after_failure(reaper, removal, err);
	return removal->inspected ? after_action(reaper, removal, status)
				  : after_inspection(reaper, removal, status);
}

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
		err = advance(reaper, message);
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
			       ? start(reaper, removal, &asked->victim, true)
			       : 0;
	}
	err = start(reaper, removal, victim, false);
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

static char *end_outcome(const struct removal *removal, const struct reap_turn *turn)
{
	if (removal->asked)
		return strdup("unknown");
	if (is_cut_short(turn))
		return strdup(CUT_SHORT);
	return outcome_of("failed", docker_why(&removal->call, -ETIMEDOUT, 0));
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
		if (removal->finishing) {
			release(reaper, removal);
			continue;
		}
		if (removal->asked && removal->container)
			removal->container->acted = true;
		if (turn->last || !removal->asked) {
			err |= conclude(reaper, removal, end_outcome(removal, turn));
			continue;
		}
		err |= set_outcome(removal->container, strdup("pending"));
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
			err |= set_outcome(
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
			release(reaper, &reaper->removals[i]);
	curl_multi_cleanup(reaper->multi);
	asked_close(&reaper->asked);
	free(reaper);
}

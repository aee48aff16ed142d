// SPDX-License-Identifier: GPL-2.0
#include "act/removal.h"

#include <errno.h>
#include <string.h>

#include "util.h"

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

void removal_release(struct reaper *reaper, struct removal *removal)
{
	curl_multi_remove_handle(reaper->multi, removal->call.easy);
	http_call_free(&removal->call);
	free(removal->victim.name);
	free(removal->victim.started_at);
	*removal = (struct removal){};
}

int removal_start(struct reaper *reaper, struct removal *removal, const struct container *victim,
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
		removal_release(reaper, removal);
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
	int err = removal->container ? container_set_outcome(removal->container, outcome)
				     : add_late(reaper->window, removal, outcome);

	removal_release(reaper, removal);
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

/* @why it is not removed, or NULL. */
static int finish(struct reaper *reaper, struct removal *removal, const char *why)
{
	asked_end(&reaper->asked, removal->victim.id, why);
	removal_release(reaper, removal);
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
		removal_release(reaper, removal);
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
		removal_release(reaper, removal);
		return 0;
	}
	return removal->inspected ? finish_asked(reaper, removal, status)
				  : finish_inspected(reaper, removal, status);
}

int removal_advance(struct reaper *reaper, const CURLMsg *message)
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

int removal_give_up(struct reaper *reaper, struct removal *removal, const char *not_tried)
{
	char *outcome;

	if (removal->finishing) {
		removal_release(reaper, removal);
		return 0;
	}
	if (removal->asked)
		outcome = strdup("unknown");
	else if (not_tried)
		outcome = strdup(not_tried);
	else
		outcome = outcome_of("failed", docker_why(&removal->call, -ETIMEDOUT, 0));
	return conclude(reaper, removal, outcome);
}

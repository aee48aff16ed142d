// SPDX-License-Identifier: GPL-2.0
#include "act/reap.h"

#include <errno.h>
#include <string.h>

#include "util.h"

/* More makes an engine slower, not faster: it takes a lock for each removal. */
#define SIDE_BY_SIDE 8
#define POLL_MS	     1000

struct removal {
	struct http_call call;
	struct container *container;
	bool inspected;
};

struct reaper {
	const struct docker *docker;
	const struct policy *policy;
	CURLM *multi;
	struct removal removals[SIDE_BY_SIDE];
	size_t running;
};

static int set_outcome(struct container *container, char *outcome)
{
	if (!outcome)
		return -ENOMEM;
	free(container->outcome);
	container->outcome = outcome;
	return 0;
}

static const char *done_word(enum action action)
{
	static const char *const words[] = {
		[ACTION_KEEP] = "kept",
		[ACTION_REMOVE] = "removed",
		[ACTION_STOP] = "stopped",
		[ACTION_PAUSE] = "paused",
	};

	return words[action];
}

static char *error_outcome(int err)
{
	return err == -ENOENT ? strdup("gone") : format_text("failed: %s", strerror(-err));
}

/* What has changed since the container was measured, or NULL. */
static const char *change(const struct container *container, const struct docker_state *state,
			  const struct policy *policy)
{
	if (strcmp(container->id, state->id))
		return "the engine answered for another container";
	if (strcmp(container->started_at, state->started_at))
		return "it was restarted meanwhile";
	if (!state->running)
		return "it is not running any more";
	if (state->labelled_protect || policy_protects(policy, state->name))
		return "it is protected now";
	if (!state->managed && !policy->scope_all)
		return "it is not managed any more";
	return NULL;
}

static int start(struct reaper *reaper, struct removal *removal, struct container *container)
{
	int err = docker_call_init(reaper->docker, &removal->call);

	if (!err)
		err = docker_call_inspect(reaper->docker, &removal->call, container->id);
	if (!err && curl_multi_add_handle(reaper->multi, removal->call.easy))
		err = -ENOMEM;
	if (err) {
		http_call_free(&removal->call);
		return err;
	}
	curl_easy_setopt(removal->call.easy, CURLOPT_PRIVATE, removal);
	removal->container = container;
	removal->inspected = false;
	reaper->running++;
	return 0;
}

static void finish(struct reaper *reaper, struct removal *removal)
{
	curl_multi_remove_handle(reaper->multi, removal->call.easy);
	http_call_free(&removal->call);
	removal->container = NULL;
	reaper->running--;
}

/* The inspection has been answered: go on to the action, or end with an outcome. */
static int after_inspection(struct reaper *reaper, struct removal *removal, long status)
{
	struct container *container = removal->container;
	struct docker_state state = {};
	const char *changed;
	int err = docker_inspect_result(&removal->call, status, &state);

	if (err) {
		finish(reaper, removal);
		return set_outcome(container, error_outcome(err));
	}
	changed = change(container, &state, reaper->policy);
	if (strcmp(container->started_at, state.started_at)) {
		/* To be asked again: it is another incarnation that the next cycle measures. */
		free(container->started_at);
		container->started_at = NULL;
	}
	docker_state_free(&state);
	if (changed) {
		finish(reaper, removal);
		return set_outcome(container, format_text("kept: %s", changed));
	}
	removal->inspected = true;
	err = docker_call_action(reaper->docker, &removal->call, container->id,
				 container->decision);
	if (!err) {
		curl_multi_remove_handle(reaper->multi, removal->call.easy);
		if (curl_multi_add_handle(reaper->multi, removal->call.easy))
			err = -ENOMEM;
	}
	if (err)
		finish(reaper, removal);
	return err;
}

static int after_action(struct reaper *reaper, struct removal *removal, long status)
{
	struct container *container = removal->container;
	int result = docker_action_result(&removal->call, status);
	char *outcome;

	if (result >= 0) {
		container->acted = true;
		outcome = strdup(result ? "gone" : done_word(container->decision));
	} else {
		_cleanup_free_ char *text = docker_error_text(&removal->call);

		outcome = format_text("failed: %s", text ? text : strerror(-result));
	}
	finish(reaper, removal);
	return set_outcome(container, outcome);
}

static int advance(struct reaper *reaper, const CURLMsg *message)
{
	struct removal *removal;
	struct container *container;
	long status;
	int err;

	curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&removal);
	container = removal->container;
	err = http_call_result(&removal->call, message->data.result, &status);
	if (err) {
		finish(reaper, removal);
		return set_outcome(container, error_outcome(err));
	}
	return removal->inspected ? after_action(reaper, removal, status)
				  : after_inspection(reaper, removal, status);
}

static struct container *next_victim(struct container_list *list, size_t *position)
{
	while (*position < list->count) {
		struct container *container = &list->items[(*position)++];

		if (container->decision != ACTION_KEEP)
			return container;
	}
	return NULL;
}

static int fill(struct reaper *reaper, struct container_list *list, size_t *position)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < SIDE_BY_SIDE; i++) {
		struct container *victim;

		if (reaper->removals[i].container)
			continue;
		victim = next_victim(list, position);
		if (!victim)
			return 0;
		err = start(reaper, &reaper->removals[i], victim);
	}
	return err;
}

/* Takes up every call that has ended. 1 if there was one, 0 or -errno. */
static int advance_ended(struct reaper *reaper)
{
	const CURLMsg *message;
	int left, err, any = 0;

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

static int run(struct reaper *reaper, struct container_list *list)
{
	size_t position = 0;
	int active, any, err;

	for (;;) {
		err = fill(reaper, list, &position);
		if (err || !reaper->running)
			return err;
		if (curl_multi_perform(reaper->multi, &active))
			return -ENOMEM;
		any = advance_ended(reaper);
		if (any < 0)
			return any;
		/* Between an inspection and its action there must be no wait. */
		if (!any && curl_multi_poll(reaper->multi, NULL, 0, POLL_MS, NULL))
			return -ENOMEM;
	}
}

static int decide_outcomes(struct container_list *list, bool dry_run)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct container *container = &list->items[i];
		const char *outcome = container->decision == ACTION_KEEP ? "kept"
				      : dry_run				 ? "dry-run"
									 : "failed: not tried";

		if (set_outcome(container, strdup(outcome)))
			return -ENOMEM;
	}
	return 0;
}

int reap(const struct docker *docker, struct container_list *list, const struct policy *policy,
	 bool dry_run)
{
	struct reaper reaper = {.docker = docker, .policy = policy};
	size_t i;
	int err = decide_outcomes(list, dry_run);

	if (err || dry_run)
		return err;
	reaper.multi = curl_multi_init();
	if (!reaper.multi)
		return -ENOMEM;
	err = run(&reaper, list);
	for (i = 0; i < SIDE_BY_SIDE; i++)
		if (reaper.removals[i].container)
			finish(&reaper, &reaper.removals[i]);
	curl_multi_cleanup(reaper.multi);
	return err;
}

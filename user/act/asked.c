// SPDX-License-Identifier: GPL-2.0
#include "act/asked.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util.h"

#define SHORT_ID "12"

static void tell(const struct container *c, const char *freed_kib)
{
	log_line("%s name=%s id=%." SHORT_ID "s rank=%u score=%.6f anon_kib=%" PRIu64
		 " memory_freed_kib=%s",
		 action_done(c->decision), c->name, c->id, c->rank,
		 (double)c->score_ppb / (double)PPB_WHOLE, c->anon_kib, freed_kib);
}

static void tell_freed(const struct container *container, uint64_t freed_kib)
{
	char text[sizeof("18446744073709551615")];

	snprintf(text, sizeof(text), "%" PRIu64, freed_kib);
	tell(container, text);
}

static void tell_still_there(const struct container *container)
{
	log_line("still there name=%s id=%." SHORT_ID "s: the engine's answer was lost",
		 container->name, container->id);
}

static void tell_not_removed(const struct container *container, const char *why)
{
	log_line("not removed name=%s id=%." SHORT_ID "s: %s", container->name, container->id, why);
}

static void free_victim(struct container *victim)
{
	free(victim->name);
	free(victim->started_at);
}

static struct asked *find(const struct asked_list *list, const char *id)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (!strcmp(list->items[i].victim.id, id))
			return &list->items[i];
	return NULL;
}

const struct asked *asked_find(const struct asked_list *list, const char *id)
{
	return find(list, id);
}

static int put(struct asked_list *list, struct asked *asked)
{
	struct asked *old = find(list, asked->victim.id);

	if (!old) {
		if (grow_array((void **)&list->items, list->count, sizeof(*list->items)))
			return -ENOMEM;
		list->items[list->count++] = *asked;
		return 0;
	}
	/* It came back, or was not gone, and never went from a reading. */
	if (old->answer == ANSWER_DONE)
		tell(&old->victim, "unknown");
	else if (old->answer == ANSWER_LOST)
		tell_still_there(&old->victim);
	free_victim(&old->victim);
	*old = *asked;
	return 0;
}

static bool is_lost_removal(const struct asked *asked)
{
	return asked->answer == ANSWER_LOST && asked->victim.decision == ACTION_REMOVE;
}

int asked_add(struct asked_list *list, const struct container *victim, enum answer answer)
{
	struct asked asked = {.victim = *victim, .answer = answer};

	asked.stopped = victim->cgroup_id && is_lost_removal(&asked);
	if ((victim->cgroup_id && !asked.stopped) ||
	    (answer == ANSWER_DONE && victim->decision == ACTION_PAUSE)) {
		tell_freed(victim, victim->usage_kib);
		return 0;
	}
	asked.victim.name = strdup(victim->name);
	asked.victim.started_at = strdup(victim->started_at);
	if (!asked.victim.name || !asked.victim.started_at || put(list, &asked)) {
		free_victim(&asked.victim);
		return -ENOMEM;
	}
	return 0;
}

static const struct gone *find_gone(const struct window *window, const char *id)
{
	size_t i;

	for (i = 0; i < window->gone_count; i++)
		if (!strcmp(window->gone[i].id, id))
			return &window->gone[i];
	return NULL;
}

void asked_see(struct container *victim, const struct window *window)
{
	const struct gone *gone = find_gone(window, victim->id);

	if (!gone)
		return;
	victim->cgroup_id = gone->cgroup_id;
	victim->usage_kib = gone->freed_kib;
}

/* One that the engine has not answered for is still listed, as @now. True: its end is seen. */
static bool tell_unanswered(const struct asked *asked, const struct container *now)
{
	const struct container *victim = &asked->victim;

	if (victim->decision == ACTION_PAUSE && !now->running) {
		tell_freed(victim, 0);
		return true;
	}
	if (asked->answer == ANSWER_OVERDUE)
		return now->started_at && strcmp(now->started_at, victim->started_at);
	if (now->running)
		tell_still_there(victim);
	return now->running;
}

/* True: somebody has started it again. */
static bool tell_stopped(struct asked *asked, const struct container *now)
{
	bool is_restarted = now && now->cgroup_id;

	asked->tried = false;
	if (is_restarted)
		tell_not_removed(&asked->victim, "it was restarted meanwhile");
	return is_restarted;
}

/* True: its end is seen. */
static bool tell_one(struct asked *asked, const struct window *window)
{
	const struct container *now = find_container(&window->containers, asked->victim.id);
	const struct gone *gone = find_gone(window, asked->victim.id);
	bool answered = asked->answer == ANSWER_DONE;

	if (asked->stopped)
		return tell_stopped(asked, now);
	/* In another cgroup it has been started again, by somebody else. */
	if (gone && (answered || !now || !now->cgroup_id)) {
		if (is_lost_removal(asked)) {
			asked->victim.usage_kib = gone->freed_kib;
			asked->stopped = true;
			return false;
		}
		tell_freed(&asked->victim, gone->freed_kib);
	}
	if (gone || answered)
		return gone;
	return now && tell_unanswered(asked, now);
}

void asked_tell(struct asked_list *list, const struct window *window)
{
	size_t i, kept = 0;

	for (i = 0; i < list->count; i++) {
		if (tell_one(&list->items[i], window))
			free_victim(&list->items[i].victim);
		else
			list->items[kept++] = list->items[i];
	}
	list->count = kept;
}

const struct asked *asked_try(struct asked_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct asked *asked = &list->items[i];

		if (!asked->stopped || asked->tried)
			continue;
		asked->tried = true;
		return asked;
	}
	return NULL;
}

void asked_end(struct asked_list *list, const char *id, const char *why)
{
	struct asked *asked = find(list, id);

	if (!asked || !asked->stopped)
		return;
	if (why)
		tell_not_removed(&asked->victim, why);
	else
		tell_freed(&asked->victim, asked->victim.usage_kib);
	free_victim(&asked->victim);
	*asked = list->items[--list->count];
}

void asked_close(struct asked_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (list->items[i].answer == ANSWER_DONE)
			tell(&list->items[i].victim, "unknown");
		else if (list->items[i].stopped)
			tell_not_removed(&list->items[i].victim, "the engine has not told");
		free_victim(&list->items[i].victim);
	}
	free(list->items);
	*list = (struct asked_list){};
}

// SPDX-License-Identifier: GPL-2.0
#include "act/confirmed.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "util.h"

#define SHORT_ID "12"

static void tell(const struct container *c, const char *freed_kib)
{
	static const char *const words[] = {
		[ACTION_REMOVE] = "removed", [ACTION_STOP] = "stopped", [ACTION_PAUSE] = "paused"};

	log_line("%s name=%s id=%." SHORT_ID "s rank=%u score=%.6f anon_kib=%" PRIu64
		 " memory_freed_kib=%s",
		 words[c->decision], c->name, c->id, c->rank,
		 (double)c->score_ppb / (double)PPB_WHOLE, c->anon_kib, freed_kib);
}

static void tell_freed(const struct container *container, uint64_t freed_kib)
{
	char text[sizeof("18446744073709551615")];

	snprintf(text, sizeof(text), "%" PRIu64, freed_kib);
	tell(container, text);
}

int confirmed_add(struct container_list *confirmed, const struct container *victim)
{
	struct container *old = find_container(confirmed, victim->id), copy = *victim;

	if (victim->decision == ACTION_PAUSE || victim->cgroup_id) {
		tell_freed(victim, victim->usage_kib);
		return 0;
	}
	copy.name = strdup(victim->name);
	if (copy.name && old) {
		/* It came back, and never went from a reading. */
		tell(old, "unknown");
		free(old->name);
		*old = copy;
		return 0;
	}
	if (!copy.name ||
	    grow_array((void **)&confirmed->items, confirmed->count, sizeof(*confirmed->items))) {
		free(copy.name);
		return -ENOMEM;
	}
	confirmed->items[confirmed->count++] = copy;
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

void confirmed_see(struct container *victim, const struct window *window)
{
	const struct gone *gone = find_gone(window, victim->id);

	if (!gone)
		return;
	victim->cgroup_id = gone->cgroup_id;
	victim->usage_kib = gone->freed_kib;
}

void confirmed_tell(struct container_list *confirmed, const struct window *window)
{
	size_t i, kept = 0;

	for (i = 0; i < confirmed->count; i++) {
		struct container *container = &confirmed->items[i];
		const struct gone *gone = find_gone(window, container->id);

		if (!gone) {
			confirmed->items[kept++] = *container;
			continue;
		}
		tell_freed(container, gone->freed_kib);
		free(container->name);
	}
	confirmed->count = kept;
}

void confirmed_close(struct container_list *confirmed)
{
	size_t i;

	for (i = 0; i < confirmed->count; i++)
		tell(&confirmed->items[i], "unknown");
	container_list_free(confirmed);
}

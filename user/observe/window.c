// SPDX-License-Identifier: GPL-2.0
#include "observe/window.h"

#include <errno.h>
#include <string.h>

#include "util.h"

/* Nothing is removed; the first reason is the one that is told. */
static int distrust(struct window *window, char *why)
{
	if (window->distrust) {
		free(why);
		return 0;
	}
	window->distrust = why;
	return why ? 0 : -ENOMEM;
}

static int without_reading(struct governor *governor, struct window *window,
			   const struct observation *seen)
{
	size_t i;

	window->memory = governor->latest.snapshot.memory;
	for (i = 0; i < window->containers.count; i++)
		window->containers.items[i].unsure = "there is no reading of it";
	return distrust(window, strdup(seen->no_reading));
}

/* The last reading becomes the one before it. */
static void shift_readings(struct governor *governor, struct readings *now)
{
	readings_free(&governor->earlier);
	governor->earlier = governor->latest;
	governor->latest = *now;
	*now = (struct readings){};
}

bool window_may_touch(const struct container *container, const struct policy *policy)
{
	return (container->managed || policy->scope_all) && !container->labelled_protect;
}

/* Another cgroup under a known ID. */
static bool is_restarted(const struct governor *governor, const struct container *container)
{
	const struct container *was = find_container(&governor->known, container->id);

	return was && was->cgroup_id && was->cgroup_id != container->cgroup_id;
}

/* What is known of them is of another life. */
static void find_restarted(struct governor *governor, struct container_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct container *container = &list->items[i];

		if (!is_restarted(governor, container))
			continue;
		free(container->started_at);
		container->started_at = NULL;
	}
}

static void doubt_unidentified(const struct governor *governor, struct container_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct container *container = &list->items[i];

		/* Without a full window it is young, whoever it is. */
		if ((container->cgroup_id && !container->full_window) || container->started_at ||
		    container->unsure || !window_may_touch(container, &governor->options->policy))
			continue;
		container->unsure = is_restarted(governor, container)
					    ? "it was restarted"
					    : "the engine has not been asked about it yet";
	}
}

static int check_length(const struct governor *governor, struct window *window)
{
	uint64_t least_ns = governor->options->interval_s * NS_PER_S / 2;

	if (window->length_ns >= least_ns)
		return 0;
	return distrust(window, format_text("only %.1f s were observed",
					    (double)window->length_ns / (double)NS_PER_S));
}

static int with_reading(struct governor *governor, struct window *window, struct observation *seen)
{
	bool longer = seen->final && governor->earlier.snapshot.boottime_ns;
	int err;

	window->has_reading = true;
	err = longer ? merge(&governor->earlier, &governor->latest, &seen->now, window)
		     : merge(&governor->latest, NULL, &seen->now, window);
	if (!err)
		err = merge_gone(&governor->latest, &seen->now, &governor->known, window);
	if (!err)
		err = check_length(governor, window);
	shift_readings(governor, &seen->now);
	if (!err)
		find_restarted(governor, &window->containers);
	return err;
}

int window_build(struct governor *governor, struct observation *seen, struct window *window)
{
	int err;

	window->cpus = seen->cpus;
	window->end_unix_ns = seen->end_unix_ns;
	window->containers = seen->containers;
	seen->containers = (struct container_list){};
	err = seen->no_list ? distrust(window, strdup(seen->no_list)) : 0;
	if (!err && seen->no_reading)
		err = without_reading(governor, window, seen);
	else if (!err)
		err = with_reading(governor, window, seen);
	if (!err)
		doubt_unidentified(governor, &window->containers);
	return err;
}

/* Moves on those that the engine lists no more but the last reading still holds: they will be gone. */
static void keep_dying(struct governor *governor, struct container_list *list)
{
	struct container_list *known = &governor->known;
	size_t i;

	for (i = 0; i < known->count; i++) {
		struct container *was = &known->items[i];

		if (find_container(list, was->id) ||
		    !snapshot_cgroup(&governor->latest.snapshot, was->cgroup_id) ||
		    grow_array((void **)&list->items, list->count, sizeof(*was)))
			continue;
		list->items[list->count++] = *was;
		*was = (struct container){};
	}
}

/* Without a reading the window does not tell which cgroups they have. */
static void recall_cgroups(struct governor *governor, struct container_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		const struct container *was = find_container(&governor->known, list->items[i].id);

		if (was)
			list->items[i].cgroup_id = was->cgroup_id;
	}
}

void window_remember(struct governor *governor, struct window *window)
{
	if (!window->containers.count)
		return;
	if (!window->has_reading)
		recall_cgroups(governor, &window->containers);
	keep_dying(governor, &window->containers);
	container_list_free(&governor->known);
	governor->known = window->containers;
	window->containers = (struct container_list){};
}

void window_forget(struct governor *governor)
{
	readings_free(&governor->latest);
	readings_free(&governor->earlier);
	container_list_free(&governor->known);
}

void observation_free(struct observation *seen)
{
	container_list_free(&seen->containers);
	readings_free(&seen->now);
	free(seen->no_list);
	free(seen->no_reading);
	*seen = (struct observation){};
}

// SPDX-License-Identifier: GPL-2.0
#include "observe/observe.h"

#include <errno.h>
#include <string.h>

#include "util.h"

static int take_readings(struct governor *governor, struct readings *ret, const char **ret_source)
{
	uint64_t start_ns = boottime_ns();
	struct readings readings = {};
	int err;

	*ret_source = governor->options->sysinfo;
	err = snapshot_read(governor->options->sysinfo, &readings.snapshot);
	if (!err) {
		*ret_source = "the BPF map";
		err = cgroup_cpu_read(governor->cpu_source, &readings.cpu);
	}
	governor->snapshot_us = (boottime_ns() - start_ns) / NS_PER_US;
	if (err) {
		readings_free(&readings);
		return err;
	}
	*ret = readings;
	return 0;
}

static const char *reading_error(int err)
{
	if (err == -EBADMSG)
		return "the reading is partial or damaged";
	if (err == -EPROTONOSUPPORT)
		return "the module speaks another format version";
	return strerror(-err);
}

int observe_first(struct governor *governor)
{
	const char *source;
	int err = take_readings(governor, &governor->latest, &source);

	if (err)
		log_line("cannot read %s: %s", source, reading_error(err));
	return err;
}

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

static int without_reading(struct governor *governor, struct window *window, const char *source,
			   int err)
{
	size_t i;

	window->memory = governor->latest.snapshot.memory;
	window->end_unix_ns = unix_ns();
	for (i = 0; i < window->containers.count; i++)
		window->containers.items[i].unsure = "there is no reading of it";
	return distrust(window, format_text("cannot read %s: %s", source, reading_error(err)));
}

/* The last reading becomes the one before it. */
static void shift_readings(struct governor *governor, struct readings *now)
{
	readings_free(&governor->earlier);
	governor->earlier = governor->latest;
	governor->latest = *now;
}

static bool can_be_removed(const struct container *container, const struct policy *policy)
{
	return (container->managed || policy->scope_all) && !container->labelled_protect;
}

/*
 * When a container started, as the engine tells it: asked before the readings, so that a restart
 * after them cannot pass for what was measured, and compared again before a removal. Returns what the
 * engine failed with.
 */
static int identify(struct governor *governor, struct container *container)
{
	int err = docker_inspect(governor->docker, container);

	if (err == -ENOENT)
		container->unsure = "it is gone";
	else if (err)
		container->unsure = "the engine does not tell when it started";
	return err;
}

static int recall(struct governor *governor, struct container_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		const struct container *was = find_container(&governor->known, list->items[i].id);

		if (!was || !was->started_at)
			continue;
		list->items[i].started_at = strdup(was->started_at);
		if (!list->items[i].started_at)
			return -ENOMEM;
	}
	return 0;
}

/*
 * Those that are not known are asked for, until a call times out: each may last its whole time-out,
 * and the others can wait for the next cycle. Where to begin moves on, so that one container that
 * hangs does not keep those behind it from their turn.
 */
static void identify_new(struct governor *governor, struct container_list *list)
{
	size_t i, turn = list->count ? governor->seq % list->count : 0;

	for (i = 0; i < list->count; i++) {
		struct container *container = &list->items[(turn + i) % list->count];
		int err;

		if (container->started_at || !can_be_removed(container, &governor->options->policy))
			continue;
		err = identify(governor, container);
		if (err == -ETIMEDOUT || err == -ECONNREFUSED)
			return;
	}
}

/* Another cgroup under a known ID: it was restarted, and what is known of it is of another life. */
static void find_restarted(struct governor *governor, struct container_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct container *container = &list->items[i];
		const struct container *was = find_container(&governor->known, container->id);

		if (!was || !was->cgroup_id || was->cgroup_id == container->cgroup_id)
			continue;
		free(container->started_at);
		container->started_at = NULL;
	}
}

static void doubt_unidentified(const struct governor *governor, struct container_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (can_be_removed(&list->items[i], &governor->options->policy) &&
		    !list->items[i].started_at && !list->items[i].unsure)
			list->items[i].unsure =
				"it was restarted, or the engine told nothing of it";
}

static void forget_dead_cgroups(struct governor *governor, const struct readings *before,
				const struct readings *now)
{
	size_t i;

	for (i = 0; i < now->cpu.count; i++)
		if (is_dead_and_reported(before, now, &now->cpu.rows[i]))
			cgroup_cpu_forget(governor->cpu_source, now->cpu.rows[i].cgroup_id);
}

static int check_length(const struct governor *governor, struct window *window)
{
	uint64_t least_ns = governor->options->interval_s * NS_PER_S / 2;

	if (window->length_ns >= least_ns)
		return 0;
	return distrust(window, format_text("only %.1f s were observed",
					    (double)window->length_ns / (double)NS_PER_S));
}

static int observe_kernel(struct governor *governor, bool final, struct window *window)
{
	const struct readings *before = &governor->latest;
	struct readings now;
	const char *source;
	int err = take_readings(governor, &now, &source);

	if (err)
		return without_reading(governor, window, source, err);
	if (final && governor->earlier.snapshot.text)
		before = &governor->earlier;
	window->end_unix_ns = unix_ns() - (boottime_ns() - now.cpu.boottime_ns);
	window->has_reading = true;
	err = merge(before, &now, window);
	if (!err)
		err = merge_gone(&governor->latest, &now, &governor->known, window);
	if (!err)
		err = check_length(governor, window);
	forget_dead_cgroups(governor, &governor->latest, &now);
	shift_readings(governor, &now);
	return err;
}

/* The list comes before the readings: what it holds must then be in them. */
static int observe_engine(struct governor *governor, struct window *window)
{
	_cleanup_free_ char *why = NULL;
	int err = docker_list(governor->docker, &window->containers, &why);

	if (err)
		return distrust(window, format_text("the engine's list cannot be had: %s",
						    why ? why : strerror(-err)));
	err = recall(governor, &window->containers);
	if (!err)
		identify_new(governor, &window->containers);
	return err;
}

int observe(struct governor *governor, bool final, struct window *window)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	int err;

	governor->cycle_start_ns = boottime_ns();
	window->cpus = cpus > 0 ? (unsigned int)cpus : 1;
	err = observe_engine(governor, window);
	if (!err)
		err = observe_kernel(governor, final, window);
	if (err)
		return err;
	if (window->has_reading)
		find_restarted(governor, &window->containers);
	doubt_unidentified(governor, &window->containers);
	return 0;
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

void observe_remember(struct governor *governor, struct window *window)
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

void observe_forget(struct governor *governor)
{
	readings_free(&governor->latest);
	readings_free(&governor->earlier);
	container_list_free(&governor->known);
}

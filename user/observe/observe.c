// SPDX-License-Identifier: GPL-2.0
#include "observe/observe.h"

#include <errno.h>
#include <string.h>

#include "act/reap.h"
#include "leave.h"
#include "observe/lazyfree.h"
#include "observe/window.h"
#include "report/recording.h"
#include "util.h"

/* How long after the signal that ends the run the engine is asked what there is, and at least. */
#define LEAVE_NS       (3 * NS_PER_S)
#define LEAVE_LEAST_NS (2 * NS_PER_S)

static int take_readings(struct governor *governor, struct readings *ret, const char **ret_source)
{
	uint64_t start_ns = boottime_ns();
	struct readings readings = {};
	int err;

	*ret_source = governor->options->sysinfo;
	err = snapshot_read(governor->options->sysinfo, &readings.snapshot);
	if (!err)
		err = lazyfree_add(CGROUPS, &readings.snapshot);
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

	if (err) {
		log_line("cannot read %s: %s", source, reading_error(err));
		return err;
	}
	recording_begin(governor->recording, governor->options, &governor->run, &governor->latest);
	return 0;
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

/* What the engine is asked to remove already is not decided about again. */
static void set_pending_aside(const struct governor *governor, struct container_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct container *container = &list->items[i];

		container->acted = reap_was_asked(governor->reaper, container->id);
		if (reap_is_pending(governor->reaper, container->id))
			container->unsure = "its removal is under way";
	}
}

/* Once it is known when they have started. */
static void set_overdue_aside(const struct governor *governor, struct container_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (!list->items[i].unsure && reap_is_overdue(governor->reaper, &list->items[i]))
			list->items[i].unsure = "its removal is under way";
}

/*
 * Those that are not known are asked for, until a call times out, or there is no more time for it in
 * this cycle: the others can wait for the next. Where to begin moves on, so that one container that
 * hangs does not keep those behind it from their turn.
 */
static void identify_new(struct governor *governor, bool final, struct container_list *list)
{
	size_t i, turn = list->count ? governor->seq % list->count : 0;

	for (i = 0; i < list->count; i++) {
		struct container *container = &list->items[(turn + i) % list->count];
		int err;

		if (leave_asked_ns() && !final)
			return;
		if (container->started_at || container->unsure ||
		    !window_may_touch(container, &governor->options->policy))
			continue;
		err = identify(governor, container);
		if (err == -ETIMEDOUT || err == -ECONNREFUSED)
			return;
	}
}

static void forget_dead_cgroups(struct governor *governor, const struct readings *before,
				const struct readings *now)
{
	size_t i;

	for (i = 0; i < now->cpu.count; i++)
		if (is_dead_and_reported(before, now, &now->cpu.rows[i]))
			cgroup_cpu_forget(governor->cpu_source, now->cpu.rows[i].cgroup_id);
}

/* A run that is to end does not wait for an engine that is dead. */
static uint64_t engine_deadline_ns(const struct governor *governor)
{
	uint64_t deadline_ns = governor_deadline_ns(governor, OBSERVE_PERCENT);
	uint64_t least_ns = boottime_ns() + LEAVE_LEAST_NS;
	uint64_t leave_ns = leave_deadline_ns(LEAVE_NS, deadline_ns);

	if (leave_ns < least_ns)
		leave_ns = least_ns;
	return leave_ns < deadline_ns ? leave_ns : deadline_ns;
}

/* The list comes before the readings: what it holds must then be in them. */
static int observe_engine(struct governor *governor, struct observation *seen)
{
	_cleanup_free_ char *why = NULL;
	int err;

	docker_limit(governor->docker, engine_deadline_ns(governor));
	err = docker_list(governor->docker, &seen->containers, &why);
	if (err) {
		seen->no_list = format_text("the engine's list cannot be had: %s",
					    why ? why : strerror(-err));
		return seen->no_list ? 0 : -ENOMEM;
	}
	set_pending_aside(governor, &seen->containers);
	err = recall(governor, &seen->containers);
	if (!err)
		identify_new(governor, seen->final, &seen->containers);
	set_overdue_aside(governor, &seen->containers);
	return err;
}

static int observe_kernel(struct governor *governor, struct observation *seen)
{
	const char *source;
	int err = take_readings(governor, &seen->now, &source);

	seen->end_unix_ns = unix_ns();
	if (!err) {
		seen->end_unix_ns -= boottime_ns() - seen->now.cpu.boottime_ns;
		return 0;
	}
	seen->no_reading = format_text("cannot read %s: %s", source, reading_error(err));
	return seen->no_reading ? 0 : -ENOMEM;
}

int observe(struct governor *governor, bool final, struct window *window)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	struct observation seen = {.final = final, .cpus = cpus > 0 ? (unsigned int)cpus : 1};
	int err;

	err = observe_engine(governor, &seen);
	if (!err)
		err = observe_kernel(governor, &seen);
	if (!err) {
		recording_note(governor->recording, governor->seq + 1, &governor->latest, &seen);
		err = window_build(governor, &seen, window);
	}
	if (!err && window->has_reading)
		forget_dead_cgroups(governor, &governor->earlier, &governor->latest);
	observation_free(&seen);
	return err;
}

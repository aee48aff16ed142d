// SPDX-License-Identifier: GPL-2.0
#include "observe/merge.h"

#include <errno.h>
#include <string.h>

#include "util.h"

/*
 * How far the module's CPU time of a container may exceed what BPF charged to it: the kernel brings
 * the time of a running task up to date each tick (10 ms at most), and the readings are not taken at
 * the same instant.
 */
#define TICK_NS	       (10 * NS_PER_MS)
#define TOLERANCE_PART 50 /* and one part in 50 of that time: 2 % */

struct join {
	const struct readings *before;
	const struct readings *now;
	struct window *window;
};

struct container *find_container(const struct container_list *list, const char *id)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		if (!strncmp(list->items[i].id, id, CONTAINER_ID_DIGITS))
			return &list->items[i];
	return NULL;
}

static bool in_snapshot(const struct readings *readings, uint64_t cgroup_id)
{
	return snapshot_cgroup(&readings->snapshot, cgroup_id);
}

/* What a cgroup ran and waited in the window. A counter that went down is another object. */
static int cpu_in_window(const struct join *join, uint64_t cgroup_id, struct cgroup_cpu *ret)
{
	const struct cgroup_cpu_row *now = cpu_reading_find(&join->now->cpu, cgroup_id);
	const struct cgroup_cpu_row *before = cpu_reading_find(&join->before->cpu, cgroup_id);

	*ret = now ? now->total : (struct cgroup_cpu){};
	if (!before)
		return 0;
	if (before->total.ran_ns > ret->ran_ns || before->total.waited_ns > ret->waited_ns)
		return -ERANGE;
	ret->ran_ns -= before->total.ran_ns;
	ret->waited_ns -= before->total.waited_ns;
	return 0;
}

/* A container is its topmost cgroup and all below it. */
static void add_cgroup(const struct join *join, const struct cgroup *cgroup)
{
	struct container *container;
	struct cgroup_cpu cpu;
	const char *id;
	bool top;

	id = container_id_in(cgroup->path, &top);
	container = id ? find_container(&join->window->containers, id) : NULL;
	if (!container)
		return;
	if (top && container->cgroup_id)
		container->unsure = "two cgroups carry its ID";
	if (top) {
		container->cgroup_id = cgroup->id;
		container->usage_kib = cgroup->usage_kib;
		container->full_window = in_snapshot(join->before, cgroup->id);
	}
	container->anon_kib += cgroup->anon_kib;
	container->file_kib += cgroup->file_kib;
	if (cpu_in_window(join, cgroup->id, &cpu))
		container->unsure = "its CPU counter went backwards";
	container->ran_ns += cpu.ran_ns;
	container->waited_ns += cpu.waited_ns;
}

/* What died below a container that lives on: nothing else tells the CPU time that it used. */
static void add_dead_cgroup(const struct join *join, const struct cgroup *cgroup)
{
	struct container *container;
	struct cgroup_cpu cpu;
	const char *id;
	bool top;

	if (in_snapshot(join->now, cgroup->id))
		return;
	id = container_id_in(cgroup->path, &top);
	container = id && !top ? find_container(&join->window->containers, id) : NULL;
	if (!container || !container->full_window || cpu_in_window(join, cgroup->id, &cpu))
		return;
	container->ran_ns += cpu.ran_ns;
	container->waited_ns += cpu.waited_ns;
}

static struct container *container_of_process(const struct join *join,
					      const struct process *process)
{
	const struct cgroup *cgroup = snapshot_cgroup(&join->now->snapshot, process->cgroup_id);
	bool top;
	const char *id = cgroup ? container_id_in(cgroup->path, &top) : NULL;

	return id ? find_container(&join->window->containers, id) : NULL;
}

/* PIDs ascend in a reading. */
static int by_pid(const void *a, const void *b)
{
	uint64_t x = ((const struct process *)a)->pid, y = ((const struct process *)b)->pid;

	return (x > y) - (x < y);
}

static uint64_t process_cpu_in_window(const struct join *join, const struct process *process)
{
	const struct process *before = NULL;

	if (join->before->snapshot.process_count)
		before = bsearch(process, join->before->snapshot.processes,
				 join->before->snapshot.process_count, sizeof(*process), by_pid);
	if (!before || before->start_ns != process->start_ns)
		return process->cpu_ns;
	return process->cpu_ns > before->cpu_ns ? process->cpu_ns - before->cpu_ns : 0;
}

/* Adds what the module says of each container's live processes: their age, and their CPU time. */
static void add_processes(const struct join *join, uint64_t *ret_module_ns)
{
	const struct snapshot *snapshot = &join->now->snapshot;
	size_t i;

	for (i = 0; i < snapshot->process_count; i++) {
		const struct process *process = &snapshot->processes[i];
		struct container *container = container_of_process(join, process);

		if (!container)
			continue;
		if (!container->start_ns || process->start_ns < container->start_ns)
			container->start_ns = process->start_ns;
		ret_module_ns[container - join->window->containers.items] +=
			process_cpu_in_window(join, process);
	}
}

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static uint64_t tolerance_ns(const struct join *join, uint64_t module_ns)
{
	uint64_t skew_ns =
		distance(join->now->cpu.boottime_ns - join->before->cpu.boottime_ns,
			 join->now->snapshot.boottime_ns - join->before->snapshot.boottime_ns);

	return join->window->cpus * (TICK_NS + skew_ns) + module_ns / TOLERANCE_PART;
}

/* The second witness: live processes cannot have run longer than their cgroup. */
static void compare_witnesses(const struct join *join, const uint64_t *module_ns)
{
	struct container_list *list = &join->window->containers;
	size_t i;

	for (i = 0; i < list->count; i++) {
		struct container *container = &list->items[i];

		if (!container->cgroup_id)
			container->unsure = "its cgroup is not in the kernel's reading";
		else if (!container->start_ns)
			container->unsure = "none of its processes is in the kernel's reading";
		else if (container->start_ns < join->now->snapshot.boottime_ns)
			container->age_ns = join->now->snapshot.boottime_ns - container->start_ns;
		if (container->full_window &&
		    module_ns[i] > container->ran_ns + tolerance_ns(join, module_ns[i]))
			container->unsure = "the module and BPF disagree about its CPU time";
	}
}

/* The CPU time of a container that is gone, with the cgroups that died below it. */
static void add_gone_cpu(const struct join *join, struct gone *gone)
{
	const struct snapshot *last = &join->before->snapshot;
	size_t i;

	for (i = 0; i < last->cgroup_count; i++) {
		struct cgroup_cpu cpu;
		bool top;
		const char *id = container_id_in(last->cgroups[i].path, &top);

		if (!id || strncmp(id, gone->id, CONTAINER_ID_DIGITS) ||
		    in_snapshot(join->now, last->cgroups[i].id) ||
		    cpu_in_window(join, last->cgroups[i].id, &cpu))
			continue;
		gone->ran_ns += cpu.ran_ns;
		gone->waited_ns += cpu.waited_ns;
	}
}

static int add_gone(const struct join *join, const struct container_list *known,
		    const struct cgroup *cgroup)
{
	struct window *window = join->window;
	struct gone gone = {.cgroup_id = cgroup->id};
	const struct container *was;
	bool top;
	const char *id = container_id_in(cgroup->path, &top);

	if (!id || !top || in_snapshot(join->now, cgroup->id))
		return 0;
	memcpy(gone.id, id, CONTAINER_ID_DIGITS);
	add_gone_cpu(join, &gone);
	was = find_container(known, id);
	if (was) {
		gone.removed = was->acted;
		gone.name = strdup(was->name);
		gone.image = strdup(was->image);
	}
	if ((was && (!gone.name || !gone.image)) ||
	    grow_array((void **)&window->gone, window->gone_count, sizeof(gone))) {
		free(gone.name);
		free(gone.image);
		return -ENOMEM;
	}
	window->gone[window->gone_count++] = gone;
	return 0;
}

int merge_gone(const struct readings *last, const struct readings *now,
	       const struct container_list *known, struct window *window)
{
	struct join join = {.before = last, .now = now, .window = window};
	size_t i;
	int err = 0;

	for (i = 0; !err && i < last->snapshot.cgroup_count; i++)
		err = add_gone(&join, known, &last->snapshot.cgroups[i]);
	return err;
}

static int judge_readings(const struct join *join)
{
	struct window *window = join->window;
	uint64_t lost = join->now->cpu.lost - join->before->cpu.lost;

	if (lost && !window->distrust)
		window->distrust = format_text("%llu context switches could not be charged",
					       (unsigned long long)lost);
	return lost && !window->distrust ? -ENOMEM : 0;
}

int merge(const struct readings *before, const struct readings *now, struct window *window)
{
	struct join join = {.before = before, .now = now, .window = window};
	_cleanup_free_ uint64_t *module_ns = NULL;
	size_t i;

	window->memory = now->snapshot.memory;
	window->length_ns = now->cpu.boottime_ns - before->cpu.boottime_ns;
	module_ns = calloc(window->containers.count + 1, sizeof(*module_ns));
	if (!module_ns)
		return -ENOMEM;
	for (i = 0; i < now->snapshot.cgroup_count; i++)
		add_cgroup(&join, &now->snapshot.cgroups[i]);
	for (i = 0; i < before->snapshot.cgroup_count; i++)
		add_dead_cgroup(&join, &before->snapshot.cgroups[i]);
	add_processes(&join, module_ns);
	compare_witnesses(&join, module_ns);
	return judge_readings(&join);
}

bool is_dead_and_reported(const struct readings *before, const struct readings *now,
			  const struct cgroup_cpu_row *row)
{
	const struct cgroup_cpu_row *was = cpu_reading_find(&before->cpu, row->cgroup_id);

	return was && !memcmp(&was->total, &row->total, sizeof(row->total)) &&
	       !in_snapshot(before, row->cgroup_id) && !in_snapshot(now, row->cgroup_id);
}

void readings_free(struct readings *readings)
{
	snapshot_free(&readings->snapshot);
	cpu_reading_free(&readings->cpu);
}

void window_free(struct window *window)
{
	size_t i;

	for (i = 0; i < window->gone_count; i++) {
		free(window->gone[i].name);
		free(window->gone[i].image);
	}
	free(window->gone);
	free(window->distrust);
	container_list_free(&window->containers);
	*window = (struct window){};
}

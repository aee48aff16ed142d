// SPDX-License-Identifier: GPL-2.0
#include "observe/merge.h"

#include <errno.h>
#include <string.h>

#include "util.h"

/*
 * How far the module's CPU time of a container may exceed what BPF charged to it: the kernel brings
 * the time of a running task up to date each tick (10 ms at most; on a CPU without ticks, nohz_full, each
 * second, so that a container there may be unsure for a window), and its reading begins before
 * BPF's: what ran between the two at the beginning of the window is in the module's alone.
 */
#define TICK_NS	       (10 * NS_PER_MS)
#define TOLERANCE_PART 50 /* and one part in 50 of that time: 2 % */

struct join {
	const struct readings *before;
	const struct readings *between; /* one inside the window, or NULL */
	const struct readings *now;
	const struct container_list *known; /* merge_gone() only */
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

/* Born and died between the two readings, so that neither snapshot has it. */
static bool lived_between(const struct join *join, const struct ended_cgroup *ended)
{
	return !in_snapshot(join->before, ended->cgroup_id) &&
	       !in_snapshot(join->now, ended->cgroup_id);
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

typedef int visit_dead(const struct join *join, uint64_t cgroup_id, const char *path);

/* Each reading tells the ends of cgroups since the one before it. */
static int for_each_ended(const struct join *join, const struct cpu_reading *cpu, visit_dead *visit)
{
	size_t i;
	int err = 0;

	for (i = 0; !err && i < cpu->ended_count; i++)
		if (lived_between(join, &cpu->ended[i]))
			err = visit(join, cpu->ended[i].cgroup_id, cpu->ended[i].path);
	return err;
}

/* Calls @visit for each cgroup that was there in the window and is no more, until it fails. */
static int for_each_dead(const struct join *join, visit_dead *visit)
{
	const struct snapshot *before = &join->before->snapshot;
	size_t i;
	int err = 0;

	for (i = 0; !err && i < before->cgroup_count; i++)
		if (!in_snapshot(join->now, before->cgroups[i].id))
			err = visit(join, before->cgroups[i].id, before->cgroups[i].path);
	if (!err && join->between)
		err = for_each_ended(join, &join->between->cpu, visit);
	return err ? err : for_each_ended(join, &join->now->cpu, visit);
}

/* Anybody who may make cgroups can give one the name of a container's: below the container's own counts. */
static bool is_below(const struct join *join, const char *path, const struct container *container)
{
	const struct cgroup *top = snapshot_cgroup(&join->now->snapshot, container->cgroup_id);
	size_t length = top ? strlen(top->path) : 0;

	return length && !strncmp(path, top->path, length) && path[length] == '/';
}

/* What died below a container that lives on: nothing else tells the CPU time that it used. */
static int add_dead_cgroup(const struct join *join, uint64_t cgroup_id, const char *path)
{
	struct container *container;
	struct cgroup_cpu cpu;
	const char *id;
	bool top;

	id = container_id_in(path, &top);
	container = id && !top ? find_container(&join->window->containers, id) : NULL;
	if (!container || !container->full_window || !is_below(join, path, container) ||
	    cpu_in_window(join, cgroup_id, &cpu))
		return 0;
	container->ran_ns += cpu.ran_ns;
	container->waited_ns += cpu.waited_ns;
	return 0;
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

static uint64_t tolerance_ns(const struct join *join, uint64_t cpu_ns)
{
	uint64_t cpu_begin_ns = join->before->cpu.boottime_ns;
	uint64_t module_begin_ns = join->before->snapshot.boottime_ns;
	uint64_t lag_ns = cpu_begin_ns > module_begin_ns ? cpu_begin_ns - module_begin_ns : 0;

	return join->window->cpus * (TICK_NS + lag_ns) + cpu_ns / TOLERANCE_PART;
}

/* More than the host has is no consumption but an error. */
static const char *impossible(const struct join *join, const struct container *container)
{
	uint64_t host_ns = join->window->length_ns * join->window->cpus;

	if (container->ran_ns > host_ns &&
	    container->ran_ns - host_ns > tolerance_ns(join, host_ns))
		return "it ran longer than the host's CPUs could";
	if (container->anon_kib > join->window->memory.total_kib)
		return "it holds more memory than the host has";
	return NULL;
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
		if (impossible(join, container))
			container->unsure = impossible(join, container);
	}
}

static struct gone *find_gone(const struct window *window, const char *id)
{
	size_t i;

	for (i = 0; i < window->gone_count; i++)
		if (!strncmp(window->gone[i].id, id, CONTAINER_ID_DIGITS))
			return &window->gone[i];
	return NULL;
}

static void free_gone(struct gone *gone)
{
	free(gone->name);
	free(gone->image);
	free(gone->path);
}

static int name_gone(struct gone *gone, const struct container *was)
{
	if (!was)
		return 0;
	gone->removed = was->acted;
	gone->name = strdup(was->name);
	gone->image = strdup(was->image);
	return gone->name && gone->image ? 0 : -ENOMEM;
}

/* A topmost cgroup of a container, which is gone with it. A container may have had several. */
static int add_gone(const struct join *join, uint64_t cgroup_id, const char *path)
{
	struct window *window = join->window;
	struct gone gone = {.cgroup_id = cgroup_id};
	const struct container *was;
	const struct cgroup *cgroup;
	bool top;
	const char *id = container_id_in(path, &top);

	if (!id || !top || find_gone(window, id))
		return 0;
	memcpy(gone.id, id, CONTAINER_ID_DIGITS);
	cgroup = snapshot_cgroup(&join->before->snapshot, cgroup_id);
	gone.freed_kib = cgroup ? cgroup->usage_kib : 0;
	gone.path = strdup(path);
	was = find_container(join->known, id);
	if (!gone.path || name_gone(&gone, was ? was : find_container(&window->containers, id)) ||
	    grow_array((void **)&window->gone, window->gone_count, sizeof(gone))) {
		free_gone(&gone);
		return -ENOMEM;
	}
	window->gone[window->gone_count++] = gone;
	return 0;
}

/* The CPU time of a cgroup of a container that is gone, its topmost or one below. */
static int add_gone_cpu(const struct join *join, uint64_t cgroup_id, const char *path)
{
	bool top;
	const char *id = container_id_in(path, &top);
	struct gone *gone = id ? find_gone(join->window, id) : NULL;
	struct cgroup_cpu cpu;

	if (!gone || cpu_in_window(join, cgroup_id, &cpu))
		return 0;
	gone->ran_ns += cpu.ran_ns;
	gone->waited_ns += cpu.waited_ns;
	return 0;
}

int merge_gone(const struct readings *last, const struct readings *now,
	       const struct container_list *known, struct window *window)
{
	struct join join = {.before = last, .now = now, .known = known, .window = window};
	int err = for_each_dead(&join, add_gone);

	return err ? err : for_each_dead(&join, add_gone_cpu);
}

/* What was lost since the window began, as the reason to remove nothing. */
static char *tell_lost(const struct cpu_reading *before, const struct cpu_reading *now)
{
	static const char *const causes[LOST_CAUSES] = {
		[LOST_TASK] = "%llu context switches of tasks without a mark were not charged",
		[LOST_CGROUP] = "%llu context switches did not fit into the map cgroup_cpu",
		[LOST_CGROUP_NS] = "%llu ns of CPU time did not fit into the map cgroup_cpu",
		[LOST_MOVE] = "%llu moves of tasks between cgroups were not noted",
		[LOST_END] = "the paths of %llu ended cgroups were not kept",
	};
	int cause;

	for (cause = 0; cause < LOST_CAUSES; cause++)
		if (now->lost[cause] != before->lost[cause])
			return format_text(
				causes[cause],
				(unsigned long long)(now->lost[cause] - before->lost[cause]));
	return format_text("%llu runs of the BPF program were left out by the kernel",
			   (unsigned long long)(now->missed - before->missed));
}

static int judge_readings(const struct join *join)
{
	const struct cpu_reading *before = &join->before->cpu, *now = &join->now->cpu;
	struct window *window = join->window;

	if (window->distrust ||
	    (now->missed == before->missed && !memcmp(now->lost, before->lost, sizeof(now->lost))))
		return 0;
	window->distrust = tell_lost(before, now);
	return window->distrust ? 0 : -ENOMEM;
}

/* The module is read first, then BPF, in turn: readings in another order are not of this window. */
static const char *contradiction(const struct join *join)
{
	const struct readings *before = join->before, *now = join->now;
	size_t i;

	if (now->snapshot.boottime_ns <= before->snapshot.boottime_ns)
		return "the module's reading is not newer than the last one";
	if (now->cpu.boottime_ns <= before->cpu.boottime_ns)
		return "the reading of BPF is not newer than the last one";
	if (before->cpu.boottime_ns < before->snapshot.boottime_ns ||
	    now->snapshot.boottime_ns < before->cpu.boottime_ns ||
	    now->cpu.boottime_ns < now->snapshot.boottime_ns)
		return "the readings of the module and of BPF are not of the same time";
	/* It may be a part of any container. */
	for (i = 0; i < now->snapshot.cgroup_count; i++)
		if (!now->snapshot.cgroups[i].path)
			return "a cgroup in the module's reading has no path";
	return NULL;
}

/* All cgroups together cannot have run longer than the CPUs were there. */
static bool is_too_much(const struct join *join)
{
	unsigned __int128 ran_ns = 0;
	uint64_t host_ns = join->window->length_ns * join->window->cpus;
	size_t i;

	for (i = 0; i < join->now->cpu.count; i++) {
		struct cgroup_cpu cpu;

		if (!cpu_in_window(join, join->now->cpu.rows[i].cgroup_id, &cpu))
			ran_ns += cpu.ran_ns;
	}
	return ran_ns > (unsigned __int128)host_ns + tolerance_ns(join, host_ns);
}

static int judge_whole(const struct join *join)
{
	const char *why = contradiction(join);

	if (!why && is_too_much(join))
		why = "BPF recorded more CPU time than the host has";
	if (!why || join->window->distrust)
		return 0;
	join->window->distrust = strdup(why);
	return join->window->distrust ? 0 : -ENOMEM;
}

static uint64_t length_ns(const struct readings *before, const struct readings *now)
{
	uint64_t begin_ns = before->cpu.boottime_ns, end_ns = now->cpu.boottime_ns;

	return end_ns > begin_ns ? end_ns - begin_ns : 0;
}

int merge(const struct readings *before, const struct readings *between, const struct readings *now,
	  struct window *window)
{
	struct join join = {.before = before, .between = between, .now = now, .window = window};
	_cleanup_free_ uint64_t *module_ns = NULL;
	size_t i;
	int err;

	window->memory = now->snapshot.memory;
	window->length_ns = length_ns(before, now);
	module_ns = calloc(window->containers.count + 1, sizeof(*module_ns));
	if (!module_ns)
		return -ENOMEM;
	for (i = 0; i < now->snapshot.cgroup_count; i++)
		add_cgroup(&join, &now->snapshot.cgroups[i]);
	for_each_dead(&join, add_dead_cgroup);
	add_processes(&join, module_ns);
	compare_witnesses(&join, module_ns);
	err = judge_whole(&join);
	return err ? err : judge_readings(&join);
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

	for (i = 0; i < window->gone_count; i++)
		free_gone(&window->gone[i]);
	free(window->gone);
	for (i = 0; i < window->late_count; i++) {
		free(window->late[i].name);
		free(window->late[i].outcome);
	}
	free(window->late);
	free(window->distrust);
	container_list_free(&window->containers);
	*window = (struct window){};
}

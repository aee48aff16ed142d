// SPDX-License-Identifier: GPL-2.0
#include "tests/world/world.h"

#include <inttypes.h>
#include <string.h>

#include "act/reap.h"
#include "decide/plan.h"
#include "report/recording.h"
#include "util.h"

#define STEP_NS	  (10 * NS_PER_S)
#define CPUS	  8
#define TOTAL_KIB (16ULL << 20)

uint64_t world_random(struct world *world, uint64_t below)
{
	uint64_t z = (world->random += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % below;
}

static bool chance(struct world *world, unsigned int percent)
{
	return world_random(world, 100) < percent;
}

/* Another life: new cgroups and a new process. */
static void start(struct world *world, struct world_container *c)
{
	c->cgroup_id = ++world->numbers;
	c->nested_id = chance(world, 10) ? ++world->numbers : 0;
	c->pid = ++world->numbers;
	c->start_ns = world->now_ns - world_random(world, 3 * STEP_NS);
	c->cpu_ns = 0;
	c->waited_ns = 0;
	c->running = !chance(world, 2);
}

static void bear(struct world *world, struct world_container *c)
{
	*c = (struct world_container){.alive = true, .number = ++world->numbers};
	snprintf(c->id, sizeof(c->id), "%016" PRIx64 "%048" PRIx64, world_random(world, UINT64_MAX),
		 c->number);
	c->anon_kib = world_random(world, TOTAL_KIB / 256);
	c->busy_percent = chance(world, 40) ? 0 : (unsigned int)world_random(world, 8);
	c->managed = !chance(world, 10);
	c->labelled_protect = chance(world, 3);
	start(world, c);
}

void world_init(struct world *world, uint64_t seed, size_t containers)
{
	size_t i;

	*world = (struct world){
		.random = seed,
		.now_ns = 1000 * NS_PER_S,
		.numbers = 100,
		.host_processes = 20,
	};
	for (i = 0; i < containers; i++)
		bear(world, &world->containers[i]);
}

/* What no reading of the module shows, and only BPF tells. */
static void live_briefly(struct world *world, struct world_container *c)
{
	c->brief_id = chance(world, 20) ? ++world->numbers : 0;
	c->brief_ns = world_random(world, STEP_NS / 20);
}

static void live(struct world *world, struct world_container *c)
{
	live_briefly(world, c);
	if (chance(world, world->deaths)) {
		c->alive = false;
	} else if (chance(world, world->restarts)) {
		start(world, c);
	} else if (c->busy_percent) {
		c->cpu_ns += STEP_NS / 100 * c->busy_percent + world_random(world, NS_PER_MS);
		c->waited_ns += world_random(world, STEP_NS);
		c->anon_kib += world_random(world, 64);
	}
}

void world_step(struct world *world)
{
	size_t i;

	world->now_ns += STEP_NS;
	for (i = 0; i < WORLD_CONTAINERS; i++) {
		struct world_container *c = &world->containers[i];

		if (c->alive)
			live(world, c);
		else if (chance(world, world->births))
			bear(world, c);
	}
	world->brief.cgroup_id = 0;
	if (chance(world, world->births)) {
		bear(world, &world->brief);
		live_briefly(world, &world->brief);
	}
	if (chance(world, world->failures))
		world->lost++;
}

static void print_cgroups(FILE *out, const struct world_container *c)
{
	fprintf(out,
		"cgroup %" PRIu64 " %" PRIu64 " %" PRIu64 " 128 /system.slice/docker-%s.scope\n",
		c->cgroup_id, c->anon_kib + 512, c->anon_kib, c->id);
	if (c->nested_id)
		fprintf(out, "cgroup %" PRIu64 " 64 32 0 /system.slice/docker-%s.scope/in\\040it\n",
			c->nested_id, c->id);
}

static void print_host_process(const struct world *world, FILE *out, uint64_t i)
{
	uint64_t cpu_ns = i % 10 ? i * NS_PER_MS : world->now_ns / 1000 * i;

	fprintf(out, "process %" PRIu64 " 1 %" PRIu64 " %" PRIu64 " 2260 1464 host=%" PRIu64 " -\n",
		i, (uint64_t)(i * NS_PER_MS), cpu_ns, i);
}

/* Restarts leave the rows out of order, and the module writes them by PID. */
static int by_pid(const void *a, const void *b)
{
	const struct world_container *x = *(const struct world_container *const *)a;
	const struct world_container *y = *(const struct world_container *const *)b;

	return (x->pid > y->pid) - (x->pid < y->pid);
}

static size_t list_alive(const struct world *world, const struct world_container **ret)
{
	size_t i, count = 0;

	for (i = 0; i < WORLD_CONTAINERS; i++)
		if (world->containers[i].alive)
			ret[count++] = &world->containers[i];
	if (count)
		qsort(ret, count, sizeof(*ret), by_pid);
	return count;
}

static char *print_snapshot(const struct world *world, size_t *ret_size)
{
	const struct world_container *alive[WORLD_CONTAINERS];
	size_t count = list_alive(world, alive), cgroups = 1, i;
	char *text;
	FILE *out = open_memstream(&text, ret_size);

	fprintf(out, "sysinfo 1 %" PRIu64 "\nmemory %llu %llu %llu\n", world->now_ns, TOTAL_KIB,
		TOTAL_KIB / 2, TOTAL_KIB / 2 + world->now_ns % 1024);
	fputs("cgroup 1 0 4096 8192 /\n", out);
	for (i = 0; i < count; i++) {
		print_cgroups(out, alive[i]);
		cgroups += alive[i]->nested_id ? 2 : 1;
	}
	for (i = 1; i <= world->host_processes; i++)
		print_host_process(world, out, i);
	for (i = 0; i < count; i++)
		fprintf(out,
			"process %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 2260 %" PRIu64
			" work\\040load /workload\\040--number\\040%" PRIu64 "\n",
			alive[i]->pid + 1000, alive[i]->cgroup_id, alive[i]->start_ns,
			alive[i]->cpu_ns, alive[i]->anon_kib, alive[i]->number);
	fprintf(out, "end %zu %zu\n", cgroups, world->host_processes + count);
	fclose(out);
	return text;
}

static int by_cgroup(const void *a, const void *b)
{
	uint64_t x = ((const struct cgroup_cpu_row *)a)->cgroup_id;
	uint64_t y = ((const struct cgroup_cpu_row *)b)->cgroup_id;

	return (x > y) - (x < y);
}

static void see_ended(struct cpu_reading *cpu, const struct world_container *c, uint64_t cgroup_id,
		      const char *below)
{
	struct ended_cgroup *ended = &cpu->ended[cpu->ended_count++];

	ended->cgroup_id = cgroup_id;
	snprintf(ended->path, sizeof(ended->path), "/system.slice/docker-%s.scope%s", c->id, below);
	cpu->rows[cpu->count++] = (struct cgroup_cpu_row){cgroup_id, {c->brief_ns, c->brief_ns, 1}};
}

static void see_brief(const struct world *world, struct cpu_reading *cpu)
{
	size_t i;

	cpu->ended = calloc(WORLD_CONTAINERS + 2, sizeof(*cpu->ended));
	for (i = 0; i < WORLD_CONTAINERS; i++) {
		const struct world_container *c = &world->containers[i];

		if (c->alive && c->brief_id)
			see_ended(cpu, c, c->brief_id, "/in it = briefly");
	}
	if (!world->brief.cgroup_id)
		return;
	if (world->brief.brief_id)
		see_ended(cpu, &world->brief, world->brief.brief_id, "/in it");
	see_ended(cpu, &world->brief, world->brief.cgroup_id, "");
}

static void see_cpu(const struct world *world, struct cpu_reading *cpu)
{
	size_t i;

	cpu->boottime_ns = world->now_ns + 3 * NS_PER_MS;
	cpu->lost[LOST_CGROUP] = world->lost;
	cpu->rows = calloc(2 * WORLD_CONTAINERS + 2, sizeof(*cpu->rows));
	for (i = 0; i < WORLD_CONTAINERS; i++) {
		const struct world_container *c = &world->containers[i];

		if (c->alive && c->cpu_ns)
			cpu->rows[cpu->count++] = (struct cgroup_cpu_row){
				c->cgroup_id, {c->cpu_ns, c->waited_ns, c->cpu_ns / NS_PER_MS}};
	}
	see_brief(world, cpu);
	if (cpu->count)
		qsort(cpu->rows, cpu->count, sizeof(*cpu->rows), by_cgroup);
}

static struct container identity(struct world *world, const struct world_container *c)
{
	struct container is = {
		.name = format_text("name %" PRIu64, c->number),
		.image = strdup(c->number % 7	? "cmgr-cpu-low"
				: c->number % 2 ? "="
						: ""),
		.running = c->running,
		.managed = c->managed,
		.labelled_protect = c->labelled_protect,
	};

	memcpy(is.id, c->id, sizeof(is.id));
	if (chance(world, world->failures))
		is.unsure = "it is gone";
	else
		is.started_at = format_text("2026-11-23T20:04:05.%" PRIu64 "Z", c->start_ns);
	return is;
}

static void see_list(struct world *world, struct container_list *list)
{
	size_t i;

	list->items = calloc(WORLD_CONTAINERS, sizeof(*list->items));
	for (i = 0; i < WORLD_CONTAINERS; i++)
		if (world->containers[i].alive)
			list->items[list->count++] = identity(world, &world->containers[i]);
}

void world_see(struct world *world, struct observation *ret)
{
	*ret = (struct observation){.cpus = CPUS,
				    .end_unix_ns = 1795464245 * NS_PER_S + world->now_ns};
	if (chance(world, world->failures))
		ret->no_list = strdup("the engine's list cannot be had: \"no\\\n\"");
	else
		see_list(world, &ret->containers);
	if (chance(world, world->failures)) {
		ret->no_reading = strdup("cannot read it");
	} else {
		size_t size;
		char *text = print_snapshot(world, &size);

		if (snapshot_parse(text, size, &ret->now.snapshot))
			abort();
		see_cpu(world, &ret->now.cpu);
	}
}

static void carry_out(struct world *world, struct container_list *list)
{
	size_t i, k;

	for (i = 0; i < list->count; i++) {
		if (list->items[i].decision == ACTION_KEEP || chance(world, 10))
			continue;
		list->items[i].acted = true;
		for (k = 0; k < WORLD_CONTAINERS; k++)
			if (!strcmp(world->containers[k].id, list->items[i].id))
				world->containers[k].alive = false;
	}
}

static int run_cycle(struct world *world, struct governor *governor, bool final, bool act)
{
	struct observation seen;
	struct window window = {};
	int err;

	world_step(world);
	world_see(world, &seen);
	seen.final = final;
	recording_note(governor->recording, ++governor->seq, &governor->latest, &seen);
	err = window_build(governor, &seen, &window);
	observation_free(&seen);
	if (!err)
		err = plan_build(&window, &governor->options->policy);
	if (!err)
		err = reap_nothing(&window.containers);
	if (!err && act)
		carry_out(world, &window.containers);
	if (!err)
		recording_commit(governor->recording, &window);
	window_remember(governor, &window);
	window_free(&window);
	return err;
}

static void see_first(struct world *world, struct readings *ret)
{
	struct observation seen;
	unsigned int failures = world->failures;

	world->failures = 0;
	world_see(world, &seen);
	world->failures = failures;
	*ret = seen.now;
	seen.now = (struct readings){};
	observation_free(&seen);
}

int world_record(struct world *world, const char *path, const struct options *options,
		 unsigned int cycles, bool act)
{
	const struct run run = {.boot_id = "b007", .run_id = "4711", .host = (char *)"a host"};
	struct governor governor = {.options = options};
	unsigned int i;
	int err = recording_open(path, &governor.recording);

	if (err)
		return err;
	see_first(world, &governor.latest);
	recording_begin(governor.recording, options, &run, &governor.latest);
	for (i = 1; !err && i <= cycles; i++)
		err = run_cycle(world, &governor, i == cycles, act);
	recording_close(governor.recording);
	window_forget(&governor);
	return err;
}

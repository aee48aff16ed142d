// SPDX-License-Identifier: GPL-2.0
#include "tests/property/host.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "util.h"

#define BEGIN_NS    (1000 * NS_PER_S)
#define LAG_NS	    (2 * NS_PER_MS)
#define TEXT_SIZE   65536
#define MAX_ROWS    (4 * HOST_CONTAINERS + 2)
#define STRIDE	    10 /* between the ids of two containers' cgroups */
#define OLD_CGROUP  2  /* before a restart */
#define TWIN_CGROUP 3

uint64_t host_random(struct host *host, uint64_t below)
{
	uint64_t z = (host->random += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % below;
}

static unsigned int random_bits(struct host *host, unsigned int count, uint64_t one_in)
{
	unsigned int bits = 0, i;

	for (i = 0; i < count; i++)
		if (!host_random(host, one_in))
			bits |= 1U << i;
	return bits;
}

/* Few different figures, whose shares of CPU and memory can be equal: 1 % is 200 ms or 10,000 KiB. */
static void make_usage(struct host *host, struct made *made)
{
	static const uint64_t ages_s[] = {1, 9, 10, 11, 30, 60};

	made->age_ns = ages_s[host_random(host, ARRAY_SIZE(ages_s))] * NS_PER_S;
	made->own_ran_ns = host_random(host, 3) * 100 * NS_PER_MS;
	made->waited_ns = host_random(host, 3) * 100 * NS_PER_MS;
	made->own_anon_kib = host_random(host, 3) * 5000;
	made->nested = (enum nested)host_random(host, 6);
	if (made->nested > NESTED_DEAD)
		made->nested = NOT_NESTED;
	if (made->nested != NOT_NESTED)
		made->nested_ran_ns = host_random(host, 2) * 100 * NS_PER_MS;
	if (made->nested == NESTED)
		made->nested_anon_kib = host_random(host, 2) * 5000;
}

static void make_container(struct host *host, size_t place)
{
	struct made *made = &host->made[place];

	*made = (struct made){
		.traits = random_bits(host, TRAITS, 60),
		.cgroup_id = 100 + place * STRIDE,
		.pid = 1000 + place,
	};
	/* 7919 is odd: all are different, in no order. */
	snprintf(made->id, sizeof(made->id), "%060d%04zx", 0, place * 7919 % 65536);
	snprintf(made->name, sizeof(made->name), "c%zu", place);
	make_usage(host, made);
	/* A life that began in the window has no dead below it. */
	if (made->traits & (NEW | RESTARTED | BACKWARDS) && made->nested == NESTED_DEAD)
		made->nested = NOT_NESTED;
	if (made->nested == NOT_NESTED)
		made->nested_ran_ns = 0;
}

static void make_policy(struct host *host)
{
	static const uint64_t ages_s[] = {0, 10, 30};
	struct policy *policy = &host->policy;
	size_t i;

	*policy = (struct policy){
		.keep_high = (unsigned int)host_random(host, 4),
		.keep_low = (unsigned int)host_random(host, 5),
		.rank = (enum rank_key)host_random(host, RANK_DEMAND + 1),
		.scope_all = !host_random(host, 4),
		.min_age_ns = ages_s[host_random(host, ARRAY_SIZE(ages_s))] * NS_PER_S,
		.action = (enum action)(ACTION_REMOVE + host_random(host, 3)),
		.protect = host->protect,
	};
	for (i = 0; i < host->count; i++) {
		const struct made *made = &host->made[i];

		if (made->traits & NAMED_PROTECT)
			policy->protect[policy->protect_count++] = host->made[i].name;
		if (made->traits & OWN && host_random(host, 2))
			memcpy(policy->own_id, made->id, sizeof(made->id));
		else if (made->traits & OWN)
			policy->own_cgroup_id = made->cgroup_id;
	}
}

/* One of all is enough, and it must be seen by its cgroup to be known by it. */
static void have_one_own(struct host *host)
{
	bool had = false;
	size_t i;

	for (i = 0; i < host->count; i++) {
		struct made *made = &host->made[i];

		if (had || made->traits & NOT_IN_READING || made->traits & TWO_CGROUPS)
			made->traits &= ~(unsigned int)OWN;
		had |= made->traits & OWN;
	}
}

void host_make(struct host *host, uint64_t seed)
{
	size_t i;

	*host = (struct host){.random = seed};
	/* Few are the rule; sometimes there are many. The last place is for one more. */
	host->count = host_random(host, host_random(host, 8) ? 14 : HOST_CONTAINERS);
	for (i = 0; i < host->count; i++)
		make_container(host, i);
	have_one_own(host);
	host->troubles = random_bits(host, TROUBLES, 50);
	make_policy(host);
}

void host_add_highest(struct host *host)
{
	struct made *made = &host->made[host->count];

	make_container(host, host->count++);
	made->traits = 0;
	made->nested = NOT_NESTED;
	made->nested_ran_ns = made->nested_anon_kib = 0;
	made->age_ns = 60 * NS_PER_S;
	made->own_ran_ns = 7 * NS_PER_S;
	made->own_anon_kib = HOST_KIB / 3;
}

void host_shuffle(struct host *host)
{
	size_t i;

	for (i = host->count; i > 1; i--) {
		size_t k = (size_t)host_random(host, i);
		struct made swap = host->made[i - 1];

		host->made[i - 1] = host->made[k];
		host->made[k] = swap;
	}
	/* The names to protect are where the containers are. */
	host->policy.protect_count = 0;
	for (i = 0; i < host->count; i++)
		if (host->made[i].traits & NAMED_PROTECT)
			host->policy.protect[host->policy.protect_count++] = host->made[i].name;
}

struct text {
	char *at, *end;
	size_t cgroups, processes;
};

static void put(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct text *text, const char *format, ...)
{
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(text->at, (size_t)(text->end - text->at), format, args);
	va_end(args);
	if (length < 0 || length >= text->end - text->at)
		abort();
	text->at += length;
}

static void put_cgroup(struct text *text, uint64_t id, uint64_t anon_kib, const char *format,
		       const char *container)
{
	put(text, "cgroup %" PRIu64 " %" PRIu64 " %" PRIu64 " 7000 ", id, anon_kib, anon_kib);
	put(text, strstr(format, "evil") ? "/evil/docker-%s.scope" : "/docker/%s", container);
	put(text, strstr(format, "inner") ? "/inner\n" : "\n");
	text->cgroups++;
}

static void put_now(struct text *text, const struct made *made)
{
	uint64_t anon_kib = made->traits & TOO_LARGE ? 2 * HOST_KIB : made->own_anon_kib;

	if (made->traits & NOT_IN_READING)
		return;
	put_cgroup(text, made->cgroup_id, anon_kib, "", made->id);
	if (made->nested == NESTED)
		put_cgroup(text, made->cgroup_id + 1, made->nested_anon_kib, "inner", made->id);
	if (made->traits & TWO_CGROUPS)
		put_cgroup(text, made->cgroup_id + TWIN_CGROUP, 0, "evil", made->id);
}

static void put_before(struct text *text, const struct made *made)
{
	if (made->traits & RESTARTED)
		put_cgroup(text, made->cgroup_id + OLD_CGROUP, 1, "", made->id);
	else if (!(made->traits & NEW))
		put_cgroup(text, made->cgroup_id, 1, "", made->id);
	if (made->nested != NOT_NESTED && !(made->traits & (NEW | RESTARTED)))
		put_cgroup(text, made->cgroup_id + 1, 1, "inner", made->id);
	if (made->traits & TWO_CGROUPS && !(made->traits & NEW))
		put_cgroup(text, made->cgroup_id + TWIN_CGROUP, 0, "evil", made->id);
}

static void put_process(struct text *text, const struct made *made, bool now)
{
	uint64_t base_ns = made->traits & (NEW | RESTARTED) ? 0 : NS_PER_S;
	uint64_t disagree_ns = made->traits & DISAGREE ? 5 * NS_PER_S : 0;
	uint64_t start_ns = BEGIN_NS + WINDOW_NS - made->age_ns;

	if (made->traits & (NOT_IN_READING | NO_PROCESS) || (!now && start_ns >= BEGIN_NS))
		return;
	/* Born in the window: all that it used is of the window. */
	if (start_ns >= BEGIN_NS)
		base_ns = 0;
	put(text, "process %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 1 1 c -\n", made->pid,
	    made->cgroup_id, start_ns, base_ns + (now ? made->own_ran_ns + disagree_ns : 0));
	text->processes++;
}

/* The module writes processes by PID, whatever the order of the rest. */
static void put_processes(struct text *text, const struct host *host, bool now)
{
	size_t place, i;

	for (place = 0; place < HOST_CONTAINERS; place++)
		for (i = 0; i < host->count; i++)
			if (host->made[i].pid == 1000 + place)
				put_process(text, &host->made[i], now);
}

static void see_snapshot(const struct host *host, bool now, uint64_t boottime_ns,
			 struct readings *readings, bool *ret_partial)
{
	static char buffer[TEXT_SIZE];
	struct text text = {.at = buffer, .end = buffer + sizeof(buffer)};
	size_t size, i;
	char *copy;

	put(&text, "sysinfo 1 %" PRIu64 "\nmemory %llu 1 1\n", boottime_ns, HOST_KIB);
	for (i = 0; i < host->count; i++)
		now ? put_now(&text, &host->made[i]) : put_before(&text, &host->made[i]);
	if (now && host->troubles & NO_PATH) {
		put(&text, "cgroup 5 1 1 0 -\n");
		text.cgroups++;
	}
	put_processes(&text, host, now);
	put(&text, "end %zu %zu\n", text.cgroups, text.processes);
	size = (size_t)(text.at - buffer);
	if (ret_partial)
		size = host->random % size;
	copy = strndup(buffer, size);
	if (!snapshot_parse(copy, size, &readings->snapshot))
		return;
	free(copy);
	if (!ret_partial)
		abort();
	*ret_partial = true;
}

static void add_row(struct cpu_reading *cpu, uint64_t id, uint64_t ran_ns, uint64_t waited_ns)
{
	cpu->rows[cpu->count++] = (struct cgroup_cpu_row){id, {ran_ns, waited_ns, 1}};
}

static int by_id(const void *a, const void *b)
{
	uint64_t x = ((const struct cgroup_cpu_row *)a)->cgroup_id;
	uint64_t y = ((const struct cgroup_cpu_row *)b)->cgroup_id;

	return (x > y) - (x < y);
}

static void see_cpu(const struct host *host, bool now, uint64_t boottime_ns,
		    struct cpu_reading *cpu)
{
	size_t i;

	*cpu = (struct cpu_reading){
		.boottime_ns = boottime_ns,
		.lost[LOST_TASK] = now && host->troubles & LOST ? 7 : 5,
		.rows = calloc(MAX_ROWS, sizeof(*cpu->rows)),
	};
	if (now && host->troubles & TOO_MUCH)
		add_row(cpu, 1, 60 * NS_PER_S, 0);
	for (i = 0; i < host->count; i++) {
		const struct made *made = &host->made[i];
		bool lived = !(made->traits & (NEW | RESTARTED));
		uint64_t base_ns = lived ? 3 * NS_PER_S : 0;
		uint64_t lead_ns = !now && made->traits & BACKWARDS ? 9 * NS_PER_S : 0;

		if (now || lived || lead_ns)
			add_row(cpu, made->cgroup_id,
				base_ns + lead_ns + (now ? made->own_ran_ns : 0),
				base_ns + (now ? made->waited_ns : 0));
		if (made->nested != NOT_NESTED && (now || lived))
			add_row(cpu, made->cgroup_id + 1, base_ns + (now ? made->nested_ran_ns : 0),
				0);
	}
	if (cpu->count)
		qsort(cpu->rows, cpu->count, sizeof(*cpu->rows), by_id);
}

static void see_list(const struct host *host, struct container_list *list, bool known)
{
	size_t i;

	for (i = 0; i < host->count; i++) {
		const struct made *made = &host->made[i];
		struct container c = {
			.name = strdup(made->name),
			.image = strdup("image"),
			.running = !(made->traits & PAUSED),
			.managed = !(made->traits & UNMANAGED),
			.labelled_protect = made->traits & LABELLED_PROTECT,
			.is_log_server = made->traits & LOG_SERVER,
		};

		memcpy(c.id, made->id, sizeof(c.id));
		if (!(made->traits & UNIDENTIFIED))
			c.started_at = strdup("then");
		if (known)
			c.cgroup_id = made->cgroup_id +
				      (made->traits & RESTARTED ? (uint64_t)OLD_CGROUP : 0);
		if (grow_array((void **)&list->items, list->count, sizeof(c)))
			abort();
		list->items[list->count++] = c;
	}
}

/* When the window's readings were taken: the module's, then BPF's. */
static void choose_times(struct host *host, uint64_t begin_ns[2], uint64_t end_ns[2])
{
	static const int64_t wrong_s[][4] = {
		{0, 0, 0, 0},	{0, 0, -10, -10}, {0, 0, -20, 0}, {0, 0, 1, 0},
		{0, 20, 0, 20}, {0, 5, -6, 0},	  {1, 0, 0, 0},
	};
	size_t row = 0;

	if (host->troubles & TIMES)
		row = 1 + (size_t)host_random(host, ARRAY_SIZE(wrong_s) - 1);
	begin_ns[0] = BEGIN_NS + (uint64_t)wrong_s[row][0] * NS_PER_S;
	begin_ns[1] = BEGIN_NS + LAG_NS + (uint64_t)wrong_s[row][1] * NS_PER_S;
	end_ns[0] = BEGIN_NS + WINDOW_NS + (uint64_t)wrong_s[row][2] * NS_PER_S;
	end_ns[1] = BEGIN_NS + WINDOW_NS + LAG_NS + (uint64_t)wrong_s[row][3] * NS_PER_S;
}

void host_see(struct host *host, struct options *options, struct governor *governor,
	      struct window *window)
{
	struct observation seen = {.cpus = HOST_CPUS};
	uint64_t begin_ns[2], end_ns[2];
	bool partial = false;

	*options = (struct options){.policy = host->policy, .interval_s = 10};
	*governor = (struct governor){.options = options};
	*window = (struct window){};
	choose_times(host, begin_ns, end_ns);
	see_snapshot(host, false, begin_ns[0], &governor->latest, NULL);
	see_cpu(host, false, begin_ns[1], &governor->latest.cpu);
	see_list(host, &governor->known, true);
	see_list(host, &seen.containers, false);
	if (!(host->troubles & NO_READING))
		see_snapshot(host, true, end_ns[0], &seen.now,
			     host->troubles & PARTIAL ? &partial : NULL);
	if (partial || host->troubles & NO_READING)
		seen.no_reading = strdup("the reading is partial");
	else
		see_cpu(host, true, end_ns[1], &seen.now.cpu);
	if (window_build(governor, &seen, window))
		abort();
	observation_free(&seen);
}

// SPDX-License-Identifier: GPL-2.0
/* Cgroups that live and die between two readings, and maps that are too small. */
#include "cases.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "ledger.h"
#include "load.h"
#include "observe/sysinfo.h"
#include "util.h"

#define LIVES	 300
#define BATCH	 4
#define LIFE_MS	 100 /* of CPU time: about 200 ms with two on a CPU */
#define BURST_MS 50
#define BURSTS	 20
#define ENDS	 20
#define MOVES	 300 /* more than are noted for a task that does not leave its CPU meanwhile */
#define TRIES	 10

struct life {
	char *folder;
	uint64_t id;
	pid_t pid;
	uint64_t ours_ns, kernel_ns;
};

static void be_born(struct life *life, const struct group *parent, unsigned int n)
{
	struct stat folder;

	life->folder = format_text("%s/docker-%064x.scope", parent->folder, n);
	if (!life->folder || mkdir(life->folder, 0755) || stat(life->folder, &folder))
		err(1, "%s", life->folder);
	life->id = folder.st_ino;
	life->pid = load_start(load_burst, LIFE_MS, life->folder, -1);
}

static void die(struct life *life)
{
	load_wait(life->pid);
	ledger_switch_all(); /* it may still be on its way out */
	life->kernel_ns = ledger_usage_ns(life->folder);
	while (rmdir(life->folder))
		usleep(100);
}

static const struct ended_cgroup *find_ended(const struct cpu_reading *reading, uint64_t id)
{
	size_t i;

	for (i = 0; i < reading->ended_count; i++)
		if (reading->ended[i].cgroup_id == id)
			return &reading->ended[i];
	return NULL;
}

static void check_life(struct test *test, struct life *life, unsigned int n)
{
	const struct ended_cgroup *ended = find_ended(&test->reading, life->id);
	const struct cgroup_cpu_row *row = cpu_reading_find(&test->reading, life->id);
	const char *id;
	char want[65];
	bool top;

	snprintf(want, sizeof(want), "%064x", n);
	id = ended ? container_id_in(ended->path, &top) : NULL;
	if (!id || !top || strncmp(id, want, 64))
		tell_missed(test, "an ended cgroup was not reported by its path and ID");
	life->ours_ns = row ? row->total.ran_ns : 0;
	cgroup_cpu_forget(test->source, life->id);
}

/* One that began with an old one's time is off by all of it. */
static void tell_furthest_off(struct test *test, const struct life *lives)
{
	const struct life *furthest = lives;
	unsigned int i;

	for (i = 1; i < LIVES; i++)
		if (llabs((long long)(lives[i].ours_ns - lives[i].kernel_ns)) >
		    llabs((long long)(furthest->ours_ns - furthest->kernel_ns)))
			furthest = &lives[i];
	tell(test, "of a life", furthest->ours_ns, furthest->kernel_ns,
	     (uint64_t)get_nprocs() * ledger_tick_ns());
}

static void lives_of(struct test *test)
{
	struct group *parent = make_group(test, NULL, "parent");
	static struct life lives[LIVES];
	uint64_t sum_ns = 0, was_ns, ran_ns;
	struct cpu_reading before;
	unsigned int i;

	begin(test);
	was_ns = kernel_ns(&parent->last);
	before = test->reading;
	for (i = 0; i < LIVES + BATCH; i++) {
		if (i >= BATCH)
			die(&lives[i - BATCH]);
		if (i < LIVES)
			be_born(&lives[i], parent, i);
	}
	test->reading = (struct cpu_reading){};
	begin(test);
	for (i = 0; i < LIVES; i++) {
		check_life(test, &lives[i], i);
		sum_ns += lives[i].ours_ns;
		free(lives[i].folder);
	}
	tell_furthest_off(test, lives);
	ran_ns = kernel_ns(&parent->last) - was_ns;
	tell(test, "300 lives", sum_ns, ran_ns, ran_ns / 200);
	cpu_reading_free(&test->reading);
	begin(test);
	if (test->reading.count > before.count + 3)
		tell_missed(test, "the map is not back at its baseline");
	if (test->reading.ended_count)
		tell_missed(test, "an ended cgroup was reported twice");
	cpu_reading_free(&before);
	end(test);
}

/* The second time in the places of the map that the first ones had. */
void case_lives(struct test *test)
{
	lives_of(test);
	lives_of(test);
}

/* Room for 8 cgroups, and more than that run: what fits and what was lost are all that ran. */
void case_full(struct test *test)
{
	struct group *groups[BURSTS], *parent = make_group(test, NULL, "parent");
	uint64_t was_ns, ours_ns = 0, lost_ns;
	static char names[BURSTS][16];
	unsigned int i;

	begin(test);
	lost_ns = test->reading.lost[LOST_CGROUP_NS];
	was_ns = kernel_ns(&parent->last);
	for (i = 0; i < BURSTS; i++) {
		snprintf(names[i], sizeof(names[i]), "burst%u", i);
		groups[i] = make_group(test, parent, names[i]);
		load_wait(load_start(load_burst, BURST_MS, groups[i]->folder, -1));
	}
	cpu_reading_free(&test->reading);
	begin(test);
	for (i = 0; i < BURSTS; i++)
		ours_ns += groups[i]->last.ours_ns;
	lost_ns = test->reading.lost[LOST_CGROUP_NS] - lost_ns;
	if (!lost_ns || !test->reading.lost[LOST_CGROUP])
		tell_missed(test, "nothing was lost, though the map is small");
	tell(test, "fit+lost", ours_ns + lost_ns, kernel_ns(&parent->last) - was_ns,
	     ledger_tick_ns());
	end(test);
}

/* More cgroups end than fit into the map: each is reported, or counted. */
void case_ends(struct test *test)
{
	uint64_t lost;
	unsigned int i;

	begin(test);
	lost = test->reading.lost[LOST_END];
	for (i = 0; i < ENDS; i++) {
		_cleanup_free_ char *folder = format_text("%s/end%u", test->root, i);

		if (!folder || mkdir(folder, 0755) || rmdir(folder))
			err(1, "%s", folder);
	}
	cpu_reading_free(&test->reading);
	begin(test);
	lost = test->reading.lost[LOST_END] - lost;
	if (test->reading.ended_count != ENDS_THAT_FIT || lost != ENDS - ENDS_THAT_FIT)
		tell_missed(test, "an ended cgroup is neither reported nor counted as lost");
	printf("%-9s %zu reported, %llu lost\n", test->name, test->reading.ended_count,
	       (unsigned long long)lost);
	test->lines++;
	end(test);
}

/* Moves that are too many for one slice are counted, and no time is lost by them. */
void case_moves(struct test *test)
{
	struct group *parent = make_group(test, NULL, "parent");
	struct group *a = make_group(test, parent, "a"), *b = make_group(test, parent, "b");
	pid_t pid = load_start(load_alone, 0, a->folder, 1);
	uint64_t was, lost = 0;
	unsigned int i, n;

	usleep(100000);
	begin(test);
	was = test->reading.lost[LOST_MOVE];
	for (i = 0; i < TRIES && !lost; i++) {
		for (n = 0; n < MOVES; n++)
			if (load_move(pid, n % 2 ? a->folder : b->folder))
				tell_missed(test, "cannot move the process");
		cpu_reading_free(&test->reading);
		begin(test);
		lost = test->reading.lost[LOST_MOVE] - was;
	}
	if (!lost)
		tell_missed(test, "no move was counted as lost");
	printf("%-9s %llu of %u moves lost\n", test->name, (unsigned long long)lost, i * MOVES);
	tell(test, "all", a->last.ours_ns + b->last.ours_ns, kernel_ns(&parent->last),
	     2 * ledger_tick_ns());
	load_stop(pid);
	end(test);
}

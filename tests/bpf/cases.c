// SPDX-License-Identifier: GPL-2.0
#include "cases.h"

#include <err.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "ledger.h"
#include "load.h"
#include "util.h"

#define MAX_TASKS 128
#define EXECS	  200

/* The windows of a case in which one process runs in one cgroup. */
static void one(struct test *test, load_body *body, uint64_t argument, int cpu)
{
	struct group *group = make_group(test, NULL, "one");
	pid_t pid = load_start(body, argument, group->folder, cpu);

	windows(test);
	load_stop(pid);
	end(test);
}

void case_spin(struct test *test)
{
	one(test, load_spin, 0, 0);
}

/* A thread changes its PID in the middle of an exec, while it has to leave its CPU to others. */
static void exec_chains(struct test *test, size_t chains)
{
	struct group *group = make_group(test, NULL, "exec"),
		     *spin = make_group(test, NULL, "spin");
	pid_t other = load_start(load_spin, 0, spin->folder, 0), pids[2];
	size_t i;

	/* On the other CPU: each exec gives the kernel's threads something to do. */
	test->idle_by_turns = true;
	begin(test);
	for (i = 0; i < chains; i++)
		pids[i] = load_start(load_exec, EXECS, group->folder, 0);
	for (i = 0; i < chains; i++)
		load_wait(pids[i]);
	end_window(test);
	load_stop(other);
	check_marks(test);
	end(test);
}

void case_exec(struct test *test)
{
	exec_chains(test, 1);
}

/* One of them may be interrupted by the other in the middle of a birth or an exec. */
void case_execs(struct test *test)
{
	exec_chains(test, 2);
}

/* A thread may be freed before it has left its CPU for the last time, while others want that CPU. */
void case_deaths(struct test *test)
{
	struct group *group = make_group(test, NULL, "deaths"),
		     *spin = make_group(test, NULL, "spin");
	pid_t others[4], pids[4];
	size_t i;

	test->idle_by_turns = true;
	for (i = 0; i < ARRAY_SIZE(others); i++)
		others[i] = load_start(load_spin, 0, spin->folder, 0);
	begin(test);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = load_start(load_ends, 1000ULL * test->seconds, group->folder, 0);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		load_wait(pids[i]);
	end_window(test);
	for (i = 0; i < ARRAY_SIZE(others); i++)
		load_stop(others[i]);
	check_marks(test);
	end(test);
}

/* Older than the program: what it had so far is not charged. */
void case_old(struct test *test)
{
	struct group *group = make_group(test, NULL, "old");
	pid_t pid = load_start(load_spin, 0, group->folder, 0);
	uint64_t most_ns;

	sleep(1);
	most_ns = ledger_now_ns();
	load_program(test);
	begin(test);
	most_ns = ledger_now_ns() - most_ns;
	if (group->last.ours_ns > most_ns + ledger_tick_ns())
		tell_missed(test, "a task was charged with what it had before");
	sleep(test->seconds);
	end_window(test);
	load_stop(pid);
	end(test);
}

void case_rt(struct test *test)
{
	test->idle_by_turns = true;
	one(test, load_fifo, 0, 0);
}

void case_deadline(struct test *test)
{
	test->idle_by_turns = test->throttled = true;
	one(test, load_deadline, 0, -1);
}

/* More of each than there are CPUs. */
void case_migrate(struct test *test)
{
	struct group *a = make_group(test, NULL, "hop"), *b = make_group(test, NULL, "mixed");
	pid_t pids[4];
	size_t i;

	test->idle_by_turns = true;
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = load_start(i % 2 ? load_hop : load_mixed, i,
				     i % 2 ? a->folder : b->folder, -1);
	windows(test);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		load_stop(pids[i]);
	end(test);
}

void case_weights(struct test *test)
{
	_cleanup_free_ char *control = format_text("%s/../cgroup.subtree_control", test->root);
	_cleanup_free_ char *own = format_text("%s/cgroup.subtree_control", test->root);
	_cleanup_free_ char *weight = NULL;
	struct group *heavy, *light;
	pid_t pids[2];

	if (ledger_write(control, "+cpu") || ledger_write(own, "+cpu")) {
		tell_absent(test, "the cpu controller is not on cgroup v2 here");
		return;
	}
	heavy = make_group(test, NULL, "300");
	light = make_group(test, NULL, "100");
	weight = format_text("%s/cpu.weight", heavy->folder);
	if (ledger_write(weight, "300"))
		err(1, "%s", weight);
	pids[0] = load_start(load_spin, 0, heavy->folder, 0);
	pids[1] = load_start(load_spin, 0, light->folder, 0);
	windows(test);
	load_stop(pids[0]);
	load_stop(pids[1]);
	end(test);
	ledger_write(own, "-cpu");
}

/* Work with an end: each of two processes does half. */
static void till_the_end(struct test *test, load_body *body, uint64_t argument)
{
	struct group *group = make_group(test, NULL, "all");
	pid_t pids[2];

	begin(test);
	pids[0] = load_start(body, argument, group->folder, -1);
	pids[1] = load_start(body, argument, group->folder, -1);
	load_wait(pids[0]);
	load_wait(pids[1]);
	end_window(test);
	end(test);
}

void case_short(struct test *test)
{
	till_the_end(test, load_short, 5000);
}

void case_storm(struct test *test)
{
	till_the_end(test, load_storm, 1000ULL * test->seconds);
}

/* Back and forth while it spins on a CPU that it has for itself. */
static void move_about(struct test *test, load_body *body, uint64_t argument)
{
	struct group *a = make_group(test, NULL, "a"), *b = make_group(test, NULL, "b");
	pid_t pid = load_start(body, argument, a->folder, -1);
	unsigned int i, window;

	begin(test);
	for (window = 0; window < test->windows; window++) {
		for (i = 0; i < 10 * test->seconds; i++) {
			usleep(i % 3 ? 30000 : 240000);
			if (load_move(pid, i % 2 ? a->folder : b->folder))
				tell_missed(test, "cannot move the process");
		}
		end_window(test);
	}
	load_stop(pid);
	end(test);
}

void case_move(struct test *test)
{
	test->idle_by_turns = true;
	move_about(test, load_spin, 0);
}

void case_threads(struct test *test)
{
	test->idle_by_turns = true;
	move_about(test, load_threads, 3);
}

void case_nested(struct test *test)
{
	struct group *top = make_group(test, NULL, "top"), *mid = make_group(test, top, "mid");
	struct group *leaf = make_group(test, mid, "leaf");
	pid_t pids[] = {
		load_start(load_mixed, 1, top->folder, -1),
		load_start(load_mixed, 2, mid->folder, -1),
		load_start(load_spin, 0, leaf->folder, -1),
	};
	size_t i;

	test->idle_by_turns = true;
	windows(test);
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		load_stop(pids[i]);
	end(test);
}

void case_hotplug(struct test *test)
{
	static const char online[] = "/sys/devices/system/cpu/cpu1/online";
	struct group *group;
	pid_t pids[4];
	unsigned int i;

	if (!test->named) { /* others on this machine would notice */
		tell_absent(test, "only when it is named");
		return;
	}
	if (ledger_write(online, "1")) {
		tell_absent(test, "no CPU can be taken offline here");
		return;
	}
	group = make_group(test, NULL, "spin");
	test->uncertain = true;
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		pids[i] = load_start(i % 2 ? load_mixed : load_spin, i, group->folder, -1);
	begin(test);
	for (i = 0; i < 6; i++) {
		sleep(test->seconds / 6 + 1);
		if (ledger_write(online, i % 2 ? "1" : "0"))
			tell_missed(test, "cannot take the CPU off or on");
		end_window(test);
	}
	for (i = 0; i < ARRAY_SIZE(pids); i++)
		load_stop(pids[i]);
	end(test);
}

static uint64_t sum_waited_ns(const pid_t *pids, size_t count)
{
	uint64_t sum = 0;

	while (count--)
		sum += ledger_waited_ns(pids[count]);
	return sum;
}

static uint64_t sum_switches(const pid_t *pids, size_t count)
{
	uint64_t sum = 0;

	while (count--)
		sum += ledger_switches(pids[count]);
	return sum;
}

/* One in 100 may have gone untraced. */
static void check_switches(struct test *test, uint64_t ours, uint64_t kernel)
{
	printf("%-9s %-10s %12" PRIu64 " %12" PRIu64 "\n", test->name, "switches", ours, kernel);
	if (ours > kernel + kernel / 100 + 1 || kernel > ours + kernel / 100 + 1)
		tell_missed(test, "switches");
}

static void overcommit(struct test *test, size_t times, const char *what)
{
	struct group *group = make_group(test, NULL, what);
	size_t count = times * (size_t)get_nprocs(), i;
	struct account waited, waited_now;
	pid_t pids[MAX_TASKS];
	struct cgroup_cpu was;
	uint64_t switches;

	if (count > MAX_TASKS)
		count = MAX_TASKS;
	for (i = 0; i < count; i++)
		pids[i] = load_start(i % 2 ? load_spin : load_mixed, i, group->folder, -1);
	waited.kernel_low_ns = sum_waited_ns(pids, count);
	begin(test);
	waited.kernel_high_ns = sum_waited_ns(pids, count);
	was = figures(test, group);
	waited.ours_ns = was.waited_ns;
	switches = sum_switches(pids, count);
	sleep(test->seconds);
	waited_now.kernel_low_ns = sum_waited_ns(pids, count);
	end_window(test);
	waited_now.kernel_high_ns = sum_waited_ns(pids, count);
	switches = sum_switches(pids, count) - switches;
	waited_now.ours_ns = figures(test, group).waited_ns;
	tell_accounts(test, "waited", &waited, &waited_now,
		      (kernel_ns(&waited_now) - kernel_ns(&waited)) / 200);
	check_switches(test, figures(test, group).switches - was.switches, switches);
	for (i = 0; i < count; i++)
		load_stop(pids[i]);
	end(test);
}

void case_waited(struct test *test)
{
	overcommit(test, 2, "2x");
	overcommit(test, 4, "4x");
	overcommit(test, 16, "16x");
}

/* Everything at once. Two CPUs are never idle: there the sum needs no idle time. */
void case_all(struct test *test)
{
	static const char *const names[] = {"spin", "mixed", "hop", "storm", "rest0", "rest1"};
	static load_body *const bodies[] = {load_spin,	load_mixed, load_hop,
					    load_storm, load_rest,  load_rest};
	pid_t pids[ARRAY_SIZE(names)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		struct group *group = make_group(test, NULL, names[i]);

		pids[i] = load_start(bodies[i], 3600000, group->folder, -1);
	}
	windows(test);
	for (i = 0; i < ARRAY_SIZE(names); i++)
		load_stop(pids[i]);
	end(test);
}

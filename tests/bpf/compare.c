// SPDX-License-Identifier: GPL-2.0
#include "cases.h"

#include <err.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysinfo.h>

#include "ledger.h"
#include "util.h"

#define TRIES 10

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

void tell(struct test *test, const char *what, uint64_t ours_ns, uint64_t kernel_ns,
	  uint64_t allowed_ns)
{
	uint64_t off_ns = distance(ours_ns, kernel_ns);

	printf("%-9s %-10s %12.3f %12.3f %10.1f %10.1f%s\n", test->name, what,
	       (double)ours_ns / NS_PER_MS, (double)kernel_ns / NS_PER_MS,
	       (double)off_ns / NS_PER_US, (double)allowed_ns / NS_PER_US,
	       off_ns > allowed_ns ? "  MISS" : "");
	test->lines++;
	test->missed += off_ns > allowed_ns;
}

void tell_missed(struct test *test, const char *what)
{
	printf("%-9s %s  MISS\n", test->name, what);
	test->lines++;
	test->missed++;
}

void tell_absent(struct test *test, const char *why)
{
	printf("%-9s not tried: %s\n", test->name, why);
	test->lines++;
}

struct group *make_group(struct test *test, const struct group *parent, const char *name)
{
	struct group *group = &test->groups[test->group_count];
	struct stat folder;

	if (test->group_count == MAX_GROUPS)
		errx(1, "too many cgroups");
	*group = (struct group){.name = name};
	group->folder = format_text("%s/%s", parent ? parent->folder : test->root, name);
	if (!group->folder || mkdir(group->folder, 0755) || stat(group->folder, &folder))
		err(1, "%s", group->folder);
	group->id = folder.st_ino;
	test->group_count++;
	return group;
}

struct cgroup_cpu figures(const struct test *test, const struct group *group)
{
	const struct cgroup_cpu_row *row = cpu_reading_find(&test->reading, group->id);

	return row ? row->total : (struct cgroup_cpu){};
}

/* Like the kernel's file: with all below it. */
static uint64_t ran_below_ns(const struct test *test, const struct group *group)
{
	size_t length = strlen(group->folder), i;
	uint64_t sum = figures(test, group).ran_ns;

	for (i = 0; i < test->group_count; i++)
		if (!strncmp(test->groups[i].folder, group->folder, length) &&
		    test->groups[i].folder[length] == '/')
			sum += figures(test, &test->groups[i]).ran_ns;
	return sum;
}

static uint64_t sum_ns(const struct cpu_reading *reading)
{
	uint64_t sum = 0;
	size_t i;

	for (i = 0; i < reading->count; i++)
		sum += reading->rows[i].total.ran_ns;
	return sum;
}

static void take_kernel(struct test *test, bool before)
{
	size_t i;

	for (i = 0; i < test->group_count; i++) {
		struct account *account = &test->groups[i].last;
		uint64_t usage_ns = ledger_usage_ns(test->groups[i].folder);

		*(before ? &account->kernel_low_ns : &account->kernel_high_ns) = usage_ns;
	}
}

static void take_once(struct test *test)
{
	int error;
	size_t i;

	if (test->idle_by_turns)
		ledger_switch_all();
	take_kernel(test, true);
	error = cgroup_cpu_read(test->source, &test->reading);
	if (error)
		errx(1, "cannot read: %s", strerror(-error));
	test->times = ledger_times();
	take_kernel(test, false);
	for (i = 0; i < test->group_count; i++)
		test->groups[i].last.ours_ns = ran_below_ns(test, &test->groups[i]);
}

uint64_t kernel_ns(const struct account *account)
{
	return (account->kernel_low_ns + account->kernel_high_ns) / 2;
}

static uint64_t doubt_ns(const struct account *account)
{
	return (account->kernel_high_ns - account->kernel_low_ns) / 2;
}

/* Two of them are within the bar of a window. */
static bool was_quick(const struct test *test)
{
	size_t i;

	for (i = 0; i < test->group_count; i++)
		if (doubt_ns(&test->groups[i].last) > ledger_tick_ns() / 2)
			return false;
	return true;
}

/* Once more where the test was held up in the middle. What has ended is told once only. */
static void take(struct test *test)
{
	unsigned int tries = TRIES;

	take_once(test);
	while (--tries && !was_quick(test) && !test->reading.ended_count) {
		cpu_reading_free(&test->reading);
		take_once(test);
	}
}

void tell_accounts(struct test *test, const char *what, const struct account *was,
		   const struct account *now, uint64_t allowed_ns)
{
	uint64_t ours_ns = now->ours_ns - was->ours_ns, theirs_ns = kernel_ns(now) - kernel_ns(was);
	uint64_t doubt = doubt_ns(was) + doubt_ns(now);

	if (doubt <= allowed_ns || distance(ours_ns, theirs_ns) > allowed_ns + doubt) {
		tell(test, what, ours_ns, theirs_ns, allowed_ns + doubt);
		return;
	}
	printf("%-9s %-10s %12.3f %12.3f not judged: the readings took too long, by %.1f us\n",
	       test->name, what, (double)ours_ns / NS_PER_MS, (double)theirs_ns / NS_PER_MS,
	       (double)doubt / NS_PER_US);
	test->lines++;
	test->unjudged++;
}

void begin(struct test *test)
{
	size_t i;

	take(test);
	for (i = 0; i < test->group_count; i++)
		test->groups[i].first = test->groups[i].last;
}

/* No counter goes back, or runs more than the window lasts on each CPU. */
static void check_rows(struct test *test, const struct cpu_reading *before, uint64_t most_ns)
{
	size_t i;

	for (i = 0; i < before->count; i++) {
		const struct cgroup_cpu *was = &before->rows[i].total;
		const struct cgroup_cpu_row *now =
			cpu_reading_find(&test->reading, before->rows[i].cgroup_id);

		if (!now || now->total.ran_ns < was->ran_ns ||
		    now->total.waited_ns < was->waited_ns || now->total.switches < was->switches)
			tell_missed(test, "a counter went back");
		else if (now->total.ran_ns - was->ran_ns > most_ns)
			tell_missed(test, "a cgroup ran longer than there was time");
	}
}

static void check_lost(struct test *test, const struct cpu_reading *before)
{
	static const char *const causes[LOST_CAUSES] = {
		[LOST_TASK] = "switches of tasks without a mark were lost",
		[LOST_CGROUP] = "charges were lost, the map is full",
		[LOST_CGROUP_NS] = "time was lost, the map is full",
		[LOST_MOVE] = "moves were lost",
		[LOST_END] = "paths of ended cgroups were lost",
	};
	size_t i;

	for (i = 0; i < LOST_CAUSES; i++)
		if (before->lost[i] != test->reading.lost[i])
			tell_missed(test, causes[i]);
	if (before->missed != test->reading.missed)
		tell_missed(test, "runs of the program were missed");
}

/*
 * Where the kernel's own times do not add up to the time there was, its idle time is no judge: they are
 * sampled. Nor is it in an emulated machine for CPUs that idle by turns: interrupts come late there, and it
 * goes on while a task runs already (Linux 7.3: a CPU was idle for longer than there was time).
 */
static bool is_idle_known(const struct test *test, uint64_t idle_ns, uint64_t all_ns,
			  uint64_t wall_ns)
{
	if (idle_ns <= wall_ns / 100)
		return true;
	if (test->emulated && test->idle_by_turns)
		return false;
	return distance(all_ns, wall_ns) <= wall_ns / 100;
}

/* All that ran and all that was idle is all the time there was; else, what ran is what the kernel says. */
static void tell_sum(struct test *test, const struct cpu_reading *before,
		     const struct ledger_times *was, uint64_t wall_ns)
{
	uint64_t idle_ns = test->times.idle_ns - was->idle_ns;
	uint64_t all_ns = test->times.all_ns - was->all_ns;
	uint64_t sum = sum_ns(&test->reading) - sum_ns(before);

	if (is_idle_known(test, idle_ns, all_ns, wall_ns))
		tell(test, "sum+idle", sum + idle_ns, wall_ns, wall_ns / 100);
	else if (test->idle_by_turns && test->times.ran_ns && !test->throttled)
		tell(test, "sum", sum, test->times.ran_ns - was->ran_ns, wall_ns / 100);
	else
		printf("%-9s %-10s %12.3f %12.3f not judged: the kernel's times are %.3f ms\n",
		       test->name, "sum+idle", (double)(sum + idle_ns) / NS_PER_MS,
		       (double)wall_ns / NS_PER_MS, (double)all_ns / NS_PER_MS);
}

void end_window(struct test *test)
{
	uint64_t cpus = (uint64_t)get_nprocs_conf(), tick_ns = ledger_tick_ns(), wall_ns;
	struct cpu_reading before = test->reading;
	struct ledger_times times = test->times;
	struct group was[MAX_GROUPS];
	size_t i;

	memcpy(was, test->groups, sizeof(was));
	take(test);
	wall_ns = cpus * (test->reading.boottime_ns - before.boottime_ns);
	for (i = 0; i < test->group_count; i++)
		tell_accounts(test, test->groups[i].name, &was[i].last, &test->groups[i].last,
			      cpus * tick_ns);
	if (!test->uncertain) {
		check_rows(test, &before, wall_ns + cpus * tick_ns);
		tell_sum(test, &before, &times, wall_ns);
	}
	check_lost(test, &before);
	cpu_reading_free(&before);
}

void windows(struct test *test)
{
	unsigned int i;

	begin(test);
	for (i = 0; i < test->windows; i++) {
		sleep(test->seconds);
		end_window(test);
	}
}

void end(struct test *test)
{
	size_t i;

	for (i = test->group_count; i-- > 0;) {
		struct group *group = &test->groups[i];

		if (test->windows * test->seconds >= 60)
			tell_accounts(test, "over all", &group->first, &group->last,
				      (kernel_ns(&group->last) - kernel_ns(&group->first)) / 2000);
		while (rmdir(group->folder))
			usleep(1000);
		free(group->folder);
	}
	test->group_count = 0;
	test->uncertain = test->idle_by_turns = test->throttled = false;
	cpu_reading_free(&test->reading);
}

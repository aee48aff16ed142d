/* SPDX-License-Identifier: GPL-2.0 */
/* What is compared, and how a case says so. */
#ifndef CMGR_TESTS_BPF_CASES_H
#define CMGR_TESTS_BPF_CASES_H

#include <stdbool.h>

#include "ledger.h"
#include "observe/cgroup_cpu.h"

#define MAX_GROUPS    64
#define ENDS_THAT_FIT 8 /* into the map of case_ends() */

/*
 * Both accounts of a cgroup at a reading. The kernel's is read before ours and after it: the test may have
 * lost its CPU in between, and what the kernel had at the moment of ours lies between the two.
 */
struct account {
	uint64_t ours_ns;
	uint64_t kernel_low_ns, kernel_high_ns;
};

/* A cgroup of a case. */
struct group {
	char *folder;
	const char *name;
	uint64_t id;
	struct account first, last; /* readings */
};

struct test {
	const char *name; /* of the case */
	bool named;	  /* on the command line */
	char *root;
	unsigned int seconds; /* a window */
	unsigned int windows;
	struct cgroup_cpu_sizes sizes;
	struct cgroup_cpu_source *source;
	struct cpu_reading reading; /* the last */
	struct ledger_times times;  /* then */
	struct group groups[MAX_GROUPS];
	size_t group_count;
	bool emulated;	    /* interrupts are late */
	bool idle_by_turns; /* what runs sleeps now and then, or waits for another */
	bool throttled; /* cpu.stat leaves out what a task runs after its throttling, until it switches */
	bool uncertain; /* CPUs come and go: no sum over all of them */
	unsigned int lines, missed, unjudged;
};

/* Prints a line; a MISS when @ours and @kernel differ by more than @allowed_ns. */
void tell(struct test *test, const char *what, uint64_t ours_ns, uint64_t kernel_ns,
	  uint64_t allowed_ns);
void tell_missed(struct test *test, const char *what);
void tell_absent(struct test *test, const char *why);

/* Once more, if it is loaded: its counters begin at zero. */
void load_program(struct test *test);

/* Makes a cgroup below @parent (NULL: below the test's own). */
struct group *make_group(struct test *test, const struct group *parent, const char *name);

/* The first reading; then one at the end of each window, compared with the one before. */
void begin(struct test *test);
void end_window(struct test *test);
/* test->windows of them, each test->seconds long. */
void windows(struct test *test);
/* Compares over all windows, and removes the cgroups. */
void end(struct test *test);

/*
 * A line of what both have between two readings. Where these took so long that the bar tells nothing,
 * neither does a line that meets it: it is not judged.
 */
void tell_accounts(struct test *test, const char *what, const struct account *was,
		   const struct account *now, uint64_t allowed_ns);

/* The middle of what the kernel can have had. */
uint64_t kernel_ns(const struct account *account);

/* All three figures of a cgroup at the last reading; zeros if it never ran. */
struct cgroup_cpu figures(const struct test *test, const struct group *group);

/* Waits until no mark is left but those of live tasks; a MISS when it does not come to that. */
void check_marks(struct test *test);

void case_spin(struct test *test);
void case_weights(struct test *test);
void case_short(struct test *test);
void case_storm(struct test *test);
void case_migrate(struct test *test);
void case_move(struct test *test);
void case_threads(struct test *test);
void case_nested(struct test *test);
void case_exec(struct test *test);
void case_execs(struct test *test);
void case_deaths(struct test *test);
void case_rt(struct test *test);
void case_deadline(struct test *test);
void case_hotplug(struct test *test);
void case_waited(struct test *test);
void case_lives(struct test *test);
void case_ends(struct test *test);
void case_moves(struct test *test);
void case_full(struct test *test);
void case_old(struct test *test);
void case_all(struct test *test);

#endif

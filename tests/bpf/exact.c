// SPDX-License-Identifier: GPL-2.0
/*
 * Is the BPF program's account the kernel's own? Runs natively or in a guest, as root.
 *
 *	exact [--seconds N] [--windows N] [--emulated] [CASE...]
 *
 * Prints a line for each cgroup and window; ends with 1 when a line is a MISS, or more than one in ten
 * could not be judged.
 */
#include <err.h>
#include <errno.h>
#include <getopt.h>
#include <sched.h>
#include <string.h>
#include <sys/stat.h>

#include "cases.h"
#include "ledger.h"
#include "load.h"
#include "util.h"

static const struct case_entry {
	const char *name;
	void (*run)(struct test *test);
} cases[] = {
	{"spin", case_spin},	   {"weights", case_weights}, {"short", case_short},
	{"storm", case_storm},	   {"migrate", case_migrate}, {"move", case_move},
	{"threads", case_threads}, {"nested", case_nested},   {"rt", case_rt},
	{"exec", case_exec},	   {"execs", case_execs},     {"deadline", case_deadline},
	{"hotplug", case_hotplug}, {"waited", case_waited},   {"lives", case_lives},
	{"full", case_full},	   {"ends", case_ends},	      {"moves", case_moves},
	{"old", case_old},	   {"all", case_all},	      {"deaths", case_deaths},
};

void load_program(struct test *test)
{
	int error;

	cgroup_cpu_close(test->source);
	error = cgroup_cpu_open(&test->sizes, &test->source);
	if (error)
		errx(1, "cannot load the program: %s", strerror(-error));
}

/* One program serves all cases, but those that want another map. */
static void run_case(struct test *test, const struct case_entry *entry)
{
	const struct cgroup_cpu_sizes sizes = {
		.cgroups = entry->run == case_full ? 8 : 0,
		.ended = entry->run == case_ends ? ENDS_THAT_FIT : 0,
	};

	test->name = entry->name;
	if (!test->source || memcmp(&test->sizes, &sizes, sizeof(sizes))) {
		test->sizes = sizes;
		load_program(test);
	}
	entry->run(test);
}

static bool wanted(const char *name, char **names)
{
	if (!*names)
		return true;
	for (; *names; names++)
		if (!strcmp(*names, name))
			return true;
	return false;
}

static unsigned int number(const char *text)
{
	uint64_t value;

	if (parse_u64(text, 1, 3600, &value))
		errx(2, "not a number from 1 to 3600: %s", text);
	return (unsigned int)value;
}

static void parse(struct test *test, int argc, char **argv)
{
	static const struct option options[] = {
		{"seconds", required_argument, NULL, 's'},
		{"windows", required_argument, NULL, 'w'},
		{"emulated", no_argument, NULL, 'e'},
		{},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 's')
			test->seconds = number(optarg);
		else if (option == 'w')
			test->windows = number(optarg);
		else if (option == 'e')
			test->emulated = true;
		else
			errx(2, "usage: exact [--seconds N] [--windows N] [--emulated] [CASE...]");
	}
}

int main(int argc, char **argv)
{
	struct test test = {.seconds = 10, .windows = 1};
	_cleanup_free_ char *root = ledger_cgroup_root();
	size_t i;

	load_exec_main(argc, argv);
	/* Both accounts are read in one go, not with a busy machine in between. */
	sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK,
			   &(struct sched_param){.sched_priority = 1});
	setvbuf(stdout, NULL, _IOLBF, 0);
	parse(&test, argc, argv);
	test.root = format_text("%s/cmgr-exact", root);
	if (!test.root || (mkdir(test.root, 0755) && errno != EEXIST))
		err(1, "%s", test.root);
	test.named = argv[optind];
	printf("%-9s %-10s %12s %12s %10s %10s\n", "case", "cgroup", "ours ms", "kernel ms",
	       "differ us", "allowed us");
	for (i = 0; i < ARRAY_SIZE(cases); i++)
		if (wanted(cases[i].name, argv + optind))
			run_case(&test, &cases[i]);
	cgroup_cpu_close(test.source);
	rmdir(test.root);
	printf("%u lines, %u missed", test.lines, test.missed);
	printf(test.unjudged ? ", %u not judged\n" : "\n", test.unjudged);
	free(test.root);
	return test.missed || !test.lines || 10 * test.unjudged > test.lines;
}

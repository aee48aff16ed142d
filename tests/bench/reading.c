// SPDX-License-Identifier: GPL-2.0
/*
 * What a reading of all cgroups costs, next to opening and reading as many cpu.stat files.
 *
 *	reading PARENT ROUNDS NUMBER...
 *
 * PARENT is a cgroup's folder; that many cgroups are made in it, with a process in each, which runs once
 * before each reading. Ends with 1 when the bar is missed.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "observe/cgroup_cpu.h"
#include "util.h"

#define MAX_ROUNDS 99
#define MOST	   10000
#define BAR	   20 /* times cheaper, at 1,000 */

static pid_t pids[MOST];	  /* by cgroup */
static _Atomic unsigned int *ran; /* processes, since they were last woken */

struct figures {
	double us[MAX_ROUNDS];
	unsigned int count;
};

static int by_size(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(struct figures *figures)
{
	qsort(figures->us, figures->count, sizeof(*figures->us), by_size);
	return figures->us[figures->count / 2];
}

static char *folder_of(const char *parent, unsigned int n)
{
	char *path = format_text("%s/r%u", parent, n);

	if (!path)
		err(1, "format_text");
	return path;
}

static void enter(const char *folder)
{
	_cleanup_free_ char *path = format_text("%s/cgroup.procs", folder);
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "%s", path);
}

/* Runs for a moment at each SIGUSR1, which it inherits blocked. */
static void live_in(const char *folder)
{
	sigset_t set;
	int signal;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(folder);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	while (true) {
		atomic_fetch_add(ran, 1);
		sigwait(&set, &signal);
	}
}

static void wait_for_all(unsigned int number)
{
	while (atomic_load(ran) < number)
		usleep(1000);
	usleep(10000); /* the last of them leave their CPUs */
}

static void run_in_each(unsigned int number)
{
	unsigned int n;

	atomic_store(ran, 0);
	for (n = 0; n < number; n++)
		kill(pids[n], SIGUSR1);
	wait_for_all(number);
}

static void make(const char *parent, unsigned int from, unsigned int to)
{
	unsigned int n;

	atomic_store(ran, 0);
	for (n = from; n < to; n++) {
		_cleanup_free_ char *folder = folder_of(parent, n);

		if (mkdir(folder, 0755))
			err(1, "%s", folder);
		pids[n] = fork();
		if (pids[n] < 0)
			err(1, "fork");
		if (!pids[n])
			live_in(folder);
	}
	wait_for_all(to - from);
}

static void end_all(const char *parent, unsigned int made)
{
	unsigned int n;

	for (n = 0; n < made; n++) {
		kill(pids[n], SIGKILL);
		waitpid(pids[n], NULL, 0);
	}
	for (n = 0; n < made; n++) {
		_cleanup_free_ char *folder = folder_of(parent, n);

		while (rmdir(folder) && errno == EBUSY)
			usleep(1000);
	}
}

static void read_files(const char *parent, unsigned int number)
{
	char text[4096], path[512];
	unsigned int n;

	for (n = 0; n < number; n++) {
		int fd;

		snprintf(path, sizeof(path), "%s/r%u/cpu.stat", parent, n);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || read(fd, text, sizeof(text)) <= 0)
			err(1, "%s", path);
		close(fd);
	}
}

static size_t read_map(struct cgroup_cpu_source *source)
{
	struct cpu_reading reading;
	int error = cgroup_cpu_read(source, &reading);
	size_t rows = reading.count;

	if (error)
		errx(1, "cannot read: %s", strerror(-error));
	cpu_reading_free(&reading);
	return rows;
}

static double us_since(uint64_t start_ns)
{
	return (double)(boottime_ns() - start_ns) / NS_PER_US;
}

static bool measure(struct cgroup_cpu_source *source, const char *parent, unsigned int number,
		    unsigned int rounds)
{
	struct figures map = {}, files = {};
	double map_us, files_us;

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t start_ns;

		run_in_each(number); /* so that the caches hold as much as they can */
		start_ns = boottime_ns();
		if (read_map(source) < number)
			errx(1, "cgroups are missing in the map");
		map.us[map.count++] = us_since(start_ns);
		start_ns = boottime_ns();
		read_files(parent, number);
		files.us[files.count++] = us_since(start_ns);
	}
	map_us = median(&map);
	files_us = median(&files);
	printf("%8u %10.0f %7.0f-%-7.0f %10.0f %7.0f-%-7.0f %8.1f", number, map_us, map.us[0],
	       map.us[map.count - 1], files_us, files.us[0], files.us[files.count - 1],
	       files_us / map_us);
	if (number != 1000) {
		puts("");
		return true;
	}
	puts(files_us / map_us >= BAR ? "  bar 20" : "  bar 20: MISSED");
	return files_us / map_us >= BAR;
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 3 ? (unsigned int)atoi(argv[2]) : 0, made = 0;
	struct cgroup_cpu_source *source;
	bool met = true;
	sigset_t set;
	int i;

	if (!rounds || rounds > MAX_ROUNDS)
		errx(2, "usage: reading PARENT ROUNDS NUMBER...");
	ran = mmap(NULL, sizeof(*ran), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (ran == MAP_FAILED)
		err(1, "mmap");
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	if (cgroup_cpu_open(NULL, &source))
		return 1;
	printf("%8s %10s %15s %10s %15s %8s\n", "cgroups", "map us", "least-most", "files us",
	       "least-most", "times");
	for (i = 3; i < argc; i++) {
		unsigned int number = (unsigned int)atoi(argv[i]);

		if (number < made || number > MOST)
			errx(2, "numbers ascend, to %d at most", MOST);
		make(argv[1], made, number);
		made = number;
		met &= measure(source, argv[1], number, rounds);
	}
	cgroup_cpu_close(source);
	end_all(argv[1], made);
	return !met;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * What a reading of all cgroups costs, next to opening and reading as many cpu.stat files.
 *
 *	reading PARENT ROUNDS NUMBER...
 *
 * PARENT is a cgroup's folder; that many cgroups are made in it, and a process runs in each once.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "observe/cgroup_cpu.h"
#include "util.h"

#define MAX_ROUNDS 99
#define BAR	   20 /* times cheaper, at 1,000 */

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

/* One process goes through all of them, and leaves its CPU in each. */
static void run_in_each(const char *parent, unsigned int from, unsigned int to)
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		for (; from < to; from++) {
			_cleanup_free_ char *folder = folder_of(parent, from);

			enter(folder);
			usleep(1);
		}
		enter(parent);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid || status)
		errx(1, "cannot run in the cgroups");
}

static void make(const char *parent, unsigned int from, unsigned int to)
{
	unsigned int n;

	for (n = from; n < to; n++) {
		_cleanup_free_ char *folder = folder_of(parent, n);

		if (mkdir(folder, 0755))
			err(1, "%s", folder);
	}
	run_in_each(parent, from, to);
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

static void measure(struct cgroup_cpu_source *source, const char *parent, unsigned int number,
		    unsigned int rounds)
{
	struct figures map = {}, files = {};
	double map_us, files_us;

	for (unsigned int i = 0; i < rounds; i++) {
		uint64_t start_ns;

		run_in_each(parent, 0, number); /* so that there is something to flush */
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
	puts(number == 1000 ? (files_us / map_us >= BAR ? "  bar 20" : "  bar 20: MISSED") : "");
}

int main(int argc, char **argv)
{
	unsigned int rounds = argc > 3 ? (unsigned int)atoi(argv[2]) : 0, made = 0;
	struct cgroup_cpu_source *source;
	int i;

	if (!rounds || rounds > MAX_ROUNDS)
		errx(2, "usage: reading PARENT ROUNDS NUMBER...");
	if (cgroup_cpu_open(NULL, &source))
		return 1;
	printf("%8s %10s %15s %10s %15s %8s\n", "cgroups", "map us", "least-most", "files us",
	       "least-most", "times");
	for (i = 3; i < argc; i++) {
		unsigned int number = (unsigned int)atoi(argv[i]);

		make(argv[1], made, number);
		made = number;
		measure(source, argv[1], number, rounds);
	}
	cgroup_cpu_close(source);
	while (made--) {
		_cleanup_free_ char *folder = folder_of(argv[1], made);

		rmdir(folder);
	}
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * measure ROUNDS [-- NAME [@CPU.STAT...] COMMAND [ARGUMENT...]]... < folders of cgroups, one a line
 *
 * In each round, one after another: a reading of /proc/sysinfo, memory.current and memory.stat of each
 * of the folders, and each command, with its output to /dev/null. Prints a line for each:
 *
 *   <name> <wall_ns> <cpu_ns> <bytes>
 *
 * A command's time has the start and end of its process in it. Its CPU time is its own and what was
 * used meanwhile by the cgroups whose cpu.stat files are given. A round before the first is not shown.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define BUFFER_BYTES (1024 * 1024)
#define FILES_MAX    16384
#define NS	     1000000000LL

struct cost {
	long long wall_ns, cpu_ns, bytes;
};

static char buffer[BUFFER_BYTES];
static char *files[FILES_MAX];
static unsigned int file_count;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static long long clock_ns(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts))
		die("clock_gettime");
	return ts.tv_sec * NS + ts.tv_nsec;
}

static long long read_whole(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	long long bytes = 0;
	ssize_t got;

	if (fd < 0)
		die(path);
	while ((got = read(fd, buffer, sizeof(buffer))) > 0)
		bytes += got;
	if (got < 0)
		die(path);
	close(fd);
	return bytes;
}

static long long read_sysinfo(void)
{
	return read_whole("/proc/sysinfo");
}

static long long read_files(void)
{
	long long bytes = 0;
	unsigned int i;

	for (i = 0; i < file_count; i++)
		bytes += read_whole(files[i]);
	return bytes;
}

static struct cost measure_here(long long (*function)(void))
{
	long long wall_ns = clock_ns(CLOCK_MONOTONIC);
	long long cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	long long bytes = function();

	return (struct cost){
		.cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu_ns,
		.wall_ns = clock_ns(CLOCK_MONOTONIC) - wall_ns,
		.bytes = bytes,
	};
}

/* "usage_usec 1234" is the first line of a cpu.stat. */
static long long usage_ns(char **stats)
{
	long long usec, sum = 0;

	for (; **stats == '@'; stats++) {
		FILE *file = fopen(*stats + 1, "re");

		if (!file || fscanf(file, "usage_usec %lld", &usec) != 1)
			die(*stats);
		fclose(file);
		sum += usec * 1000;
	}
	return sum;
}

static long long rusage_ns(const struct rusage *usage)
{
	return (usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) * NS +
	       (usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) * 1000;
}

static struct cost measure_command(char **words)
{
	posix_spawn_file_actions_t actions;
	long long start_ns, before_ns = usage_ns(words);
	struct rusage usage;
	struct cost cost = {};
	char **stats = words;
	int status = 0;
	pid_t pid;

	while (**words == '@')
		words++;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
	start_ns = clock_ns(CLOCK_MONOTONIC);
	errno = posix_spawnp(&pid, words[0], &actions, NULL, words, environ);
	if (errno || wait4(pid, &status, 0, &usage) != pid)
		die(words[0]);
	cost.wall_ns = clock_ns(CLOCK_MONOTONIC) - start_ns;
	cost.cpu_ns = rusage_ns(&usage) + usage_ns(stats) - before_ns;
	if (status) {
		fprintf(stderr, "%s ended with status %d\n", words[0], status);
		exit(1);
	}
	posix_spawn_file_actions_destroy(&actions);
	return cost;
}

static void print_cost(const char *name, struct cost cost)
{
	printf("%s %lld %lld %lld\n", name, cost.wall_ns, cost.cpu_ns, cost.bytes);
}

static void add_file(const char *folder, const char *name)
{
	if (file_count == FILES_MAX || asprintf(&files[file_count++], "%s/%s", folder, name) < 0)
		die(folder);
}

static void take_folders(void)
{
	char line[4096];

	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		add_file(line, "memory.current");
		add_file(line, "memory.stat");
	}
}

/* One command of "-- NAME COMMAND... [-- ...]"; returns where the next begins. */
static char **run_command(char **word, bool shown)
{
	char *name = word[1], *mark, **end = word + 2;
	struct cost cost;

	while (*end && strcmp(*end, "--"))
		end++;
	mark = *end;
	*end = NULL;
	cost = measure_command(word + 2);
	*end = mark;
	if (shown)
		print_cost(name, cost);
	return end;
}

static void run_round(char **commands, bool shown)
{
	struct cost reading = measure_here(read_sysinfo);
	struct cost stats = measure_here(read_files);

	if (shown) {
		print_cost("reading", reading);
		print_cost("files", stats);
	}
	while (*commands)
		commands = run_command(commands, shown);
}

int main(int argc, char **argv)
{
	int round, rounds = argc > 1 ? atoi(argv[1]) : 0;

	take_folders();
	for (round = 0; rounds && round <= rounds; round++)
		run_round(argv + 2, round > 0);
	return rounds ? 0 : 2;
}

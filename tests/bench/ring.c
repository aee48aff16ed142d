// SPDX-License-Identifier: GPL-2.0
/*
 * Context switches in any number: processes on one CPU that pass a token around.
 *
 *	ring CPU SECONDS FOLDER...
 *
 * One process for each cgroup folder (the same may be given twice). Prints how often the token was
 * passed.
 */
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MOST 1024

static int pipes[MOST][2];

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		err(1, "sched_setaffinity");
}

static void enter(const char *folder)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, "0", 1) != 1)
		err(1, "%s", path);
	close(fd);
}

static double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* Hands on what comes in, until it ends. */
static void pass(int in, int out)
{
	char token;

	while (read(in, &token, 1) == 1)
		if (write(out, &token, 1) != 1)
			break;
}

static unsigned long start_and_count(int in, int out, double seconds)
{
	double end = now() + seconds;
	unsigned long rounds = 0;
	char token = 't';

	while (write(out, &token, 1) == 1 && read(in, &token, 1) == 1)
		if (!(++rounds % 64) && now() >= end)
			break;
	return rounds;
}

static void be_member(int me, int members, int cpu, const char *folder)
{
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	enter(folder);
	pin(cpu);
	for (i = 0; i < members; i++) {
		if (i != me)
			close(pipes[i][0]);
		if (i != (me + 1) % members)
			close(pipes[i][1]);
	}
	pass(pipes[me][0], pipes[(me + 1) % members][1]);
	_exit(0);
}

int main(int argc, char **argv)
{
	int members = argc - 3, cpu = argc > 3 ? atoi(argv[1]) : 0, i;
	double seconds = argc > 3 ? atof(argv[2]) : 0;
	unsigned long rounds;

	if (members < 2 || members > MOST || seconds <= 0)
		errx(2, "usage: ring CPU SECONDS FOLDER FOLDER...");
	signal(SIGPIPE, SIG_IGN);
	for (i = 0; i < members; i++)
		if (pipe2(pipes[i], O_CLOEXEC))
			err(1, "pipe2");
	for (i = 1; i < members; i++) {
		pid_t pid = fork();

		if (pid < 0)
			err(1, "fork");
		if (!pid)
			be_member(i, members, cpu, argv[3 + i]);
	}
	enter(argv[3]);
	pin(cpu);
	for (i = 0; i < members; i++) {
		if (i)
			close(pipes[i][0]);
		if (i != 1)
			close(pipes[i][1]);
	}
	rounds = start_and_count(pipes[0][0], pipes[1][1], seconds);
	printf("%lu\n", rounds * (unsigned long)members);
	close(pipes[1][1]);
	while (wait(NULL) > 0)
		;
	return 0;
}

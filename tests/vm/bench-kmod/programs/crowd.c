// SPDX-License-Identifier: GPL-2.0
/*
 * crowd N WORKER < folders of cgroups, one a line
 *
 * Starts N workers, in one cgroup after another, with a command line as services have. Prints "ready"
 * when all are there, and ends when all of them have.
 */
#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define CGROUPS_MAX 4096

static int folders[CGROUPS_MAX];
static unsigned int folder_count;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void open_folders(void)
{
	char line[4096];

	while (folder_count < CGROUPS_MAX && fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = '\0';
		folders[folder_count] = open(line, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (folders[folder_count++] < 0)
			die(line);
	}
	if (!folder_count) {
		fputs("crowd: no cgroups\n", stderr);
		exit(1);
	}
}

static void exec_worker(const char *worker, unsigned int nr)
{
	char config[64], port[32];

	snprintf(config, sizeof(config), "--config=/etc/worker/instance-%04u.json", nr);
	snprintf(port, sizeof(port), "--listen=0.0.0.0:%u", 10000 + nr);
	execl(worker, "/usr/local/bin/worker", port, config, "--log-level=info", "--threads=4",
	      (char *)NULL);
	_exit(1);
}

static void start_worker(const char *worker, unsigned int nr)
{
	struct clone_args args = {
		.flags = CLONE_INTO_CGROUP | CLONE_VFORK,
		.exit_signal = SIGCHLD,
		.cgroup = (unsigned int)folders[nr % folder_count],
	};
	long pid = syscall(SYS_clone3, &args, sizeof(args));

	if (pid < 0)
		die("clone3");
	if (!pid)
		exec_worker(worker, nr);
}

int main(int argc, char **argv)
{
	unsigned int i, count = argc == 3 ? (unsigned int)atoi(argv[1]) : 0;

	open_folders();
	signal(SIGCHLD, SIG_IGN); /* the kernel reaps them */
	for (i = 0; i < count; i++)
		start_worker(argv[2], i);
	puts("ready");
	fflush(stdout);
	while (wait(NULL) > 0)
		;
	return 0;
}

// SPDX-License-Identifier: GPL-2.0
/*
 * storm CGROUP FORKS CGROUPS: forks FORKS times a second (exits, execs, orphans, vforks among them), while as
 * many threads come and go, and CGROUPS times a second a cgroup below the folder CGROUP is made and another
 * removed, with a process in each, which leaves a page of shared memory behind.
 * Prints "ready", and when its input ends "ms N forks N execs N threads N cgroups N".
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/sched.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CGROUPS_ALIVE 8
#define FORKERS	      2 /* one a CPU */
#define PARTS	      (FORKERS + 2)

static struct counts {
	unsigned long forks, execs, threads, cgroups;
} * counts;

static void count(unsigned long *counter)
{
	__atomic_add_fetch(counter, 1, __ATOMIC_RELAXED);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec;
}

static void *nothing(void *unused)
{
	return unused;
}

static void threads_once(int n)
{
	pthread_t thread[4];

	for (int i = 0; i < n; i++)
		if (!pthread_create(&thread[i], NULL, nothing, NULL))
			count(&counts->threads);
		else
			thread[i] = 0;
	for (int i = 0; i < n; i++)
		if (thread[i])
			pthread_join(thread[i], NULL);
}

static void exec_once(void)
{
	char *arguments[] = {"storm", "\"line\nbreak\\\"", "\xff\xc0 \t", NULL};

	count(&counts->execs);
	execv("/proc/self/exe", arguments);
	_exit(1);
}

static void live_once(unsigned long i)
{
	switch (i % 8) {
	case 0:
		exec_once();
		break;
	case 1:
		threads_once(2);
		break;
	case 2:
		if (!fork())
			usleep(1000);
		else
			count(&counts->forks);
		break;
	case 3:
		usleep(200000);
		break;
	}
	_exit(0);
}

static pid_t vfork_once(void)
{
	pid_t pid = vfork();

	if (!pid)
		_exit(0);
	return pid;
}

static void fork_at_rate(unsigned long rate)
{
	uint64_t began = now_ns();
	struct timespec pause = {};

	/* Ahead of the readers, which take whatever they get, and get something when this falls behind. */
	setpriority(PRIO_PROCESS, 0, -10);
	for (unsigned long i = 0;; i++) {
		uint64_t due = began + i * 1000000000ULL / rate, now = now_ns();
		pid_t pid = i % 8 > 4 ? vfork_once() : fork();

		if (!pid)
			live_once(i);
		if (pid > 0)
			count(&counts->forks);
		if (due > now) {
			pause.tv_nsec = due - now;
			nanosleep(&pause, NULL);
		}
	}
}

/* A process that begins in the cgroup. */
static pid_t fork_into(int cgroup)
{
	struct clone_args arguments = {
		.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = cgroup};

	return syscall(SYS_clone3, &arguments, sizeof(arguments));
}

/* Charged to the cgroup, and there until the next one in its slot cuts the file. */
static void leave_page(unsigned long slot)
{
	char name[32], byte = 1;
	int file;

	snprintf(name, sizeof(name), "/dev/shm/cmgr-storm-%lu", slot);
	file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (write(file, &byte, 1) != 1)
		_exit(1);
	close(file);
}

static pid_t begin_cgroup(const char *name, unsigned long slot)
{
	int folder;
	pid_t pid;

	if (mkdir(name, 0755))
		return -1;
	folder = open(name, O_PATH | O_DIRECTORY | O_CLOEXEC);
	pid = fork_into(folder);
	if (!pid) {
		leave_page(slot);
		for (;;)
			pause();
	}
	close(folder);
	if (pid > 0)
		count(&counts->cgroups);
	return pid;
}

static void end_cgroup(const char *name, pid_t pid)
{
	if (pid > 0)
		kill(pid, SIGKILL);
	/* Busy until the process is gone. */
	while (rmdir(name) && errno == EBUSY)
		usleep(1000);
}

static void cgroups_come_and_go(const char *parent, unsigned long rate)
{
	char name[CGROUPS_ALIVE][4096];
	pid_t pid[CGROUPS_ALIVE] = {};

	for (unsigned long i = 0;; i++) {
		unsigned long slot = i % CGROUPS_ALIVE;

		if (i >= CGROUPS_ALIVE)
			end_cgroup(name[slot], pid[slot]);
		snprintf(name[slot], sizeof(name[slot]), "%s/docker-%064lx.scope", parent, i);
		pid[slot] = begin_cgroup(name[slot], slot);
		usleep(1000000 / rate);
	}
}

static void threads_come_and_go(unsigned long rate)
{
	for (;;) {
		threads_once(4);
		usleep(4 * 1000000 / rate);
	}
}

static pid_t start_part(void)
{
	pid_t pid = fork();

	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* Whoever outlives this does not keep the output open. */
		close(STDOUT_FILENO);
		/* Nobody waits for those that end, orphans neither. */
		prctl(PR_SET_CHILD_SUBREAPER, 1);
		signal(SIGCHLD, SIG_IGN);
	}
	return pid;
}

int main(int argc, char **argv)
{
	uint64_t began = now_ns();
	unsigned long forks = argc == 4 ? strtoul(argv[2], NULL, 10) : 0;
	unsigned long cgroups = argc == 4 ? strtoul(argv[3], NULL, 10) : 0;
	pid_t part[PARTS];
	char byte;

	if (!forks || !cgroups || argv[1][0] != '/')
		return 0; /* by exec_once() */
	counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	for (int i = 0; i < PARTS; i++) {
		part[i] = start_part();
		if (part[i])
			continue;
		if (i < FORKERS)
			fork_at_rate(forks / FORKERS);
		else if (i == FORKERS)
			cgroups_come_and_go(argv[1], cgroups);
		else
			threads_come_and_go(forks);
	}
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &byte, 1) > 0)
		;
	printf("ms %lu forks %lu execs %lu threads %lu cgroups %lu\n",
	       (unsigned long)((now_ns() - began) / 1000000), counts->forks, counts->execs,
	       counts->threads, counts->cgroups);
	fflush(stdout);
	for (int i = 0; i < PARTS; i++)
		kill(part[i], SIGKILL);
	return 0;
}

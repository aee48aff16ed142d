// SPDX-License-Identifier: GPL-2.0
#include "load.h"

#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_MS 1000000ULL

/* <linux/sched/types.h> and <sched.h> both define sched_param. */
struct deadline_attr {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (uint64_t)time.tv_sec * 1000 * NS_PER_MS + (uint64_t)time.tv_nsec;
}

static void spin_until(clockid_t clock, uint64_t ns)
{
	while (clock_ns(clock) < ns)
		;
}

static void spin_ms(uint64_t ms)
{
	spin_until(CLOCK_MONOTONIC, clock_ns(CLOCK_MONOTONIC) + ms * NS_PER_MS);
}

static void run_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	sched_setaffinity(0, sizeof(set), &set); /* fails while the CPU is offline */
}

void load_spin(uint64_t argument)
{
	for (;; argument++)
		__asm__ volatile("" : : "r"(argument));
}

void load_mixed(uint64_t seed)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (srand((unsigned int)seed);;) {
		run_on((int)(rand() % cpus));
		spin_ms((uint64_t)(rand() % 20));
		if (!(rand() % 4))
			usleep((useconds_t)(rand() % 3000));
	}
}

void load_hop(uint64_t cpu)
{
	long cpus = sysconf(_SC_NPROCESSORS_CONF);

	for (;; cpu++) {
		run_on((int)(cpu % (uint64_t)cpus));
		spin_ms(1);
	}
}

static void *spin_thread(void *argument)
{
	load_spin((uint64_t)argument);
	return NULL;
}

void load_threads(uint64_t count)
{
	pthread_t thread;

	while (--count)
		if (pthread_create(&thread, NULL, spin_thread, NULL))
			errx(1, "pthread_create");
	load_spin(0);
}

static void *end_thread(void *argument)
{
	return argument;
}

void load_ends(uint64_t ms)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + ms * NS_PER_MS;
	pthread_t thread;

	while (clock_ns(CLOCK_MONOTONIC) < end)
		if (!pthread_create(&thread, NULL, end_thread, NULL))
			pthread_detach(thread);
		else
			usleep(1000); /* for those that there are */
}

static void one_process(uint64_t ms)
{
	pid_t pid = fork();

	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		if (ms)
			spin_ms(ms);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
}

static void *exec_thread(void *left)
{
	char text[24];

	snprintf(text, sizeof(text), "%" PRIu64, (uint64_t)left);
	execl("/proc/self/exe", "exact", LOAD_EXEC, text, NULL);
	err(1, "exec");
}

void load_exec(uint64_t left)
{
	pthread_t thread;

	if (!left)
		_exit(0);
	if (pthread_create(&thread, NULL, exec_thread, (void *)(left - 1)))
		errx(1, "pthread_create");
	load_spin(left);
}

void load_exec_main(int argc, char **argv)
{
	if (argc == 3 && !strcmp(argv[1], LOAD_EXEC))
		load_exec(strtoull(argv[2], NULL, 10));
}

void load_short(uint64_t count)
{
	while (count--)
		one_process(1);
}

void load_storm(uint64_t ms)
{
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + ms * NS_PER_MS;

	while (clock_ns(CLOCK_MONOTONIC) < end)
		one_process(0);
}

void load_rest(uint64_t argument)
{
	struct sched_param param = {};

	if (sched_setscheduler(0, SCHED_IDLE, &param))
		err(1, "SCHED_IDLE");
	load_spin(argument);
}

void load_fifo(uint64_t argument)
{
	struct sched_param param = {.sched_priority = 1};

	(void)argument;
	if (sched_setscheduler(0, SCHED_FIFO, &param))
		err(1, "SCHED_FIFO");
	for (;;) {
		spin_ms(7);
		usleep(7000);
	}
}

void load_alone(uint64_t argument)
{
	struct sched_param param = {.sched_priority = 1};

	if (sched_setscheduler(0, SCHED_FIFO, &param))
		err(1, "SCHED_FIFO");
	load_spin(argument);
}

void load_deadline(uint64_t argument)
{
	struct deadline_attr attr = {
		.size = sizeof(attr),
		.policy = 6, /* SCHED_DEADLINE */
		.runtime_ns = 3 * NS_PER_MS,
		.deadline_ns = 10 * NS_PER_MS,
		.period_ns = 10 * NS_PER_MS,
	};

	if (syscall(SYS_sched_setattr, 0, &attr, 0))
		err(1, "SCHED_DEADLINE");
	load_spin(argument);
}

void load_burst(uint64_t ms)
{
	spin_until(CLOCK_PROCESS_CPUTIME_ID, ms * NS_PER_MS);
}

int load_move(pid_t pid, const char *folder)
{
	char path[512], text[16];
	int fd, length = snprintf(text, sizeof(text), "%d", pid), err = 0;

	snprintf(path, sizeof(path), "%s/cgroup.procs", folder);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (write(fd, text, (size_t)length) != length)
		err = -errno;
	close(fd);
	return err;
}

pid_t load_start(load_body *body, uint64_t argument, const char *folder, int cpu)
{
	int gate[2], error;
	char go;
	pid_t pid;

	if (pipe2(gate, O_CLOEXEC))
		err(1, "pipe2");
	pid = fork();
	if (pid < 0)
		err(1, "fork");
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(gate[1]);
		if (read(gate[0], &go, 1) != 1)
			_exit(1);
		if (cpu >= 0)
			run_on(cpu);
		body(argument);
		_exit(0);
	}
	/* In its cgroup before it does anything: what it costs is all there. */
	error = load_move(pid, folder);
	if (error)
		errx(1, "%s: cannot move a process: error %d", folder, -error);
	if (write(gate[1], "g", 1) != 1)
		err(1, "write");
	close(gate[0]);
	close(gate[1]);
	return pid;
}

void load_wait(pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status) || WEXITSTATUS(status))
		errx(1, "process %d failed", pid);
}

void load_stop(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

// SPDX-License-Identifier: GPL-2.0
#include "ledger.h"

#include <dirent.h>
#include <err.h>
#include <errno.h>
#include <fcntl.h>
#include <mntent.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util.h"

static char *slurp(const char *path)
{
	char *text;
	size_t size;
	int error = read_file(path, 1 << 20, &text, &size);

	if (error)
		errx(1, "cannot read %s: %s", path, strerror(-error));
	return text;
}

char *ledger_cgroup_root(void)
{
	FILE *mounts = setmntent("/proc/self/mounts", "r");
	struct mntent *mount;
	char *root = NULL;

	while (mounts && !root && (mount = getmntent(mounts)))
		if (!strcmp(mount->mnt_type, "cgroup2"))
			root = strdup(mount->mnt_dir);
	if (mounts)
		endmntent(mounts);
	if (!root)
		errx(1, "cgroup v2 is not mounted");
	return root;
}

/* usage_usec 1234 */
uint64_t ledger_usage_ns(const char *folder)
{
	_cleanup_free_ char *path = format_text("%s/cpu.stat", folder), *text = slurp(path);
	const char *field = strstr(text, "usage_usec ");
	unsigned long long usec;

	if (!field || sscanf(field, "usage_usec %llu", &usec) != 1)
		errx(1, "%s has no usage_usec", path);
	return usec * NS_PER_US;
}

/* 1234 5678 9: ran, waited, slices */
static uint64_t thread_waited_ns(pid_t pid, const char *thread)
{
	_cleanup_free_ char *path = format_text("/proc/%d/task/%s/schedstat", pid, thread);
	_cleanup_free_ char *text = slurp(path);
	unsigned long long waited;

	if (sscanf(text, "%*u %llu", &waited) != 1)
		errx(1, "%s: %s", path, text);
	return waited;
}

uint64_t ledger_waited_ns(pid_t pid)
{
	_cleanup_free_ char *path = format_text("/proc/%d/task", pid);
	DIR *threads = opendir(path);
	struct dirent *entry;
	uint64_t sum = 0;

	if (!threads)
		err(1, "%s", path);
	while ((entry = readdir(threads)))
		if (entry->d_name[0] != '.')
			sum += thread_waited_ns(pid, entry->d_name);
	closedir(threads);
	return sum;
}

/* cpu0 0 0 0 0 0 0 1234 5678 9, for each: the seventh is what ran there, as of the last switch. */
static uint64_t ran_ns(void)
{
	FILE *file = fopen("/proc/schedstat", "re");
	unsigned long long cpu_ran;
	char line[512];
	uint64_t sum = 0;

	while (file && fgets(line, sizeof(line), file))
		if (sscanf(line, "cpu%*u %*u %*u %*u %*u %*u %*u %llu", &cpu_ran) == 1)
			sum += cpu_ran;
	if (file)
		fclose(file);
	return sum;
}

/* cpu  user nice system idle iowait irq softirq steal …, in hundredths of a second */
struct ledger_times ledger_times(void)
{
	_cleanup_free_ char *text = slurp("/proc/stat");
	uint64_t unit_ns = NS_PER_S / (uint64_t)sysconf(_SC_CLK_TCK), all = 0;
	unsigned long long field[8];
	size_t i;

	if (sscanf(text, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &field[0], &field[1],
		   &field[2], &field[3], &field[4], &field[5], &field[6], &field[7]) != 8)
		errx(1, "/proc/stat: %.80s", text);
	for (i = 0; i < ARRAY_SIZE(field); i++)
		all += field[i];
	return (struct ledger_times){
		.idle_ns = (field[3] + field[4] + field[7]) * unit_ns,
		.all_ns = all * unit_ns,
		.ran_ns = ran_ns(),
	};
}

void ledger_switch_all(void)
{
	cpu_set_t all, one;
	size_t cpu;

	if (sched_getaffinity(0, sizeof(all), &all))
		err(1, "sched_getaffinity");
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		if (CPU_ISSET(cpu, &all) && sched_setaffinity(0, sizeof(one), &one))
			err(1, "sched_setaffinity");
	}
	sched_setaffinity(0, sizeof(all), &all);
}

uint64_t ledger_tick_ns(void)
{
	struct timespec tick;

	clock_getres(CLOCK_MONOTONIC_COARSE, &tick);
	return (uint64_t)tick.tv_nsec;
}

uint64_t ledger_now_ns(void)
{
	return boottime_ns();
}

/* voluntary_ctxt_switches:	12 */
static uint64_t status_field(const char *status, const char *name)
{
	const char *field = strstr(status, name);
	unsigned long long value;

	if (!field || sscanf(field + strlen(name), " %llu", &value) != 1)
		errx(1, "no %s in a status file", name);
	return value;
}

uint64_t ledger_switches(pid_t pid)
{
	_cleanup_free_ char *path = format_text("/proc/%d/status", pid), *text = slurp(path);

	return status_field(text, "\nvoluntary_ctxt_switches:") +
	       status_field(text, "\nnonvoluntary_ctxt_switches:");
}

int ledger_write(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's own figures, from its files. All of them end the program on an error. */
#ifndef CMGR_TESTS_BPF_LEDGER_H
#define CMGR_TESTS_BPF_LEDGER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Where cgroup v2 is mounted; to be freed. */
char *ledger_cgroup_root(void);

/* cpu.stat usage_usec of a cgroup, in nanoseconds; with all below it. */
uint64_t ledger_usage_ns(const char *folder);

/* What the threads of a process waited for a CPU, from their schedstat. */
uint64_t ledger_waited_ns(pid_t pid);

/* Of all CPUs, since the kernel started. */
struct ledger_times {
	uint64_t idle_ns; /* idle, or taken by the host */
	uint64_t all_ns;  /* with that, everything that the kernel says a CPU did */
	uint64_t ran_ns;  /* by tasks, as of each CPU's last switch; 0 without CONFIG_SCHEDSTATS */
};

struct ledger_times ledger_times(void);

/* Runs on each CPU for a moment: whatever ran there has left it. */
void ledger_switch_all(void);

/* One tick of the scheduler. */
uint64_t ledger_tick_ns(void);

uint64_t ledger_now_ns(void);

/* Times that a process of one thread has left a CPU. */
uint64_t ledger_switches(pid_t pid);

/* Writes a line to a file. 0 or -errno. */
int ledger_write(const char *path, const char *text);

#endif

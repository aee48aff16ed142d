/* SPDX-License-Identifier: GPL-2.0 */
/* The BPF program of bpf/: loaded, pinned, and read once a cycle. */
#ifndef CMGR_OBSERVE_CGROUP_CPU_H
#define CMGR_OBSERVE_CGROUP_CPU_H

#include <stddef.h>
#include <stdint.h>

#include <linux/types.h>

#include "bpf/cgroup_cpu.h"

#define CGROUP_CPU_PIN_DIR "/sys/fs/bpf/cmgr"

struct cgroup_cpu_row {
	uint64_t cgroup_id;
	struct cgroup_cpu total; /* over all CPUs, since the program was loaded */
};

/* A cgroup that was removed since the reading before. */
struct ended_cgroup {
	uint64_t cgroup_id;
	char path[CGROUP_PATH_SIZE];
};

struct cpu_reading {
	uint64_t boottime_ns;	     /* when it was taken */
	uint64_t lost[LOST_CAUSES];  /* since the program was loaded */
	uint64_t missed;	     /* likewise: runs of the program that the kernel left out */
	struct cgroup_cpu_row *rows; /* by ascending id */
	size_t count;
	struct ended_cgroup *ended;
	size_t ended_count;
};

/* How much fits; 0: the default. Tests make it small. */
struct cgroup_cpu_sizes {
	uint32_t cgroups;
	uint32_t ended;
};

/* What the program itself cost since it was loaded; all 0 while kernel.bpf_stats_enabled is 0. */
struct bpf_cost {
	uint64_t run_ns;
	uint64_t runs;
};

struct cgroup_cpu_source;

/*
 * Loads and attaches the program and pins its maps "cgroup_cpu" and "lost" in CGROUP_CPU_PIN_DIR, in
 * place of what a killed daemon may have left there. 0, -EBUSY (another daemon runs on this kernel) or
 * another -errno, with one line logged. @sizes may be NULL.
 */
int cgroup_cpu_open(const struct cgroup_cpu_sizes *sizes, struct cgroup_cpu_source **ret);

/* Unpins and unloads. */
void cgroup_cpu_close(struct cgroup_cpu_source *source);

/*
 * Removes the pins that a killed daemon may have left. 0, -EBUSY (they are a live one's) or another
 * -errno, with one line logged.
 */
int cgroup_cpu_unpin(void);

/*
 * Everything up to now, the slices in flight included; the map holds as much afterwards. 0 or -errno;
 * cpu_reading_free() after 0.
 */
int cgroup_cpu_read(struct cgroup_cpu_source *source, struct cpu_reading *ret);
void cpu_reading_free(struct cpu_reading *reading);

/* The row of a cgroup, or NULL when none of its tasks has run. */
const struct cgroup_cpu_row *cpu_reading_find(const struct cpu_reading *reading,
					      uint64_t cgroup_id);

/* Makes room: deletes the entry of a dead cgroup that was read for the last time. */
void cgroup_cpu_forget(struct cgroup_cpu_source *source, uint64_t cgroup_id);

int cgroup_cpu_cost(const struct cgroup_cpu_source *source, struct bpf_cost *ret);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* What the two halves of cgroup_cpu.h share: cgroup_cpu.c loads, cgroup_read.c reads. */
#ifndef CMGR_OBSERVE_CGROUP_SOURCE_H
#define CMGR_OBSERVE_CGROUP_SOURCE_H

#include "observe/cgroup_cpu.h"

#include "cgroup_cpu.skel.h"

struct cgroup_cpu_source {
	struct cgroup_cpu_bpf *skel;
	int pins_fd;		   /* holds the lock */
	size_t cpus;		   /* possible ones: the length of a per-CPU value */
	unsigned int cpu_end;	   /* the highest number of a CPU, plus 1: they may have gaps */
	uint64_t lost_tasks;	   /* when marks were last made */
	uint64_t drain_races;	   /* CPUs that came back while their cache was emptied */
	uint64_t *keys;		   /* a batch of them */
	struct cgroup_cpu *values; /* a batch of them × cpus */
	struct cgroup_end *ends;   /* a batch of them */
};

/* Gives a mark to each task that has none. 0 or -errno. */
int cgroup_cpu_mark_tasks(const struct cgroup_cpu_source *source);

int cgroup_read_init(struct cgroup_cpu_source *source);

#endif

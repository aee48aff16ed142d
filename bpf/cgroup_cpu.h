/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The BPF maps, as the program writes them and user space (or bpftool) reads them.
 * The includer brings __u64: vmlinux.h in bpf/, <linux/types.h> in user/.
 */
#ifndef CMGR_CGROUP_CPU_H
#define CMGR_CGROUP_CPU_H

/* Longest path of an ended cgroup, its NUL included: the kernel's tracepoint cuts a longer one, too. */
#define CGROUP_PATH_SIZE 1024

/*
 * Value of the map "cgroup_cpu" (key: __u64 cgroup id). Per CPU; a reader adds up the CPUs.
 * All three only grow, from the moment that the program was loaded. Between two readings of the
 * daemon a part of them is still in the map "caches".
 */
struct cgroup_cpu {
	__u64 ran_ns;	 /* time on a CPU: task_struct.se.sum_exec_runtime */
	__u64 waited_ns; /* waits for a CPU that are over: task_struct.sched_info.run_delay */
	__u64 switches;	 /* times that a task of the cgroup left a CPU */
};

/* Value of the map "ended" (key: __u64 cgroup id): a cgroup that was removed since the last reading. */
struct cgroup_end {
	char path[CGROUP_PATH_SIZE];
};

/* Keys of the map "lost" (value: __u64 per CPU): what could not be recorded, by cause. */
enum cgroup_cpu_lost {
	LOST_TASK,	/* switches of a task without a mark: no memory for one when it was born */
	LOST_CGROUP,	/* switches and slices that found the map cgroup_cpu full */
	LOST_CGROUP_NS, /* their time on a CPU */
	LOST_MOVE,	/* moves between cgroups that were not noted */
	LOST_END,	/* ended cgroups whose path was not kept */
	LOST_CAUSES,
};

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The BPF maps, as the program writes them and user space (or bpftool) reads them.
 * The includer brings __u64: vmlinux.h in bpf/, <linux/types.h> in user/.
 */
#ifndef CMGR_CGROUP_CPU_H
#define CMGR_CGROUP_CPU_H

/*
 * Value of the map "cgroup_cpu" (key: __u64 cgroup id). Per CPU; a reader adds up the CPUs.
 * All three only grow, from the moment that the program was loaded.
 */
struct cgroup_cpu {
	__u64 ran_ns;	 /* time on a CPU: task_struct.se.sum_exec_runtime */
	__u64 waited_ns; /* waits for a CPU that are over: task_struct.sched_info.run_delay */
	__u64 switches;	 /* times that a task of the cgroup left a CPU */
};

/* Keys of the map "lost" (value: __u64 per CPU): switches that could not be charged, by cause. */
enum cgroup_cpu_lost {
	LOST_TASK,   /* the task has no mark: there was no memory for one when it was born */
	LOST_CGROUP, /* the map cgroup_cpu is full */
	LOST_CAUSES,
};

#endif

#ifndef __VMLINUX_H__
#define __VMLINUX_H__

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute push (__attribute__((preserve_access_index)), apply_to = record)
#endif

typedef long long unsigned int __u64;

typedef __u64 u64;

typedef int __kernel_pid_t;

typedef __kernel_pid_t pid_t;

struct list_head {
	struct list_head *next;
};

struct sched_entity {
	u64 sum_exec_runtime;
};

struct sched_info {
	long long unsigned int run_delay;
};

struct signal_struct;

struct css_set;

struct task_struct {
	unsigned int __state;
	int on_cpu;
	struct sched_entity se;
	struct sched_info sched_info;
	int exit_state;
	pid_t pid;
	pid_t tgid;
	struct list_head thread_node;
	struct signal_struct *signal;
	struct css_set *cgroups;
};

struct signal_struct {
	struct list_head thread_head;
};

struct cgroup;

struct css_set {
	struct cgroup *dfl_cgrp;
};

struct kernfs_node;

struct cgroup_root;

struct cgroup {
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct kernfs_node {
	u64 id;
};

struct cgroup_root {
	int hierarchy_id;
};

struct bpf_iter__task {
	union {
		struct task_struct *task;
	};
};

#ifndef BPF_NO_PRESERVE_ACCESS_INDEX
#pragma clang attribute pop
#endif

#endif /* __VMLINUX_H__ */

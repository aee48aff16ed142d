// SPDX-License-Identifier: GPL-2.0
/*
 * CPU time that each cgroup ran and waited for, taken from the kernel's own ledger.
 *
 * The scheduler keeps in each task how long it has run and waited since its birth. A mark per task
 * tells how much of that has been charged; whenever the task leaves a CPU, the difference goes to
 * its cgroup. That needs no clock, and a switch that was not traced is made good at the next one.
 */
#include "vmlinux.h"
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cgroup_cpu.h"

#define MAX_CGROUPS 16384

struct mark {
	__u64 ran_ns;
	__u64 waited_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mark);
} marks SEC(".maps");

/* Preallocated: an insertion under the run-queue lock must not allocate. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, MAX_CGROUPS);
	__type(key, __u64);
	__type(value, struct cgroup_cpu);
} cgroup_cpu SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, LOST_CAUSES);
	__type(key, __u32);
	__type(value, __u64);
} lost SEC(".maps");

static __always_inline void count_lost(__u32 cause)
{
	__u64 *count = bpf_map_lookup_elem(&lost, &cause);

	if (count)
		++*count;
}

static __always_inline struct cgroup_cpu *find_cgroup(__u64 id)
{
	static const struct cgroup_cpu zero;
	struct cgroup_cpu *cpu = bpf_map_lookup_elem(&cgroup_cpu, &id);

	if (cpu)
		return cpu;
	bpf_map_update_elem(&cgroup_cpu, &id, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&cgroup_cpu, &id);
}

/* Charges @task with what it ran and waited since its mark. Runs on its CPU, and no switch between. */
static __always_inline void charge(struct task_struct *task, __u64 switches)
{
	struct cgroup_cpu *cpu;
	struct mark *mark;
	__u64 ran_ns, waited_ns;

	if (!task->pid)
		return;
	mark = bpf_task_storage_get(&marks, task, 0, 0);
	if (!mark) {
		count_lost(LOST_TASK);
		return;
	}
	cpu = find_cgroup(task->cgroups->dfl_cgrp->kn->id);
	if (!cpu) {
		count_lost(LOST_CGROUP);
		return;
	}
	ran_ns = task->se.sum_exec_runtime;
	waited_ns = task->sched_info.run_delay;
	cpu->ran_ns += ran_ns - mark->ran_ns;
	cpu->waited_ns += waited_ns - mark->waited_ns;
	cpu->switches += switches;
	mark->ran_ns = ran_ns;
	mark->waited_ns = waited_ns;
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, _Bool preempt, struct task_struct *prev)
{
	charge(prev, 1);
	return 0;
}

/*
 * Marks are made here and in mark_task, never in on_switch: an allocation under the run-queue lock
 * may wake kswapd, which takes that lock (before Linux 6.4).
 */
SEC("tp_btf/task_newtask")
int BPF_PROG(on_newtask, struct task_struct *task)
{
	bpf_task_storage_get(&marks, task, 0, BPF_LOCAL_STORAGE_GET_F_CREATE);
	return 0;
}

/* Tasks that are older than the program: what they had so far is not ours to charge. */
SEC("iter/task")
int mark_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;
	struct mark mark;

	if (!task)
		return 0;
	mark.ran_ns = task->se.sum_exec_runtime;
	mark.waited_ns = task->sched_info.run_delay;
	bpf_task_storage_get(&marks, task, &mark, BPF_LOCAL_STORAGE_GET_F_CREATE);
	return 0;
}

/* Never attached. A test run on each CPU charges the slice in flight, so that a reading is whole. */
SEC("raw_tp")
int flush_cpu(void *ctx)
{
	charge(bpf_get_current_task_btf(), 0);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

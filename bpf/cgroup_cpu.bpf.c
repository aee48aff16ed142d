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
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "cgroup_cpu.h"

#include "ledger.bpf.h"
#include "marks.bpf.h"
#include "moves.bpf.h"

#define MAX_ENDED 4096

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_ENDED);
	__type(key, __u64);
	__type(value, struct cgroup_end);
} ended SEC(".maps");

/*
 * Charges the cgroup that @task was in with what it ran and waited since its mark. (A move may make it
 * switch before on_move has told of it.) Runs on its CPU, and no switch between.
 */
static __always_inline void charge(struct task_struct *task, __u64 switches)
{
	struct mark *mark;
	__u64 cgroup_id, ran_ns, waited_ns;

	if (!task->pid) /* idle: charged to nobody */
		return;
	mark = find_mark(task);
	if (!mark) {
		count_lost(LOST_TASK, 1);
		return;
	}
	/* Before it is looked for moves: whoever notes one tells of the new cgroup last. */
	cgroup_id = *(volatile __u64 *)&mark->cgroup_id;
	if (mark->moves_done != *(volatile __u32 *)&mark->moves) {
		end_moves((__u64)task, mark, 1);
		cgroup_id = mark->cgroup_id;
	}
	ran_ns = task->se.sum_exec_runtime;
	waited_ns = task->sched_info.run_delay;
	if (ran_ns < mark->ran_ns || waited_ns < mark->waited_ns)
		count_lost(LOST_TASK, 1); /* the mark is of another */
	else
		add((__u32)task->tgid, cgroup_id, ran_ns - mark->ran_ns,
		    waited_ns - mark->waited_ns, switches);
	mark->ran_ns = ran_ns;
	mark->waited_ns = waited_ns;
	set_cgroup(mark, task);
	if (mark->late)
		bring_late(task, mark);
}

SEC("tp_btf/sched_switch")
int BPF_PROG(on_switch, _Bool preempt, struct task_struct *prev)
{
	charge(prev, 1);
	return 0;
}

SEC("tp_btf/task_newtask")
int BPF_PROG(on_newtask, struct task_struct *task)
{
	give_up_mark(task);
	make_mark(task, 0, 0);
	return 0;
}

/*
 * The task is about to run for the first time. From Linux 7.3 on a program may lose its CPU to another
 * task, whose births it then misses; here, under the run-queue lock, it cannot, nor may it allocate.
 */
SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(on_wakeup_new, struct task_struct *task)
{
	if (!find_mark(task) && leads_to_first(task))
		place_mark(task, 0, 0);
	return 0;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(on_exec, struct task_struct *task, int old_pid)
{
	if (old_pid != task->pid)
		bring_mark(task, (__u32)old_pid);
	return 0;
}

/* Nothing runs the task any more. */
SEC("tp_btf/sched_process_free")
int BPF_PROG(on_free, struct task_struct *task)
{
	struct mark *mark = find_mark(task), was;
	struct cgroup_cpu rest;

	if (!mark)
		return 0;
	was = *mark;
	if (!free_mark(task, mark))
		return 0;
	rest = rest_of(task, &was);
	charge_rest(was.cgroup_id, &rest);
	end_moves((__u64)task, &was, 0);
	return 0;
}

/* Set once switches are charged. */
_Bool charging;

/*
 * Tasks that are older than the program, and later those that have lost theirs: what they had so far is
 * not ours to charge. A look-up in task storage may fail though there is a mark (Linux 6.1: it is busy):
 * one in the array, too, would hide that.
 */
SEC("iter/task")
int mark_task(struct bpf_iter__task *ctx)
{
	struct task_struct *task = ctx->task;

	/* A task that is being freed would keep its place for ever. */
	if (!task || task->exit_state || find_mark(task))
		return 0;
	if (charging)
		store_mark(task, task->se.sum_exec_runtime, task->sched_info.run_delay);
	else
		make_mark(task, task->se.sum_exec_runtime, task->sched_info.run_delay);
	return 0;
}

/* Set once on_move_task has told of a move. A birth shows nothing: a compiler may inline one call alone. */
_Bool told_early;

/*
 * The task, new or moved, is about to change its cgroup. Not every kernel has this function, nor the
 * means to attach to it (CONFIG_PSI; BPF trampolines), and a compiler may have made it part of others.
 */
SEC("fentry/cgroup_move_task")
int BPF_PROG(on_move_task, struct task_struct *task, struct css_set *to)
{
	if (!told_early && task->se.sum_exec_runtime)
		told_early = 1;
	note_task(task, to->dfl_cgrp->kn->id);
	return 0;
}

/*
 * The task has been moved, and with @threadgroup all threads of its process. This comes some time after
 * the move: what a tick accounts in between is taken for time in the cgroup that was left.
 */
SEC("tp_btf/cgroup_attach_task")
int BPF_PROG(on_move, struct cgroup *to, const char *path, struct task_struct *task,
	     _Bool threadgroup)
{
	if (told_early || to->root->hierarchy_id) /* of cgroup v1 */
		return 0;
	note_task(task, to->kn->id);
	if (threadgroup)
		note_threads(task, to->kn->id);
	return 0;
}

/* The only trace of a cgroup that lived and died between two readings. */
SEC("tp_btf/cgroup_rmdir")
int BPF_PROG(on_rmdir, struct cgroup *cgroup, const char *path)
{
	static struct cgroup_end end; /* one at a time: the kernel holds a lock for @path */
	__u64 id = cgroup->kn->id;

	if (cgroup->root->hierarchy_id) /* of cgroup v1 */
		return 0;
	if (bpf_probe_read_kernel_str(end.path, sizeof(end.path), path) < 0 ||
	    bpf_map_update_elem(&ended, &id, &end, BPF_ANY))
		count_lost(LOST_END, 1);
	return 0;
}

/* Never attached. A test run on each CPU charges the slice in flight, so that a reading is whole. */
SEC("raw_tp")
int flush_cpu(void *ctx)
{
	charge(bpf_get_current_task_btf(), 0);
	empty_cache(bpf_get_smp_processor_id());
	return 0;
}

/* Never attached. A test run anywhere empties the cache of the offline CPU that is its argument. */
SEC("raw_tp")
int drain_cpu(__u64 *ctx)
{
	empty_cache((__u32)ctx[0]);
	return 0;
}

char LICENSE[] SEC("license") = "GPL";

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Moves between cgroups.
 *
 * A task that is moved takes with it what has not been charged yet, though it belongs to the cgroup
 * that it left: its ledger at that moment is noted, and the next charge is parted there. Only the CPU
 * of the task may charge it, and one that spins leaves its CPU once in a while only, so several moves
 * may wait for that. They are noted one at a time (under cgroup_mutex).
 */
#ifndef CMGR_MOVES_BPF_H
#define CMGR_MOVES_BPF_H

#define MAX_MOVES   1024
#define MAX_THREADS 4096
#ifndef MAX_TASK_MOVES
#define MAX_TASK_MOVES 128 /* of one task between two charges; tests take less */
#endif

struct move_key {
	__u64 task;
	__u64 nth;
};

struct move {
	__u64 cgroup_id; /* that was left */
	__u64 ran_ns;
	__u64 waited_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAX_MOVES);
	__type(key, struct move_key);
	__type(value, struct move);
} moves SEC(".maps");

/*
 * @css_set is what the task has now: the set that it leaves, or is in already. Either way the cgroup's id
 * is not read anew before the move is made, as it must not be: that may still be the one that is left.
 */
static __noinline int note_move(struct mark *mark, __u64 task, __u64 to_id, __u64 css_set,
				struct move *move)
{
	struct move_key key = {.task = task, .nth = mark->moves};

	move->cgroup_id = mark->cgroup_id;
	if (move->cgroup_id == to_id)
		return 0;
	if (mark->moves == mark->moves_done && move->ran_ns == mark->ran_ns &&
	    move->waited_ns == mark->waited_ns) { /* asleep, say: nothing is to be parted */
		mark->css_set = css_set;
		mark->cgroup_id = to_id;
		return 0;
	}
	if (mark->moves - mark->moves_done >= MAX_TASK_MOVES ||
	    bpf_map_update_elem(&moves, &key, move, BPF_ANY)) {
		count_lost(LOST_MOVE, 1);
		mark->css_set = 0; /* to be read again */
		return 0;
	}
	mark->css_set = css_set;
	/* The note is there before it is told of: an addition whose result is used is a barrier, too. */
	if (__sync_fetch_and_add(&mark->moves, 1) != (__u32)key.nth)
		count_lost(LOST_MOVE, 1);
	mark->cgroup_id = to_id;
	return 0;
}

struct walk {
	__u64 node; /* a list_head: task_struct.thread_node, or the head of the list */
	__u64 end;
	__u64 to_id;
};

/* A pointer made from a list's node is none that task storage takes: such a mark cannot be found. */
static long note_next_thread(__u32 n, struct walk *walk)
{
	struct list_head *node = (void *)walk->node;
	struct task_struct *task;
	struct move move = {};
	struct mark *mark;

	walk->node = (__u64)BPF_CORE_READ(node, next);
	if (!walk->node || walk->node == walk->end)
		return 1;
	task = (void *)walk->node - bpf_core_field_offset(struct task_struct, thread_node);
	mark = mark_place((__u32)BPF_CORE_READ(task, pid));
	if (!mark || mark->task != (__u64)task) {
		if (!BPF_CORE_READ(task, exit_state))
			count_lost(LOST_MOVE, 1);
		return 0;
	}
	move.ran_ns = BPF_CORE_READ(task, se.sum_exec_runtime);
	move.waited_ns = BPF_CORE_READ(task, sched_info.run_delay);
	note_move(mark, (__u64)task, walk->to_id, (__u64)BPF_CORE_READ(task, cgroups), &move);
	return 0;
}

static __always_inline void note_threads(struct task_struct *leader, __u64 to_id)
{
	struct signal_struct *signal = leader->signal;
	struct walk walk = {.to_id = to_id};

	walk.end = (__u64)signal + bpf_core_field_offset(struct signal_struct, thread_head);
	walk.node = (__u64)leader + bpf_core_field_offset(struct task_struct, thread_node);
	if (bpf_loop(MAX_THREADS, note_next_thread, &walk, 0) == MAX_THREADS)
		count_lost(LOST_MOVE, 1);
}

static __always_inline void note_task(struct task_struct *task, __u64 to_id)
{
	struct mark *mark = find_mark(task);
	struct move move = {
		.ran_ns = task->se.sum_exec_runtime,
		.waited_ns = task->sched_info.run_delay,
	};

	if (mark)
		note_move(mark, (__u64)task, to_id, (__u64)task->cgroups, &move);
	else if (move.ran_ns && !task->exit_state) /* not one that is being born */
		count_lost(LOST_MOVE, 1);
}

/* Charges the cgroup that a task has left with what it had there. */
static __always_inline void charge_move(const struct move *move, struct mark *mark)
{
	struct cgroup_cpu left = {};

	if (move->ran_ns > mark->ran_ns)
		left.ran_ns = move->ran_ns - mark->ran_ns;
	if (move->waited_ns > mark->waited_ns)
		left.waited_ns = move->waited_ns - mark->waited_ns;
	store(move->cgroup_id, &left);
	mark->ran_ns += left.ran_ns;
	mark->waited_ns += left.waited_ns;
}

/* Those of a task that is no more (@charging: 0) are only forgotten. */
static __noinline int end_moves(__u64 task, struct mark *mark, _Bool charging)
{
	int i;

	for (i = 0; i < MAX_TASK_MOVES && mark->moves_done != mark->moves; i++) {
		struct move_key key = {.task = task, .nth = mark->moves_done++};
		struct move *move = bpf_map_lookup_elem(&moves, &key);

		if (move && charging)
			charge_move(move, mark);
		else if (charging)
			count_lost(LOST_MOVE, 1);
		bpf_map_delete_elem(&moves, &key);
	}
	return 0;
}

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A mark for each task: how much of its ledger has been charged.
 *
 * Task storage can be had for every task, but its look-up is a call into the kernel that costs more
 * than all the rest of a switch. So a mark lives in an array, at a place that the task's PID tells,
 * and in task storage only when another live task has that place. Marks are made and given up where
 * tasks are born and freed, never in a switch: an allocation under the run-queue lock may wake kswapd,
 * which takes that lock (before Linux 6.4).
 */
#ifndef CMGR_MARKS_BPF_H
#define CMGR_MARKS_BPF_H

struct mark {
	__u64 task; /* whose, in the array: a task_struct's address, or one of those below; else 0 */
	__u64 ran_ns;
	__u64 waited_ns;
	__u64 cgroup_id;	/* that it is in, as far as we know */
	__u64 css_set;		/* its task_struct.cgroups when cgroup_id was read from there */
	__u32 moves;		/* noted in the map "moves"; written by whoever moves the task */
	__u32 moves_done;	/* written by the CPU of the task */
	__u32 heir_pid;		/* of MARK_LEFT */
	__u32 late;		/* not at its own place: to be brought there at a switch */
} __attribute__((aligned(64))); /* tasks on two CPUs share no line */

#define MARK_FREE  0ULL
#define MARK_TAKEN 1ULL /* and being filled */
#define MARK_LEFT                                                                                  \
	2ULL /* by a first thread; the thread that took its PID has its mark at heir_pid's place */
#ifndef MAX_MARKS
#define MAX_MARKS (1U << 16) /* a power of two; tests take less */
#endif

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* only such an array is aligned to cache lines */
	__uint(max_entries, MAX_MARKS);
	__type(key, __u32);
	__type(value, struct mark);
} marks SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_TASK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct mark);
} more_marks SEC(".maps");

/*
 * By PID, so that the marks of tasks that were born together lie together: with them spread by address,
 * the TLB misses of a busy host cost more than all the rest.
 */
static __always_inline struct mark *mark_place(__u32 pid)
{
	__u32 index = pid % MAX_MARKS;

	return bpf_map_lookup_elem(&marks, &index);
}

static __always_inline _Bool is_mark_of(const struct mark *mark, struct task_struct *task)
{
	return mark && mark->task == (__u64)task;
}

/* Whose PID leads to the mark of the task that has now the PID of the first thread of its process. */
static __always_inline __u32 heir_pid(const struct mark *place)
{
	struct task_struct *first = (void *)place->task;

	if (place->task == MARK_LEFT)
		return place->heir_pid;
	return place->task > MARK_LEFT ? (__u32)BPF_CORE_READ(first, pid) : 0;
}

/*
 * While a thread other than the first is in exec, it and the first have changed their PIDs (de_thread()),
 * and each has its mark at the place of the other's, until on_exec or the end of both.
 */
static __always_inline struct mark *find_displaced(struct task_struct *task)
{
	struct mark *first = mark_place((__u32)task->tgid), *mark;

	if (is_mark_of(first, task))
		return first;
	mark = first ? mark_place(heir_pid(first)) : 0;
	return is_mark_of(mark, task) ? mark : 0;
}

static __always_inline struct mark *find_mark(struct task_struct *task)
{
	struct mark *place = mark_place((__u32)task->pid), *mark;

	if (is_mark_of(place, task))
		return place;
	mark = find_displaced(task);
	return mark ? mark : bpf_task_storage_get(&more_marks, task, 0, 0);
}

/*
 * Three pointers lead to the cgroup's id, each into a page of its own, which a CPU that comes from user
 * space may have to look up: the first of them, in the task itself, tells whether that is needed.
 */
static __always_inline void set_cgroup(struct mark *mark, struct task_struct *task)
{
	struct css_set *set = task->cgroups;

	if (mark->css_set == (__u64)set)
		return;
	mark->css_set = (__u64)set;
	mark->cgroup_id = set->dfl_cgrp->kn->id;
}

/* Charging begins at @ran_ns and @waited_ns. A mark that there is stays as it is. */
static __always_inline void store_mark(struct task_struct *task, __u64 ran_ns, __u64 waited_ns)
{
	struct mark more = {
		.ran_ns = ran_ns,
		.waited_ns = waited_ns,
	};

	set_cgroup(&more, task);
	bpf_task_storage_get(&more_marks, task, &more, BPF_LOCAL_STORAGE_GET_F_CREATE);
}

/* Likewise, in the array. False: its place is not free. Safe against others who make marks. */
static __always_inline _Bool place_mark(struct task_struct *task, __u64 ran_ns, __u64 waited_ns)
{
	struct mark *mark = mark_place((__u32)task->pid);

	if (!mark || __sync_val_compare_and_swap(&mark->task, MARK_FREE, MARK_TAKEN))
		return 0;
	mark->ran_ns = ran_ns;
	mark->waited_ns = waited_ns;
	mark->css_set = 0;
	set_cgroup(mark, task);
	mark->moves = 0;
	mark->moves_done = 0;
	mark->late = 0;
	__sync_lock_test_and_set(&mark->task, (__u64)task); /* all of the above before it */
	return 1;
}

/*
 * Whether the place of the first thread's PID leads to the first thread's mark. Where it does not, no other
 * thread may have its mark in the array: in an exec, in which it takes that PID, it would not be found.
 */
static __always_inline _Bool leads_to_first(struct task_struct *task)
{
	struct mark *place;

	if (task->pid == task->tgid)
		return 1;
	place = mark_place((__u32)task->tgid);
	return place && heir_pid(place) == (__u32)task->tgid;
}

static __always_inline void make_mark(struct task_struct *task, __u64 ran_ns, __u64 waited_ns)
{
	if (!leads_to_first(task) || !place_mark(task, ran_ns, waited_ns))
		store_mark(task, ran_ns, waited_ns);
}

/* Of another that was at this address, should on_free have been left out. */
static __always_inline void give_up_mark(struct task_struct *task)
{
	struct mark *mark = mark_place((__u32)task->pid);

	if (is_mark_of(mark, task))
		mark->task = MARK_FREE;
}

/* What a task that is through had since its mark: its last switch may not have been traced. */
static __always_inline struct cgroup_cpu rest_of(struct task_struct *task, const struct mark *mark)
{
	return (struct cgroup_cpu){
		.ran_ns = BPF_CORE_READ(task, se.sum_exec_runtime) - mark->ran_ns,
		.waited_ns = BPF_CORE_READ(task, sched_info.run_delay) - mark->waited_ns,
	};
}

static __always_inline void charge_rest(__u64 cgroup_id, struct cgroup_cpu *rest)
{
	if ((__s64)rest->ran_ns < 0 || (__s64)rest->waited_ns < 0)
		count_lost(LOST_TASK, 1); /* the mark is of another */
	else if (rest->ran_ns || rest->waited_ns)
		store(cgroup_id, rest);
}

/* Who was left as the heir at @place, has its own mark at @mark. */
static __always_inline _Bool leads_to(const struct mark *place, const struct mark *mark)
{
	return place && *(volatile __u64 *)&place->task == MARK_LEFT &&
	       mark_place(place->heir_pid) == mark;
}

/*
 * @task is no more, and @mark was its own. At the same moment an exec may take a place of the two: false,
 * if it took this mark's. (The other may have lost the PID of the first to a further exec.)
 */
static __always_inline _Bool free_mark(struct task_struct *task, struct mark *mark)
{
	struct mark *place = mark_place((__u32)task->pid), *first = mark_place((__u32)task->tgid);
	struct task_struct *other = place ? (void *)place->task : 0;
	__u64 left = MARK_FREE;

	if (mark->task == MARK_FREE) /* in task storage */
		return 1;
	if (mark == first && mark != place && (__u64)other > MARK_LEFT &&
	    BPF_CORE_READ(other, tgid) == task->tgid) {
		mark->heir_pid = (__u32)task->pid;
		left = MARK_LEFT;
	}
	if (__sync_val_compare_and_swap(&mark->task, (__u64)task, left) != (__u64)task)
		return 0;
	/* Each of the two writes before it reads: one of them sees that both are gone. */
	if (left == MARK_LEFT && *(volatile __u64 *)&place->task != (__u64)other)
		__sync_val_compare_and_swap(&mark->task, MARK_LEFT, MARK_FREE);
	if (leads_to(first, mark))
		__sync_val_compare_and_swap(&first->task, MARK_LEFT, MARK_FREE);
	return 1;
}

/* With the moves that are still to be charged; a mark that is there already does not know of them. */
static __always_inline void move_to_storage(struct task_struct *task, struct mark *from)
{
	struct mark more = *from, *to = bpf_task_storage_get(&more_marks, task, 0, 0);

	more.task = MARK_FREE;
	if (to) {
		if (from->moves != from->moves_done)
			count_lost(LOST_MOVE, 1);
	} else {
		to = bpf_task_storage_get(&more_marks, task, &more, BPF_LOCAL_STORAGE_GET_F_CREATE);
		if (!to || to->moves != from->moves)
			count_lost(LOST_MOVE, 1);
	}
	/* A switch or a flush may have come between; none charges by this one any more. */
	__sync_lock_test_and_set(&from->task, MARK_TAKEN);
	if (to && to->moves == from->moves && (__s32)(from->moves_done - to->moves_done) > 0)
		to->moves_done = from->moves_done;
	if (to && from->ran_ns > to->ran_ns)
		to->ran_ns = from->ran_ns;
	if (to && from->waited_ns > to->waited_ns)
		to->waited_ns = from->waited_ns;
	__sync_lock_test_and_set(&from->task, MARK_FREE);
}

#define TASK_DEAD 0x80 /* of <linux/sched.h> */

/* Whether a task has made its last switch: from TASK_DEAD to there it keeps its CPU, maybe the only one. */
static __always_inline _Bool is_through(struct task_struct *task)
{
	if (!(BPF_CORE_READ(task, __state) & TASK_DEAD))
		return 0;
	/* An int, since Linux 7.3 a byte beside others; absent where there is one CPU. */
	return !bpf_core_field_exists(task->on_cpu) || !BPF_CORE_READ_BITFIELD_PROBED(task, on_cpu);
}

/*
 * Makes @to ready for the mark of who was @old_pid, which is found where it is until it is there. False: @to is
 * another's; or the first thread, preempted in its end, say, is still to be charged by it; or on_free has just
 * changed it.
 */
static __always_inline _Bool take_place(struct mark *to, __u32 old_pid)
{
	__u64 first = to->task, cgroup_id = 0;
	struct cgroup_cpu rest = {};

	if (first == MARK_TAKEN || (first != MARK_FREE && heir_pid(to) != old_pid))
		return 0;
	if (first > MARK_LEFT) {
		if (!is_through((void *)first) || to->moves != to->moves_done)
			return 0;
		cgroup_id = to->cgroup_id;
		rest = rest_of((void *)first, to);
	}
	to->heir_pid = old_pid;
	if (__sync_val_compare_and_swap(&to->task, first, MARK_LEFT) != first)
		return 0;
	charge_rest(cgroup_id, &rest);
	return 1;
}

/* From the place of @old_pid, which leads there. False: not yet, or never. */
static __always_inline _Bool bring_home(struct task_struct *task, struct mark *to,
					struct mark *from, __u32 old_pid)
{
	__u64 ran_ns, waited_ns;

	if (!take_place(to, old_pid) && !take_place(to, old_pid))
		return 0;
	ran_ns = to->ran_ns = from->ran_ns;
	waited_ns = to->waited_ns = from->waited_ns;
	to->cgroup_id = from->cgroup_id;
	to->css_set = 0; /* to be read again */
	to->moves = from->moves;
	to->moves_done = from->moves_done;
	to->late = 0;
	__sync_lock_test_and_set(&to->task, (__u64)task);
	/* A switch or a flush may have come between. */
	if (from->ran_ns != ran_ns)
		to->ran_ns += from->ran_ns - ran_ns;
	if (from->waited_ns != waited_ns)
		to->waited_ns += from->waited_ns - waited_ns;
	if ((__s32)(from->moves_done - to->moves_done) > 0)
		to->moves_done = from->moves_done;
	if (to->moves != from->moves)
		count_lost(LOST_MOVE, 1);
	if ((__s32)(to->moves_done - to->moves) > 0)
		to->moves_done = to->moves;
	from->task = MARK_FREE;
	return 1;
}

/*
 * A thread other than the first has done an exec: it has the PID of the first, which has its own, and
 * has ended. The mark of the thread goes to the place of the other's: now, or once that is charged no
 * more, at a switch of the thread. Where another's is there, it goes to task storage.
 */
static __always_inline void bring_mark(struct task_struct *task, __u32 old_pid)
{
	struct mark *to = mark_place((__u32)task->pid), *from = mark_place(old_pid);

	if (!is_mark_of(from, task))
		return;
	/* It may have got one in storage meanwhile: by that it has been charged since. */
	if (to && !bpf_task_storage_get(&more_marks, task, 0, 0)) {
		if (bring_home(task, to, from, old_pid))
			return;
		if (heir_pid(to) == old_pid) {
			from->late = 1; /* @from may be gone at once */
			return;
		}
	}
	move_to_storage(task, from);
	if (leads_to(to, from))
		__sync_val_compare_and_swap(&to->task, MARK_LEFT, MARK_FREE);
}

/* At a switch of the task, in which @from has just been found: allocates nothing. */
static __noinline int bring_late(struct task_struct *task, struct mark *from)
{
	struct mark *to = mark_place((__u32)task->tgid);
	__u32 old_pid = to ? heir_pid(to) : 0;

	if (to && to != from && mark_place(old_pid) == from)
		bring_home(task, to, from, old_pid);
	return 0;
}

#endif

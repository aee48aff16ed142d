/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where charges go: the per-CPU hash "cgroup_cpu", behind a small direct-mapped cache for each CPU,
 * because most switches are among a few processes. The place there is told by the process, not by the
 * cgroup: a CPU can then look it up while it waits for the task's mark, which tells the cgroup.
 *
 * A CPU's cache is touched on that CPU alone: by a switch (interrupts are off) and by flush_cpu (in an
 * interrupt, or with preemption off, so that no switch can come between). That of an offline CPU is
 * emptied by drain_cpu from another. A cached entry is an amount still to be added, never a pointer:
 * nothing of an entry that was deleted from the hash can come back.
 */
#ifndef CMGR_LEDGER_BPF_H
#define CMGR_LEDGER_BPF_H

#define MAX_CGROUPS 16384
#define CACHE_SLOTS 2048

struct slot {
	__u64 cgroup_id; /* 0: empty */
	struct cgroup_cpu amount;
};

struct cache {
	struct slot slots[CACHE_SLOTS];
};

/* By CPU number; user space sets the length. Not a per-CPU array: this look-up is never a call. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE); /* aligned to cache lines */
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct cache);
} caches SEC(".maps");

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

/* Atomic: an interrupt may count, too. */
static __always_inline void count_lost(__u32 cause, __u64 amount)
{
	__u64 *count = bpf_map_lookup_elem(&lost, &cause);

	if (count)
		__sync_fetch_and_add(count, amount);
}

/* Adds to the hash, or to what is lost. Atomic: flush_cpu may interrupt on_free. */
static __noinline int store(__u64 cgroup_id, struct cgroup_cpu *amount)
{
	static const struct cgroup_cpu zero;
	struct cgroup_cpu *cpu = bpf_map_lookup_elem(&cgroup_cpu, &cgroup_id);

	if (!cpu) {
		bpf_map_update_elem(&cgroup_cpu, &cgroup_id, &zero, BPF_NOEXIST);
		cpu = bpf_map_lookup_elem(&cgroup_cpu, &cgroup_id);
	}
	if (!cpu) {
		count_lost(LOST_CGROUP, amount->switches ? amount->switches : 1);
		count_lost(LOST_CGROUP_NS, amount->ran_ns);
		return 0;
	}
	__sync_fetch_and_add(&cpu->ran_ns, amount->ran_ns);
	__sync_fetch_and_add(&cpu->waited_ns, amount->waited_ns);
	__sync_fetch_and_add(&cpu->switches, amount->switches);
	return 0;
}

static __noinline int empty_slot(struct slot *slot)
{
	struct cgroup_cpu amount = slot->amount;

	if (!slot->cgroup_id)
		return 0;
	store(slot->cgroup_id, &amount);
	slot->cgroup_id = 0;
	slot->amount.ran_ns = 0;
	slot->amount.waited_ns = 0;
	slot->amount.switches = 0;
	return 0;
}

/* On the CPU whose cache it is, for a task of the process @tgid. */
static __always_inline void add(__u32 tgid, __u64 cgroup_id, __u64 ran_ns, __u64 waited_ns,
				__u64 switches)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct cache *cache = bpf_map_lookup_elem(&caches, &cpu);
	struct slot *slot;

	if (!cache) {
		count_lost(LOST_CGROUP, switches ? switches : 1);
		count_lost(LOST_CGROUP_NS, ran_ns);
		return;
	}
	slot = &cache->slots[tgid % CACHE_SLOTS];
	if (slot->cgroup_id != cgroup_id) {
		empty_slot(slot);
		slot->cgroup_id = cgroup_id;
	}
	slot->amount.ran_ns += ran_ns;
	slot->amount.waited_ns += waited_ns;
	slot->amount.switches += switches;
}

static long empty_nth_slot(__u32 n, struct cache **cache)
{
	struct slot *slot;

	if (n >= CACHE_SLOTS) /* for the verifier */
		return 1;
	slot = &(*cache)->slots[n];
	if (slot->cgroup_id)
		empty_slot(slot);
	return 0;
}

static __always_inline void empty_cache(__u32 cpu)
{
	struct cache *cache = bpf_map_lookup_elem(&caches, &cpu);

	if (cache)
		bpf_loop(CACHE_SLOTS, empty_nth_slot, &cache, 0);
}

#endif

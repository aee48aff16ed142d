// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/sysinfo: the memory of the host and of every cgroup, and every user process, in one read.
 * The format is told in sysinfo.h.
 *
 * The walk keeps no table of the host. A cgroup is passed from one buffer to the next by a
 * reference on its css, a process by its PID, so that a reader may use any buffer size.
 */
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/ctype.h>
#include <linux/highmem.h>
#include <linux/memcontrol.h>
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/module.h>
#include <linux/pid.h>
#include <linux/pid_namespace.h>
#include <linux/proc_fs.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>
#include <linux/seq_file.h>
#include <linux/string_helpers.h>

#include "compat.h"
#include "sysinfo.h"

#ifdef CONFIG_S390
#error "s390 has a /proc/sysinfo of its own: this module cannot be used there"
#endif
#if !defined(CONFIG_MEMCG) || !defined(CONFIG_CGROUPS) || !defined(CONFIG_PROC_FS)
#error "sysinfo needs a kernel with CONFIG_MEMCG, CONFIG_CGROUPS and CONFIG_PROC_FS"
#endif

#define PAGE_KIB   (PAGE_SIZE / 1024)
#define WALK_BYTES 4096 /* of a struct walk: one page's worth, so that open() seldom fails */
/* Of all command lines: processes that share their arguments repeat them for nothing. */
#define CMDLINE_BYTES (1 << 20)
/* The tests build with less of both. */
#ifndef STEPS
#define PATH_LEVELS 256 /* of a path; cgroup_path() takes the square of its depth */
#define STEPS	    512 /* in one go, under RCU */
#endif

/* seq_file positions: the head, then each cgroup, then PROCESS_POS + tgid, then the end. */
#define HEAD_POS    0LL
#define PROCESS_POS (1LL << 40)
#define END_POS	    (1LL << 41)

struct walk {
	struct cgroup_subsys_state *css;  /* referenced; kept from one buffer to the next */
	struct task_struct *task;	  /* referenced; dropped at the end of each buffer */
	unsigned long cgroups, processes; /* records that are in the reader's hands */
	bool shown;			  /* the record at the current position has been printed */
	bool in_container;		  /* what is known of the cgroup of the last process */
	u64 cgroup_id;
	u32 cmdline_left, cmdline_len; /* that may still be told; of the record just shown */
	char text[WALK_BYTES - 64];    /* a path or a command line */
};
static_assert(sizeof(struct walk) <= WALK_BYTES);

struct memory_usage {
	unsigned long charged; /* pages */
	long anon, file;       /* pages; a sum may be below zero for a moment */
};

static struct cgroup *const root = &cgrp_dfl_root.cgrp;

static bool is_plain(const char *text)
{
	while (isascii(*text) && isgraph(*text) && *text != '\\')
		text++;
	return !*text;
}

static void put_text(struct seq_file *m, const char *text)
{
	seq_putc(m, ' ');
	if (!text || !*text)
		seq_putc(m, '-');
	else if (!strcmp(text, "-"))
		seq_puts(m, "\\055");
	else if (is_plain(text))
		seq_puts(m, text);
	else
		seq_escape_str(m, text,
			       ESCAPE_SPACE | ESCAPE_SPECIAL | ESCAPE_OCTAL | ESCAPE_NAP |
				       ESCAPE_APPEND,
			       " \\");
}

static void show_head(struct seq_file *m)
{
	struct sysinfo si;

	si_meminfo(&si);
	seq_printf(m, SYSINFO_NAME " %d %llu\n", SYSINFO_VERSION, ktime_get_boottime_ns());
	seq_printf(m, "memory %lu %lu %lu\n", si.totalram * PAGE_KIB, si.freeram * PAGE_KIB,
		   max(si_mem_available(), 0L) * PAGE_KIB);
}

/*
 * As much of the path of @cgrp in its hierarchy as fits, in walk->text. What cgroup_path() returns
 * when it does not fit differs between kernels; that it leaves the beginning does not. The caller
 * holds a reference on @cgrp or RCU.
 */
static const char *path_of(struct cgroup *cgrp, struct walk *walk)
{
	if (cgrp->level > PATH_LEVELS)
		cgrp = cgroup_ancestor(cgrp, PATH_LEVELS);
	walk->text[0] = '\0';
	cgroup_path(cgrp, walk->text, sizeof(walk->text));
	return walk->text;
}

/* Pages of one zone on the LRU lists. With MGLRU the sizes are kept per generation instead. */
static void add_zone(struct lruvec *lruvec, int zone, struct memory_usage *usage)
{
#ifdef CONFIG_LRU_GEN
	int gen;

	for (gen = 0; gen < MAX_NR_GENS; gen++) {
		usage->anon += READ_ONCE(lruvec->lrugen.nr_pages[gen][LRU_GEN_ANON][zone]);
		usage->file += READ_ONCE(lruvec->lrugen.nr_pages[gen][LRU_GEN_FILE][zone]);
	}
#endif
	/* Locked pages of both kinds share one list; reclaim can drop none of them. */
	usage->anon += mem_cgroup_get_zone_lru_size(lruvec, LRU_INACTIVE_ANON, zone) +
		       mem_cgroup_get_zone_lru_size(lruvec, LRU_ACTIVE_ANON, zone) +
		       mem_cgroup_get_zone_lru_size(lruvec, LRU_UNEVICTABLE, zone);
	usage->file += mem_cgroup_get_zone_lru_size(lruvec, LRU_INACTIVE_FILE, zone) +
		       mem_cgroup_get_zone_lru_size(lruvec, LRU_ACTIVE_FILE, zone);
}

/* The pages of @memcg alone; nodeinfo has every node that may ever come online. */
static void add_memcg(struct mem_cgroup *memcg, struct memory_usage *usage)
{
	int nid, zone;

	for_each_online_node(nid)
		for (zone = 0; zone < MAX_NR_ZONES; zone++)
			add_zone(&memcg->nodeinfo[nid]->lruvec, zone, usage);
}

/*
 * The css after @css in a pre-order walk below @top, where the caller says whether to go down.
 * cgroup.c does not export what skips a subtree. The caller has RCU, and has found @css in this RCU
 * section or holds a reference on it, so that it is still in its parent's list.
 */
static struct cgroup_subsys_state *next_css(struct cgroup_subsys_state *css,
					    struct cgroup_subsys_state *top, bool down)
{
	struct cgroup_subsys_state *next = NULL;

	if (down)
		next = list_first_or_null_rcu(&css->children, struct cgroup_subsys_state, sibling);
	for (; !next && css != top; css = css->parent)
		next = list_next_or_null_rcu(&css->parent->children, &css->sibling,
					     struct cgroup_subsys_state, sibling);
	return next;
}

/* Whether the memory of @css is told by a record of its own. */
static bool has_record(struct cgroup_subsys_state *css)
{
	struct cgroup *cgrp = css->cgroup;

	return rcu_access_pointer(cgrp->subsys[memory_cgrp_id]) == css &&
	       !percpu_ref_is_dying(&cgrp->self.refcnt);
}

/*
 * Adds what cgroups below @top hold on to though they were removed or lost their memory controller:
 * shared memory and page cache stay charged to them. Below such a one there are only others such,
 * and what is removed below a live child is that one's: over a whole reading, each css is visited
 * twice at most. The caller holds a reference on @top. They may be many: 0, or -EINTR.
 */
static int add_removed(struct cgroup_subsys_state *top, struct memory_usage *usage)
{
	struct cgroup_subsys_state *css = top, *held = NULL;
	bool down = true;
	int steps = 0, err = 0;

	rcu_read_lock();
	while ((css = next_css(css, top, down))) {
		struct mem_cgroup *memcg = mem_cgroup_from_css(css);

		/* A counter covers all that is below. */
		down = !has_record(css) && page_counter_read(&memcg->memory);
		if (down)
			add_memcg(memcg, usage);
		if (++steps < STEPS || !css_tryget(css))
			continue;
		rcu_read_unlock();
		if (held)
			css_put(held);
		held = css;
		steps = 0;
		cond_resched();
		err = fatal_signal_pending(current) ? -EINTR : 0;
		rcu_read_lock();
		if (err)
			break;
	}
	rcu_read_unlock();
	if (held)
		css_put(held);
	return err;
}

/* A cgroup without a memory controller of its own is charged to the next one above that has it. */
static int sample_cgroup(struct cgroup *cgrp, struct memory_usage *usage)
{
	struct cgroup_subsys_state *css;
	int err;

	rcu_read_lock();
	css = rcu_dereference(cgrp->subsys[memory_cgrp_id]);
	if (css && !css_tryget(css))
		css = NULL;
	rcu_read_unlock();
	if (!css)
		return 0;
	usage->charged = page_counter_read(&mem_cgroup_from_css(css)->memory);
	add_memcg(mem_cgroup_from_css(css), usage);
	err = add_removed(css, usage);
	css_put(css);
	return err;
}

static int show_cgroup(struct seq_file *m, struct cgroup *cgrp)
{
	struct memory_usage usage = {};
	int err = sample_cgroup(cgrp, &usage);

	if (err)
		return err;
	seq_printf(m, "cgroup %llu %lu %lu %lu", cgroup_id(cgrp), usage.charged * PAGE_KIB,
		   max(usage.anon, 0L) * PAGE_KIB, max(usage.file, 0L) * PAGE_KIB);
	put_text(m, path_of(cgrp, m->private));
	seq_putc(m, '\n');
	return 0;
}

static u64 sum_cpu_ns(struct task_struct *task)
{
	struct task_struct *thread;
	u64 cpu_ns = task->signal->sum_sched_runtime;

	for_each_thread(task, thread)
		cpu_ns += READ_ONCE(thread->se.sum_exec_runtime);
	return cpu_ns;
}

/*
 * CPU time of all threads that @task's process ever had. An exiting thread moves its time into the
 * sum under stats_lock, which is taken if that happened meanwhile: threads could exit faster than
 * all of them can be walked.
 */
static u64 process_cpu_ns(struct task_struct *task)
{
	seqlock_t *lock = &task->signal->stats_lock;
	unsigned long flags;
	unsigned int seq;
	u64 cpu_ns;

	rcu_read_lock();
	seq = read_seqbegin(lock);
	cpu_ns = sum_cpu_ns(task);
	if (read_seqretry(lock, seq)) {
		read_seqlock_excl_irqsave(lock, flags);
		cpu_ns = sum_cpu_ns(task);
		read_sequnlock_excl_irqrestore(lock, flags);
	}
	rcu_read_unlock();
	return cpu_ns;
}

/*
 * A leader may be a zombie while its threads live: the first thread with an mm speaks for all. The
 * mm is pinned, not kept in use: whoever is the last to use one must take it down, and a process
 * can make that last for ever.
 */
static struct mm_struct *grab_mm(struct task_struct *task)
{
	struct task_struct *thread;
	struct mm_struct *mm = NULL;

	rcu_read_lock();
	for_each_thread(task, thread) {
		if (!READ_ONCE(thread->mm))
			continue;
		task_lock(thread);
		mm = thread->mm;
		if (mm)
			mmgrab(mm);
		task_unlock(thread);
		if (mm)
			break;
	}
	rcu_read_unlock();
	return mm;
}

static bool has_container_id(const char *path)
{
	unsigned int digits = 0;

	for (; *path; path++) {
		digits = isxdigit(*path) ? digits + 1 : 0;
		if (digits == SYSINFO_ID_DIGITS)
			return true;
	}
	return false;
}

/* Neighbours in the table of processes are often of one cgroup: its path is looked at once. */
static u64 sample_membership(struct task_struct *task, struct walk *walk)
{
	struct cgroup *cgrp;

	rcu_read_lock();
	cgrp = task_dfl_cgroup(task);
	if (walk->cgroup_id != cgroup_id(cgrp)) {
		walk->cgroup_id = cgroup_id(cgrp);
		walk->in_container = has_container_id(path_of(cgrp, walk));
	}
	rcu_read_unlock();
	return walk->cgroup_id;
}

/*
 * Copies memory of another process, or returns false where any of it could not be had at once: its
 * owner may hold the mmap lock for ever, or be the one to bring in the page (userfaultfd, FUSE:
 * CVE-2018-1120).
 *
 * The mm is not kept in use, see grab_mm(): exit_mmap() takes the lock before it frees page tables.
 */
static bool copy_resident(struct mm_struct *mm, unsigned long from, char *to, size_t size)
{
	if (!mmap_read_trylock(mm))
		return false;
	while (size && atomic_read(&mm->mm_users)) {
		size_t chunk = min_t(size_t, size, PAGE_SIZE - offset_in_page(from));
		struct page *page = NULL;

		/* Without one above a hole, or the kernel complains that it no longer grows the stack. */
		if (vma_lookup(mm, from))
			page = get_resident_anon_page(mm, from);
		if (!page)
			break;
		memcpy_from_page(to, page, offset_in_page(from), chunk);
		put_page(page);
		from += chunk;
		to += chunk;
		size -= chunk;
	}
	mmap_read_unlock(mm);
	return !size;
}

static const char *cmdline_of(struct mm_struct *mm, struct walk *walk)
{
	char *text = walk->text;
	unsigned long start, end;
	size_t len = 0, i;

	spin_lock(&mm->arg_lock);
	start = mm->arg_start;
	end = mm->arg_end;
	spin_unlock(&mm->arg_lock);
	if (start < end)
		len = min_t(unsigned long, end - start, sizeof(walk->text) - 1);
	if (len > walk->cmdline_left || !copy_resident(mm, start, text, len))
		len = 0;
	walk->cmdline_len = len;

	while (len && !text[len - 1])
		len--;
	for (i = 0; i < len; i++)
		if (!text[i])
			text[i] = ' ';
	text[len] = '\0';
	return text;
}

static void show_process(struct seq_file *m, struct task_struct *task)
{
	struct walk *walk = m->private;
	u64 cgroup_id = sample_membership(task, walk);
	struct mm_struct *mm = grab_mm(task);
	char comm[TASK_COMM_LEN];

	walk->cmdline_len = 0;
	get_task_comm(comm, task);
	seq_printf(m, "process %d %llu %llu %llu %lu %lu", task_tgid_nr(task), cgroup_id,
		   task->start_boottime, process_cpu_ns(task),
		   mm ? READ_ONCE(mm->total_vm) * PAGE_KIB : 0,
		   mm ? exact_rss_pages(task, mm) * PAGE_KIB : 0);
	put_text(m, comm);
	put_text(m, mm && walk->in_container ? cmdline_of(mm, walk) : NULL);
	seq_putc(m, '\n');
	if (mm)
		mmdrop(mm);
}

static void drop_cgroup(struct walk *walk)
{
	if (walk->css)
		css_put(walk->css);
	walk->css = NULL;
}

static void drop_process(struct walk *walk)
{
	if (walk->task)
		put_task_struct(walk->task);
	walk->task = NULL;
}

/*
 * Passes the reference on from walk->css to the next live cgroup, or to none at the end. Removed
 * cgroups may be many: where RCU is left among them, one of them is held instead.
 */
static int next_cgroup(struct walk *walk)
{
	struct cgroup_subsys_state *css;
	bool live = false;
	int steps;

	do {
		steps = 0;
		css = walk->css;
		rcu_read_lock();
		do {
			css = css_next_descendant_pre(css, &root->self);
			live = css && css_tryget_online(css);
		} while (css && !live && (++steps < STEPS || !css_tryget(css)));
		rcu_read_unlock();
		drop_cgroup(walk);
		walk->css = css;
		cond_resched();
	} while (css && !live && !fatal_signal_pending(current));
	if (css && !live) {
		drop_cgroup(walk);
		return -EINTR;
	}
	return 0;
}

/* Goes on to the first user process whose PID is @nr or above, or to the end. */
static void *process_from(struct walk *walk, int nr, loff_t *pos)
{
	struct task_struct *task = NULL;
	struct pid *pid;
	int steps;

	do {
		steps = 0;
		rcu_read_lock();
		while (steps++ < STEPS && !task && (pid = find_ge_pid(nr, &init_pid_ns))) {
			nr = pid_nr(pid);
			task = pid_task(pid, PIDTYPE_TGID);
			if (task && task->flags & PF_KTHREAD)
				task = NULL;
			if (task)
				get_task_struct(task);
			else
				nr++;
		}
		rcu_read_unlock();
		cond_resched();
	} while (pid && !task && !fatal_signal_pending(current));
	drop_process(walk);
	walk->task = task;
	*pos = pid ? PROCESS_POS + nr : END_POS;
	return pid && !task ? ERR_PTR(-EINTR) : walk;
}

/* The memory controller may move to cgroup v1 at any time; a reading of zeros would deceive. */
static bool has_memory_controller(void)
{
	return !mem_cgroup_disabled() && rcu_access_pointer(root->subsys[memory_cgrp_id]);
}

/* seq_file calls this with position 0, or with the position at which it stopped. */
static void *sysinfo_start(struct seq_file *m, loff_t *pos)
{
	struct walk *walk = m->private;

	walk->shown = false;
	if (*pos == HEAD_POS) {
		drop_cgroup(walk);
		walk->cgroups = walk->processes = 0;
		walk->cmdline_left = CMDLINE_BYTES;
		return has_memory_controller() ? walk : ERR_PTR(-ENODEV);
	}
	if (*pos < PROCESS_POS)
		return walk->css ? walk : ERR_PTR(-EIO);
	if (*pos < END_POS)
		return process_from(walk, *pos - PROCESS_POS, pos);
	return *pos == END_POS ? walk : NULL;
}

static void *sysinfo_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct walk *walk = v;
	int err;

	if (*pos == END_POS) {
		++*pos;
		return NULL;
	}
	/* seq_file drops a record that did not fit and shows it again: only a kept one counts. */
	if (walk->shown && *pos >= PROCESS_POS) {
		walk->processes++;
		walk->cmdline_left -= walk->cmdline_len;
	} else if (walk->shown && *pos > HEAD_POS) {
		walk->cgroups++;
	}
	walk->shown = false;

	if (*pos >= PROCESS_POS)
		return process_from(walk, *pos - PROCESS_POS + 1, pos);
	err = next_cgroup(walk);
	if (!err && !walk->css)
		return process_from(walk, 1, pos);
	++*pos;
	return err ? ERR_PTR(err) : walk;
}

static int sysinfo_show(struct seq_file *m, void *v)
{
	struct walk *walk = v;
	loff_t pos = m->index;
	int err = 0;

	if (pos == HEAD_POS)
		show_head(m);
	else if (pos < PROCESS_POS)
		err = show_cgroup(m, walk->css->cgroup);
	else if (pos < END_POS)
		show_process(m, walk->task);
	else
		seq_printf(m, "end %lu %lu\n", walk->cgroups, walk->processes);
	walk->shown = !err;
	return err;
}

static void sysinfo_stop(struct seq_file *m, void *v)
{
	drop_process(m->private);
}

static const struct seq_operations sysinfo_seq_ops = {
	.start = sysinfo_start,
	.next = sysinfo_next,
	.show = sysinfo_show,
	.stop = sysinfo_stop,
};

/*
 * The file tells the PIDs and command lines of the whole host, as ptrace could. A container may not
 * ask, even with that capability, unless it was given the host's PIDs.
 */
static int sysinfo_open(struct inode *inode, struct file *file)
{
	if (!capable(CAP_SYS_PTRACE) || task_active_pid_ns(current) != &init_pid_ns)
		return -EPERM;
	return seq_open_private(file, &sysinfo_seq_ops, sizeof(struct walk));
}

static int sysinfo_release(struct inode *inode, struct file *file)
{
	struct seq_file *m = file->private_data;

	drop_cgroup(m->private);
	return seq_release_private(inode, file);
}

static const struct proc_ops sysinfo_proc_ops = {
	.proc_open = sysinfo_open,
	.proc_read_iter = seq_read_iter,
	.proc_lseek = seq_lseek,
	.proc_release = sysinfo_release,
};

static int __init sysinfo_init(void)
{
	if (!has_memory_controller()) {
		pr_err("sysinfo: no memory controller on cgroup v2; boot with systemd.unified_cgroup_hierarchy=1 and without cgroup_disable=memory\n");
		return -ENODEV;
	}
	if (!proc_create(SYSINFO_NAME, 0400, NULL, &sysinfo_proc_ops))
		return -ENOMEM;
	return 0;
}

static void __exit sysinfo_exit(void)
{
	/* Waits for operations that run now; a file left open gives EIO from here on. */
	remove_proc_entry(SYSINFO_NAME, NULL);
}

module_init(sysinfo_init);
module_exit(sysinfo_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Memory of the host, its cgroups and processes in one read of /proc/sysinfo");
MODULE_VERSION(SYSINFO_RELEASE);

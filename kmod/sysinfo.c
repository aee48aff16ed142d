// SPDX-License-Identifier: GPL-2.0
/*
 * /proc/sysinfo: the memory of the host and of every cgroup, and every user process, in one read.
 * The format is told in sysinfo.h.
 *
 * The walk keeps no table of the host. A cgroup is passed from one buffer to the next by a reference
 * on its css, a process by its PID, so that a reader may use any buffer size.
 */
#include <linux/capability.h>
#include <linux/cgroup.h>
#include <linux/ctype.h>
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

#define CMDLINE_BYTES 4096
#define PAGE_KIB      (PAGE_SIZE / 1024)

/* seq_file positions: the head, then each cgroup, then PROCESS_POS + tgid, then the end. */
#define HEAD_POS    0LL
#define PROCESS_POS (1LL << 40)
#define END_POS	    (1LL << 41)

struct walk {
	struct cgroup_subsys_state *css;  /* referenced; kept from one buffer to the next */
	struct task_struct *task;	  /* referenced; dropped at the end of each buffer */
	unsigned long cgroups, processes; /* records that are in the reader's hands */
	bool shown;			  /* the record at the current position has been printed */
	char path[PATH_MAX];
	char cmdline[CMDLINE_BYTES];
};

struct memory_usage {
	unsigned long charged, anon, file; /* pages */
};

static struct cgroup_subsys_state *root_css;

static void put_text(struct seq_file *m, const char *text)
{
	seq_putc(m, ' ');
	if (!text || !*text)
		seq_putc(m, '-');
	else if (!strcmp(text, "-"))
		seq_puts(m, "\\055");
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

/* The path of @cgrp in its hierarchy, or NULL. The caller holds a reference on @cgrp or RCU. */
static const char *path_of(struct cgroup *cgrp, struct walk *walk)
{
	int len = cgroup_path(cgrp, walk->path, sizeof(walk->path));

	return len >= 0 && len < sizeof(walk->path) ? walk->path : NULL;
}

/* Pages on one LRU list of @memcg. With MGLRU the sizes are kept per generation instead. */
static unsigned long lru_pages(struct mem_cgroup *memcg, enum lru_list lru)
{
	unsigned long pages = 0;
	int nid, zone;

	for_each_online_node(nid) {
		struct lruvec *lruvec = &memcg->nodeinfo[nid]->lruvec;

		for (zone = 0; zone < MAX_NR_ZONES; zone++)
			pages += mem_cgroup_get_zone_lru_size(lruvec, lru, zone);
	}
	return pages;
}

static unsigned long lru_gen_pages(struct mem_cgroup *memcg, int type)
{
	unsigned long pages = 0;
#ifdef CONFIG_LRU_GEN
	int nid, gen, zone;

	for_each_online_node(nid) {
		struct lruvec *lruvec = &memcg->nodeinfo[nid]->lruvec;

		/* A size may be below zero for a moment, while pages change generation. */
		for (gen = 0; gen < MAX_NR_GENS; gen++)
			for (zone = 0; zone < MAX_NR_ZONES; zone++)
				pages += max(READ_ONCE(lruvec->lrugen.nr_pages[gen][type][zone]),
					     0L);
	}
#endif
	return pages;
}

/* A cgroup without a memory controller of its own is charged to the next one above that has it. */
static void sample_cgroup(struct cgroup *cgrp, struct memory_usage *usage)
{
	struct cgroup_subsys_state *css;
	struct mem_cgroup *memcg;

	rcu_read_lock();
	css = rcu_dereference(cgrp->subsys[memory_cgrp_id]);
	if (css) {
		memcg = mem_cgroup_from_css(css);
		usage->charged = page_counter_read(&memcg->memory);
		/* Locked pages of both kinds share one list; reclaim can drop none of them. */
		usage->anon =
			lru_pages(memcg, LRU_INACTIVE_ANON) + lru_pages(memcg, LRU_ACTIVE_ANON) +
			lru_pages(memcg, LRU_UNEVICTABLE) + lru_gen_pages(memcg, LRU_GEN_ANON);
		usage->file = lru_pages(memcg, LRU_INACTIVE_FILE) +
			      lru_pages(memcg, LRU_ACTIVE_FILE) +
			      lru_gen_pages(memcg, LRU_GEN_FILE);
	}
	rcu_read_unlock();
}

static void show_cgroup(struct seq_file *m, struct cgroup *cgrp)
{
	struct memory_usage usage = {};

	sample_cgroup(cgrp, &usage);
	seq_printf(m, "cgroup %llu %lu %lu %lu", cgroup_id(cgrp), usage.charged * PAGE_KIB,
		   usage.anon * PAGE_KIB, usage.file * PAGE_KIB);
	put_text(m, path_of(cgrp, m->private));
	seq_putc(m, '\n');
}

/* CPU time of all threads that @task's process ever had. */
static u64 process_cpu_ns(struct task_struct *task)
{
	struct signal_struct *sig = task->signal;
	struct task_struct *thread;
	int seq, next_seq = 0;
	unsigned long flags;
	u64 cpu_ns;

	rcu_read_lock();
	do {
		/*
		 * An exiting thread moves its time into the sum under this lock. The second round
		 * takes it: threads could exit faster than all of them can be walked.
		 */
		seq = next_seq;
		flags = read_seqbegin_or_lock_irqsave(&sig->stats_lock, &seq);
		cpu_ns = sig->sum_sched_runtime;
		for_each_thread(task, thread)
			cpu_ns += READ_ONCE(thread->se.sum_exec_runtime);
		next_seq = 1;
	} while (need_seqretry(&sig->stats_lock, seq));
	done_seqretry_irqrestore(&sig->stats_lock, seq, flags);
	rcu_read_unlock();
	return cpu_ns;
}

/* A leader may be a zombie while its threads live: the first thread with an mm speaks for all. */
static void sample_process(struct task_struct *task, unsigned long *vsz_kib, unsigned long *rss_kib)
{
	struct task_struct *thread;
	struct mm_struct *mm;

	rcu_read_lock();
	for_each_thread(task, thread) {
		task_lock(thread);
		mm = thread->mm;
		if (mm) {
			*vsz_kib = READ_ONCE(mm->total_vm) * PAGE_KIB;
			*rss_kib = (exact_mm_counter(task, mm, MM_FILEPAGES) +
				    exact_mm_counter(task, mm, MM_ANONPAGES) +
				    exact_mm_counter(task, mm, MM_SHMEMPAGES)) *
				   PAGE_KIB;
		}
		task_unlock(thread);
		if (mm)
			break;
	}
	rcu_read_unlock();
}

static bool has_container_id(const char *path)
{
	unsigned int digits = 0;

	for (; path && *path; path++) {
		digits = isxdigit(*path) ? digits + 1 : 0;
		if (digits == SYSINFO_ID_DIGITS)
			return true;
	}
	return false;
}

/* FOLL_ANON: arguments on a file mapping could make us wait for a FUSE server (CVE-2018-1120). */
static const char *cmdline_of(struct task_struct *task, struct walk *walk)
{
	struct mm_struct *mm = get_task_mm(task);
	unsigned long start, end;
	int len, i;

	if (!mm)
		return NULL;
	spin_lock(&mm->arg_lock);
	start = mm->arg_start;
	end = mm->arg_end;
	spin_unlock(&mm->arg_lock);
	mmput(mm);
	if (start >= end)
		return NULL;

	len = access_process_vm(task, start, walk->cmdline,
				min(end - start, (unsigned long)CMDLINE_BYTES - 1), FOLL_ANON);
	while (len > 0 && !walk->cmdline[len - 1])
		len--;
	if (len <= 0)
		return NULL;
	for (i = 0; i < len; i++)
		if (!walk->cmdline[i])
			walk->cmdline[i] = ' ';
	walk->cmdline[len] = '\0';
	return walk->cmdline;
}

static int show_process(struct seq_file *m, struct task_struct *task)
{
	struct walk *walk = m->private;
	unsigned long vsz_kib = 0, rss_kib = 0;
	char comm[TASK_COMM_LEN];
	struct cgroup *cgrp;
	bool in_container;
	u64 id;

	if (task->flags & PF_KTHREAD)
		return SEQ_SKIP;
	rcu_read_lock();
	cgrp = task_dfl_cgroup(task);
	id = cgroup_id(cgrp);
	in_container = has_container_id(path_of(cgrp, walk));
	rcu_read_unlock();

	sample_process(task, &vsz_kib, &rss_kib);
	get_task_comm(comm, task);
	seq_printf(m, "process %d %llu %llu %llu %lu %lu", task_tgid_nr(task), id,
		   task->start_boottime, process_cpu_ns(task), vsz_kib, rss_kib);
	put_text(m, comm);
	put_text(m, in_container ? cmdline_of(task, walk) : NULL);
	seq_putc(m, '\n');
	return 0;
}

/* Passes the reference on from walk->css to the next live cgroup. */
static bool next_cgroup(struct walk *walk)
{
	struct cgroup_subsys_state *css = walk->css;

	rcu_read_lock();
	do {
		css = css_next_descendant_pre(css, &root_css->cgroup->self);
	} while (css && !css_tryget_online(css));
	rcu_read_unlock();
	if (walk->css)
		css_put(walk->css);
	walk->css = css;
	return css;
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

/* Takes the first process whose PID is @nr or above. */
static bool find_process(struct walk *walk, int nr)
{
	struct pid *pid;

	drop_process(walk);
	rcu_read_lock();
	while (!walk->task && (pid = find_ge_pid(nr, &init_pid_ns))) {
		walk->task = pid_task(pid, PIDTYPE_TGID);
		if (walk->task)
			get_task_struct(walk->task);
		nr = pid_nr(pid) + 1;
	}
	rcu_read_unlock();
	return walk->task;
}

static void *process_from(struct walk *walk, int nr, loff_t *pos)
{
	*pos = find_process(walk, nr) ? PROCESS_POS + task_tgid_nr(walk->task) : END_POS;
	return walk;
}

/* seq_file calls this with position 0, or with the position at which it stopped. */
static void *sysinfo_start(struct seq_file *m, loff_t *pos)
{
	struct walk *walk = m->private;

	walk->shown = false;
	if (*pos == HEAD_POS) {
		drop_cgroup(walk);
		walk->cgroups = walk->processes = 0;
		return walk;
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

	if (*pos == END_POS) {
		++*pos;
		return NULL;
	}
	/* seq_file drops a record that did not fit and shows it again: only a kept one counts. */
	if (walk->shown && *pos >= PROCESS_POS)
		walk->processes++;
	else if (walk->shown && *pos > HEAD_POS)
		walk->cgroups++;
	walk->shown = false;

	if (*pos >= PROCESS_POS)
		return process_from(walk, *pos - PROCESS_POS + 1, pos);
	if (!next_cgroup(walk))
		return process_from(walk, 1, pos);
	++*pos;
	return walk;
}

static int sysinfo_show(struct seq_file *m, void *v)
{
	struct walk *walk = v;
	loff_t pos = m->index;
	int err = 0;

	if (pos == HEAD_POS)
		show_head(m);
	else if (pos < PROCESS_POS)
		show_cgroup(m, walk->css->cgroup);
	else if (pos < END_POS)
		err = show_process(m, walk->task);
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

/* insmod may run in a cgroup namespace, whose "/" is not the root of the hierarchy. */
static struct cgroup_subsys_state *get_root_css(void)
{
	struct cgroup_subsys_state *css;
	struct cgroup *here, *cgrp;

	if (mem_cgroup_disabled())
		return ERR_PTR(-ENODEV);
	here = cgroup_get_from_path("/");
	cgrp = here;
	if (IS_ERR(here))
		return ERR_CAST(here);
	while (cgroup_parent(cgrp))
		cgrp = cgroup_parent(cgrp);
	css = cgroup_get_e_css(cgrp, &memory_cgrp_subsys);
	if (css->cgroup != cgrp) {
		css_put(css);
		css = ERR_PTR(-ENODEV);
	}
	cgroup_put(here);
	return css;
}

static int __init sysinfo_init(void)
{
	root_css = get_root_css();
	if (IS_ERR(root_css)) {
		pr_err("sysinfo: no memory controller on cgroup v2; boot with systemd.unified_cgroup_hierarchy=1 and without cgroup_disable=memory\n");
		return PTR_ERR(root_css);
	}
	if (!proc_create(SYSINFO_NAME, 0400, NULL, &sysinfo_proc_ops)) {
		css_put(root_css);
		return -ENOMEM;
	}
	return 0;
}

static void __exit sysinfo_exit(void)
{
	/* Waits for operations that run now; a file left open gives EIO from here on. */
	remove_proc_entry(SYSINFO_NAME, NULL);
	css_put(root_css);
}

module_init(sysinfo_init);
module_exit(sysinfo_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Memory of the host, its cgroups and processes in one read of /proc/sysinfo");
MODULE_VERSION("0.1.0");

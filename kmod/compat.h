/* SPDX-License-Identifier: GPL-2.0 */
/* What differs between the kernels that sysinfo.c is built for, and nothing else. */
#ifndef CMGR_COMPAT_H
#define CMGR_COMPAT_H

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/version.h>

/*
 * The exact number of resident pages of one kind, of the mm that @task has locked in.
 * The caller holds task_lock() of a thread of @task whose mm is @mm, and the RCU read lock.
 */
static inline long exact_mm_counter(struct task_struct *task, struct mm_struct *mm, int member)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	/* f1a7941243c1 ("mm: convert mm's rss stats into percpu_counter") */
	return percpu_counter_sum_positive(&mm->rss_stat[member]);
#else
	long pages = atomic_long_read(&mm->rss_stat.count[member]);
#ifdef SPLIT_RSS_COUNTING
	struct task_struct *thread;

	/* Each thread keeps up to 64 pages to itself before it adds them to its mm. */
	for_each_thread(task, thread)
		pages += READ_ONCE(thread->rss_stat.count[member]);
#endif
	return max(pages, 0L);
#endif
}

#endif

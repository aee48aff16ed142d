/* SPDX-License-Identifier: GPL-2.0 */
/* What differs between the kernels that sysinfo.c is built for, and nothing else. */
#ifndef CMGR_COMPAT_H
#define CMGR_COMPAT_H

#include <linux/mm.h>
#include <linux/sched/signal.h>
#include <linux/version.h>

/*
 * The exact number of resident pages of @mm, which is or was that of @task's process. The caller
 * holds a reference on both, and no lock.
 */
static inline unsigned long exact_rss_pages(struct task_struct *task, struct mm_struct *mm)
{
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 2, 0)
	/* f1a7941243c1 ("mm: convert mm's rss stats into percpu_counter") */
	s64 pages = percpu_counter_sum(&mm->rss_stat[MM_FILEPAGES]) +
		    percpu_counter_sum(&mm->rss_stat[MM_ANONPAGES]) +
		    percpu_counter_sum(&mm->rss_stat[MM_SHMEMPAGES]);

	return max_t(s64, pages, 0);
#else
	long pages = atomic_long_read(&mm->rss_stat.count[MM_FILEPAGES]) +
		     atomic_long_read(&mm->rss_stat.count[MM_ANONPAGES]) +
		     atomic_long_read(&mm->rss_stat.count[MM_SHMEMPAGES]);
#ifdef SPLIT_RSS_COUNTING
	struct task_struct *thread;

	/* Each thread keeps up to 64 pages to itself before it adds them to its mm. */
	rcu_read_lock();
	for_each_thread(task, thread)
		pages += READ_ONCE(thread->rss_stat.count[MM_FILEPAGES]) +
			 READ_ONCE(thread->rss_stat.count[MM_ANONPAGES]) +
			 READ_ONCE(thread->rss_stat.count[MM_SHMEMPAGES]);
	rcu_read_unlock();
#endif
	return max(pages, 0L);
#endif
}

/*
 * Takes a reference on the anonymous page at @address of @mm if it is in memory now, else returns
 * NULL. Neither waits nor brings a page in. The caller holds the mmap lock.
 */
static inline struct page *get_resident_anon_page(struct mm_struct *mm, unsigned long address)
{
	struct page *page;
	long pages;

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 6, 0)
	pages = get_user_pages_remote(mm, address, 1, FOLL_ANON | FOLL_NOFAULT, &page, NULL);
#elif LINUX_VERSION_CODE >= KERNEL_VERSION(6, 5, 0)
	/*
	 * Before d74943a2f3cd ("mm/gup: reintroduce FOLL_NUMA as FOLL_HONOR_NUMA_FAULT") only
	 * FOLL_FORCE looks at a page that NUMA balancing has marked.
	 */
	pages = get_user_pages_remote(mm, address, 1, FOLL_ANON | FOLL_NOFAULT | FOLL_FORCE, &page,
				      NULL);
#else
	/* ca5e863233e8 ("mm/gup: remove vmas parameter from get_user_pages_remote()") */
	pages = get_user_pages_remote(mm, address, 1, FOLL_ANON | FOLL_NOFAULT | FOLL_FORCE, &page,
				      NULL, NULL);
#endif
	return pages == 1 ? page : NULL;
}

#endif

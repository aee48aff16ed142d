// SPDX-License-Identifier: GPL-2.0
/* A writer of /proc/hold_mmap_lock holds the lock of its own address space until it is killed. */
#include <linux/mm.h>
#include <linux/mmap_lock.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched/signal.h>

static ssize_t hold(struct file *file, const char __user *from, size_t size, loff_t *pos)
{
	mmap_write_lock(current->mm);
	while (!fatal_signal_pending(current)) {
		set_current_state(TASK_KILLABLE);
		schedule_timeout(HZ / 10);
	}
	mmap_write_unlock(current->mm);
	return -EINTR;
}

static const struct proc_ops ops = {
	.proc_write = hold,
};

static int __init hold_init(void)
{
	return proc_create("hold_mmap_lock", 0200, NULL, &ops) ? 0 : -ENOMEM;
}

static void __exit hold_exit(void)
{
	remove_proc_entry("hold_mmap_lock", NULL);
}

module_init(hold_init);
module_exit(hold_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test aid: a process that holds its own mmap lock");

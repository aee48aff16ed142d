// SPDX-License-Identifier: GPL-2.0
/* Broken on purpose: allocates, which may sleep, between rcu_read_lock() and rcu_read_unlock(). */
#include <linux/module.h>
#include <linux/rcupdate.h>
#include <linux/slab.h>

static int __init sleep_init(void)
{
	void *memory;

	rcu_read_lock();
	memory = kzalloc(64, GFP_KERNEL);
	rcu_read_unlock();
	kfree(memory);
	return 0;
}

static void __exit sleep_exit(void)
{
}

module_init(sleep_init);
module_exit(sleep_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test aid: sleeping under RCU");

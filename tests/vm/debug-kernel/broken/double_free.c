// SPDX-License-Identifier: GPL-2.0
/* Broken on purpose: frees its memory twice. */
#include <linux/module.h>
#include <linux/slab.h>

static int __init twice_init(void)
{
	void *memory = kzalloc(64, GFP_KERNEL);
	void *again = memory;

	OPTIMIZER_HIDE_VAR(again);
	kfree(memory);
	kfree(again);
	return 0;
}

static void __exit twice_exit(void)
{
}

module_init(twice_init);
module_exit(twice_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test aid: double free");

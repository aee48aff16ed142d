// SPDX-License-Identifier: GPL-2.0
/* Broken on purpose: looks at a number after its memory was freed. */
#include <linux/module.h>
#include <linux/slab.h>

static int __init use_init(void)
{
	int *number = kzalloc(sizeof(*number), GFP_KERNEL);
	int *gone = number;

	if (!number)
		return -ENOMEM;
	OPTIMIZER_HIDE_VAR(gone);
	kfree(number);
	return READ_ONCE(*gone) ? -EINVAL : 0;
}

static void __exit use_exit(void)
{
}

module_init(use_init);
module_exit(use_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test aid: use after free");

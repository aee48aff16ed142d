// SPDX-License-Identifier: GPL-2.0
/* Broken on purpose: forgets memory that it has allocated. */
#include <linux/module.h>
#include <linux/slab.h>

static int __init leak_init(void)
{
	int i;

	/* Several: a pointer to the last of them may be left on some stack. */
	for (i = 0; i < 8; i++) {
		void *memory = kzalloc(1000, GFP_KERNEL);

		OPTIMIZER_HIDE_VAR(memory);
	}
	return 0;
}

static void __exit leak_exit(void)
{
}

module_init(leak_init);
module_exit(leak_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test aid: memory leak");

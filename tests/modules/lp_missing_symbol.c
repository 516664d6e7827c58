// SPDX-License-Identifier: GPL-2.0
/*
 * lp_missing_symbol: names a function that no kernel has. The kernel refuses
 * it with EINVAL before any transition begins.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static int lp_missing_symbol_value(void)
{
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_no_such_function",
		.new_func = lp_missing_symbol_value,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		/* No name: the kernel itself. */
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_missing_symbol_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_missing_symbol_exit(void)
{
}

module_init(lp_missing_symbol_init);
module_exit(lp_missing_symbol_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a function that does not exist");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

// SPDX-License-Identifier: GPL-2.0
/*
 * lp_value: lpwatch_target_value() gives another number. An easy patch of a
 * function that belongs to a module.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static int lp_value_value(void)
{
	return 2;
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_target_value",
		.new_func = lp_value_value,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.name = "lpwatch_target",
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_value_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_value_exit(void)
{
}

module_init(lp_value_init);
module_exit(lp_value_exit);
MODULE_DESCRIPTION("lpwatch: an easy patch of a module");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

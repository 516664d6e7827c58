// SPDX-License-Identifier: GPL-2.0
/*
 * lp_hold: patches lpwatch_hold_wait(), inside which tasks sleep
 * uninterruptibly until lpwatch_hold lets them go.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static int lp_hold_wait(void)
{
	return 2;
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_hold_wait",
		.new_func = lp_hold_wait,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.name = "lpwatch_hold",
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_hold_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_hold_exit(void)
{
}

module_init(lp_hold_init);
module_exit(lp_hold_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a function in which tasks sleep uninterruptibly");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

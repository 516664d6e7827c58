// SPDX-License-Identifier: GPL-2.0
/*
 * lp_doze: patches lpwatch_doze_wait(), in which a kernel thread sleeps all the
 * time: it never switches, though its main function is another.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static void lp_doze_wait(void)
{
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_doze_wait",
		.new_func = lp_doze_wait,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.name = "lpwatch_doze",
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_doze_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_doze_exit(void)
{
}

module_init(lp_doze_init);
module_exit(lp_doze_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a function in which a kernel thread sleeps");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

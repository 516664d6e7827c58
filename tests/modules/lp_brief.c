// SPDX-License-Identifier: GPL-2.0
/*
 * lp_brief: patches lpwatch_brief_nap(), in which a kernel thread is now and
 * then: it switches in between.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched.h>

static void lp_brief_nap(void)
{
	schedule_timeout_interruptible(HZ / 50);
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_brief_nap",
		.new_func = lp_brief_nap,
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

static int __init lp_brief_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_brief_exit(void)
{
}

module_init(lp_brief_init);
module_exit(lp_brief_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a function that a kernel thread leaves soon");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

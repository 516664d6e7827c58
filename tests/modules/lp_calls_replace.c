// SPDX-License-Identifier: GPL-2.0
/*
 * lp_calls_replace: replaces all patches before it. It patches
 * lpwatch_calls_work() and gives gcd() its original code back.
 */

#include <linux/gcd.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched.h>

static unsigned long work;

static noinline void lp_calls_replace_work(void)
{
	WRITE_ONCE(work, READ_ONCE(work) + 2);
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_calls_work",
		.new_func = lp_calls_replace_work,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.name = "lpwatch_calls",
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
	.replace = true,
};

static int __init lp_calls_replace_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_calls_replace_exit(void)
{
}

module_init(lp_calls_replace_init);
module_exit(lp_calls_replace_exit);
MODULE_DESCRIPTION("lpwatch: a patch that takes another back in part");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

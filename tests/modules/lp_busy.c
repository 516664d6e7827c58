// SPDX-License-Identifier: GPL-2.0
/*
 * lp_busy: patches the main function of the thread "lpwatch_busy", which is
 * inside it, and nearly always running, for as long as it lives. The
 * transition waits for that thread until it is reversed or forced.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/kthread.h>
#include <linux/sched.h>

static int lp_busy_main(void *unused)
{
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 5);
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_busy_main",
		.new_func = lp_busy_main,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.name = "lpwatch_busy",
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_busy_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_busy_exit(void)
{
}

module_init(lp_busy_init);
module_exit(lp_busy_exit);
MODULE_DESCRIPTION("lpwatch: a patch that stalls on a thread that is always running");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

// SPDX-License-Identifier: GPL-2.0
/*
 * lp_stall: patches the main function of the thread "lpwatch_target", which
 * is inside it for as long as it lives. The transition waits for that thread
 * until it is reversed or forced.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/kthread.h>
#include <linux/sched.h>

static int lp_stall_main(void *unused)
{
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 5);
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_target_main",
		.new_func = lp_stall_main,
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

static int __init lp_stall_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_stall_exit(void)
{
}

module_init(lp_stall_init);
module_exit(lp_stall_exit);
MODULE_DESCRIPTION("lpwatch: a patch that stalls on a kernel thread");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

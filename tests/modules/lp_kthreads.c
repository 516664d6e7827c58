// SPDX-License-Identifier: GPL-2.0
/*
 * lp_kthreads: patches the main functions of two of the kernel's own threads,
 * kauditd and khugepaged, which never leave them. Nothing can stop these threads.
 */

#include <linux/delay.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static int lp_kthreads_main(void *unused)
{
	while (!kthread_should_stop())
		msleep_interruptible(500);
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "kauditd_thread",
		.new_func = lp_kthreads_main,
	},
	{
		.old_name = "khugepaged",
		.new_func = lp_kthreads_main,
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

static int __init lp_kthreads_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_kthreads_exit(void)
{
}

module_init(lp_kthreads_init);
module_exit(lp_kthreads_exit);
MODULE_DESCRIPTION("lpwatch: a patch of the main functions of the kernel's own threads");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

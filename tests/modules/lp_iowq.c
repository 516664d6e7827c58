// SPDX-License-Identifier: GPL-2.0
/*
 * lp_iowq: patches the main function of io_uring's workers, which they never
 * leave.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 4, 0)
#define WORKER "io_wqe_worker"
#else
#define WORKER "io_wq_worker"
#endif

static int lp_iowq_worker(void *data)
{
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = WORKER,
		.new_func = lp_iowq_worker,
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

static int __init lp_iowq_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit lp_iowq_exit(void)
{
}

module_init(lp_iowq_init);
module_exit(lp_iowq_exit);
MODULE_DESCRIPTION("lpwatch: a patch of the main function of user workers");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

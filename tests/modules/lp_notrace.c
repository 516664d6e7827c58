// SPDX-License-Identifier: GPL-2.0
/*
 * lp_notrace: patches klp_ftrace_handler(), which ftrace cannot hook: the kernel
 * refuses it (EINVAL).
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static void lp_notrace_handler(void)
{
}

static struct klp_func funcs[] = {
	{
		.old_name = "klp_ftrace_handler",
		.new_func = lp_notrace_handler,
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

static int __init lp_notrace_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_notrace_exit(void)
{
}

module_init(lp_notrace_init);
module_exit(lp_notrace_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a function that cannot be traced");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

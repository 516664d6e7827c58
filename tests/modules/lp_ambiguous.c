// SPDX-License-Identifier: GPL-2.0
/*
 * lp_ambiguous: patches init_once(), of which the kernel has several, and does
 * not say which: the kernel refuses it (EINVAL).
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static void lp_ambiguous_once(void *unused)
{
}

static struct klp_func funcs[] = {
	{
		.old_name = "init_once",
		.new_func = lp_ambiguous_once,
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

static int __init lp_ambiguous_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_ambiguous_exit(void)
{
}

module_init(lp_ambiguous_init);
module_exit(lp_ambiguous_exit);
MODULE_DESCRIPTION("lpwatch: a patch of one function out of several");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

// SPDX-License-Identifier: GPL-2.0
/*
 * lp_exit: a patch of do_exit(), which does not return. It is there to be
 * checked: loading it is refused.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static bool really;
module_param(really, bool, 0444);
MODULE_PARM_DESC(really, "enable it all the same");

static void lp_exit_do_exit(long code)
{
}

static struct klp_func funcs[] = {
	{
		.old_name = "do_exit",
		.new_func = lp_exit_do_exit,
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

static int __init lp_exit_init(void)
{
	return really ? klp_enable_patch(&patch) : -EPERM;
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_exit_exit(void)
{
}

module_init(lp_exit_init);
module_exit(lp_exit_exit);
MODULE_DESCRIPTION("lpwatch: a patch that nobody should load");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

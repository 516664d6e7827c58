/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A patch of lpwatch_target_value() whose object has the name LP_OBJECT,
 * which is not that of the module.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static int lp_wrong_name_value(void)
{
	return 2;
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_target_value",
		.new_func = lp_wrong_name_value,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.name = LP_OBJECT,
		.funcs = funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_wrong_name_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_wrong_name_exit(void)
{
}

module_init(lp_wrong_name_init);
module_exit(lp_wrong_name_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a module under a wrong name");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

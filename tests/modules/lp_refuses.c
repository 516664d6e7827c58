// SPDX-License-Identifier: GPL-2.0
/*
 * lp_refuses: is accepted while lpwatch_target is not loaded, and does not fit
 * it: the kernel then refuses to load lpwatch_target. It misses a function, or
 * with callback=1 its pre_patch callback fails.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static bool callback;
module_param(callback, bool, 0444);
MODULE_PARM_DESC(callback, "1: every function is there, and the pre_patch callback fails");

static int lp_refuses_nothing(void)
{
	return 0;
}

static int lp_refuses_pre_patch(struct klp_object *obj)
{
	return callback ? -EBUSY : 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "lpwatch_target_gone",
		.new_func = lp_refuses_nothing,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.name = "lpwatch_target",
		.funcs = funcs,
		.callbacks.pre_patch = lp_refuses_pre_patch,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_refuses_init(void)
{
	if (callback)
		funcs[0].old_name = "lpwatch_target_value";
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_refuses_exit(void)
{
}

module_init(lp_refuses_init);
module_exit(lp_refuses_exit);
MODULE_DESCRIPTION("lpwatch: a patch that does not fit its module");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

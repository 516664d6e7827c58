// SPDX-License-Identifier: GPL-2.0
/*
 * lp_sympos: patches the 999th init_once(), and there are not so many: the
 * kernel refuses it (EINVAL).
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static void lp_sympos_once(void *unused)
{
}

static struct klp_func funcs[] = {
	{
		.old_name = "init_once",
		.new_func = lp_sympos_once,
		.old_sympos = 999,
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

static int __init lp_sympos_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_sympos_exit(void)
{
}

module_init(lp_sympos_init);
module_exit(lp_sympos_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a function that is one too many");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

// SPDX-License-Identifier: GPL-2.0
/*
 * lp_two_objects: one function of the kernel and one of the module
 * lpwatch_late, which is meant to be loaded after this patch.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static int lp_two_objects_show(struct seq_file *m, void *v)
{
	seq_puts(m, "patched by lp_two_objects\n");
	return 0;
}

static int lp_two_objects_value(void)
{
	return 2;
}

static struct klp_func kernel_funcs[] = {
	{
		.old_name = "cmdline_proc_show",
		.new_func = lp_two_objects_show,
	},
	{ }
};

static struct klp_func late_funcs[] = {
	{
		.old_name = "lpwatch_late_value",
		.new_func = lp_two_objects_value,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		/* No name: the kernel itself. */
		.funcs = kernel_funcs,
	},
	{
		.name = "lpwatch_late",
		.funcs = late_funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_two_objects_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_two_objects_exit(void)
{
}

module_init(lp_two_objects_init);
module_exit(lp_two_objects_exit);
MODULE_DESCRIPTION("lpwatch: a patch of the kernel and of a module not yet loaded");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

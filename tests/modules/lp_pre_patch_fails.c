// SPDX-License-Identifier: GPL-2.0
/*
 * lp_pre_patch_fails: its own callback says no, after the transition has been
 * set up. The kernel cancels it, gives the callback's error to insmod, and
 * logs "unpatching complete" for a patch that was never applied.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/errno.h>
#include <linux/seq_file.h>

static int lp_pre_patch_fails_show(struct seq_file *m, void *v)
{
	seq_puts(m, "patched by lp_pre_patch_fails\n");
	return 0;
}

static int no_memory(struct klp_object *obj)
{
	return -ENOMEM;
}

static struct klp_func funcs[] = {
	{
		.old_name = "cmdline_proc_show",
		.new_func = lp_pre_patch_fails_show,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.funcs = funcs,
		.callbacks = {
			.pre_patch = no_memory,
		},
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_pre_patch_fails_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_pre_patch_fails_exit(void)
{
}

module_init(lp_pre_patch_fails_init);
module_exit(lp_pre_patch_fails_exit);
MODULE_DESCRIPTION("lpwatch: a patch whose own callback refuses it");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

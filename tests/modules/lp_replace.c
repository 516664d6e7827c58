// SPDX-License-Identifier: GPL-2.0
/*
 * lp_replace: patches what lp_cmdline patches, and takes the place of every
 * patch loaded before it.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static int lp_replace_show(struct seq_file *m, void *v)
{
	seq_puts(m, "patched by lp_replace\n");
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "cmdline_proc_show",
		.new_func = lp_replace_show,
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
	.replace = true,
};

static int __init lp_replace_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_replace_exit(void)
{
}

module_init(lp_replace_init);
module_exit(lp_replace_exit);
MODULE_DESCRIPTION("lpwatch: a patch that replaces all others");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

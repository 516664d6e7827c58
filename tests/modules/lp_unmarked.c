// SPDX-License-Identifier: GPL-2.0
/*
 * lp_unmarked: a patch in all but its mark: the kernel refuses it (EINVAL).
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static int lp_unmarked_show(struct seq_file *m, void *v)
{
	seq_puts(m, "unmarked\n");
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "cmdline_proc_show",
		.new_func = lp_unmarked_show,
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

static int __init lp_unmarked_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_unmarked_exit(void)
{
}

module_init(lp_unmarked_init);
module_exit(lp_unmarked_exit);
MODULE_DESCRIPTION("lpwatch: a patch without a mark");
MODULE_LICENSE("GPL");

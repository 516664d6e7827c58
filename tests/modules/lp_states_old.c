// SPDX-License-Identifier: GPL-2.0
/*
 * lp_states_old: knows that change only in its first version: the kernel refuses
 * it (EINVAL) while lp_states is there.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>

static int lp_states_old_show(struct seq_file *m, void *v)
{
	seq_puts(m, "lp_states_old_show\n");
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "cmdline_proc_show",
		.new_func = lp_states_old_show,
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

static struct klp_state states[] = {
	{
		.id = 7,
		.version = 1,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
	.states = states,
};

static int __init lp_states_old_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_states_old_exit(void)
{
}

module_init(lp_states_old_init);
module_exit(lp_states_old_exit);
MODULE_DESCRIPTION("lpwatch: a patch with a state of long ago");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

// SPDX-License-Identifier: GPL-2.0
/*
 * lp_dynamic: a patch that its own code puts together when it is loaded. Its
 * file does not say what it patches.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/slab.h>

struct whole {
	struct klp_patch patch;
	struct klp_object objs[2];
	struct klp_func funcs[2];
};

static struct whole *whole;

static int lp_dynamic_show(struct seq_file *m, void *v)
{
	seq_puts(m, "patched by lp_dynamic\n");
	return 0;
}

static int __init lp_dynamic_init(void)
{
	int ret;

	whole = kzalloc(sizeof(*whole), GFP_KERNEL);
	if (!whole)
		return -ENOMEM;
	whole->funcs[0].old_name = "cmdline_proc_show";
	whole->funcs[0].new_func = lp_dynamic_show;
	whole->objs[0].funcs = whole->funcs;
	whole->patch.mod = THIS_MODULE;
	whole->patch.objs = whole->objs;
	ret = klp_enable_patch(&whole->patch);
	if (ret)
		kfree(whole);
	return ret;
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_dynamic_exit(void)
{
	kfree(whole);
}

module_init(lp_dynamic_init);
module_exit(lp_dynamic_exit);
MODULE_DESCRIPTION("lpwatch: a patch that only loading it shows");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

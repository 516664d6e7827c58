// SPDX-License-Identifier: GPL-2.0
/*
 * lp_work: patches the work item of lpwatch_work, and kernel_clone(), in which
 * the parent of a vfork(2) sleeps. The new kernel_clone() hands on to the body of
 * the old one behind its ftrace entry, so it changes nothing.
 */

#include <linux/kprobes.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched/task.h>
#include <linux/workqueue.h>

/* The call of ftrace at the beginning of a function, on x86. */
#define FTRACE_ENTRY 5

static pid_t (*body)(struct kernel_clone_args *args);

static pid_t lp_work_clone(struct kernel_clone_args *args)
{
	return body(args);
}

static void lp_work_item(struct work_struct *work)
{
}

static struct klp_func kernel_funcs[] = {
	{
		.old_name = "kernel_clone",
		.new_func = lp_work_clone,
	},
	{ }
};

static struct klp_func module_funcs[] = {
	{
		.old_name = "lpwatch_work_item",
		.new_func = lp_work_item,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.funcs = kernel_funcs,
	},
	{
		.name = "lpwatch_work",
		.funcs = module_funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

/* kallsyms_lookup_name() is not exported; a kprobe has the address. */
static int __init lp_work_init(void)
{
	struct kprobe probe = { .symbol_name = "kernel_clone" };
	int error = register_kprobe(&probe);

	if (error)
		return error;
	body = (void *)((unsigned char *)probe.addr + FTRACE_ENTRY);
	unregister_kprobe(&probe);
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_work_exit(void)
{
}

module_init(lp_work_init);
module_exit(lp_work_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a work item and of the fork path");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

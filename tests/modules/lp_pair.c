// SPDX-License-Identifier: GPL-2.0
/*
 * lp_pair: patches pause(2), inside whose new code user tasks sleep, and
 * /proc/cmdline. A patch on top of it has to get tasks out of that code if it
 * patches pause(2) as well, and only then.
 */

#include <linux/errno.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

/* Each architecture has its own name for the entry of a system call. */
#if defined(CONFIG_X86_64)
#define PAUSE "__x64_sys_pause"
#elif defined(CONFIG_S390)
#define PAUSE "__s390x_sys_pause"
#else
#define PAUSE "sys_pause"
#endif

static asmlinkage long lp_pair_pause(const struct pt_regs *unused)
{
	while (!signal_pending(current)) {
		__set_current_state(TASK_INTERRUPTIBLE);
		schedule();
	}
	return -ERESTARTNOHAND;
}

static int lp_pair_show(struct seq_file *m, void *v)
{
	seq_puts(m, "patched by lp_pair\n");
	return 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = PAUSE,
		.new_func = lp_pair_pause,
	},
	{
		.old_name = "cmdline_proc_show",
		.new_func = lp_pair_show,
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

static int __init lp_pair_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_pair_exit(void)
{
}

module_init(lp_pair_init);
module_exit(lp_pair_exit);
MODULE_DESCRIPTION("lpwatch: a patch of two functions, in one of which tasks sleep");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

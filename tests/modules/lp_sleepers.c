// SPDX-License-Identifier: GPL-2.0
/*
 * lp_sleepers: patches the system call pause(2), inside which user tasks sleep
 * for as long as they please. The transition waits for them until the kernel,
 * after some 15 seconds, sends them a signal that only makes them leave the
 * call and enter it again.
 *
 * The replacement is what the kernel's own pause(2) does, to the letter, and
 * needs nothing that is not exported.
 */

#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/errno.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>

/* Each architecture has its own name for the entry of a system call. */
#if defined(CONFIG_X86_64)
#define PAUSE "__x64_sys_pause"
#elif defined(CONFIG_S390)
#define PAUSE "__s390x_sys_pause"
#else
#define PAUSE "sys_pause"
#endif

static asmlinkage long lp_sleepers_pause(const struct pt_regs *unused)
{
	while (!signal_pending(current)) {
		__set_current_state(TASK_INTERRUPTIBLE);
		schedule();
	}
	return -ERESTARTNOHAND;
}

static struct klp_func funcs[] = {
	{
		.old_name = PAUSE,
		.new_func = lp_sleepers_pause,
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

static int __init lp_sleepers_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_sleepers_exit(void)
{
}

module_init(lp_sleepers_init);
module_exit(lp_sleepers_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a call in which user tasks sleep");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

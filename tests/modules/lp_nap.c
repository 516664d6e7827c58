// SPDX-License-Identifier: GPL-2.0
/*
 * lp_nap: patches hrtimer_nanosleep(), in which user tasks sleep for as long as
 * they please, and at which others trace.
 */

#include <linux/hrtimer.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched.h>

/* A task that a signal wakes is not told how long was left. */
static long lp_nap_sleep(ktime_t time, const enum hrtimer_mode mode,
			 const clockid_t clock)
{
	set_current_state(TASK_INTERRUPTIBLE);
	return schedule_hrtimeout(&time, mode) ? -EINTR : 0;
}

static struct klp_func funcs[] = {
	{
		.old_name = "hrtimer_nanosleep",
		.new_func = lp_nap_sleep,
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

static int __init lp_nap_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_nap_exit(void)
{
}

module_init(lp_nap_init);
module_exit(lp_nap_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a function at which others trace");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

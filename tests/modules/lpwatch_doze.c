// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_doze: two kernel threads that sleep in functions of this module which
 * are not their main functions. One sleeps in lpwatch_doze_wait() all the time,
 * the other is in lpwatch_brief_nap() one time in ten.
 */

#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>

static struct task_struct *dozing, *brief;

static noinline void lpwatch_doze_wait(void)
{
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 5);
}

static int doze_main(void *unused)
{
	lpwatch_doze_wait();
	/* Not a tail call: this function has to be on the stack as well. */
	barrier();
	return 0;
}

static noinline void lpwatch_brief_nap(void)
{
	schedule_timeout_interruptible(HZ / 50);
}

static int brief_main(void *unused)
{
	while (!kthread_should_stop()) {
		lpwatch_brief_nap();
		schedule_timeout_interruptible(HZ / 5);
	}
	return 0;
}

static int __init lpwatch_doze_init(void)
{
	dozing = kthread_run(doze_main, NULL, "lpwatch_doze");
	if (IS_ERR(dozing))
		return PTR_ERR(dozing);
	brief = kthread_run(brief_main, NULL, "lpwatch_brief");
	if (IS_ERR(brief)) {
		kthread_stop(dozing);
		return PTR_ERR(brief);
	}
	return 0;
}

static void __exit lpwatch_doze_exit(void)
{
	kthread_stop(brief);
	kthread_stop(dozing);
}

module_init(lpwatch_doze_init);
module_exit(lpwatch_doze_exit);
MODULE_DESCRIPTION("lpwatch: threads asleep in a function that is not their main one");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_busy: a thread that is on its CPU nearly all the time, inside
 * lpwatch_busy_main(). The kernel cannot look at the stack of a task that is
 * running, so a livepatch of that function waits for this thread.
 *
 * It takes a short rest once a second, so that its CPU can do what else there
 * is, and gives up being busy after BUSY_SECONDS: a guest must outlive it.
 *
 * With yields=1 it calls cond_resched() instead of resting, as workers of vhost do.
 */

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/processor.h>
#include <linux/sched.h>

static struct task_struct *thread;

static unsigned int cpu = 1;
module_param(cpu, uint, 0444);
MODULE_PARM_DESC(cpu, "where the thread runs");

static unsigned int seconds = 90;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "for how long it is busy");

static bool yields;
module_param(yields, bool, 0444);
MODULE_PARM_DESC(yields, "give the CPU away when the kernel asks for it");

static noinline int lpwatch_busy_main(void *unused)
{
	unsigned long end = jiffies + (unsigned long)seconds * HZ;

	while (!kthread_should_stop()) {
		unsigned long rest = jiffies + HZ;

		if (yields && time_before(jiffies, end)) {
			udelay(200);
			cond_resched();
			continue;
		}
		/* No cond_resched(): there the thread would check its own stack. */
		while (time_before(jiffies, rest) && time_before(jiffies, end))
			cpu_relax();
		schedule_timeout_interruptible(time_before(jiffies, end) ? 1 : HZ / 5);
	}
	return 0;
}

static int __init lpwatch_busy_init(void)
{
	thread = kthread_create(lpwatch_busy_main, NULL, "lpwatch_busy");
	if (IS_ERR(thread))
		return PTR_ERR(thread);
	kthread_bind(thread, cpu);
	wake_up_process(thread);
	return 0;
}

static void __exit lpwatch_busy_exit(void)
{
	kthread_stop(thread);
}

module_init(lpwatch_busy_init);
module_exit(lpwatch_busy_exit);
MODULE_DESCRIPTION("lpwatch: a thread that is always running");
MODULE_LICENSE("GPL");

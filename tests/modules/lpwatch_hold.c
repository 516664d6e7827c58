// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_hold: who reads /proc/lpwatch_hold sleeps uninterruptibly, inside
 * lpwatch_hold_wait(), until the parameter "released" is 1. No signal moves
 * such a task, so neither does the kernel's signal during a transition.
 */

#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

static int released;
module_param(released, int, 0644);
MODULE_PARM_DESC(released, "1 to let everyone go");

/* The thread sleeps for short times only: nobody needs to wake it. */
static noinline int lpwatch_hold_wait(void)
{
	while (!READ_ONCE(released))
		schedule_timeout_uninterruptible(HZ / 5);
	return READ_ONCE(released);
}

static int hold_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%d\n", lpwatch_hold_wait());
	return 0;
}

static int __init lpwatch_hold_init(void)
{
	if (!proc_create_single("lpwatch_hold", 0444, NULL, hold_show))
		return -ENOMEM;
	return 0;
}

/* Removing the file waits for those who read it: they are let go first. */
static void __exit lpwatch_hold_exit(void)
{
	WRITE_ONCE(released, 1);
	remove_proc_entry("lpwatch_hold", NULL);
}

module_init(lpwatch_hold_init);
module_exit(lpwatch_hold_exit);
MODULE_DESCRIPTION("lpwatch: a file whose readers sleep uninterruptibly");
MODULE_LICENSE("GPL");

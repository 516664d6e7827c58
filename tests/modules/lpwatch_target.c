// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_target: something to patch.
 *
 * - The thread "lpwatch_target" lives in lpwatch_target_main() and never
 *   returns from it before the module goes. A livepatch of that function can
 *   therefore never move this thread to new code: the simplest honest stall.
 * - Each read of /proc/lpwatch_target calls lpwatch_target_value() once.
 * - Each write of a number N to the parameter "calls" calls
 *   lpwatch_target_step() N times.
 */

#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/proc_fs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

/* More calls than this in one write would only keep the CPU busy. */
#define CALLS_MAX (10 * 1000 * 1000U)

static struct task_struct *thread;
static int value = 1;
static unsigned long steps;
static unsigned int calls;

/*
 * READ_ONCE and WRITE_ONCE keep the compiler from folding these functions
 * into their callers' code, where no livepatch would reach them.
 */
static noinline int lpwatch_target_value(void)
{
	return READ_ONCE(value);
}

static noinline void lpwatch_target_step(void)
{
	WRITE_ONCE(steps, READ_ONCE(steps) + 1);
}

static noinline int lpwatch_target_main(void *unused)
{
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 5);
	return 0;
}

static int value_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%d\n", lpwatch_target_value());
	return 0;
}

static int calls_set(const char *text, const struct kernel_param *kp)
{
	unsigned int i;
	int ret;

	ret = param_set_uint(text, kp);
	if (ret)
		return ret;
	if (calls > CALLS_MAX)
		return -ERANGE;
	for (i = 0; i < calls; i++) {
		lpwatch_target_step();
		cond_resched();
	}
	return 0;
}

static const struct kernel_param_ops calls_ops = {
	.set = calls_set,
	.get = param_get_uint,
};
module_param_cb(calls, &calls_ops, &calls, 0644);
MODULE_PARM_DESC(calls, "write N to call lpwatch_target_step() N times");

static int __init lpwatch_target_init(void)
{
	if (!proc_create_single("lpwatch_target", 0444, NULL, value_show))
		return -ENOMEM;
	thread = kthread_run(lpwatch_target_main, NULL, "lpwatch_target");
	if (IS_ERR(thread)) {
		remove_proc_entry("lpwatch_target", NULL);
		return PTR_ERR(thread);
	}
	return 0;
}

static void __exit lpwatch_target_exit(void)
{
	kthread_stop(thread);
	remove_proc_entry("lpwatch_target", NULL);
}

module_init(lpwatch_target_init);
module_exit(lpwatch_target_exit);
MODULE_DESCRIPTION("lpwatch: a thread and functions to patch");
MODULE_LICENSE("GPL");

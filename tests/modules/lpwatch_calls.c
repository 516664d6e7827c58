// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_calls: calls to count, as many as asked for, by whom one asks.
 *
 * Each call is one of lpwatch_calls_work(), a function of this module, and one
 * of gcd(), a function of the kernel that nothing else calls in a guest at
 * rest.
 *
 * - A write of N to the parameter "now" makes N calls in the writer's context.
 * - A write of N to "held" makes N calls in each of the threads
 *   "lpwatch_calls/<n>", which live in lpwatch_calls_main(): a livepatch of
 *   that function leaves them on old code. The write returns when all are made.
 * - A write of 1 to "leave" lets the threads return from that function.
 */

#include <linux/completion.h>
#include <linux/cpumask.h>
#include <linux/err.h>
#include <linux/gcd.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/wait.h>

#define THREADS 3
#define CALLS_MAX (10 * 1000 * 1000U)

struct caller {
	struct task_struct *thread;
	struct completion done;
	unsigned int calls;
};

static struct caller callers[THREADS];
static DECLARE_WAIT_QUEUE_HEAD(asked);
static unsigned long sum, twelve = 12;
static unsigned int now, held;
static bool leave;

static noinline void lpwatch_calls_work(void)
{
	WRITE_ONCE(sum, READ_ONCE(sum) + 1);
}

/*
 * gcd() is declared to depend on its arguments alone: READ_ONCE keeps the
 * compiler from calling it once for all.
 */
static noinline void lpwatch_calls_make(unsigned int calls)
{
	while (calls--) {
		lpwatch_calls_work();
		WRITE_ONCE(sum, READ_ONCE(sum) + gcd(READ_ONCE(twelve), 18));
		cond_resched();
	}
}

static noinline __noclone int lpwatch_calls_main(void *data)
{
	struct caller *caller = data;

	while (!READ_ONCE(leave) && !kthread_should_stop()) {
		wait_event_interruptible(asked, READ_ONCE(caller->calls) ||
					 READ_ONCE(leave) || kthread_should_stop());
		if (READ_ONCE(caller->calls)) {
			lpwatch_calls_make(caller->calls);
			WRITE_ONCE(caller->calls, 0);
			complete(&caller->done);
		}
	}
	return 0;
}

/* Waits for the end of the module, away from the function that is patched. */
static int outer(void *data)
{
	int ret = lpwatch_calls_main(data);

	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ / 5);
	return ret;
}

static int read_calls(const char *text, const struct kernel_param *kp,
		      unsigned int *calls)
{
	int ret = param_set_uint(text, kp);

	if (ret)
		return ret;
	return *calls > CALLS_MAX ? -ERANGE : 0;
}

static int now_set(const char *text, const struct kernel_param *kp)
{
	unsigned int calls;
	int ret = kstrtouint(text, 0, &calls);

	if (ret)
		return ret;
	if (calls > CALLS_MAX)
		return -ERANGE;
	/* Several tasks may write at once: nothing of theirs is shared. */
	kernel_param_unlock(THIS_MODULE);
	lpwatch_calls_make(calls);
	kernel_param_lock(THIS_MODULE);
	return 0;
}

static int held_set(const char *text, const struct kernel_param *kp)
{
	int ret = read_calls(text, kp, &held);
	int n;

	if (ret || !held)
		return ret;
	if (READ_ONCE(leave))
		return -ESRCH;
	for (n = 0; n < THREADS; n++) {
		reinit_completion(&callers[n].done);
		WRITE_ONCE(callers[n].calls, held);
	}
	wake_up_all(&asked);
	for (n = 0; n < THREADS; n++)
		wait_for_completion(&callers[n].done);
	return 0;
}

static int leave_set(const char *text, const struct kernel_param *kp)
{
	int ret = param_set_bool(text, kp);

	wake_up_all(&asked);
	return ret;
}

static const struct kernel_param_ops now_ops = {
	.set = now_set,
	.get = param_get_uint,
};
static const struct kernel_param_ops held_ops = {
	.set = held_set,
	.get = param_get_uint,
};
static const struct kernel_param_ops leave_ops = {
	.set = leave_set,
	.get = param_get_bool,
};
module_param_cb(now, &now_ops, &now, 0644);
MODULE_PARM_DESC(now, "write N to make N calls");
module_param_cb(held, &held_ops, &held, 0644);
MODULE_PARM_DESC(held, "write N to let each thread make N calls");
module_param_cb(leave, &leave_ops, &leave, 0644);
MODULE_PARM_DESC(leave, "write 1 to let the threads out of the patched function");

static void stop_all(void)
{
	int n;

	for (n = 0; n < THREADS; n++)
		if (callers[n].thread)
			kthread_stop(callers[n].thread);
}

static int __init lpwatch_calls_init(void)
{
	int n;

	for (n = 0; n < THREADS; n++) {
		struct task_struct *thread;

		init_completion(&callers[n].done);
		thread = kthread_create(outer, &callers[n], "lpwatch_calls/%d", n);
		if (IS_ERR(thread)) {
			stop_all();
			return PTR_ERR(thread);
		}
		kthread_bind(thread, n % num_online_cpus());
		callers[n].thread = thread;
		wake_up_process(thread);
	}
	return 0;
}

static void __exit lpwatch_calls_exit(void)
{
	WRITE_ONCE(leave, true);
	wake_up_all(&asked);
	stop_all();
}

module_init(lpwatch_calls_init);
module_exit(lpwatch_calls_exit);
MODULE_DESCRIPTION("lpwatch: calls to count");
MODULE_LICENSE("GPL");

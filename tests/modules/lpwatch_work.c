// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_work: a work item of the workqueue "lpwatch_wq" stays in
 * lpwatch_work_item() until the module is unloaded, asleep for short times only.
 */

#include <linux/delay.h>
#include <linux/module.h>
#include <linux/workqueue.h>

static struct workqueue_struct *queue;
static bool over;

static noinline void lpwatch_work_item(struct work_struct *work)
{
	while (!READ_ONCE(over))
		msleep_interruptible(400);
	barrier();
}

static DECLARE_WORK(work, lpwatch_work_item);

static int __init lpwatch_work_init(void)
{
	queue = alloc_workqueue("lpwatch_wq", WQ_UNBOUND, 1);
	if (!queue)
		return -ENOMEM;
	queue_work(queue, &work);
	return 0;
}

static void __exit lpwatch_work_exit(void)
{
	WRITE_ONCE(over, true);
	destroy_workqueue(queue);
}

module_init(lpwatch_work_init);
module_exit(lpwatch_work_exit);
MODULE_DESCRIPTION("lpwatch: a work item that does not end");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * lp_fifo: patches fifo_open(), in which the open of a FIFO waits for the other
 * end: also a worker of io_uring that opens one for a process.
 */

#include <linux/fs.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static int lp_fifo_open(struct inode *inode, struct file *filp)
{
	return -EIO;
}

static struct klp_func funcs[] = {
	{
		.old_name = "fifo_open",
		.new_func = lp_fifo_open,
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

static int __init lp_fifo_init(void)
{
	return klp_enable_patch(&patch);
}

static void __exit lp_fifo_exit(void)
{
}

module_init(lp_fifo_init);
module_exit(lp_fifo_exit);
MODULE_DESCRIPTION("lpwatch: a patch of a function in which a user worker sleeps");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

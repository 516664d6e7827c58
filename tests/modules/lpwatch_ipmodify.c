// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_ipmodify: a user of the function tracer that may send calls of gcd()
 * elsewhere, and does not. The tracer takes one such user for each function:
 * while it is there the kernel refuses to patch gcd() (EBUSY).
 */

#include <linux/ftrace.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 11, 0)
static void notrace lpwatch_ipmodify_handler(unsigned long ip, unsigned long parent,
					     struct ftrace_ops *ops, struct pt_regs *regs)
#else
static void notrace lpwatch_ipmodify_handler(unsigned long ip, unsigned long parent,
					     struct ftrace_ops *ops, struct ftrace_regs *regs)
#endif
{
}

static struct ftrace_ops ops = {
	.func = lpwatch_ipmodify_handler,
	.flags = FTRACE_OPS_FL_SAVE_REGS | FTRACE_OPS_FL_IPMODIFY,
};

static char function[] = "gcd";

static int __init lpwatch_ipmodify_init(void)
{
	int ret = ftrace_set_filter(&ops, function, sizeof(function) - 1, 0);

	return ret ? ret : register_ftrace_function(&ops);
}

static void __exit lpwatch_ipmodify_exit(void)
{
	unregister_ftrace_function(&ops);
}

module_init(lpwatch_ipmodify_init);
module_exit(lpwatch_ipmodify_exit);
MODULE_DESCRIPTION("lpwatch: one that holds a function of the tracer");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * lp_calls_top: patches gcd() once more, on top of lp_calls.
 */

#include <linux/gcd.h>
#include <linux/kernel.h>
#include <linux/kthread.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/sched.h>

static unsigned long lp_calls_top_gcd(unsigned long a, unsigned long b)
{
	while (b) {
		unsigned long rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

static struct klp_func funcs[] = {
	{
		.old_name = "gcd",
		.new_func = lp_calls_top_gcd,
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

static int __init lp_calls_top_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_calls_top_exit(void)
{
}

module_init(lp_calls_top_init);
module_exit(lp_calls_top_exit);
MODULE_DESCRIPTION("lpwatch: a patch on top of another");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

// SPDX-License-Identifier: GPL-2.0
/*
 * lp_calls: patches what lpwatch_calls calls, and the function its
 * threads live in: they stay on old code until they leave it.
 */

#include <linux/gcd.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>

static unsigned long work;

static noinline void lp_calls_work(void)
{
	WRITE_ONCE(work, READ_ONCE(work) + 1);
}

static unsigned long lp_calls_gcd(unsigned long a, unsigned long b)
{
	while (b) {
		unsigned long rest = a % b;

		a = b;
		b = rest;
	}
	return a;
}

/* Holds nobody: threads started once it is patched return at once. */
static int lp_calls_main(void *unused)
{
	return 0;
}

static struct klp_func kernel_funcs[] = {
	{
		.old_name = "gcd",
		.new_func = lp_calls_gcd,
	},
	{ }
};

static struct klp_func module_funcs[] = {
	{
		.old_name = "lpwatch_calls_work",
		.new_func = lp_calls_work,
	},
	{
		.old_name = "lpwatch_calls_main",
		.new_func = lp_calls_main,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		/* No name: the kernel itself. */
		.funcs = kernel_funcs,
	},
	{
		.name = "lpwatch_calls",
		.funcs = module_funcs,
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_calls_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_calls_exit(void)
{
}

module_init(lp_calls_init);
module_exit(lp_calls_exit);
MODULE_DESCRIPTION("lpwatch: a patch whose calls are counted");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

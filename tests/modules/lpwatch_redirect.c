// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_redirect: a probe that sends each call of gcd() elsewhere, as some
 * security and tracing products do. Put in place before a livepatch of that
 * function it has the last word: the patch is enabled, and its code never runs.
 *
 * With the parameter "post" it has a post handler instead and lets calls pass:
 * the kernel then refuses to patch the function (EBUSY).
 */

#include <linux/kernel.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static bool post;
module_param(post, bool, 0444);
MODULE_PARM_DESC(post, "only hold the function, by a post handler");

static noinline unsigned long lpwatch_redirect_gcd(unsigned long a, unsigned long b)
{
	return 1;
}

static int redirect(struct kprobe *probe, struct pt_regs *regs)
{
	instruction_pointer_set(regs, (unsigned long)lpwatch_redirect_gcd);
	/* The kernel is not to restore it. */
	return 1;
}

static void nothing(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe = {
	.symbol_name = "gcd",
};

static int __init lpwatch_redirect_init(void)
{
	if (post)
		probe.post_handler = nothing;
	else
		probe.pre_handler = redirect;
	return register_kprobe(&probe);
}

static void __exit lpwatch_redirect_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(lpwatch_redirect_init);
module_exit(lpwatch_redirect_exit);
MODULE_DESCRIPTION("lpwatch: a probe that makes a patch void");
MODULE_LICENSE("GPL");

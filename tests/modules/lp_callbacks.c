// SPDX-License-Identifier: GPL-2.0
/*
 * lp_callbacks: the callback that a parameter names does not return before 1 is
 * written to the parameter "release". While it runs, the transition goes on although
 * no task is left, or although none can switch yet.
 */

#include <linux/completion.h>
#include <linux/kernel.h>
#include <linux/livepatch.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/workqueue.h>

static bool pre_patch, post_patch, pre_unpatch, post_unpatch;
module_param(pre_patch, bool, 0444);
module_param(post_patch, bool, 0444);
module_param(pre_unpatch, bool, 0444);
module_param(post_unpatch, bool, 0444);

/* Whether post_patch waits in its last instruction, so that it leaves no frame. */
static bool frameless;
module_param(frameless, bool, 0444);

static DECLARE_COMPLETION(released);

static int release_set(const char *value, const struct kernel_param *parameter)
{
	complete_all(&released);
	return 0;
}

static const struct kernel_param_ops release_ops = { .set = release_set };
module_param_cb(release, &release_ops, NULL, 0200);

static int lp_callbacks_show(struct seq_file *m, void *v)
{
	seq_puts(m, "patched by lp_callbacks\n");
	return 0;
}

static noinline void lp_callbacks_hold(void)
{
	wait_for_completion(&released);
	barrier();
}

static void hold_in_worker(struct work_struct *work)
{
	wait_for_completion(&released);
	barrier();
}
static DECLARE_WORK(holding, hold_in_worker);

static int lp_callbacks_pre_patch(struct klp_object *obj)
{
	if (pre_patch)
		lp_callbacks_hold();
	return 0;
}

static void lp_callbacks_post_patch(struct klp_object *obj)
{
	if (!post_patch)
		return;
	if (frameless) {
		schedule_work(&holding);
		flush_work(&holding);
		return;
	}
	lp_callbacks_hold();
	barrier();
}

static void lp_callbacks_pre_unpatch(struct klp_object *obj)
{
	if (pre_unpatch)
		lp_callbacks_hold();
	barrier();
}

static void lp_callbacks_post_unpatch(struct klp_object *obj)
{
	if (post_unpatch)
		lp_callbacks_hold();
	barrier();
}

static struct klp_func funcs[] = {
	{
		.old_name = "cmdline_proc_show",
		.new_func = lp_callbacks_show,
	},
	{ }
};

static struct klp_object objs[] = {
	{
		.funcs = funcs,
		.callbacks = {
			.pre_patch = lp_callbacks_pre_patch,
			.post_patch = lp_callbacks_post_patch,
			.pre_unpatch = lp_callbacks_pre_unpatch,
			.post_unpatch = lp_callbacks_post_unpatch,
		},
	},
	{ }
};

static struct klp_patch patch = {
	.mod = THIS_MODULE,
	.objs = objs,
};

static int __init lp_callbacks_init(void)
{
	return klp_enable_patch(&patch);
}

/* Runs only once the patch is disabled: the kernel holds the module till then. */
static void __exit lp_callbacks_exit(void)
{
}

module_init(lp_callbacks_init);
module_exit(lp_callbacks_exit);
MODULE_DESCRIPTION("lpwatch: a patch whose callbacks wait");
MODULE_LICENSE("GPL");
MODULE_INFO(livepatch, "Y");

// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_late: the module that lp_two_objects patches before it is loaded.
 * Each read of /proc/lpwatch_late calls lpwatch_late_value() once.
 */

#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>

static int value = 1;

/* READ_ONCE keeps the compiler from folding the value into the caller. */
static noinline int lpwatch_late_value(void)
{
	return READ_ONCE(value);
}

static int value_show(struct seq_file *m, void *v)
{
	seq_printf(m, "%d\n", lpwatch_late_value());
	return 0;
}

static int __init lpwatch_late_init(void)
{
	if (!proc_create_single("lpwatch_late", 0444, NULL, value_show))
		return -ENOMEM;
	return 0;
}

static void __exit lpwatch_late_exit(void)
{
	remove_proc_entry("lpwatch_late", NULL);
}

module_init(lpwatch_late_init);
module_exit(lpwatch_late_exit);
MODULE_DESCRIPTION("lpwatch: a module that is loaded after its livepatch");
MODULE_LICENSE("GPL");

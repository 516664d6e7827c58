// SPDX-License-Identifier: GPL-2.0
/*
 * abi_openeuler: /proc/livepatch/state, as openEuler's own live patching has it.
 *
 * Format: state_show() in kernel/livepatch/core.c of openEuler's kernels 4.19
 * and 5.10.
 *
 * Commands:
 *	add PATCH		enabled
 *	enabled PATCH NUMBER
 *	remove PATCH
 *	say TEXT		a line in the log
 */

#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "abi.h"

struct patch {
	struct list_head list;
	char name[ABI_NAME];
	unsigned int enabled;
};

static LIST_HEAD(patches);

static int state_show(struct seq_file *m, void *v)
{
	struct patch *patch;
	int index = 0;

	seq_printf(m, "%-5s\t%-26s\t%-8s\n", "Index", "Patch", "State");
	seq_puts(m, "-----------------------------------------------\n");
	mutex_lock(&abi_lock);
	list_for_each_entry(patch, &patches, list)
		seq_printf(m, "%-5d\t%-26s\t%-8s\n", ++index, patch->name,
			   patch->enabled ? "enabled" : "disabled");
	mutex_unlock(&abi_lock);
	seq_puts(m, "-----------------------------------------------\n");
	return 0;
}

static int abi_command(const char *command, char *rest)
{
	const char *name = abi_word(&rest);
	struct patch *patch;

	if (!strcmp(command, "add")) {
		patch = kzalloc(sizeof(*patch), GFP_KERNEL);
		if (!patch)
			return -ENOMEM;
		strscpy(patch->name, name, ABI_NAME);
		patch->enabled = 1;
		list_add_tail(&patch->list, &patches);
		return 0;
	}
	list_for_each_entry(patch, &patches, list) {
		if (strcmp(patch->name, name))
			continue;
		if (!strcmp(command, "enabled")) {
			patch->enabled = abi_number(&rest);
		} else if (!strcmp(command, "remove")) {
			list_del(&patch->list);
			kfree(patch);
		} else {
			return -EINVAL;
		}
		return 0;
	}
	return -ENOENT;
}

static struct proc_dir_entry *folder;

static int __init abi_openeuler_init(void)
{
	folder = proc_mkdir("livepatch", NULL);
	if (!folder)
		return -ENOMEM;
	if (!proc_create_single("state", 0, folder, state_show)) {
		proc_remove(folder);
		return -ENOMEM;
	}
	return 0;
}

static void __exit abi_openeuler_exit(void)
{
	struct patch *patch, *next;

	proc_remove(folder);
	list_for_each_entry_safe(patch, next, &patches, list)
		kfree(patch);
}

module_init(abi_openeuler_init);
module_exit(abi_openeuler_exit);
MODULE_DESCRIPTION("lpwatch: the table of openEuler's live patching");
MODULE_LICENSE("GPL");

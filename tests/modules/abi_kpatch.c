// SPDX-License-Identifier: GPL-2.0
/*
 * abi_kpatch: the sysfs files of kpatch's own core module, /sys/kernel/kpatch.
 *
 * Files and formats: dynup/kpatch, kmod/core/core.c and
 * kmod/patch/kpatch-patch-hook.c. The parameter "form" says of which version:
 *	1	v0.1		patches/<module>/enabled
 *	2	v0.2		and patches/<module>/functions/<function>/{old,new}_addr
 *	3	v0.3		and patches/<module>/checksum
 *	4	v0.4 on		<module>/{enabled,checksum},
 *				<module>/<object>/<function,sympos>/{old,new}_addr
 *
 * Commands:
 *	add PATCH OBJECT FUNCTION SYMPOS OLD NEW	a function with its addresses
 *	enabled PATCH NUMBER
 *	remove PATCH
 *	say TEXT					a line in the log
 *	stop MILLISECONDS				stop the machine, as for a patch
 */

#include <linux/ktime.h>
#include <linux/stop_machine.h>

#include "abi.h"

/* One folder: of a patch, an object or a function. */
struct folder {
	struct list_head list;
	struct kobject kobj;
	struct folder *above;
	unsigned int enabled;
	unsigned long old_addr;
	unsigned long new_addr;
};

/* Those that lie deeper come first, so that they go first. */
static LIST_HEAD(folders);
static struct kobject *root;
static struct kobject *patches;

static unsigned int form = 4;
module_param(form, uint, 0444);
MODULE_PARM_DESC(form, "which version's files: 1 to 4");

#define to_folder(k) container_of(k, struct folder, kobj)

static ssize_t enabled_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "%u\n", to_folder(kobj)->enabled);
}

/* A patch can only be disabled (patch_enabled_store). */
static ssize_t enabled_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			     size_t count)
{
	unsigned int value;

	if (!to_folder(kobj)->enabled || kstrtouint(buf, 10, &value) || value)
		return -EINVAL;
	to_folder(kobj)->enabled = 0;
	pr_notice("kpatch: unloaded patch module '%s'\n", kobject_name(kobj));
	return count;
}

static ssize_t checksum_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "5f6a2b1c5f6a2b1c5f6a2b1c5f6a2b1c\n");
}

static ssize_t old_addr_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "0x%lx\n", to_folder(kobj)->old_addr);
}

static ssize_t new_addr_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "0x%lx\n", to_folder(kobj)->new_addr);
}

static struct kobj_attribute enabled_attr = __ATTR(enabled, 0644, enabled_show, enabled_store);
static struct kobj_attribute checksum_attr = __ATTR(checksum, 0444, checksum_show, NULL);
static struct kobj_attribute old_addr_attr = __ATTR(old_addr, 0400, old_addr_show, NULL);
static struct kobj_attribute new_addr_attr = __ATTR(new_addr, 0400, new_addr_show, NULL);

static struct attribute *function_attrs[] = {
	&old_addr_attr.attr,
	&new_addr_attr.attr,
	NULL
};

static struct attribute_group function_group = {
	.attrs = function_attrs,
};

static void folder_release(struct kobject *kobj)
{
	kfree(to_folder(kobj));
}

static struct kobj_type folder_type = {
	.release = folder_release,
	.sysfs_ops = &kobj_sysfs_ops,
};

static struct folder *find(struct folder *above, const char *name)
{
	struct folder *folder;

	list_for_each_entry(folder, &folders, list)
		if (folder->above == above && !strcmp(kobject_name(&folder->kobj), name))
			return folder;
	return NULL;
}

static struct folder *find_or_make(struct folder *above, struct kobject *parent, const char *name)
{
	struct folder *folder = find(above, name);

	if (folder)
		return folder;
	folder = kzalloc(sizeof(*folder), GFP_KERNEL);
	if (!folder)
		return NULL;
	folder->above = above;
	if (kobject_init_and_add(&folder->kobj, &folder_type, parent, "%s", name)) {
		kobject_put(&folder->kobj);
		return NULL;
	}
	list_add(&folder->list, &folders);
	return folder;
}

static struct folder *make_patch(const char *name)
{
	struct folder *patch = find(NULL, name);

	if (patch)
		return patch;
	patch = find_or_make(NULL, patches ? patches : root, name);
	if (!patch)
		return NULL;
	if (sysfs_create_file(&patch->kobj, &enabled_attr.attr) ||
	    (form >= 3 && sysfs_create_file(&patch->kobj, &checksum_attr.attr)))
		return NULL;
	patch->enabled = 1;
	return patch;
}

static int add(const char *name, char *rest)
{
	struct folder *patch, *object, *function;
	char label[ABI_NAME];
	const char *of, *what;
	unsigned int sympos;

	if (!*name)
		return -EINVAL;
	patch = make_patch(name);
	if (!patch)
		return -ENOMEM;
	if (form == 1)
		return 0;
	of = abi_word(&rest);
	what = abi_word(&rest);
	sympos = abi_number(&rest);
	if (!*of || !*what)
		return -EINVAL;
	if (form < 4)
		strscpy(label, what, sizeof(label));
	else
		snprintf(label, sizeof(label), "%s,%u", what, sympos ? sympos : 1);
	object = find_or_make(patch, &patch->kobj, form < 4 ? "functions" : of);
	function = object ? find_or_make(object, &object->kobj, label) : NULL;
	if (!function || sysfs_create_group(&function->kobj, &function_group))
		return -ENOMEM;
	if (kstrtoul(abi_word(&rest), 0, &function->old_addr) ||
	    kstrtoul(abi_word(&rest), 0, &function->new_addr))
		return -EINVAL;
	return 0;
}

/* Drops a patch and what is below it; NULL: everything. */
static void drop(struct folder *patch)
{
	struct folder *folder, *next;

	list_for_each_entry_safe(folder, next, &folders, list) {
		struct folder *object = folder->above;

		if (patch && folder != patch && object != patch &&
		    !(object && object->above == patch))
			continue;
		list_del(&folder->list);
		kobject_put(&folder->kobj);
	}
}

/* What the core does in it: nothing here, but for as long. */
static noinline int kpatch_apply_patch(void *data)
{
	/* By the clock that lpwatch goes by: mdelay() has another, a little faster. */
	u64 until = ktime_get_boottime_ns() + *(unsigned int *)data * (u64)NSEC_PER_MSEC;

	while (ktime_get_boottime_ns() < until)
		cpu_relax();
	return 0;
}

static int stop(const char *text)
{
	unsigned int milliseconds;

	if (kstrtouint(text, 10, &milliseconds) || milliseconds > 1000)
		return -EINVAL;
	return stop_machine(kpatch_apply_patch, &milliseconds, NULL);
}

static int abi_command(const char *command, char *rest)
{
	const char *name = abi_word(&rest);
	struct folder *patch;

	if (!strcmp(command, "add"))
		return add(name, rest);
	if (!strcmp(command, "stop"))
		return stop(name);
	patch = find(NULL, name);
	if (!patch)
		return -ENOENT;
	if (!strcmp(command, "remove"))
		drop(patch);
	else if (!strcmp(command, "enabled"))
		patch->enabled = abi_number(&rest);
	else
		return -EINVAL;
	return 0;
}

static int __init abi_kpatch_init(void)
{
	root = kobject_create_and_add("kpatch", kernel_kobj);
	if (!root)
		return -ENOMEM;
	if (form < 4) {
		patches = kobject_create_and_add("patches", root);
		if (!patches) {
			kobject_put(root);
			return -ENOMEM;
		}
	}
	return 0;
}

static void __exit abi_kpatch_exit(void)
{
	drop(NULL);
	kobject_put(patches);
	kobject_put(root);
}

module_init(abi_kpatch_init);
module_exit(abi_kpatch_exit);
MODULE_DESCRIPTION("lpwatch: the files of kpatch's own core module");
MODULE_LICENSE("GPL");

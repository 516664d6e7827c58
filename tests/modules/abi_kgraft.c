// SPDX-License-Identifier: GPL-2.0
/*
 * abi_kgraft: the sysfs files of kGraft, /sys/kernel/kgraft.
 *
 * Files and formats: kernel/kgraft_files.c and include/linux/kgraft.h of Jiri
 * Slaby's kgraft branches (git.kernel.org, jirislaby/kgraft) and of SUSE's
 * SLE 12 kernels. /proc/<pid>/kgr_in_progress cannot be made by a module.
 *
 * The parameter "table" says which form the table of functions has: "fatal",
 * "weak", "object" or "sympos" (the columns of different versions).
 *
 * Commands:
 *	add PATCH FUNCTION [OBJECT [SYMPOS]]	a function, in state 0
 *	state PATCH FUNCTION NUMBER		0 init, 1 being applied, 2 applied,
 *						3 being reverted, 4 reverted, 5 skipped
 *	states PATCH NUMBER			the same for all its functions
 *	refs PATCH NUMBER | replace_all PATCH NUMBER
 *	in_progress NUMBER
 *	remove PATCH
 *	say TEXT				a line in the log
 */

#include "abi.h"

struct function {
	struct list_head list;
	char name[ABI_NAME];
	char object[ABI_NAME];
	unsigned int sympos;
	unsigned int state;
};

struct patch {
	struct list_head list;
	struct kobject kobj;
	struct list_head functions;
	unsigned int refs;
	unsigned int replace_all;
};

static LIST_HEAD(patches);
static struct kobject *root;
static unsigned int in_progress;
static unsigned int force_load_module;

static char *table = "sympos";
module_param(table, charp, 0444);
MODULE_PARM_DESC(table, "the form of the table of functions");

#define to_patch(k) container_of(k, struct patch, kobj)

static void set_states(struct patch *patch, unsigned int from, unsigned int to)
{
	struct function *function;

	list_for_each_entry(function, &patch->functions, list)
		if (from == ~0U || function->state == from)
			function->state = to;
}

static ssize_t state_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	bool sympos = !strcmp(table, "sympos");
	struct function *function;
	int size;

	mutex_lock(&abi_lock);
	if (sympos)
		size = scnprintf(buf, PAGE_SIZE, "%-20s  %-20s  Sympos  State\n", "Function",
				 "Object");
	else if (!strcmp(table, "object"))
		size = scnprintf(buf, PAGE_SIZE, "%-20s  %-20s  State\n", "Function", "Object");
	else if (!strcmp(table, "weak"))
		size = scnprintf(buf, PAGE_SIZE, "%-20s   Weak  State\n", "Function");
	else
		size = scnprintf(buf, PAGE_SIZE, "%-20s  Fatal  State\n", "Function");
	list_for_each_entry(function, &to_patch(kobj)->functions, list) {
		if (sympos)
			size += scnprintf(buf + size, PAGE_SIZE - size, "%-20s  %-20s  %6u  %5u\n",
					  function->name, function->object, function->sympos,
					  function->state);
		else if (!strcmp(table, "object"))
			size += scnprintf(buf + size, PAGE_SIZE - size, "%-20s  %-20s  %5u\n",
					  function->name, function->object, function->state);
		else
			size += scnprintf(buf + size, PAGE_SIZE - size, "%-20s  %5d  %5u\n",
					  function->name, 1, function->state);
	}
	mutex_unlock(&abi_lock);
	return size;
}

static ssize_t refs_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "%u\n", to_patch(kobj)->refs);
}

static ssize_t replace_all_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "%u\n", to_patch(kobj)->replace_all);
}

/* Begins to revert the patch, as kgr_modify_kernel() does. */
static ssize_t revert_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			    size_t count)
{
	ssize_t ret = count;

	mutex_lock(&abi_lock);
	if (in_progress) {
		ret = -EAGAIN;
	} else {
		set_states(to_patch(kobj), 2, 3);
		in_progress = 1;
	}
	mutex_unlock(&abi_lock);
	return ret;
}

static struct kobj_attribute state_attr = __ATTR_RO(state);
static struct kobj_attribute refs_attr = __ATTR_RO(refs);
static struct kobj_attribute replace_all_attr = __ATTR_RO(replace_all);
static struct kobj_attribute revert_attr = __ATTR_WO(revert);

static struct attribute *patch_attrs[] = {
	&state_attr.attr,
	&refs_attr.attr,
	&replace_all_attr.attr,
	&revert_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(patch);

static void patch_release(struct kobject *kobj)
{
	struct patch *patch = to_patch(kobj);
	struct function *function, *next;

	list_for_each_entry_safe(function, next, &patch->functions, list)
		kfree(function);
	kfree(patch);
}

static struct kobj_type patch_type = {
	.release = patch_release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = patch_groups,
};

static ssize_t in_progress_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "%u\n", in_progress);
}

/* Forces the patch, as kgr_unmark_processes() does: all tasks count as moved. */
static ssize_t in_progress_store(struct kobject *kobj, struct kobj_attribute *attr,
				 const char *buf, size_t count)
{
	struct patch *patch;

	if (count == 0 || buf[0] != '0')
		return -EINVAL;
	mutex_lock(&abi_lock);
	list_for_each_entry(patch, &patches, list) {
		set_states(patch, 1, 2);
		set_states(patch, 3, 4);
	}
	in_progress = 0;
	mutex_unlock(&abi_lock);
	pr_info("kgr: all processes marked as migrated on admin's request\n");
	return count;
}

static ssize_t force_load_module_show(struct kobject *kobj, struct kobj_attribute *attr,
				      char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "%u\n", force_load_module);
}

static ssize_t force_load_module_store(struct kobject *kobj, struct kobj_attribute *attr,
				       const char *buf, size_t count)
{
	return kstrtouint(buf, 10, &force_load_module) ? -EINVAL : count;
}

static struct kobj_attribute in_progress_attr = __ATTR_RW(in_progress);
static struct kobj_attribute force_load_module_attr = __ATTR_RW(force_load_module);

static struct attribute *root_attrs[] = {
	&in_progress_attr.attr,
	&force_load_module_attr.attr,
	NULL
};

static struct attribute_group root_group = {
	.attrs = root_attrs,
};

static struct patch *find(const char *name)
{
	struct patch *patch;

	list_for_each_entry(patch, &patches, list)
		if (!strcmp(kobject_name(&patch->kobj), name))
			return patch;
	return NULL;
}

static struct patch *make(const char *name)
{
	struct patch *patch = kzalloc(sizeof(*patch), GFP_KERNEL);

	if (!patch)
		return NULL;
	INIT_LIST_HEAD(&patch->functions);
	if (kobject_init_and_add(&patch->kobj, &patch_type, root, "%s", name)) {
		kobject_put(&patch->kobj);
		return NULL;
	}
	if (sysfs_create_link(&patch->kobj, &THIS_MODULE->mkobj.kobj, "owner"))
		pr_warn("abi_kgraft: no link to the owner of %s\n", name);
	list_add_tail(&patch->list, &patches);
	return patch;
}

static void drop(struct patch *patch)
{
	list_del(&patch->list);
	sysfs_remove_link(&patch->kobj, "owner");
	kobject_put(&patch->kobj);
}

static int add(const char *name, char *rest)
{
	struct patch *patch = find(name);
	struct function *function;

	if (!*name)
		return -EINVAL;
	if (!patch)
		patch = make(name);
	function = patch ? kzalloc(sizeof(*function), GFP_KERNEL) : NULL;
	if (!function)
		return -ENOMEM;
	strscpy(function->name, abi_word(&rest), ABI_NAME);
	strscpy(function->object, abi_word(&rest), ABI_NAME);
	function->sympos = abi_number(&rest);
	if (!*function->object)
		strscpy(function->object, "vmlinux", ABI_NAME);
	list_add_tail(&function->list, &patch->functions);
	return 0;
}

static int abi_command(const char *command, char *rest)
{
	struct function *function;
	struct patch *patch;
	const char *name;

	if (!strcmp(command, "in_progress")) {
		in_progress = abi_number(&rest);
		return 0;
	}
	name = abi_word(&rest);
	if (!strcmp(command, "add"))
		return add(name, rest);
	patch = find(name);
	if (!patch)
		return -ENOENT;
	if (!strcmp(command, "remove")) {
		drop(patch);
	} else if (!strcmp(command, "refs")) {
		patch->refs = abi_number(&rest);
	} else if (!strcmp(command, "replace_all")) {
		patch->replace_all = abi_number(&rest);
	} else if (!strcmp(command, "states")) {
		set_states(patch, ~0U, abi_number(&rest));
	} else if (!strcmp(command, "state")) {
		name = abi_word(&rest);
		list_for_each_entry(function, &patch->functions, list) {
			if (!strcmp(function->name, name)) {
				function->state = abi_number(&rest);
				return 0;
			}
		}
		return -ENOENT;
	} else {
		return -EINVAL;
	}
	return 0;
}

static int __init abi_kgraft_init(void)
{
	int ret;

	root = kobject_create_and_add("kgraft", kernel_kobj);
	if (!root)
		return -ENOMEM;
	ret = sysfs_create_group(root, &root_group);
	if (ret)
		kobject_put(root);
	return ret;
}

static void __exit abi_kgraft_exit(void)
{
	struct patch *patch, *next;

	list_for_each_entry_safe(patch, next, &patches, list)
		drop(patch);
	sysfs_remove_group(root, &root_group);
	kobject_put(root);
}

module_init(abi_kgraft_init);
module_exit(abi_kgraft_exit);
MODULE_DESCRIPTION("lpwatch: the files of kGraft");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * abi_ksplice: the sysfs files of Ksplice, /sys/kernel/ksplice/<id>.
 *
 * Files and formats: Ksplice 0.9.9, kmodsrc/ksplice.c (stage_show,
 * abort_cause_show, conflict_show, stage_store). Built as ksplice_abi (see
 * ksplice_abi.c) they lie where Ksplice has them that is not part of the
 * kernel: /sys/module/ksplice_<id>/ksplice, with <id> "abi".
 *
 * Commands:
 *	add ID
 *	stage ID WORD		preparing, applied, reversed
 *	abort ID WORD		ok, code_busy, no_match, ...
 *	conflict ID LINE	a task in the way: COMM PID SYMBOL...
 *	fill ID NUMBER		so many of them, numbered
 *	clear ID		nobody is in the way
 *	remove ID
 *	say TEXT		a line in the log
 *
 * Writing "applied" or "reversed" to stage does what Ksplice does: it fails
 * with code_busy while somebody is in the way.
 */

#include "abi.h"

struct conflict {
	struct list_head list;
	char line[ABI_NAME];
};

struct update {
	struct list_head list;
	struct kobject kobj;
	struct list_head conflicts;
	char stage[ABI_NAME];
	char abort_cause[ABI_NAME];
	unsigned int debug;
	unsigned int partial;
};

static LIST_HEAD(updates);
static struct kobject *root;

#define to_update(k) container_of(k, struct update, kobj)

/* What the log calls it. */
#ifdef ABI_KSPLICE_OWN
#define update_id(k) "abi"
#else
#define update_id(k) kobject_name(k)
#endif

static ssize_t stage_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "%s\n", to_update(kobj)->stage);
}

static ssize_t stage_store(struct kobject *kobj, struct kobj_attribute *attr, const char *buf,
			   size_t count)
{
	struct update *update = to_update(kobj);
	const char *to = NULL;

	mutex_lock(&abi_lock);
	if (sysfs_streq(buf, "applied") && !strcmp(update->stage, "preparing"))
		to = "applied";
	else if (sysfs_streq(buf, "reversed") && !strcmp(update->stage, "applied"))
		to = "reversed";
	if (to && !list_empty(&update->conflicts)) {
		strscpy(update->abort_cause, "code_busy", ABI_NAME);
		pr_err("ksplice: Aborted %s.  stack check: to-be-replaced code is busy.\n",
		       update_id(kobj));
	} else if (to) {
		strscpy(update->stage, to, ABI_NAME);
		strscpy(update->abort_cause, "ok", ABI_NAME);
		pr_info("ksplice: Update %s %s successfully\n", update_id(kobj), to);
	}
	mutex_unlock(&abi_lock);
	return count;
}

static ssize_t abort_cause_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "%s\n", to_update(kobj)->abort_cause);
}

static ssize_t debug_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "%u\n", to_update(kobj)->debug);
}

static ssize_t partial_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	return scnprintf(buf, PAGE_SIZE, "%u\n", to_update(kobj)->partial);
}

/* Whole lines only: what does not fit the page is left out. */
static ssize_t conflicts_show(struct kobject *kobj, struct kobj_attribute *attr, char *buf)
{
	struct conflict *conflict;
	size_t used = 0;

	mutex_lock(&abi_lock);
	list_for_each_entry(conflict, &to_update(kobj)->conflicts, list) {
		if (used + strlen(conflict->line) + 1 >= PAGE_SIZE)
			break;
		used += scnprintf(buf + used, PAGE_SIZE - used, "%s\n", conflict->line);
	}
	mutex_unlock(&abi_lock);
	return used;
}

static struct kobj_attribute stage_attr = __ATTR(stage, 0600, stage_show, stage_store);
static struct kobj_attribute abort_cause_attr = __ATTR(abort_cause, 0400, abort_cause_show, NULL);
static struct kobj_attribute debug_attr = __ATTR(debug, 0400, debug_show, NULL);
static struct kobj_attribute partial_attr = __ATTR(partial, 0400, partial_show, NULL);
static struct kobj_attribute conflicts_attr = __ATTR(conflicts, 0400, conflicts_show, NULL);

static struct attribute *update_attrs[] = {
	&stage_attr.attr,
	&abort_cause_attr.attr,
	&debug_attr.attr,
	&partial_attr.attr,
	&conflicts_attr.attr,
	NULL
};
ATTRIBUTE_GROUPS(update);

static void clear(struct update *update)
{
	struct conflict *conflict, *next;

	list_for_each_entry_safe(conflict, next, &update->conflicts, list) {
		list_del(&conflict->list);
		kfree(conflict);
	}
}

static void update_release(struct kobject *kobj)
{
	clear(to_update(kobj));
	kfree(to_update(kobj));
}

static struct kobj_type update_type = {
	.release = update_release,
	.sysfs_ops = &kobj_sysfs_ops,
	.default_groups = update_groups,
};

static struct update *find(const char *id)
{
	struct update *update;

	list_for_each_entry(update, &updates, list)
		if (!strcmp(kobject_name(&update->kobj), id))
			return update;
	return NULL;
}

static int make(struct kobject *parent, const char *id)
{
	struct update *update = kzalloc(sizeof(*update), GFP_KERNEL);

	if (!update)
		return -ENOMEM;
	INIT_LIST_HEAD(&update->conflicts);
	strscpy(update->stage, "preparing", ABI_NAME);
	strscpy(update->abort_cause, "ok", ABI_NAME);
	if (kobject_init_and_add(&update->kobj, &update_type, parent, "%s", id)) {
		kobject_put(&update->kobj);
		return -ENOMEM;
	}
	list_add_tail(&update->list, &updates);
	return 0;
}

static void drop(struct update *update)
{
	list_del(&update->list);
	kobject_put(&update->kobj);
}

static int conflict_with(struct update *update, const char *line)
{
	struct conflict *conflict = kzalloc(sizeof(*conflict), GFP_KERNEL);

	if (!conflict)
		return -ENOMEM;
	strscpy(conflict->line, line, ABI_NAME);
	list_add_tail(&conflict->list, &update->conflicts);
	return 0;
}

static int fill(struct update *update, unsigned int number)
{
	char line[ABI_NAME];
	unsigned int i;

	for (i = 0; i < number; i++) {
		snprintf(line, sizeof(line), "worker %u a_function_of_the_kernel", 100000 + i);
		if (conflict_with(update, line))
			return -ENOMEM;
	}
	return 0;
}

static int abi_command(const char *command, char *rest)
{
	const char *id = abi_word(&rest);
	struct update *update;

	if (!strcmp(command, "add"))
		return root && *id && !find(id) ? make(root, id) : -EINVAL;
	update = find(id);
	if (!update)
		return -ENOENT;
	if (!strcmp(command, "remove"))
		drop(update);
	else if (!strcmp(command, "stage"))
		strscpy(update->stage, abi_word(&rest), ABI_NAME);
	else if (!strcmp(command, "abort"))
		strscpy(update->abort_cause, abi_word(&rest), ABI_NAME);
	else if (!strcmp(command, "conflict"))
		return conflict_with(update, rest ? strim(rest) : "");
	else if (!strcmp(command, "fill"))
		return fill(update, abi_number(&rest));
	else if (!strcmp(command, "clear"))
		clear(update);
	else
		return -EINVAL;
	return 0;
}

static int __init abi_ksplice_init(void)
{
#ifdef ABI_KSPLICE_OWN
	return make(&THIS_MODULE->mkobj.kobj, "ksplice");
#else
	root = kobject_create_and_add("ksplice", kernel_kobj);
	return root ? 0 : -ENOMEM;
#endif
}

static void __exit abi_ksplice_exit(void)
{
	struct update *update, *next;

	list_for_each_entry_safe(update, next, &updates, list)
		drop(update);
	kobject_put(root);
}

module_init(abi_ksplice_init);
module_exit(abi_ksplice_exit);
MODULE_DESCRIPTION("lpwatch: the files of Ksplice");
MODULE_LICENSE("GPL");

/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the abi_* modules share. Each makes the sysfs or proc files of a patching
 * system that runs on no kernel of today, so that a test can see a reader of
 * them at work in a real one. They patch nothing.
 *
 * A test moves such a system along by words written to the module's parameter
 * "control": a command and its arguments, one command a write.
 */

#ifndef LPWATCH_ABI_H
#define LPWATCH_ABI_H

#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysfs.h>

/* A write of sysfs is a page at most, and so are these. */
#define ABI_NAME 128

/* The next word; an empty string, never NULL, where there is none. */
static inline char *abi_word(char **rest)
{
	char *word;

	do {
		word = strsep(rest, " \t\n");
	} while (word && !*word);
	return word ? word : (char *)"";
}

static inline unsigned int abi_number(char **rest)
{
	unsigned int number = 0;

	return kstrtouint(abi_word(rest), 0, &number) ? 0 : number;
}

/* Each module has one of these: a command, and what follows it. */
static int abi_command(const char *command, char *rest);

static DEFINE_MUTEX(abi_lock);

static int abi_control_set(const char *text, const struct kernel_param *kp)
{
	char *copy, *rest;
	const char *command;
	int ret;

	copy = kstrdup(text, GFP_KERNEL);
	if (!copy)
		return -ENOMEM;
	rest = copy;
	command = abi_word(&rest);
	if (!rest)
		rest = (char *)"";
	if (!strcmp(command, "say")) {
		/* What the system itself would say in the log, to the letter. */
		pr_info("%s\n", strim(rest));
		ret = 0;
	} else {
		mutex_lock(&abi_lock);
		ret = abi_command(command, rest);
		mutex_unlock(&abi_lock);
	}
	kfree(copy);
	return ret;
}

static const struct kernel_param_ops abi_control_ops = {
	.set = abi_control_set,
};
module_param_cb(control, &abi_control_ops, NULL, 0200);
MODULE_PARM_DESC(control, "a command, see the source");

#endif

// SPDX-License-Identifier: GPL-2.0
/*
 * abi_kcare: /proc/kcare/cvelist and /proc/kcare/effective_version, as
 * KernelCare has them.
 *
 * Files: TuxCare's documentation of KernelCare (live-patching-services,
 * "Vulnerability scanners"): a list of CVEs separated by newlines, and the
 * version of the kernel that is in force.
 *
 * Commands:
 *	cve CVE		one more
 *	clear		none
 *	version TEXT
 *	say TEXT	a line in the log
 */

#include <linux/proc_fs.h>
#include <linux/seq_file.h>

#include "abi.h"

static char cves[PAGE_SIZE];
static char version[ABI_NAME];

static int cvelist_show(struct seq_file *m, void *v)
{
	mutex_lock(&abi_lock);
	seq_puts(m, cves);
	mutex_unlock(&abi_lock);
	return 0;
}

static int version_show(struct seq_file *m, void *v)
{
	mutex_lock(&abi_lock);
	seq_printf(m, "%s\n", version);
	mutex_unlock(&abi_lock);
	return 0;
}

static int abi_command(const char *command, char *rest)
{
	size_t used = strlen(cves);

	if (!strcmp(command, "cve"))
		scnprintf(cves + used, sizeof(cves) - used, "%s\n", abi_word(&rest));
	else if (!strcmp(command, "clear"))
		cves[0] = '\0';
	else if (!strcmp(command, "version"))
		strscpy(version, strim(rest), sizeof(version));
	else
		return -EINVAL;
	return 0;
}

static struct proc_dir_entry *folder;

static int __init abi_kcare_init(void)
{
	folder = proc_mkdir("kcare", NULL);
	if (!folder)
		return -ENOMEM;
	if (!proc_create_single("cvelist", 0444, folder, cvelist_show) ||
	    !proc_create_single("effective_version", 0444, folder, version_show)) {
		proc_remove(folder);
		return -ENOMEM;
	}
	return 0;
}

static void __exit abi_kcare_exit(void)
{
	proc_remove(folder);
}

module_init(abi_kcare_init);
module_exit(abi_kcare_exit);
MODULE_DESCRIPTION("lpwatch: the files of KernelCare");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/*
 * lpwatch_blob: code without unwind data, as a vendor's binary has it.
 *
 * - Kbuild keeps objtool away from this file, and lpwatch_blob_wait()
 *   keeps bytes on the stack that nothing tells of. The kernel's unwinder gets
 *   no further than lpwatch_blob_sleep(), and no stack below it is reliable.
 * - The thread "lpwatch_blob" sleeps there all its life.
 * - Each read of /proc/lpwatch_blob sleeps there until a signal comes.
 */

#include <linux/delay.h>
#include <linux/err.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>

static struct task_struct *thread;

/* Called from assembly. */
void lpwatch_blob_sleep(void);
void lpwatch_blob_wait(void);

void lpwatch_blob_sleep(void)
{
	msleep_interruptible(300);
	/* Something after the call: else it would be a jump, and no frame. */
	barrier();
}

#ifdef CONFIG_X86_64
asm(".pushsection .text\n"
    ".globl lpwatch_blob_wait\n"
    ".type lpwatch_blob_wait, @function\n"
    "lpwatch_blob_wait:\n"
    "	sub $40, %rsp\n"
    "	call lpwatch_blob_sleep\n"
    "	add $40, %rsp\n"
    "	ret\n"
    ".size lpwatch_blob_wait, . - lpwatch_blob_wait\n"
    ".popsection\n");
#else
void lpwatch_blob_wait(void)
{
	lpwatch_blob_sleep();
	barrier();
}
#endif

static int lpwatch_blob_main(void *unused)
{
	while (!kthread_should_stop())
		lpwatch_blob_wait();
	return 0;
}

static int blob_show(struct seq_file *m, void *v)
{
	while (!signal_pending(current))
		lpwatch_blob_wait();
	return -EINTR;
}

static int __init lpwatch_blob_init(void)
{
	if (!proc_create_single("lpwatch_blob", 0444, NULL, blob_show))
		return -ENOMEM;
	thread = kthread_run(lpwatch_blob_main, NULL, "lpwatch_blob");
	if (IS_ERR(thread)) {
		remove_proc_entry("lpwatch_blob", NULL);
		return PTR_ERR(thread);
	}
	return 0;
}

static void __exit lpwatch_blob_exit(void)
{
	kthread_stop(thread);
	remove_proc_entry("lpwatch_blob", NULL);
}

module_init(lpwatch_blob_init);
module_exit(lpwatch_blob_exit);
MODULE_DESCRIPTION("lpwatch: code without unwind data");
MODULE_LICENSE("GPL");

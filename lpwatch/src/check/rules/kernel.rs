//! The kernel accepts this patch: processor, build, signature and settings.

use crate::{
    check::{CheckContext, facts::kernel::KernelFacts},
    kernel::patch_file::PatchFile,
    model::{check::CheckFinding, snapshot::Severity},
};

use super::{
    Rule,
    errno::{EBUSY, EINVAL, ENOEXEC, EPERM},
    findings,
};

mod signature;
mod vermagic;

pub(super) const RULE: Rule = Rule {
    id: "kernel",
    title: "this kernel accepts the patch",
    background: "\
A patch is a kernel module. The module loader first checks its signature (EKEYREJECTED, \
or EPERM under lockdown), its processor, its version magic and whether it is marked as a livepatch \
(ENOEXEC). The version magic names the kernel's release and the options that change the layout of \
its data. If both have symbol versions (CONFIG_MODVERSIONS), the kernel does not compare the release. A \
patch for another kernel can then pass if the symbols that it uses have not changed, although its \
functions were built from another kernel's source.

Then the patch is enabled. Its functions are redirected through ftrace: with \
kernel.ftrace_enabled=0 that is refused (EBUSY, since 5.6; before, the patch loaded and had no \
effect). Each task is switched once its stack shows that it is in none of the functions: without \
reliable stacks (CONFIG_HAVE_RELIABLE_STACKTRACE) the kernel only warns, and kernel threads never \
switch.",
    sources: &[
        "kernel/module/main.c, load_module and check_modinfo (6.12)",
        "kernel/module/version.c, same_magic (6.12)",
        "kernel/module/signing.c, module_sig_check (6.12)",
        "kernel/trace/ftrace.c, __register_ftrace_function, FTRACE_OPS_FL_PERMANENT (5.6)",
        "kernel/livepatch/core.c, klp_enable_patch (5.10 to 7.3)",
        "man 7 kernel_lockdown",
    ],
    judge,
};

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let CheckContext {
        patch,
        facts,
        is_loaded,
    } = context;
    let kernel = &facts.kernel;
    if *is_loaded {
        // The loader accepted it, but it must also be removable later.
        return stacks(kernel).into_iter().collect();
    }
    if !patch.modinfo.livepatch && patch.made_by.is_none() {
        return vec![no_patch(patch)];
    }
    let found = [
        facts.patches.is_none().then(no_livepatch),
        unmarked(patch),
        processor(patch, kernel),
        vermagic::judge(patch, &facts.host, kernel),
        signature::judge(patch, kernel),
        modules_disabled(kernel),
        ftrace_off(kernel),
        stacks(kernel),
        unread(kernel),
    ];
    found.into_iter().flatten().collect()
}

/// A finding of this rule, without evidence and remedies.
fn finding(severity: Severity, text: impl Into<String>, errno: Option<u32>) -> CheckFinding {
    findings::finding(&RULE, severity, text, errno)
}

fn no_patch(patch: &PatchFile) -> CheckFinding {
    let text = format!(
        "{} is not a live patch: it has no livepatch mark and contains no klp_patch.",
        patch.name
    );
    CheckFinding {
        evidence: vec![
            "its .modinfo has no livepatch line".to_owned(),
            "its data contains no klp_patch".to_owned(),
        ],
        remedy: vec!["Check another file. This one would patch nothing.".to_owned()],
        ..finding(Severity::Danger, text, None)
    }
}

fn no_livepatch() -> CheckFinding {
    let text = "This kernel does not support live patching and would refuse the module (ENOEXEC).";
    CheckFinding {
        evidence: vec!["/sys/kernel/livepatch does not exist".to_owned()],
        remedy: vec!["Boot a kernel that is built with CONFIG_LIVEPATCH.".to_owned()],
        ..finding(Severity::Danger, text, Some(ENOEXEC))
    }
}

fn unmarked(patch: &PatchFile) -> Option<CheckFinding> {
    if patch.modinfo.livepatch {
        return None;
    }
    let text = format!(
        "{} is not marked as a livepatch: the kernel would refuse to enable it (EINVAL).",
        patch.name
    );
    Some(CheckFinding {
        evidence: vec!["its .modinfo has no livepatch line".to_owned()],
        remedy: vec!["Build it with MODULE_INFO(livepatch, \"Y\").".to_owned()],
        ..finding(Severity::Danger, text, Some(EINVAL))
    })
}

fn processor(patch: &PatchFile, kernel: &KernelFacts) -> Option<CheckFinding> {
    let own = kernel.machine.as_deref()?;
    let built_for = patch.machine.name();
    if own == built_for {
        return None;
    }
    let text = format!(
        "The patch is built for {built_for}, but this processor is {own}: the kernel would refuse it (ENOEXEC)."
    );
    Some(CheckFinding {
        evidence: vec![format!("the file's ELF machine is {built_for}")],
        remedy: vec![format!("Use the build for {own}.")],
        ..finding(Severity::Danger, text, Some(ENOEXEC))
    })
}

fn modules_disabled(kernel: &KernelFacts) -> Option<CheckFinding> {
    if kernel.modules_disabled != Some(true) {
        return None;
    }
    let text = "This kernel loads no modules until the next boot (EPERM).";
    Some(CheckFinding {
        evidence: vec!["kernel.modules_disabled is 1".to_owned()],
        remedy: vec![
            "Reboot, and load the patch before kernel.modules_disabled is set.".to_owned(),
        ],
        ..finding(Severity::Danger, text, Some(EPERM))
    })
}

fn ftrace_off(kernel: &KernelFacts) -> Option<CheckFinding> {
    if kernel.ftrace_enabled != Some(false) {
        return None;
    }
    let text = "ftrace is switched off: no function can be redirected (EBUSY).";
    Some(CheckFinding {
        evidence: vec!["kernel.ftrace_enabled is 0".to_owned()],
        remedy: vec!["Switch it on: sysctl kernel.ftrace_enabled=1".to_owned()],
        ..finding(Severity::Danger, text, Some(EBUSY))
    })
}

fn stacks(kernel: &KernelFacts) -> Option<CheckFinding> {
    let (severity, text, evidence) = match kernel.reliable_stacks {
        Some(true) => return None,
        Some(false) => (
            Severity::Danger,
            "This kernel has no reliable stack traces: kernel threads would never switch.",
            "CONFIG_STACKTRACE or CONFIG_HAVE_RELIABLE_STACKTRACE is not set",
        ),
        None => (
            Severity::Note,
            "It is unknown whether this kernel has reliable stack traces.",
            "the kernel configuration is neither in /proc/config.gz nor in /boot",
        ),
    };
    let remedy = "Boot a kernel with reliable stack traces. On x86 it needs CONFIG_UNWINDER_ORC.";
    Some(CheckFinding {
        evidence: vec![evidence.to_owned()],
        remedy: vec![remedy.to_owned(); usize::from(severity == Severity::Danger)],
        ..finding(severity, text, None)
    })
}

fn unread(kernel: &KernelFacts) -> Option<CheckFinding> {
    if kernel.unread.is_empty() {
        return None;
    }
    let text = "Some of the kernel's requirements for modules could not be read.";
    Some(CheckFinding {
        evidence: kernel.unread.clone(),
        remedy: vec!["Run the check as root.".to_owned()],
        ..finding(Severity::Warning, text, None)
    })
}

#[cfg(test)]
mod tests;

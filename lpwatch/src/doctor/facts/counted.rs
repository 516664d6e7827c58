//! The facts that are counted at function entries.

use crate::model::{
    ObservedFact,
    doctor::{ChosenHook, FactSource},
};

use super::{HookInputs, hook, rules::FactRule};

/// Without these facts it is unknown which code a call ran.
const TURNS: [ObservedFact; 2] = [ObservedFact::Begun, ObservedFact::Complete];

pub(super) fn calls(rule: &FactRule, known: &HookInputs) -> ChosenHook {
    if let Err(why) = countable(known) {
        return hook(rule, FactSource::None, None, None, why);
    }
    match (&known.sharing, known.kprobes) {
        (Ok(()), kprobes) => {
            let elsewhere = match (kprobes, known.groups) {
                (true, false) => {
                    "kprobes on functions of modules (an fentry would pin the module), on functions \
         not patched yet, and wherever fentry is refused"
                }
                (true, true) => {
                    "kprobes on functions of modules (the others would pin the module); on functions \
         of the kernel that are not patched yet, or more than a few, one kprobe.multi"
                }
                (false, false) => {
                    "none: functions of modules and functions not patched yet are not counted"
                }
                (false, true) => {
                    "one kprobe.multi on functions of the kernel that are not patched yet; none on \
         functions of modules, which are not counted"
                }
            };
            hook(
                rule,
                FactSource::Fentry,
                Some("patched functions of vmlinux"),
                Some(elsewhere),
                "on this kernel, fentry and a live patch can share a function, and fentry costs least"
                    .to_owned(),
            )
        }
        (Err(why), true) => hook(
            rule,
            FactSource::Kprobe,
            Some("patched or watched functions"),
            None,
            format!("a kprobe never prevents a patch from loading; no fentry, because {why}"),
        ),
        (Err(why), false) => hook(
            rule,
            FactSource::None,
            None,
            None,
            format!("kprobes are unavailable; no fentry, because {why}"),
        ),
    }
}

pub(super) fn effect(rule: &FactRule, known: &HookInputs) -> ChosenHook {
    let possible = countable(known)
        .and_then(|()| known.new_code.clone())
        .and_then(|()| {
            let missing = || "kprobes are unavailable, and an fentry would pin the patch's module";
            known
                .kprobes
                .then_some(())
                .ok_or_else(|| missing().to_owned())
        });
    match possible {
        Ok(()) => hook(
            rule,
            FactSource::Kprobe,
            Some("the new functions of patches"),
            None,
            "at the entry of the new function itself; a kprobe does not pin the patch's module, \
         as an fentry would"
                .to_owned(),
        ),
        Err(why) => hook(rule, FactSource::None, None, None, why),
    }
}

/// Whether anything can be counted, or why not.
fn countable(known: &HookInputs) -> Result<(), String> {
    let hooks = known.hooks.as_ref().map_err(Clone::clone)?;
    if !known.addresses {
        return Err("the kernel hides its symbols' addresses (kptr_restrict)".to_owned());
    }
    let follows = |fact: &ObservedFact| {
        hooks.iter().any(|probe| {
            probe.fact == *fact
                && probe.kind != "none"
                && known.tried(probe.attached) != Some(false)
        })
    };
    match TURNS.iter().find(|fact| !follows(fact)) {
        Some(fact) => Err(format!(
            "without the hook `{fact}` it is unknown which code a call runs"
        )),
        None => Ok(()),
    }
}

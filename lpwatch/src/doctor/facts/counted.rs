//! The facts that are counted at functions' entries.

use crate::model::{
    ObservedFact,
    doctor::{ChosenHook, HookKind},
};

use super::{Known, hook, rules::Rule};

/// Without these it cannot be told which code a call ran.
const TURNS: [ObservedFact; 2] = [ObservedFact::Begun, ObservedFact::Complete];

pub(super) fn calls(rule: &Rule, known: &Known) -> ChosenHook {
    if let Err(why) = countable(known) {
        return hook(rule, HookKind::None, None, None, why);
    }
    match (&known.sharing, known.kprobes) {
        (Ok(()), kprobes) => {
            let elsewhere = if kprobes {
                "kprobes on functions of modules, which an fentry would hold, on functions not \
                 patched yet, and wherever fentry is refused"
            } else {
                "none: functions of modules, and those not patched yet, are not counted"
            };
            hook(
                rule,
                HookKind::Fentry,
                Some("functions of vmlinux that are patched"),
                Some(elsewhere),
                "this kernel lets fentry and a live patch share a function, and fentry costs least"
                    .to_owned(),
            )
        }
        (Err(why), true) => hook(
            rule,
            HookKind::Kprobe,
            Some("functions that are patched or watched"),
            None,
            format!("a kprobe never keeps a patch from loading; no fentry, since {why}"),
        ),
        (Err(why), false) => hook(
            rule,
            HookKind::None,
            None,
            None,
            format!("there are no kprobes; no fentry, since {why}"),
        ),
    }
}

pub(super) fn effect(rule: &Rule, known: &Known) -> ChosenHook {
    let possible = countable(known)
        .and_then(|()| known.new_code.clone())
        .and_then(|()| {
            let missing = || "there are no kprobes, and an fentry would hold the patch's module";
            known
                .kprobes
                .then_some(())
                .ok_or_else(|| missing().to_owned())
        });
    match possible {
        Ok(()) => hook(
            rule,
            HookKind::Kprobe,
            Some("the new functions of patches"),
            None,
            "at the entry of the new function itself; a kprobe does not hold the patch's module, \
             as an fentry would"
                .to_owned(),
        ),
        Err(why) => hook(rule, HookKind::None, None, None, why),
    }
}

/// Whether anything can be counted, or why not.
fn countable(known: &Known) -> Result<(), String> {
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
            "without the hook `{fact}` it cannot be told which code a call runs"
        )),
        None => Ok(()),
    }
}

//! Each fact: what is known by it, by what hook, why by that, and what serves
//! where there is none.

use crate::model::{
    doctor::{ChosenBy, ChosenHook, HookKind},
    snapshot::Probe,
};

mod counted;
mod rules;
#[cfg(test)]
mod tests;

use rules::{RULES, Rule, Source};

/// What the choice of hooks follows from.
#[derive(Clone, Debug)]
pub(super) struct Known {
    pub livepatch: bool,
    pub by: ChosenBy,
    /// The hooks, or why there is no BPF.
    pub hooks: Result<Vec<Probe>, String>,
    /// Whether fentry and livepatch share functions, or why not.
    pub sharing: Result<(), String>,
    /// Whether there are kprobes.
    pub kprobes: bool,
    /// Whether symbols' addresses are shown.
    pub addresses: bool,
    /// Whether all tasks can be walked by BPF, or why not.
    pub tasks: Result<(), String>,
    /// Whether the host's BPF programs can be walked, or why not.
    pub programs: Result<(), String>,
    /// Whether it is known where the new code of patches lies, or why not.
    pub new_code: Result<(), String>,
    /// Whether the kernel log is read, or why not.
    pub log: Result<(), String>,
    /// Whether `/proc` tells the tasks' state, or why not.
    pub patch_state: Result<(), String>,
}

impl Known {
    /// Whether a hook works, where that was tried.
    fn tried(&self, works: bool) -> Option<bool> {
        match self.by {
            ChosenBy::Attaching | ChosenBy::Daemon => Some(works),
            ChosenBy::Policy => None,
        }
    }
}

/// What was chosen for every fact.
pub(super) fn choose(known: &Known) -> Vec<ChosenHook> {
    RULES.iter().map(|rule| chosen(rule, known)).collect()
}

fn chosen(rule: &Rule, known: &Known) -> ChosenHook {
    if !known.livepatch {
        let why = "this kernel has no live patches";
        return hook(rule, HookKind::None, None, None, why.to_owned());
    }
    match rule.source {
        Source::Sysfs => ChosenHook {
            works: Some(true),
            ..hook(
                rule,
                HookKind::Sysfs,
                Some("/sys/kernel/livepatch"),
                None,
                "the kernel's own word, open to all users".to_owned(),
            )
        },
        Source::Log => match &known.log {
            Ok(()) => ChosenHook {
                works: Some(true),
                ..hook(
                    rule,
                    HookKind::Kmsg,
                    Some("/dev/kmsg"),
                    None,
                    "the kernel's own words, from before lpwatch started, too".to_owned(),
                )
            },
            Err(why) => fallen_back(rule, known, why.clone()),
        },
        Source::Hook => hooked(rule, known),
        Source::Tasks => by_iterator(rule, known, "task", &known.tasks),
        Source::Programs => by_iterator(rule, known, "bpf_prog", &known.programs),
        Source::Calls => counted::calls(rule, known),
        Source::Effect => counted::effect(rule, known),
    }
}

fn hooked(rule: &Rule, known: &Known) -> ChosenHook {
    let hooks = match &known.hooks {
        Ok(hooks) => hooks,
        Err(why) => return fallen_back(rule, known, why.clone()),
    };
    let Some(probe) = hooks.iter().find(|probe| probe.fact == rule.fact) else {
        return fallen_back(rule, known, "no hook of that name is known".to_owned());
    };
    let Probe {
        kind,
        target,
        attached,
        note,
        ..
    } = probe;
    let kind = HookKind::of(kind);
    let unhooked = kind == HookKind::None || known.tried(*attached) == Some(false);
    if unhooked {
        let why = note.clone().unwrap_or_else(|| "no hook works".to_owned());
        return ChosenHook {
            target: Some(target.clone()),
            ..fallen_back(rule, known, why)
        };
    }
    let why = match (reason(kind), note) {
        (reason, None) => reason.to_owned(),
        (reason, Some(note)) => format!("{note}; {reason}"),
    };
    ChosenHook {
        works: known.tried(*attached),
        ..hook(rule, kind, Some(target), fallback(rule, known), why)
    }
}

/// Why hooks of this kind are taken.
fn reason(kind: HookKind) -> &'static str {
    match kind {
        HookKind::Fentry => {
            "the kernel's BTF has the function, and fentry costs least; at the entry it leaves \
             nothing on a stack"
        }
        HookKind::Kprobe => "a kprobe needs no BTF, and at the entry it leaves nothing on a stack",
        HookKind::Kretprobe => {
            "only the return tells; on this kernel and processor a return probe was found harmless"
        }
        HookKind::RawTracepoint => "the kernel has a tracepoint for it",
        HookKind::Iter => "one pass in the kernel sees all of them",
        HookKind::Kmsg | HookKind::Sysfs | HookKind::Procfs | HookKind::None => "it needs no BPF",
    }
}

fn by_iterator(rule: &Rule, known: &Known, walks: &str, works: &Result<(), String>) -> ChosenHook {
    let works = known.hooks.as_ref().map(drop).and(works.as_ref().copied());
    match works {
        Ok(()) => ChosenHook {
            works: known.tried(true),
            ..hook(
                rule,
                HookKind::Iter,
                Some(walks),
                fallback(rule, known),
                reason(HookKind::Iter).to_owned(),
            )
        },
        Err(why) => fallen_back(rule, known, why.clone()),
    }
}

/// The fact without its hook: by what serves instead, if anything does.
fn fallen_back(rule: &Rule, known: &Known, why: String) -> ChosenHook {
    match rule
        .fallbacks
        .iter()
        .find(|fallback| fallback.serves(known))
    {
        Some(fallback) => ChosenHook {
            works: fallback.is_hook().then_some(true),
            fallen_back: true,
            ..hook(
                rule,
                fallback.kind,
                fallback.target,
                Some(fallback.text),
                why,
            )
        },
        None => hook(rule, HookKind::None, None, None, why),
    }
}

/// What would serve without the hook.
fn fallback(rule: &Rule, known: &Known) -> Option<&'static str> {
    let mut fallbacks = rule.fallbacks.iter();
    fallbacks
        .find(|fallback| fallback.serves(known))
        .map(|fallback| fallback.text)
}

fn hook(
    rule: &Rule,
    kind: HookKind,
    target: Option<&str>,
    fallback: Option<&str>,
    why: String,
) -> ChosenHook {
    ChosenHook {
        fact: rule.fact,
        what: rule.what.to_owned(),
        kind,
        target: target.map(str::to_owned),
        works: None,
        fallen_back: false,
        why,
        fallback: fallback.map(str::to_owned),
    }
}

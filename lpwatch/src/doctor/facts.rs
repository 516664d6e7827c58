//! Each fact: its meaning, its hook, the reason for that hook, and the fallback.

use crate::model::{
    doctor::{ChosenBy, ChosenHook, FactSource},
    snapshot::Probe,
};

mod counted;
mod rules;
#[cfg(test)]
mod tests;

use rules::{FactRule, PrimarySource, RULES};

/// The inputs that decide which hooks are chosen.
#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the host"
)]
pub(super) struct HookInputs {
    pub livepatch: bool,
    pub by: ChosenBy,
    /// The hooks, or why there is no BPF.
    pub hooks: Result<Vec<Probe>, String>,
    /// Whether fentry and livepatch share functions, or why not.
    pub sharing: Result<(), String>,
    /// Whether functions may be hooked many at once (kprobe.multi).
    pub groups: bool,
    /// Whether kprobes are available.
    pub kprobes: bool,
    /// Whether the kernel shows the addresses of symbols.
    pub addresses: bool,
    /// Whether BPF can iterate over all tasks, or why not.
    pub tasks: Result<(), String>,
    /// Whether the host's BPF programs can be iterated, or why not.
    pub programs: Result<(), String>,
    /// Whether the addresses of the patches' new code are known, or why not.
    pub new_code: Result<(), String>,
    /// Whether the kernel log is read, or why not.
    pub log: Result<(), String>,
    /// Whether `/proc` shows the patch state of tasks, or why not.
    pub patch_state: Result<(), String>,
}

impl HookInputs {
    /// Whether a hook works, if that was tried.
    fn tried(&self, works: bool) -> Option<bool> {
        match self.by {
            ChosenBy::Attaching | ChosenBy::Daemon => Some(works),
            ChosenBy::Policy => None,
        }
    }
}

/// What was chosen for every fact.
pub(super) fn choose(known: &HookInputs) -> Vec<ChosenHook> {
    RULES.iter().map(|rule| chosen(rule, known)).collect()
}

fn chosen(rule: &FactRule, known: &HookInputs) -> ChosenHook {
    if !known.livepatch {
        let why = "this kernel does not support live patching";
        return hook(rule, FactSource::None, None, None, why.to_owned());
    }
    match rule.source {
        PrimarySource::Sysfs => ChosenHook {
            works: Some(true),
            ..hook(
                rule,
                FactSource::Sysfs,
                Some("/sys/kernel/livepatch"),
                None,
                "the kernel's own state, readable by all users".to_owned(),
            )
        },
        PrimarySource::Log => match &known.log {
            Ok(()) => ChosenHook {
                works: Some(true),
                ..hook(
                    rule,
                    FactSource::Kmsg,
                    Some("/dev/kmsg"),
                    None,
                    "the kernel's own messages, including those from before lpwatch started"
                        .to_owned(),
                )
            },
            Err(why) => fallen_back(rule, known, why.clone()),
        },
        PrimarySource::Hook => hooked(rule, known),
        PrimarySource::Tasks => by_iterator(rule, known, "task", &known.tasks),
        PrimarySource::Programs => by_iterator(rule, known, "bpf_prog", &known.programs),
        PrimarySource::Calls => counted::calls(rule, known),
        PrimarySource::Effect => counted::effect(rule, known),
    }
}

fn hooked(rule: &FactRule, known: &HookInputs) -> ChosenHook {
    let hooks = match &known.hooks {
        Ok(hooks) => hooks,
        Err(why) => return fallen_back(rule, known, why.clone()),
    };
    let Some(probe) = hooks.iter().find(|probe| probe.fact == rule.fact) else {
        return fallen_back(rule, known, "no hook of that name exists".to_owned());
    };
    let Probe {
        kind,
        target,
        attached,
        note,
        ..
    } = probe;
    let kind = FactSource::of(kind);
    let unhooked = kind == FactSource::None || known.tried(*attached) == Some(false);
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

/// Why a hook of this kind is chosen.
fn reason(kind: FactSource) -> &'static str {
    match kind {
        FactSource::Fentry => {
            "the function is in the kernel's BTF, fentry costs least, and an entry hook leaves \
             nothing on a stack"
        }
        FactSource::Kprobe => "a kprobe needs no BTF, and an entry hook leaves nothing on a stack",
        FactSource::Kretprobe => {
            "only the return value has the verdict; a return probe is harmless on this kernel and processor"
        }
        FactSource::RawTracepoint => "the kernel has a tracepoint for it",
        FactSource::Iter => "one pass in the kernel reads all of them",
        FactSource::Kmsg | FactSource::Sysfs | FactSource::Procfs | FactSource::None => {
            "it needs no BPF"
        }
    }
}

fn by_iterator(
    rule: &FactRule,
    known: &HookInputs,
    walks: &str,
    works: &Result<(), String>,
) -> ChosenHook {
    let works = known.hooks.as_ref().map(drop).and(works.as_ref().copied());
    match works {
        Ok(()) => ChosenHook {
            works: known.tried(true),
            ..hook(
                rule,
                FactSource::Iter,
                Some(walks),
                fallback(rule, known),
                reason(FactSource::Iter).to_owned(),
            )
        },
        Err(why) => fallen_back(rule, known, why.clone()),
    }
}

/// The fact without its hook: from its fallback, if it has one.
fn fallen_back(rule: &FactRule, known: &HookInputs, why: String) -> ChosenHook {
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
        None => hook(rule, FactSource::None, None, None, why),
    }
}

/// The fallback without the hook.
fn fallback(rule: &FactRule, known: &HookInputs) -> Option<&'static str> {
    let mut fallbacks = rule.fallbacks.iter();
    fallbacks
        .find(|fallback| fallback.serves(known))
        .map(|fallback| fallback.text)
}

fn hook(
    rule: &FactRule,
    kind: FactSource,
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

//! What the policy chooses on a kernel, without attaching anything.

use crate::model::{ObservedFact, snapshot::Probe};

use super::{
    object,
    policy::{self, HookKind, probe},
    stops,
};

/// The function that shows that fentry and livepatch can share a function.
pub const SHARING_MARKER: &str = policy::SHARING_MARKER;

/// The function that shows that the unwinder knows the frames of BPF.
pub const FRAMES_MARKER: &str = policy::FRAMES_MARKER;

/// Whether this lpwatch was built with its BPF programs.
#[must_use]
pub fn is_built() -> bool {
    object::bytes().is_some()
}

/// The kernel's functions that are hooked.
pub fn hooked_functions() -> impl Iterator<Item = &'static str> {
    policy::ENTRY_HOOKS
        .iter()
        .map(|hook| hook.function)
        .chain([policy::VERDICT_FUNCTION])
}

/// The functions whose hooks measure how long the machine is stopped.
#[must_use]
pub fn stop_functions() -> [&'static str; 2] {
    stops::FUNCTIONS
}

/// Whether an fentry may be on a patched function, or why not; `marked`: the
/// kernel has [`SHARING_MARKER`].
///
/// # Errors
/// The reason, for a person.
pub fn sharing(marked: bool) -> Result<(), &'static str> {
    policy::sharing(marked, std::env::consts::ARCH)
}

/// Whether functions of the kernel may be hooked many at once (kprobe.multi); `has` is
/// whether the kernel has a function.
pub fn may_group(has: impl Fn(&str) -> bool) -> bool {
    policy::multi_here(has).is_ok()
}

/// The hooks that would be tried first, none of them attached. `in_btf` is
/// whether the kernel's BTF has a function, `is_symbol` whether the kernel has
/// a symbol; `None` where that is unknown.
pub fn planned(
    in_btf: impl Fn(&str) -> bool,
    is_symbol: impl Fn(&str) -> Option<bool>,
) -> Vec<Probe> {
    let mut probes: Vec<Probe> = policy::ENTRY_HOOKS
        .iter()
        .map(|hook| {
            let typed = in_btf(hook.function);
            let kind = policy::choices(typed).first().copied();
            let absent = !typed && is_symbol(hook.function) == Some(false);
            let (kind, note) = match kind {
                Some(_) if absent => ("none", Some("this kernel has no such function")),
                Some(HookKind::Kprobe) => ("kprobe", Some("not in the BTF, so no fentry")),
                Some(kind) => (kind.name(), None),
                None => ("none", None),
            };
            unattached(hook.fact, kind, hook.function, note)
        })
        .collect();
    probes.extend(
        policy::TRACEPOINTS
            .iter()
            .map(|tracepoint| unattached(tracepoint.fact, "raw_tracepoint", tracepoint.name, None)),
    );
    let exists = in_btf(policy::VERDICT_FUNCTION);
    let allowed = policy::verdicts(exists, std::env::consts::ARCH);
    let kind = if allowed.is_ok() { "kretprobe" } else { "none" };
    let target = policy::VERDICT_FUNCTION;
    probes.push(unattached(
        ObservedFact::Verdict,
        kind,
        target,
        allowed.err(),
    ));
    let absent = is_symbol(stops::FUNCTION) == Some(false);
    let (kind, note) = if absent {
        ("none", Some("this kernel has no such function"))
    } else {
        ("kprobe", None)
    };
    probes.push(unattached(ObservedFact::Stops, kind, stops::FUNCTION, note));
    probes
}

fn unattached(fact: ObservedFact, kind: &str, target: &str, note: Option<&str>) -> Probe {
    let notes: Vec<String> = note.map(str::to_owned).into_iter().collect();
    probe(fact, kind, target, false, &notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(probes: &[Probe], fact: ObservedFact) -> (String, Option<String>) {
        let probe = probes.iter().find(|probe| probe.fact == fact).unwrap();
        assert!(!probe.attached, "{probe:?}");
        (probe.kind.clone(), probe.note.clone())
    }

    #[test]
    fn a_kernel_with_everything_gets_fentry() {
        let probes = planned(|_| true, |_| None);
        assert_eq!(
            kind(&probes, ObservedFact::Begun),
            ("fentry".to_owned(), None)
        );
        assert_eq!(kind(&probes, ObservedFact::Refused).0, "raw_tracepoint");
        let verdict = policy::verdicts(true, std::env::consts::ARCH);
        let expected = if verdict.is_ok() { "kretprobe" } else { "none" };
        assert_eq!(kind(&probes, ObservedFact::Verdict).0, expected);
    }

    #[test]
    fn what_is_not_in_the_btf_gets_a_kprobe_or_nothing() {
        let probes = planned(
            |_| false,
            |name| (name == "klp_force_transition").then_some(false),
        );
        let (hook, note) = kind(&probes, ObservedFact::Begun);
        assert_eq!(hook, "kprobe");
        assert!(note.unwrap().contains("no fentry"));
        assert_eq!(kind(&probes, ObservedFact::Forced).0, "none");
        let (hook, note) = kind(&probes, ObservedFact::Verdict);
        assert_eq!(hook, "none");
        assert!(note.unwrap().contains("5.16"));
    }
}

//! What the policy chooses on a kernel, told without attaching anything.

use crate::{kernel::btf::KernelBtf, model::snapshot::Probe};

use super::{
    load::{VERDICT_FACT, probe},
    object,
    policy::{self, HookKind},
};

/// The function by which a kernel shows that fentry and livepatch share.
pub const SHARING_MARKER: &str = policy::SHARING_MARKER;

/// Whether this lpwatch was built with its BPF programs.
#[must_use]
pub fn is_built() -> bool {
    object::bytes().is_some()
}

/// The kernel's functions that hooks go to.
pub fn hooked_functions() -> impl Iterator<Item = &'static str> {
    policy::FACTS
        .iter()
        .map(|fact| fact.function)
        .chain([policy::VERDICT_FUNCTION])
}

/// Whether an fentry may stand on a function that is patched, or why not;
/// `marked`: the kernel has [`SHARING_MARKER`].
///
/// # Errors
/// The reason, for people.
pub fn sharing(marked: bool) -> Result<(), &'static str> {
    policy::sharing(marked, std::env::consts::ARCH)
}

/// The hooks that would be tried first on a kernel with these types and
/// symbols, none of them attached; `is_symbol` is `None` where it is not known
/// whether the kernel has a symbol.
pub fn planned(btf: &KernelBtf, is_symbol: impl Fn(&str) -> Option<bool>) -> Vec<Probe> {
    let mut probes: Vec<Probe> = policy::FACTS
        .iter()
        .map(|fact| {
            let in_btf = btf.has_function(fact.function);
            let kind = policy::choices(in_btf).first().copied();
            let absent = !in_btf && is_symbol(fact.function) == Some(false);
            let (kind, note) = match kind {
                Some(_) if absent => ("none", Some("this kernel has no such function")),
                Some(HookKind::Kprobe) => ("kprobe", Some("not in the BTF, so no fentry")),
                Some(kind) => (kind.name(), None),
                None => ("none", None),
            };
            unattached(fact.name, kind, fact.function, note)
        })
        .collect();
    probes.extend(
        policy::TRACEPOINTS
            .iter()
            .map(|tracepoint| unattached(tracepoint.fact, "raw_tracepoint", tracepoint.name, None)),
    );
    let exists = btf.has_function(policy::VERDICT_FUNCTION);
    let allowed = policy::verdicts(exists, std::env::consts::ARCH);
    let kind = if allowed.is_ok() { "kretprobe" } else { "none" };
    let target = policy::VERDICT_FUNCTION;
    probes.push(unattached(VERDICT_FACT, kind, target, allowed.err()));
    probes
}

fn unattached(fact: &str, kind: &str, target: &str, note: Option<&str>) -> Probe {
    let notes: Vec<String> = note.map(str::to_owned).into_iter().collect();
    probe(fact, kind, target, false, &notes)
}

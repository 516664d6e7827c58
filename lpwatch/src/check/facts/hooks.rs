//! Finds the hooks on the functions of a patch.

use std::collections::BTreeMap;

use crate::{
    kernel::{Roots, kallsyms, patch_file::PatchFile},
    model::{Culprit, calls::FunctionId},
    probe::{CulpritFinder, FRAMES_MARKER, SHARING_MARKER, TaskIterator},
};

use super::objects::{ObjectFacts, function_id};

mod place;
mod search;
#[cfg(test)]
mod tests;
mod users;

use search::Search;

/// The functions with which an unwinder finds the return address that a return
/// probe replaced
/// (kernel/kprobes.c, since 5.15; kernel/trace/rethook.c, since 5.18).
const RETURN_MARKERS: [&str; 2] = ["kretprobe_find_ret_addr", "rethook_find_ret_addr"];

/// Facts for the rules `tracing_blocks` and `tracing_blind`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookFacts {
    /// The hooks on each function to be patched. A function without hooks has no
    /// entry.
    pub at: BTreeMap<FunctionId, Vec<FoundHook>>,
    /// What this kernel supports beside a patch.
    pub support: HookSupport,
}

/// What a kernel supports beside a patch; `None` if unknown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HookSupport {
    /// BPF trampolines and a patch can share a function (since 6.0).
    pub trampolines: Option<bool>,
    /// Its unwinder supports BPF frames (x86: since 6.19).
    pub bpf_frames: Option<bool>,
    /// Its unwinder supports return probes (since 5.15).
    pub return_probes: Option<bool>,
}

/// A hook that runs when a function is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundHook {
    pub kind: FoundHookKind,
    pub owner: Culprit,
    /// lpwatch placed it.
    pub is_ours: bool,
    /// The evidence, one line each.
    pub evidence: Vec<String>,
}

/// How the hook is attached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundHookKind {
    /// A BPF program at the entry.
    Fentry,
    /// A BPF program that calls the function and runs after it.
    Fexit,
    /// A BPF program that may take the function's place.
    FmodRet,
    /// A BPF program that is a security hook.
    Lsm,
    /// A BPF trampoline; the kind of its programs is unknown.
    Trampoline,
    /// Code other than BPF that the function tracer calls directly, without a
    /// handler.
    Direct,
    Kprobe(KprobePlace),
    Kretprobe,
    /// The only user of the function tracer that may redirect calls (IPMODIFY),
    /// where that is not a live patch. The handler of kprobes means a kprobe
    /// with a post handler.
    Redirect {
        handler: Option<String>,
    },
}

/// Where in a function a kprobe is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KprobePlace {
    /// At the instruction that calls the function tracer, and so the patch.
    Entry,
    /// At this offset from the start of the function.
    Offset(u64),
    /// In a part that the compiler moved away: its symbol, e.g. `f.cold`.
    Part(String),
}

impl HookFacts {
    /// Reads the hooks; without an `iterator`, its error is why BPF is not used.
    ///
    /// Functions of the same name in an object can be distinguished only for
    /// kprobes, because the kernel lists the other users by name.
    #[must_use]
    pub fn gather(
        roots: &Roots,
        patch: &PatchFile,
        objects: &ObjectFacts,
        iterator: Result<&mut TaskIterator, &str>,
        notes: &mut Vec<String>,
    ) -> Self {
        let functions = functions(patch);
        if functions.is_empty() {
            return Self::default();
        }
        let programs = match iterator {
            Ok(iterator) => iterator.programs().map_err(|error| error.to_string()),
            Err(why) => Err(why.to_owned()),
        };
        let finder = CulpritFinder::new(roots, programs);
        let support = HookSupport::read(roots, notes);
        let at = Search::new(roots, &functions, objects, finder).all(support, notes);
        Self { at, support }
    }
}

impl HookSupport {
    fn read(roots: &Roots, notes: &mut Vec<String>) -> Self {
        let names = [SHARING_MARKER, FRAMES_MARKER]
            .into_iter()
            .chain(RETURN_MARKERS);
        let names: Vec<&str> = names.collect();
        let found = match kallsyms::find_names(roots, &names) {
            Ok(found) => found,
            Err(error) => {
                notes.push(format!(
                    "Whether this kernel supports hooks beside a patch is unknown: {error}."
                ));
                return Self::default();
            }
        };
        let has = |name: &str| found.addresses.contains_key(name);
        Self {
            trampolines: Some(has(SHARING_MARKER)),
            bpf_frames: Some(has(FRAMES_MARKER)),
            return_probes: Some(RETURN_MARKERS.into_iter().any(has)),
        }
    }
}

/// All functions that the patch names, without duplicates.
fn functions(patch: &PatchFile) -> Vec<FunctionId> {
    let named = patch.objects.iter().flat_map(|object| {
        let functions = object.functions.iter();
        functions.map(|function| function_id(&object.name, function))
    });
    let mut named: Vec<FunctionId> = named.collect();
    named.sort();
    named.dedup();
    named
}

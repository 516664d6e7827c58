//! Who hooks the functions that a patch names.

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

/// The functions by which an unwinder finds what a return probe replaced
/// (kernel/kprobes.c, since 5.15; kernel/trace/rethook.c, since 5.18).
const RETURN_MARKERS: [&str; 2] = ["kretprobe_find_ret_addr", "rethook_find_ret_addr"];

/// Facts for the rules `tracing_blocks` and `tracing_blind`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HookFacts {
    /// The hooks at each function to be patched; a function without any is not
    /// there.
    pub at: BTreeMap<FunctionId, Vec<Hook>>,
    /// What this kernel bears.
    pub bears: Bears,
}

/// What a kernel bears beside a patch; `None` where that is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bears {
    /// BPF trampolines and a patch can share a function (since 6.0).
    pub trampolines: Option<bool>,
    /// Its unwinder knows the frames of BPF (x86: since 6.19).
    pub bpf_frames: Option<bool>,
    /// Its unwinder knows return probes (since 5.15).
    pub return_probes: Option<bool>,
}

/// Something that is called when a function is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    pub kind: HookKind,
    pub owner: Culprit,
    /// lpwatch placed it.
    pub is_ours: bool,
    /// What shows it, a line each.
    pub evidence: Vec<String>,
}

/// How it comes to be called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HookKind {
    /// A BPF program at the entry.
    Fentry,
    /// A BPF program that calls the function and runs after it.
    Fexit,
    /// A BPF program that may take the function's place.
    FmodRet,
    /// A BPF program that is a security hook.
    Lsm,
    /// A BPF trampoline; of what kind its programs are is not known.
    Trampoline,
    /// Code that is not BPF's, called by the function tracer without a handler.
    Direct,
    Kprobe(KprobePlace),
    Kretprobe,
    /// The one user of the function tracer that may send calls elsewhere
    /// (IPMODIFY), and is no live patch. Its handler, where that is known:
    /// that of kprobes stands for one with a post handler.
    Redirect {
        handler: Option<String>,
    },
}

/// Where in a function a kprobe stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KprobePlace {
    /// At the place where the function tracer is called, and so the patch.
    Entry,
    /// So many bytes behind the function's beginning.
    Offset(u64),
    /// In a part that the compiler moved away, by its symbol: `f.cold`.
    Part(String),
}

impl HookFacts {
    /// Reads the hooks; `iterator` is there where BPF is.
    ///
    /// Functions of the same name in an object can be told apart only where
    /// kprobes stand, as the kernel lists its other users by name.
    #[must_use]
    pub fn gather(
        roots: &Roots,
        patch: &PatchFile,
        objects: &ObjectFacts,
        iterator: Option<&mut TaskIterator>,
        notes: &mut Vec<String>,
    ) -> Self {
        let functions = functions(patch);
        if functions.is_empty() {
            return Self::default();
        }
        let programs = match iterator {
            Some(iterator) => iterator.programs().map_err(|error| error.to_string()),
            None => Err("BPF is not used".to_owned()),
        };
        let finder = CulpritFinder::new(roots, programs);
        let bears = Bears::read(roots, notes);
        let at = Search::new(roots, &functions, objects, finder).all(bears, notes);
        Self { at, bears }
    }
}

impl Bears {
    fn read(roots: &Roots, notes: &mut Vec<String>) -> Self {
        let names = [SHARING_MARKER, FRAMES_MARKER]
            .into_iter()
            .chain(RETURN_MARKERS);
        let names: Vec<&str> = names.collect();
        let found = match kallsyms::find_names(roots, &names) {
            Ok(found) => found,
            Err(error) => {
                notes.push(format!(
                    "What this kernel bears beside a patch is not known: {error}."
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

/// Every function that the patch names, each once.
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

//! Reads the BPF programs of the host, whoever loaded them, through iterators.

use std::io::Read as _;

use aya::{Btf, Ebpf, programs::Iter};
use lpwatch_common::decode_all;

use crate::kernel::{Roots, btf::KernelBtf};

use super::{ProbeError, TaskIterator, error::is_locked_down, types::function_types};

mod snapshot;

pub(super) use snapshot::Traced;
pub use snapshot::{ForeignProgram, Programs, TraceHook};

const ACTION: &str = "list the BPF programs of this host";

/// The iterators' names in the object, and what each walks.
const PROGRAMS: (&str, &str) = ("programs", "bpf_prog");
const LINKS: (&str, &str) = ("links", "bpf_link");

/// Constant, structure, member. What this kernel lacks is left absent, and the
/// fact with it.
const OFFSETS: [(&str, &str, &str); 19] = [
    ("OFF_PROG_AUX", "bpf_prog", "aux"),
    ("OFF_PROG_TYPE", "bpf_prog", "type"),
    ("OFF_PROG_ATTACH_TYPE", "bpf_prog", "expected_attach_type"),
    ("OFF_PROG_TAG", "bpf_prog", "tag"),
    ("OFF_AUX_ID", "bpf_prog_aux", "id"),
    ("OFF_AUX_NAME", "bpf_prog_aux", "name"),
    ("OFF_AUX_FUNCTION", "bpf_prog_aux", "attach_btf_id"),
    ("OFF_AUX_BTF", "bpf_prog_aux", "attach_btf"),
    ("OFF_AUX_FUNCTION_NAME", "bpf_prog_aux", "attach_func_name"),
    ("OFF_AUX_KSYM", "bpf_prog_aux", "ksym"),
    ("OFF_KSYM_NAME", "bpf_ksym", "name"),
    ("OFF_AUX_NODE", "bpf_prog_aux", "tramp_hlist"),
    ("OFF_NODE_PREVIOUS", "hlist_node", "pprev"),
    ("OFF_BTF_ID", "btf", "id"),
    ("OFF_LINK_TYPE", "bpf_link", "type"),
    ("OFF_LINK_ID", "bpf_link", "id"),
    ("OFF_LINK_PROG", "bpf_link", "prog"),
    ("OFF_LINK_TRAMPOLINE", "bpf_tracing_link", "trampoline"),
    ("OFF_TRAMPOLINE_KEY", "bpf_trampoline", "key"),
];

/// Values for the constants of the iterators; `u32::MAX` for an absent one.
pub(super) fn offsets(btf: &KernelBtf) -> impl Iterator<Item = (&'static str, u32)> {
    OFFSETS.iter().map(|(constant, structure, member)| {
        let offset = btf.member_offset(structure, member);
        (*constant, offset.unwrap_or(u32::MAX))
    })
}

/// Loads the iterators ahead. One that this kernel lacks is left out, and reading
/// it fails.
pub(super) fn load(bpf: &mut Ebpf, btf: &Btf) {
    if is_locked_down() {
        return;
    }
    for (name, walks) in [PROGRAMS, LINKS] {
        if let Err(error) = load_one(bpf, (name, walks), btf) {
            tracing::debug!(walks, %error, "the iterator cannot be loaded");
        }
    }
}

fn load_one(
    bpf: &mut Ebpf,
    (name, walks): (&'static str, &str),
    btf: &Btf,
) -> Result<(), ProbeError> {
    let loaded = iterator(bpf, name)?.load(walks, btf);
    loaded.map_err(|error| ProbeError::new(ACTION, &error))
}

impl TaskIterator {
    /// One pass over all BPF programs of the host.
    ///
    /// # Errors
    /// [`ProbeError`] if this kernel has no such iterator (before 5.9) or
    /// aborts the pass.
    pub fn programs(&mut self) -> Result<Programs, ProbeError> {
        read_programs(&mut self.bpf)
    }
}

/// One pass over all BPF programs of the host, by the object's iterators.
pub(super) fn read_programs(bpf: &mut Ebpf) -> Result<Programs, ProbeError> {
    if is_locked_down() {
        return Err(ProbeError::LockedDown { action: ACTION });
    }
    let links = load_late(bpf, LINKS);
    load_late(bpf, PROGRAMS)?;
    // A program that is not loaded has no id.
    let own = bpf
        .programs()
        .filter_map(|(_, program)| Some(program.info().ok()?.id()));
    let own = own.collect();
    // Links first: a link attached meanwhile then belongs to a known program.
    let links = links.and_then(|()| read(bpf, LINKS.0));
    let programs = read(bpf, PROGRAMS.0)?;
    let links = match links {
        Ok(links) => Some(decode_all(&links).collect()),
        Err(error) => {
            tracing::debug!(%error, "links cannot be walked");
            None
        }
    };
    Ok(Programs::new(decode_all(&programs).collect(), links, own))
}

fn iterator<'a>(bpf: &'a mut Ebpf, name: &'static str) -> Result<&'a mut Iter, ProbeError> {
    let missing = || ProbeError::Failed {
        action: ACTION,
        reason: format!("the object has no `{name}`"),
    };
    let program = bpf.program_mut(name).ok_or_else(missing)?;
    program
        .try_into()
        .map_err(|error| ProbeError::new(ACTION, &error))
}

/// Loads an iterator, unless it was loaded ahead: most looks need none.
fn load_late(bpf: &mut Ebpf, (name, walks): (&'static str, &str)) -> Result<(), ProbeError> {
    if iterator(bpf, name)?.fd().is_ok() {
        return Ok(());
    }
    let target = format!("bpf_iter_{walks}");
    let types = function_types(&Roots::default(), [target.as_str()])?;
    load_one(bpf, (name, walks), &types)
}

fn read(bpf: &mut Ebpf, name: &'static str) -> Result<Vec<u8>, ProbeError> {
    let fail = |error: &(dyn std::error::Error + 'static)| ProbeError::new(ACTION, error);
    let program = iterator(bpf, name)?;
    let link = program.attach().map_err(|error| fail(&error))?;
    let link = program.take_link(link).map_err(|error| fail(&error))?;
    let mut bytes = Vec::new();
    let mut file = link.into_file().map_err(|error| fail(&error))?;
    file.read_to_end(&mut bytes).map_err(|error| fail(&error))?;
    Ok(bytes)
}

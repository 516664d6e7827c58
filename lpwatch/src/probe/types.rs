//! The kernel's types (BTF), as far as loading the BPF programs needs them.

use std::{error::Error, sync::Arc};

use aya::{Btf, Endianness};

use crate::kernel::{Roots, btf::KernelBtf};

use super::{ProbeError, policy};

/// The kernel's BTF, read once.
pub(super) struct KernelTypes {
    /// For aya: the functions that programs are loaded for.
    pub for_loading: Btf,
    pub for_layout: Arc<KernelBtf>,
}

/// Reads the kernel's BTF for loading and for the layout.
///
/// # Errors
/// [`ProbeError`] if the kernel has no BTF, or it cannot be read.
pub(super) fn kernel_types(roots: &Roots) -> Result<KernelTypes, ProbeError> {
    let for_layout = open_types(roots)?;
    let hooks = policy::ENTRY_HOOKS.iter().map(|hook| hook.function);
    let for_loading = types_with(&for_layout, ITERATORS.into_iter().chain(hooks))?;
    Ok(KernelTypes {
        for_loading,
        for_layout,
    })
}

fn open_types(roots: &Roots) -> Result<Arc<KernelBtf>, ProbeError> {
    let types = KernelBtf::open(roots).map_err(|error| unread(&error))?;
    types.ok_or(ProbeError::NoBtf)
}

fn unread(error: &(dyn Error + 'static)) -> ProbeError {
    ProbeError::new("read the BTF", error)
}

/// What the kernel's iterators are loaded for (`bpf_iter_reg_target`).
const ITERATORS: [&str; 3] = ["bpf_iter_task", "bpf_iter_bpf_prog", "bpf_iter_bpf_link"];

fn types_with<'a>(
    types: &KernelBtf,
    functions: impl IntoIterator<Item = &'a str>,
) -> Result<Btf, ProbeError> {
    let bytes = types.with_functions(functions);
    Btf::parse(&bytes, Endianness::default()).map_err(|error| unread(&error))
}

/// The kernel's types as far as fentry programs on these functions need them.
///
/// # Errors
/// [`ProbeError`] if the kernel has no BTF, or it cannot be read.
pub(super) fn function_types<'a>(
    roots: &Roots,
    functions: impl IntoIterator<Item = &'a str>,
) -> Result<Btf, ProbeError> {
    types_with(&*open_types(roots)?, functions)
}

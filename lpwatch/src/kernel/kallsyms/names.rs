//! The symbols of vmlinux for some names. Only here it shows which functions a
//! build kept, split (`.part.0`) or inlined.

use std::{collections::HashMap, ops::ControlFlow};

use super::{
    VMLINUX,
    lines::{SymbolLine, read},
    suffixes::is_copy,
    wanted::WantedSymbols,
};
use crate::kernel::{ReadError, Roots};

/// The symbols of vmlinux for the wanted names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// For each wanted name that vmlinux has, its addresses in the order of the
    /// file. A name can occur more than once; if [`Self::hidden`] is set, each
    /// address is 0.
    pub addresses: HashMap<String, Vec<u64>>,
    /// For each wanted name the names of the copies that the compiler made of
    /// the function, if there are any: `f.part.0`, `f.isra.0`,
    /// `f.constprop.0.isra.1`, `f.llvm.123`, but not `f.cold`. In the order of
    /// the file, each once.
    pub copies: HashMap<String, Vec<String>>,
    /// The kernel hides its addresses.
    pub hidden: bool,
}

/// Finds the symbols of vmlinux with exactly these names, of any type, and the
/// copies that compilers made of them.
///
/// # Errors
/// The file cannot be read.
pub fn find_names(roots: &Roots, names: &[&str]) -> Result<Names, ReadError> {
    let names = names.iter().map(|name| (VMLINUX, *name));
    let mut wanted: WantedSymbols<'_, NameFound> = WantedSymbols::new(names);
    let hidden = read(roots, |line| {
        if line.module.is_some() {
            return ControlFlow::Break(());
        }
        if wanted.begins_like(line.name) {
            take(&mut wanted, line);
        }
        ControlFlow::Continue(())
    })?;
    let mut found = Names {
        hidden,
        ..Names::default()
    };
    for (symbol, NameFound { addresses, copies }) in wanted.into_found() {
        if !copies.is_empty() {
            found.copies.insert(symbol.name.clone(), copies);
        }
        if !addresses.is_empty() {
            found.addresses.insert(symbol.name, addresses);
        }
    }
    Ok(found)
}

#[derive(Default)]
struct NameFound {
    addresses: Vec<u64>,
    copies: Vec<String>,
}

fn take(wanted: &mut WantedSymbols<'_, NameFound>, line: &SymbolLine<'_>) {
    if let Some(found) = wanted.get_mut(line.object(), line.name) {
        found.addresses.push(line.address);
    }
    if let Some(dot) = line.name.iter().position(|byte| *byte == b'.')
        && let (base, suffix) = line.name.split_at(dot)
        && is_copy(suffix)
        && let Some(found) = wanted.get_mut(line.object(), base)
    {
        let name = String::from_utf8_lossy(line.name).into_owned();
        if !found.copies.contains(&name) {
            found.copies.push(name);
        }
    }
}

#[cfg(test)]
mod tests;

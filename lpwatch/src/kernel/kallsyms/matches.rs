//! The symbols of a name as livepatch looks for them: which of each kind an
//! object has, where they end, and which parts the compiler split off.
//!
//! Source: `klp_find_object_symbol` (kernel/livepatch/core.c) and
//! `kallsyms_lookup_size_offset` (kernel/kallsyms.c), 5.10 to 7.3. Livepatch
//! counts every symbol of the name, whether code or data, and a function ends
//! where the next symbol begins.

use std::{collections::HashMap, ops::ControlFlow};

use super::{
    Symbol,
    lines::{SymbolLine, read},
    suffixes::is_part,
    wanted::WantedSymbols,
};
use crate::kernel::{ReadError, Roots};

/// Kernels have some 200,000 symbols.
const SYMBOLS_MAX: usize = 4 << 20;

/// No function is this long. The end of an object's last function is unknown.
const LENGTH_MAX: u64 = 1 << 20;

/// The symbols of the requested names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSymbols {
    /// Only names that were found, or that have parts.
    pub found: HashMap<Symbol, Matches>,
    /// The kernel hides its addresses.
    pub hidden: bool,
}

/// The symbols of one name in one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// In the order in which livepatch counts them, which is that of the file.
    pub places: Vec<SymbolPlace>,
    /// `name.part.0`, `name.cold` and the like, each once.
    pub parts: Vec<String>,
}

/// The location of a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SymbolPlace {
    /// 0 if addresses are hidden.
    pub begin: u64,
    /// One past its last byte; equal to `begin` if addresses are hidden.
    pub end: u64,
    /// A function, not data.
    pub is_code: bool,
}

/// Finds the symbols of these names in one pass.
///
/// # Errors
/// The file cannot be read, or was not written by a kernel.
pub fn find_matches(roots: &Roots, names: &[Symbol]) -> Result<ObjectSymbols, ReadError> {
    let mut wanted: WantedSymbols<'_, Matches> = WantedSymbols::of(names);
    // Where symbols begin.
    let mut starts = Vec::new();
    let hidden = read(roots, |line| {
        if starts.len() > SYMBOLS_MAX {
            return ControlFlow::Break(());
        }
        if !is_mark(line.name) {
            starts.push(line.address);
        }
        if wanted.begins_like(line.name) {
            take(&mut wanted, line);
        }
        ControlFlow::Continue(())
    })?;
    if starts.len() > SYMBOLS_MAX {
        return Err(ReadError::Malformed {
            path: roots.procfs.join("kallsyms"),
            what: format!("it has more than {SYMBOLS_MAX} symbols"),
        });
    }
    let found = wanted.into_found();
    let mut found: HashMap<Symbol, Matches> = found
        .filter(|(_, found)| *found != Matches::default())
        .collect();
    if !hidden {
        starts.sort_unstable();
        for place in found.values_mut().flat_map(|matches| &mut matches.places) {
            place.end = end(place.begin, &starts);
        }
    }
    Ok(ObjectSymbols { found, hidden })
}

fn take(wanted: &mut WantedSymbols<'_, Matches>, line: &SymbolLine<'_>) {
    if let Some(matches) = wanted.get_mut(line.object(), line.name) {
        matches.places.push(SymbolPlace {
            begin: line.address,
            end: line.address,
            is_code: line.is_code,
        });
    }
    let bytes = line.name.iter().enumerate();
    for (dot, _) in bytes.filter(|(_, byte)| **byte == b'.') {
        let (base, suffix) = line.name.split_at(dot);
        if is_part(suffix)
            && let Some(matches) = wanted.get_mut(line.object(), base)
        {
            let name = String::from_utf8_lossy(line.name).into_owned();
            if !matches.parts.contains(&name) {
                matches.parts.push(name);
            }
        }
    }
}

/// Whether a name is a mark of the assembler, which the kernel skips, too
/// (`is_mapping_symbol`).
fn is_mark(name: &[u8]) -> bool {
    matches!(name, [b'$', ..] | [b'.', b'L', ..] | [b'L', b'0', ..])
}

/// The next of the sorted `starts`, if it is near.
fn end(begin: u64, starts: &[u64]) -> u64 {
    let far = begin.saturating_add(LENGTH_MAX);
    let next = starts.partition_point(|start| *start <= begin);
    starts.get(next).map_or(far, |next| far.min(*next))
}

#[cfg(test)]
mod tests;

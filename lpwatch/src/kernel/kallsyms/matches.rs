//! The symbols of a name as livepatch looks for them: which of a kind there are
//! in an object, how far they reach, and what the compiler made of them besides.
//!
//! Source: `klp_find_object_symbol` (kernel/livepatch/core.c) and
//! `kallsyms_lookup_size_offset` (kernel/kallsyms.c), 5.10 to 7.3. Livepatch
//! counts every symbol of the name, whether code or data, and a function ends
//! where the next symbol begins.

use std::{collections::HashMap, ops::ControlFlow};

use super::{
    Symbol,
    lines::{Line, read},
    suffixes::is_part,
    wanted::Wanted,
};
use crate::kernel::{ReadError, Roots};

/// Kernels have some 200,000 symbols.
const SYMBOLS_MAX: usize = 4 << 20;

/// No function is this long: of the last one of an object the end is not told.
const LENGTH_MAX: u64 = 1 << 20;

/// What there is of the names asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ObjectSymbols {
    /// Of the names that were found at all, or of which there are parts.
    pub found: HashMap<Symbol, Matches>,
    /// The kernel hides its addresses.
    pub hidden: bool,
}

/// The symbols of one name in one object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matches {
    /// In the order in which livepatch counts them, which is that of the file.
    pub places: Vec<Place>,
    /// `name.part.0`, `name.cold` and the like, each once.
    pub parts: Vec<String>,
}

/// Where a symbol lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// 0 where addresses are hidden.
    pub begin: u64,
    /// One past its last byte; the same as `begin` where addresses are hidden.
    pub end: u64,
    /// A function, not data.
    pub is_code: bool,
}

/// Finds the symbols of these names in one pass.
///
/// # Errors
/// The file cannot be read, or is none that a kernel writes.
pub fn find_matches(roots: &Roots, names: &[Symbol]) -> Result<ObjectSymbols, ReadError> {
    let mut wanted: Wanted<'_, Matches> = Wanted::of(names);
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

fn take(wanted: &mut Wanted<'_, Matches>, line: &Line<'_>) {
    if let Some(matches) = wanted.get_mut(line.object(), line.name) {
        matches.places.push(Place {
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

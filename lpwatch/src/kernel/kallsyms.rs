//! Symbols of the running kernel, from `<procfs>/kallsyms`.
//!
//! Which functions a build kept, split (`.part.0`) or inlined shows only here.
//! Source: `kernel/kallsyms.c`, 5.10 to 7.3: lines of `address type name`, first
//! those of vmlinux, then, with `\t[module]` behind the name, those of modules,
//! ftrace, BPF and kprobes. Formatting 200,000 lines costs the kernel tens of
//! milliseconds, so reading stops at the first line of a module, and
//! [`scan`] answers several questions in one pass.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read;

use super::{ReadError, Roots};

const REMEDY: &str = "the file is open to all users unless a sandbox hides it; run outside of it";

/// Bytes read at a time. The kernel hands out about a page at once, whatever
/// the room.
const CHUNK: usize = 64 * 1024;

/// Suffixes with which compilers name the copies they make of a function and
/// that keep (a part of) its code: GCC's first three, clang's LTO the last.
const SUFFIXES: [&[u8]; 4] = [b"part", b"isra", b"constprop", b"llvm"];

/// Where the wanted names are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// For each wanted name that vmlinux has, its addresses in the order of the
    /// file. A name can be there more than once; where [`Self::hidden`] is set,
    /// each is 0.
    pub addresses: HashMap<String, Vec<u64>>,
    /// The kernel shows every address as 0 (`kptr_restrict`, no `CAP_SYSLOG`).
    pub hidden: bool,
}

/// Finds the symbols of vmlinux with exactly these names, of any type.
///
/// # Errors
/// The file cannot be read.
pub fn find(roots: &Roots, names: &[&str]) -> Result<Found, ReadError> {
    scan(roots, names, &[]).map(|(found, _)| found)
}

/// Finds the names that compilers made of the function `base`:
/// `base.part.0`, `base.isra.0`, `base.constprop.0.isra.1`, `base.llvm.123`.
/// Neither `base` itself nor `base.cold` is one. In the order of the file, each
/// once.
///
/// # Errors
/// The file cannot be read.
pub fn find_variants(roots: &Roots, base: &str) -> Result<Vec<String>, ReadError> {
    scan(roots, &[], &[base]).map(|(_, mut variants)| variants.remove(base).unwrap_or_default())
}

/// [`find`] of `names` and [`find_variants`] of each of `bases` in one pass. The
/// second map has only the bases that have variants.
///
/// # Errors
/// The file cannot be read.
pub fn scan(
    roots: &Roots,
    names: &[&str],
    bases: &[&str],
) -> Result<(Found, HashMap<String, Vec<String>>), ReadError> {
    let path = roots.procfs.join("kallsyms");
    let error = |source| ReadError::from_io(&path, source, REMEDY);
    let mut file = File::open(&path).map_err(error)?;
    let mut search = Search::new(names, bases);
    let mut buffer = vec![0; CHUNK];
    let mut kept = 0;
    loop {
        let Some(room) = buffer.get_mut(kept..).filter(|room| !room.is_empty()) else {
            // No line is this long (KSYM_NAME_LEN is 512): drop it.
            kept = 0;
            continue;
        };
        let read = match file.read(room) {
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(source) => return Err(error(source)),
        };
        let filled = buffer.get(..kept + read).unwrap_or_default();
        let whole = match filled.iter().rposition(|byte| *byte == b'\n') {
            Some(newline) if read > 0 => newline + 1,
            None if read > 0 => 0,
            // The end: a last line may lack its newline.
            _ => filled.len(),
        };
        let (lines, _) = filled.split_at(whole);
        let more = search.lines(lines);
        if !more || read == 0 {
            return Ok(search.finish());
        }
        let end = filled.len();
        buffer.copy_within(whole..end, 0);
        kept = end - whole;
    }
}

struct Search<'a> {
    /// The wanted names with what was found of each.
    names: HashMap<&'a [u8], Vec<u64>>,
    bases: HashMap<&'a [u8], Vec<String>>,
    /// Lengths (up to 127) and first bytes of the wanted names: nearly every
    /// line is told unwanted by these two, without hashing.
    lengths: u128,
    first_bytes: [bool; 256],
    any_line: bool,
    any_address: bool,
}

impl<'a> Search<'a> {
    fn new(names: &[&'a str], bases: &[&'a str]) -> Self {
        let mut lengths = 0;
        let mut first_bytes = [false; 256];
        for name in names {
            lengths |= length_bit(name.len());
        }
        for name in names.iter().chain(bases) {
            if let Some(first) = name.as_bytes().first() {
                first_bytes[usize::from(*first)] = true;
            }
        }
        Self {
            names: names
                .iter()
                .map(|name| (name.as_bytes(), Vec::new()))
                .collect(),
            bases: bases
                .iter()
                .map(|base| (base.as_bytes(), Vec::new()))
                .collect(),
            lengths,
            first_bytes,
            any_line: false,
            any_address: false,
        }
    }

    /// Looks at whole lines; false when the symbols of vmlinux have ended.
    fn lines(&mut self, lines: &[u8]) -> bool {
        for line in lines.split(|byte| *byte == b'\n') {
            let Some((address, name)) = split_line(line) else {
                continue;
            };
            if name.ends_with(b"]") {
                return false;
            }
            self.any_line = true;
            if !self.any_address {
                self.any_address = address.iter().any(|digit| *digit != b'0');
            }
            if name
                .first()
                .is_some_and(|first| self.first_bytes[usize::from(*first)])
            {
                self.candidate(address, name);
            }
        }
        true
    }

    fn candidate(&mut self, address: &[u8], name: &[u8]) {
        if self.lengths & length_bit(name.len()) != 0
            && let Some(addresses) = self.names.get_mut(name)
            && let Some(address) = parse_address(address)
        {
            addresses.push(address);
        }
        if let Some(dot) = name.iter().position(|byte| *byte == b'.')
            && let (base, suffix) = name.split_at(dot)
            && let Some(variants) = self.bases.get_mut(base)
            && is_variant(suffix)
        {
            let name = String::from_utf8_lossy(name).into_owned();
            if !variants.contains(&name) {
                variants.push(name);
            }
        }
    }

    fn finish(self) -> (Found, HashMap<String, Vec<String>>) {
        let found = Found {
            addresses: not_empty(self.names),
            hidden: self.any_line && !self.any_address,
        };
        (found, not_empty(self.bases))
    }
}

fn length_bit(length: usize) -> u128 {
    1 << length.min(127)
}

fn not_empty<T>(map: HashMap<&[u8], Vec<T>>) -> HashMap<String, Vec<T>> {
    map.into_iter()
        .filter(|(_, values)| !values.is_empty())
        .map(|(name, values)| (String::from_utf8_lossy(name).into_owned(), values))
        .collect()
}

/// Splits `address type name` into address and name, a module's in brackets
/// being part of the name.
fn split_line(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (address, rest) = line.split_at(space);
    match rest {
        [b' ', _, b' ', name @ ..] if !name.is_empty() => Some((address, name)),
        _ => None,
    }
}

fn parse_address(digits: &[u8]) -> Option<u64> {
    u64::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether `suffix` is a chain of `.kind.number`.
fn is_variant(suffix: &[u8]) -> bool {
    let mut parts = suffix.split(|byte| *byte == b'.').skip(1).peekable();
    if parts.peek().is_none() {
        return false;
    }
    while let Some(kind) = parts.next() {
        let numbered = parts
            .next()
            .is_some_and(|number| !number.is_empty() && number.iter().all(u8::is_ascii_digit));
        if !SUFFIXES.contains(&kind) || !numbered {
            return false;
        }
    }
    true
}

#[cfg(test)]
mod tests;

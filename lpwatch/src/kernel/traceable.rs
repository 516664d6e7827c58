//! The functions that ftrace can redirect: `available_filter_functions` in
//! tracefs (kernel/trace/ftrace.c), and from 6.5 on the same with addresses.
//! Livepatch accepts only these (`klp_patch_func`).

use std::{
    collections::{HashMap, HashSet},
    fs::File,
    io::{self, BufRead, BufReader, Read as _},
    path::Path,
};

use super::{
    ReadError, Roots,
    kallsyms::{Symbol, VMLINUX},
};

const REMEDY: &str = "only root can read tracefs; run as root";

/// Where tracefs is mounted, below sysfs.
const MOUNTS: [&str; 2] = ["kernel/tracing", "kernel/debug/tracing"];

const CHUNK: usize = 64 << 10;
const LINE_MAX: u64 = 4096;

/// The places that ftrace can redirect, of the requested functions.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traceable {
    /// How many functions of each name; a function with two names has one here.
    pub names: HashMap<Symbol, u32>,
    /// The places themselves, sorted; `None` before 6.5.
    pub addresses: Option<Vec<u64>>,
}

/// Looks the names up; if the kernel shows addresses, all places are returned.
///
/// # Errors
/// tracefs does not exist or may not be read.
pub fn read(roots: &Roots, names: &[Symbol]) -> Result<Traceable, ReadError> {
    let mut failed: Option<ReadError> = None;
    for mount in MOUNTS {
        let folder = roots.sysfs.join(mount);
        let with_addresses = folder.join("available_filter_functions_addrs");
        if let Ok(traceable) = read_file(&with_addresses, names, true) {
            return Ok(traceable);
        }
        let path = folder.join("available_filter_functions");
        match read_file(&path, names, false) {
            Ok(traceable) => return Ok(traceable),
            // "May not be read" is more helpful than "does not exist".
            Err(source) if failed.is_none() || source.kind() == io::ErrorKind::PermissionDenied => {
                failed = Some(ReadError::from_io(&path, source, REMEDY));
            }
            Err(_) => {}
        }
    }
    Err(failed.unwrap_or_else(|| {
        let source = io::Error::from(io::ErrorKind::NotFound);
        ReadError::from_io(&roots.sysfs, source, REMEDY)
    }))
}

fn read_file(path: &Path, names: &[Symbol], with_addresses: bool) -> io::Result<Traceable> {
    let wanted: HashSet<(&str, &str)> = names
        .iter()
        .map(|Symbol { object, name }| (object.as_str(), name.as_str()))
        .collect();
    let mut traceable = Traceable::default();
    let mut addresses = Vec::new();
    let mut reader = BufReader::with_capacity(CHUNK, File::open(path)?);
    let mut line = Vec::new();
    loop {
        line.clear();
        let mut bounded = reader.by_ref().take(LINE_MAX);
        if bounded.read_until(b'\n', &mut line)? == 0 {
            break;
        }
        let Some(entry) = TraceableLine::parse(&line, with_addresses) else {
            continue;
        };
        addresses.extend(entry.address);
        if wanted.contains(&(entry.object, entry.name)) {
            let symbol = Symbol {
                object: entry.object.to_owned(),
                name: entry.name.to_owned(),
            };
            *traceable.names.entry(symbol).or_default() += 1;
        }
    }
    if with_addresses {
        addresses.sort_unstable();
        traceable.addresses = Some(addresses);
    }
    Ok(traceable)
}

/// `name [module]`, with an address before it if the kernel shows one.
struct TraceableLine<'a> {
    address: Option<u64>,
    name: &'a str,
    object: &'a str,
}

impl<'a> TraceableLine<'a> {
    fn parse(line: &'a [u8], with_address: bool) -> Option<Self> {
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let address = if with_address {
            Some(u64::from_str_radix(words.next()?, 16).ok()?)
        } else {
            None
        };
        let name = words.next()?;
        let module = words.next().and_then(|word| word.strip_prefix('['));
        Some(Self {
            address,
            name,
            object: module
                .and_then(|word| word.strip_suffix(']'))
                .unwrap_or(VMLINUX),
        })
    }
}

impl Traceable {
    /// Whether a place is in these bytes; `None` if places are unknown.
    #[must_use]
    pub fn within(&self, begin: u64, end: u64) -> Option<bool> {
        let addresses = self.addresses.as_ref()?;
        let first = addresses.partition_point(|address| *address < begin);
        Some(addresses.get(first).is_some_and(|address| *address < end))
    }

    /// The number of functions of this name.
    #[must_use]
    pub fn count(&self, symbol: &Symbol) -> u32 {
        self.names.get(symbol).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn symbol(object: &str, name: &str) -> Symbol {
        Symbol {
            object: object.to_owned(),
            name: name.to_owned(),
        }
    }

    fn tree(mount: &str, file: &str, text: &str) -> (tempfile::TempDir, Roots) {
        let folder = tempfile::tempdir().unwrap();
        let roots = Roots {
            sysfs: folder.path().to_owned(),
            procfs: folder.path().to_owned(),
        };
        fs::create_dir_all(folder.path().join(mount)).unwrap();
        fs::write(folder.path().join(mount).join(file), text).unwrap();
        (folder, roots)
    }

    #[test]
    fn names_are_counted_per_object() {
        let text = "f\nf\nf [m]\nff\n\n[m]\n";
        let (_folder, roots) = tree(MOUNTS[1], "available_filter_functions", text);
        let names = [symbol(VMLINUX, "f"), symbol("m", "f"), symbol("n", "f")];
        let traceable = read(&roots, &names).unwrap();
        let counts = names.each_ref().map(|name| traceable.count(name));
        assert_eq!(counts, [2, 1, 0]);
        assert_eq!(traceable.within(0, u64::MAX), None);
    }

    #[test]
    fn places_are_taken_where_the_kernel_tells_them() {
        let text = "ffff0004 f\nffff0020 g [m]\nno address\n";
        let (_folder, roots) = tree(MOUNTS[0], "available_filter_functions_addrs", text);
        let traceable = read(&roots, &[symbol("m", "g")]).unwrap();
        assert_eq!(traceable.count(&symbol("m", "g")), 1);
        assert_eq!(traceable.within(0xffff_0000, 0xffff_0010), Some(true));
        assert_eq!(traceable.within(0xffff_0005, 0xffff_0020), Some(false));
        assert_eq!(traceable.within(0xffff_0020, 0xffff_0021), Some(true));
    }

    #[test]
    fn without_tracefs_it_is_an_error() {
        let (_folder, roots) = tree("kernel", "x", "");
        let error = read(&roots, &[]).unwrap_err();
        assert!(error.to_string().contains("tracing"), "{error}");
    }
}

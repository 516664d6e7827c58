//! From the addresses on a stack to functions, by `<procfs>/kallsyms`.
//!
//! The file covers vmlinux, modules, ftrace trampolines and BPF programs and
//! trampolines (`[bpf]`), but gives no sizes: an address belongs to the last
//! symbol at or before it. One pass costs the kernel tens of milliseconds, so
//! answers are kept.

use std::{
    collections::HashMap,
    fs::File,
    io::{BufRead, BufReader},
};

use super::{ReadError, Roots};

/// A function and a place in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    pub symbol: String,
    /// Bytes from the start of the function.
    pub offset: u64,
    /// The module; `bpf` for BPF programs and trampolines; `None` for vmlinux.
    pub module: Option<String>,
}

/// Resolves addresses, and remembers the answers.
#[derive(Debug, Default)]
pub struct Symbolizer {
    known: HashMap<u64, Option<Location>>,
    hidden: bool,
}

/// Answers kept at most; beyond it all are forgotten.
const MOST_KNOWN: usize = 65_536;

impl Symbolizer {
    /// Forgets all answers: modules and BPF programs may have come or gone.
    pub fn forget(&mut self) {
        self.known.clear();
    }

    /// Whether the kernel hides its addresses (`kptr_restrict`, no
    /// `CAP_SYSLOG`), so that nothing can be resolved.
    #[must_use]
    pub fn is_hidden(&self) -> bool {
        self.hidden
    }

    /// Looks up those of `addresses` not known yet, in one pass.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn learn(
        &mut self,
        roots: &Roots,
        addresses: impl IntoIterator<Item = u64>,
    ) -> Result<(), ReadError> {
        if self.known.len() > MOST_KNOWN {
            self.forget();
        }
        let mut wanted: Vec<u64> = addresses
            .into_iter()
            .filter(|address| !self.known.contains_key(address))
            .collect();
        wanted.sort_unstable();
        wanted.dedup();
        if wanted.is_empty() {
            return Ok(());
        }
        let found = find(roots, &wanted)?;
        self.hidden = found.is_none();
        for (address, location) in wanted.iter().zip(found.into_iter().flatten()) {
            self.known.insert(*address, location);
        }
        Ok(())
    }

    /// Where `address` is, as far as was learnt.
    #[must_use]
    pub fn locate(&self, address: u64) -> Option<&Location> {
        self.known.get(&address)?.as_ref()
    }
}

/// The location of each of the sorted `wanted`; `None` if addresses are hidden.
fn find(roots: &Roots, wanted: &[u64]) -> Result<Option<Vec<Option<Location>>>, ReadError> {
    let path = roots.procfs.join("kallsyms");
    let error = |source| ReadError::from_io(&path, source, "the file must not be hidden");
    let mut lines = BufReader::with_capacity(1 << 16, File::open(&path).map_err(error)?);
    let mut best: Vec<Option<(u64, Box<[u8]>)>> = vec![None; wanted.len()];
    let mut any_address = false;
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(error)? == 0 {
            break;
        }
        let Some((address, rest)) = parse(&line) else {
            continue;
        };
        any_address |= address != 0;
        // A return address is behind the call: it may even be behind the end
        // of a function that does not return. So only what starts before it,
        // but for code that is returned to without ever having called.
        let first = if RETURNED_TO.contains(&rest) {
            wanted.partition_point(|wanted| *wanted < address)
        } else {
            wanted.partition_point(|wanted| *wanted <= address)
        };
        if let Some(best) = best.get_mut(first)
            && best.as_ref().is_none_or(|(better, _)| *better < address)
        {
            *best = Some((address, rest.into()));
        }
    }
    if !any_address {
        return Ok(None);
    }
    // What starts before an address starts before all later ones, too.
    let mut nearest: Option<(u64, Box<[u8]>)> = None;
    let located = wanted.iter().zip(best).map(|(wanted, best)| {
        nearest = best.or_else(|| nearest.take());
        let (start, name) = nearest.as_ref()?;
        if wanted - start > FAR {
            return None;
        }
        location(name, wanted - start)
    });
    Ok(Some(located.collect()))
}

/// Trampolines put in place of a return address
/// (`arch/x86/kernel/kprobes/core.c`, `kernel/trace/rethook.c`).
const RETURNED_TO: [&[u8]; 3] = [
    b"kretprobe_trampoline",
    b"__kretprobe_trampoline",
    b"arch_rethook_trampoline",
];

/// No function is this long: what is further away is not code of it.
const FAR: u64 = 1 << 20;

/// The address and what follows the type of a line of code.
fn parse(line: &[u8]) -> Option<(u64, &[u8])> {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    let space = line.iter().position(|byte| *byte == b' ')?;
    let (digits, rest) = line.split_at(space);
    let [b' ', kind, b' ', name @ ..] = rest else {
        return None;
    };
    if !matches!(kind, b't' | b'T' | b'w' | b'W') {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    Some((u64::from_str_radix(digits, 16).ok()?, name))
}

fn location(name: &[u8], offset: u64) -> Option<Location> {
    let name = String::from_utf8_lossy(name);
    let (symbol, module) = match name.split_once('\t') {
        Some((symbol, module)) => (symbol, Some(module.trim_matches(['[', ']']).to_owned())),
        None => (&*name, None),
    };
    (!symbol.is_empty()).then(|| Location {
        symbol: symbol.to_owned(),
        offset,
        module,
    })
}

/// A frame as the kernel itself prints it, e.g. in `/proc/<pid>/stack`:
/// `[<0>] do_nanosleep+0x5f/0x190 [module]`.
#[must_use]
pub fn parse_frame(line: &str) -> Option<Location> {
    let line = line.trim();
    let line = line
        .strip_prefix("[<")
        .and_then(|rest| rest.split_once(">] "))
        .map_or(line, |(_, rest)| rest);
    let (place, module) = match line.split_once(" [") {
        Some((place, module)) => (place, Some(module.trim_end_matches(']').to_owned())),
        None => (line, None),
    };
    let (symbol, offsets) = place.split_once('+')?;
    let offset = offsets.split('/').next()?.strip_prefix("0x")?;
    let offset = u64::from_str_radix(offset, 16).ok()?;
    Some(Location {
        symbol: symbol.to_owned(),
        offset,
        module,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KALLSYMS: &str = "\
ffffffff81000000 T _stext
ffffffff81000100 t first
ffffffff81000200 D data
ffffffff81000300 T second
ffffffffc0001000 t target_main\t[lpwatch_target]
ffffffffc0002000 t bpf_trampoline_6442536263\t[bpf]
";

    fn symbolizer(kallsyms: &str, addresses: &[u64]) -> Symbolizer {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("kallsyms"), kallsyms).unwrap();
        let roots = Roots {
            procfs: directory.path().to_owned(),
            ..Roots::default()
        };
        let mut symbolizer = Symbolizer::default();
        symbolizer.learn(&roots, addresses.iter().copied()).unwrap();
        symbolizer
    }

    #[test]
    fn an_address_belongs_to_the_symbol_before_it() {
        let addresses = [
            0xffff_ffff_8100_0104,
            0xffff_ffff_8100_0250,
            0xffff_ffff_c000_1010,
        ];
        let symbols = symbolizer(KALLSYMS, &addresses);
        let at = |address| symbols.locate(address).cloned().unwrap();
        let first = Location {
            symbol: "first".to_owned(),
            offset: 4,
            module: None,
        };
        assert_eq!(at(addresses[0]), first);
        assert_eq!(at(addresses[1]).symbol, "first", "data is no code");
        assert_eq!(at(addresses[2]).module.as_deref(), Some("lpwatch_target"));
    }

    #[test]
    fn a_return_address_at_the_start_of_a_function_belongs_to_the_one_before() {
        let symbols = symbolizer(KALLSYMS, &[0xffff_ffff_8100_0300]);
        assert_eq!(
            symbols.locate(0xffff_ffff_8100_0300).unwrap().symbol,
            "first"
        );
    }

    #[test]
    fn a_return_probes_trampoline_is_returned_to_at_its_start() {
        let kallsyms =
            "ffffffff81000100 t elfcorehdr_read\nffffffff81000140 T kretprobe_trampoline\n";
        let symbols = symbolizer(kallsyms, &[0xffff_ffff_8100_0140, 0xffff_ffff_8100_013f]);
        let symbol = |address| symbols.locate(address).unwrap().symbol.as_str();
        assert_eq!(symbol(0xffff_ffff_8100_0140), "kretprobe_trampoline");
        assert_eq!(symbol(0xffff_ffff_8100_013f), "elfcorehdr_read");
    }

    #[test]
    fn bpf_has_symbols_too() {
        let symbols = symbolizer(KALLSYMS, &[0xffff_ffff_c000_2020]);
        let location = symbols.locate(0xffff_ffff_c000_2020).unwrap();
        assert_eq!(location.symbol, "bpf_trampoline_6442536263");
        assert_eq!(location.module.as_deref(), Some("bpf"));
    }

    #[test]
    fn what_lies_nowhere_is_not_located() {
        let symbols = symbolizer(KALLSYMS, &[0x1000, 0xffff_ffff_f000_0000]);
        assert_eq!(symbols.locate(0x1000), None);
        assert_eq!(symbols.locate(0xffff_ffff_f000_0000), None);
        assert!(!symbols.is_hidden());
    }

    #[test]
    fn hidden_addresses_are_said_to_be() {
        let symbols = symbolizer("0000000000000000 T _stext\n", &[0xffff_ffff_8100_0104]);
        assert!(symbols.is_hidden());
    }

    #[test]
    fn the_kernels_own_frames_are_read() {
        let location = |symbol: &str, offset, module: Option<&str>| {
            Some(Location {
                symbol: symbol.to_owned(),
                offset,
                module: module.map(str::to_owned),
            })
        };
        assert_eq!(
            parse_frame("[<0>] do_nanosleep+0x5f/0x190"),
            location("do_nanosleep", 0x5f, None)
        );
        assert_eq!(
            parse_frame("[<0>] lpwatch_target_main+0x2c/0x50 [lpwatch_target]\n"),
            location("lpwatch_target_main", 0x2c, Some("lpwatch_target"))
        );
        assert_eq!(parse_frame("[<0>] 0xffffffff12345678"), None);
        assert_eq!(parse_frame(""), None);
    }
}

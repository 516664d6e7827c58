//! The lines of the file.

use std::{
    fs::{self, File},
    io::{self, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::{Symbol, VMLINUX};
use crate::kernel::{ReadError, Roots};

const REMEDY: &str =
    "all users can read the file unless a sandbox hides it; run outside of the sandbox";

/// Bytes read at a time. The kernel returns about a page, whatever the size of
/// the buffer.
pub(super) const CHUNK: usize = 64 << 10;

/// A symbol.
pub(super) struct SymbolLine<'a> {
    /// 0 if addresses are hidden.
    pub address: u64,
    /// A function, not data.
    pub is_code: bool,
    pub name: &'a [u8],
    /// `None` for vmlinux.
    pub module: Option<&'a [u8]>,
}

impl<'a> SymbolLine<'a> {
    fn parse(line: &'a [u8]) -> Option<Self> {
        let space = line.iter().position(|byte| *byte == b' ')?;
        let (digits, rest) = line.split_at(space);
        let [b' ', kind, b' ', names @ ..] = rest else {
            return None;
        };
        let (name, module) = match names.strip_suffix(b"]") {
            Some(names) => {
                let tab = names.iter().rposition(|byte| *byte == b'\t')?;
                let (name, module) = names.split_at(tab);
                (name, Some(module.strip_prefix(b"\t[")?))
            }
            None => (names, None),
        };
        (!name.is_empty()).then_some(Self {
            address: parse_address(digits)?,
            is_code: matches!(kind, b't' | b'T' | b'w' | b'W'),
            name,
            module,
        })
    }

    /// The module, or [`VMLINUX`].
    pub fn object(&self) -> &'a [u8] {
        self.module.unwrap_or(VMLINUX.as_bytes())
    }

    pub fn symbol(&self) -> Symbol {
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        Symbol {
            object: text(self.object()),
            name: text(self.name),
        }
    }
}

/// The text of the file as it was at one moment.
#[derive(Debug)]
pub struct KeptSymbols {
    path: PathBuf,
    text: Vec<u8>,
}

static KEPT: Mutex<Weak<KeptSymbols>> = Mutex::new(Weak::new());

/// Reads the file once for all searches until the result is dropped. For a command
/// that searches several times within a moment: the kernel takes longer to format
/// its symbols than lpwatch takes to search them. The text has about 10 MB.
///
/// `None` if the file cannot be read; each search then reports why.
#[must_use]
pub fn keep_symbols(roots: &Roots) -> Option<Arc<KeptSymbols>> {
    let path = roots.procfs.join("kallsyms");
    let text = fs::read(&path).ok()?;
    let kept = Arc::new(KeptSymbols { path, text });
    *KEPT.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&kept);
    Some(kept)
}

fn kept(path: &Path) -> Option<Arc<KeptSymbols>> {
    let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    kept.upgrade().filter(|kept| kept.path == path)
}

/// By hand, because `from_str_radix` would take a good part of the pass.
fn parse_address(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || digits.len() > 16 {
        return None;
    }
    digits.iter().try_fold(0, |address, digit| {
        let digit = char::from(*digit).to_digit(16)?;
        Some(address << 4 | u64::from(digit))
    })
}

/// Passes the symbols to `take` in the order of the file, until it breaks.
/// Other lines are skipped.
///
/// Returns whether the kernel hides the addresses (`kptr_restrict`, no
/// `CAP_SYSLOG`): it then shows each as 0.
pub(super) fn read(
    roots: &Roots,
    mut take: impl FnMut(&SymbolLine<'_>) -> ControlFlow<()>,
) -> Result<bool, ReadError> {
    let path = roots.procfs.join("kallsyms");
    let mut any_line = false;
    let mut any_address = false;
    let take_line = |line: &[u8]| {
        let Some(line) = SymbolLine::parse(line) else {
            return ControlFlow::Continue(());
        };
        any_line = true;
        any_address |= line.address != 0;
        take(&line)
    };
    let read = match kept(&path) {
        Some(kept) => split(&*kept.text, take_line),
        None => File::open(&path).and_then(|file| split(file, take_line)),
    };
    match read {
        Ok(()) => Ok(any_line && !any_address),
        Err(source) => Err(ReadError::from_io(&path, source, REMEDY)),
    }
}

/// Passes each line to `take`, without copying it.
fn split(mut file: impl Read, mut take: impl FnMut(&[u8]) -> ControlFlow<()>) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut kept = 0;
    loop {
        if kept == buffer.len() {
            // No line is this long (KSYM_NAME_LEN is 512): drop it.
            kept = 0;
        }
        let read = match file.read(&mut buffer[kept..]) {
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let filled = kept + read;
        let mut rest = &buffer[..filled];
        while let Some(newline) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, behind) = rest.split_at(newline);
            if take(line).is_break() {
                return Ok(());
            }
            rest = &behind[1..];
        }
        kept = rest.len();
        if read == 0 {
            // The last line may lack its newline.
            let _ = take(rest);
            return Ok(());
        }
        buffer.copy_within(filled - kept..filled, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives out a few bytes at a time, and is interrupted before each.
    struct Slow<'a>(&'a [u8], bool);

    impl Read for Slow<'_> {
        fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 {
                return Err(io::ErrorKind::Interrupted.into());
            }
            let few = room.len().min(3);
            self.0.read(&mut room[..few])
        }
    }

    #[test]
    fn lines_do_not_depend_on_what_is_read_at_once() {
        for text in ["", "a", "a\n", "one\n\ntwo and more\nlast", "\n\n"] {
            let mut lines = Vec::new();
            let read = split(Slow(text.as_bytes(), false), |line| {
                lines.push(String::from_utf8(line.to_owned()).unwrap());
                ControlFlow::Continue(())
            });
            read.unwrap();
            assert_eq!(lines.join("\n"), text);
        }
    }

    #[test]
    fn nothing_is_shown_after_a_break() {
        let mut shown = 0;
        let read = split(&b"a\nb\nc"[..], |_| {
            shown += 1;
            ControlFlow::Break(())
        });
        read.unwrap();
        assert_eq!(shown, 1);
    }

    #[test]
    fn a_line_has_a_module_or_none() {
        let line = SymbolLine::parse(b"ffffffffc0000000 t f.part.0\t[ext4]").unwrap();
        assert_eq!((line.name, line.object()), (&b"f.part.0"[..], &b"ext4"[..]));
        let line = SymbolLine::parse(b"ffffffff81000000 D jiffies").unwrap();
        assert_eq!(line.symbol().object, VMLINUX);
        assert!(!line.is_code && line.module.is_none());
        for bad in ["", "12", "12 t", "12 t ", "x t f", "12 t f]", "12 tt f"] {
            assert!(SymbolLine::parse(bad.as_bytes()).is_none(), "{bad}");
        }
    }
}

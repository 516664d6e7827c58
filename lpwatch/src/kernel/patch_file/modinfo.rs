//! What a module states about itself: the `key=value` strings of its `.modinfo`
//! section, the note with its build id, and the signature after its end.

use std::fmt;

use object::SectionIndex;
use object::elf;
use object::read::elf::SectionHeader as _;

use super::elf::Elf;
use super::unread::Unread;

/// The longest value that is kept; the kernel's own are far below.
const VALUE_MAX: usize = 4096;
const BUILD_ID_MAX: usize = 64;

/// Ends a signed module (`include/linux/module_signature.h`).
const SIGNATURE_MARK: &[u8] = b"~Module signature appended~\n";

/// The `.modinfo` of a module; a field is absent if the module has no such
/// line. Of several lines the first counts, as for the kernel.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Modinfo {
    /// Marked as a livepatch (`MODULE_INFO(livepatch, "Y")`): the kernel refuses
    /// the patch of a module that is not.
    pub livepatch: bool,
    pub name: Option<String>,
    /// The kernel it is built for: its release, then what else must fit.
    pub vermagic: Option<String>,
    /// A checksum of the module's sources.
    pub srcversion: Option<String>,
    pub version: Option<String>,
    pub license: Option<String>,
    /// Built with the kernel's own tree.
    pub intree: Option<bool>,
    /// Modules that must be loaded before it.
    pub depends: Vec<String>,
}

impl Modinfo {
    /// The release of the kernel it is built for: the first word of `vermagic`,
    /// as `uname -r` says it.
    #[must_use]
    pub fn kernel_release(&self) -> Option<&str> {
        self.vermagic.as_deref()?.split_ascii_whitespace().next()
    }

    pub(super) fn read(elf: &Elf<'_>, unread: &mut Unread) -> Self {
        let mut modinfo = Self::default();
        let section = elf.section_named(b".modinfo");
        let Some(bytes) = section.and_then(|section| elf.sections.get(section)?.bytes) else {
            unread.add("the module's information: it has no .modinfo");
            return modinfo;
        };
        let mut depends = None;
        for line in bytes.split(|byte| *byte == 0) {
            let Some(equals) = line.iter().position(|byte| *byte == b'=') else {
                continue;
            };
            let (key, value) = (&line[..equals], &line[equals + 1..]);
            let field = match key {
                b"livepatch" => {
                    modinfo.livepatch = true;
                    continue;
                }
                b"intree" => {
                    modinfo.intree.get_or_insert(value == b"Y");
                    continue;
                }
                b"name" => &mut modinfo.name,
                b"vermagic" => &mut modinfo.vermagic,
                b"srcversion" => &mut modinfo.srcversion,
                b"version" => &mut modinfo.version,
                b"license" => &mut modinfo.license,
                b"depends" => &mut depends,
                _ => continue,
            };
            if field.is_some() {
                continue;
            }
            if value.len() > VALUE_MAX {
                let key = String::from_utf8_lossy(key);
                unread.add(format!(
                    "the module's {key}: it has more than {VALUE_MAX} bytes"
                ));
                continue;
            }
            *field = Some(String::from_utf8_lossy(value).into_owned());
        }
        modinfo.depends = depends
            .iter()
            .flat_map(|depends| depends.split(','))
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        modinfo
    }
}

/// The first two numbers of a kernel's release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Release {
    pub major: u32,
    pub minor: u32,
}

impl Release {
    /// Of a release as `uname -r` says it: `6.12.57+deb13-amd64`.
    pub fn parse(release: &str) -> Option<Self> {
        let mut numbers = release.split(|c: char| !c.is_ascii_digit());
        Some(Self {
            major: numbers.next()?.parse().ok()?,
            minor: numbers.next()?.parse().ok()?,
        })
    }
}

impl fmt::Display for Release {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { major, minor } = self;
        write!(formatter, "{major}.{minor}")
    }
}

/// The module's build id in hexadecimal, as `readelf -n` shows it.
pub(super) fn build_id(elf: &Elf<'_>) -> Option<String> {
    let index = elf.section_named(b".note.gnu.build-id")?;
    let header = elf.headers().section(SectionIndex(index)).ok()?;
    let mut notes = header.notes(elf.endian, elf.data).ok()??;
    while let Ok(Some(note)) = notes.next() {
        let id = note.desc();
        if note.name() == elf::ELF_NOTE_GNU
            && note.n_type(elf.endian) == elf::NT_GNU_BUILD_ID
            && (1..=BUILD_ID_MAX).contains(&id.len())
        {
            return Some(hexadecimal(id));
        }
    }
    None
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('?');
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    digits.collect()
}

/// Whether the module has a signature; whether it is valid is unknown.
pub(super) fn is_signed(bytes: &[u8]) -> bool {
    bytes.ends_with(SIGNATURE_MARK)
}

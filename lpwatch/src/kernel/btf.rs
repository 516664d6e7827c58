//! Types of the running kernel, from `<sysfs>/kernel/btf/vmlinux`: the offsets
//! of members, and the functions that BTF contains (only these can take an
//! fentry program).

use std::{
    collections::HashSet,
    fmt, fs, io,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use super::Roots;

mod functions_only;
mod types;

pub use types::FormatError;
use types::{Types, kind};

/// Why the kernel's types could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    #[error("cannot read {}; lpwatch needs the kernel's types for BPF and goes on without BPF", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is not BTF that lpwatch can read; lpwatch needs the kernel's types for BPF and goes on without BPF", .path.display())]
    Parse { path: PathBuf, source: FormatError },
}

/// The kernel's types.
///
/// Measured on 5.5 MB (126,690 types): 2 ms to open. The first name that is looked up
/// makes an index of all.
pub struct KernelBtf {
    types: Types,
}

impl KernelBtf {
    /// Opens the kernel's BTF; `None` without one (`CONFIG_DEBUG_INFO_BTF`).
    /// All concurrent users of the running kernel's BTF share one.
    ///
    /// # Errors
    /// The file exists and cannot be read, or is not BTF.
    pub fn open(roots: &Roots) -> Result<Option<Arc<Self>>, BtfError> {
        // The types of a running kernel do not change. They are not kept when
        // nobody needs them: they take megabytes.
        static RUNNING: Mutex<Weak<KernelBtf>> = Mutex::new(Weak::new());

        if !roots.is_live() {
            return Self::read(roots);
        }
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(btf) = running.upgrade() {
            return Ok(Some(btf));
        }
        let read = Self::read(roots)?;
        if let Some(btf) = &read {
            *running = Arc::downgrade(btf);
        }
        Ok(read)
    }

    fn read(roots: &Roots) -> Result<Option<Arc<Self>>, BtfError> {
        let path = roots.sysfs.join("kernel/btf/vmlinux");
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(BtfError::Read { path, source }),
        };
        match Self::parse(bytes) {
            Ok(btf) => Ok(Some(Arc::new(btf))),
            Err(source) => Err(BtfError::Parse { path, source }),
        }
    }

    fn parse(bytes: Vec<u8>) -> Result<Self, FormatError> {
        Ok(Self {
            types: Types::parse(bytes)?,
        })
    }

    /// BTF in which each of these functions has the id that it has here, and
    /// everything else is left out: for loading programs. A function that the
    /// kernel lacks is not in it.
    #[must_use]
    pub fn with_functions<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> Vec<u8> {
        let ids = names.into_iter().flat_map(|name| self.ids(name));
        let ids: Vec<u32> = ids.filter(|id| self.function(*id).is_some()).collect();
        functions_only::functions_only(&self.types, &ids)
    }

    /// The offset of `member` in `structure` (a struct or union), in bytes.
    /// Members of anonymous structs and unions count as the structure's own, as
    /// in C.
    ///
    /// `None` where either is absent, the member is a bitfield, or the kernel has
    /// several structures of this name that disagree.
    #[must_use]
    pub fn member_offset(&self, structure: &str, member: &str) -> Option<u32> {
        if structure.is_empty() || member.is_empty() {
            return None;
        }
        let structures = self.ids(structure).into_iter().filter(|id| {
            let kind = self.types.get(*id).map(|found| found.kind);
            matches!(kind, Some(kind::STRUCT | kind::UNION))
        });
        let mut offsets = structures.filter_map(|id| self.member_bits(id, member));
        let bits = offsets.next()?;
        let agree = offsets.all(|other| other == bits);
        (agree && bits.is_multiple_of(8)).then_some(bits / 8)
    }

    /// Whether BTF has a function of this name.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.ids(name)
            .into_iter()
            .any(|id| self.function(id).is_some())
    }

    /// The name of the function with this id; `None` if the id is unknown or of
    /// another kind of type.
    #[must_use]
    pub fn function_name(&self, id: u32) -> Option<String> {
        self.types.name(&self.function(id)?)
    }

    fn function(&self, id: u32) -> Option<types::Type<'_>> {
        self.types.get(id).filter(|found| found.kind == kind::FUNC)
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        self.types.named(name)
    }

    /// The offset of `wanted` in bits; `None` for a bitfield too.
    fn member_bits(&self, structure: u32, wanted: &str) -> Option<u32> {
        // Each type is visited once, so that bad BTF cannot lead in circles.
        let mut seen = HashSet::new();
        let mut pending = vec![(structure, 0_u32)];
        while let Some((id, begin)) = pending.pop() {
            let Some(found) = self.types.get(id).filter(|_| seen.insert(id)) else {
                continue;
            };
            if is_modifier(found.kind) {
                pending.push((found.target, begin));
            }
            for member in found.members() {
                let bits = begin.checked_add(member.bits)?;
                if self.types.is_named(member.name, wanted) {
                    return (!member.is_bitfield).then_some(bits);
                }
                if self.types.is_named(member.name, "") {
                    pending.push((member.type_id, bits));
                }
            }
        }
        None
    }
}

/// Whether a type of this kind only names or qualifies another one.
fn is_modifier(kind: u32) -> bool {
    matches!(
        kind,
        kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG
    )
}

impl fmt::Debug for KernelBtf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KernelBtf").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

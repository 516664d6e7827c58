//! Types of the running kernel, from `<sysfs>/kernel/btf/vmlinux`: where a
//! structure's member lies, and which functions BTF knows (only these can take
//! an fentry program).

use std::collections::HashMap;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use btf_rs::{Backend, Btf, Member, Struct, Type};
use rustix::fs::{MemfdFlags, memfd_create};

use super::Roots;

/// Why the kernel's types could not be read.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    #[error("cannot read {}; without the kernel's types lpwatch goes on without BPF", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{} is no BTF that lpwatch can read; without the kernel's types it goes on without BPF", .path.display())]
    Parse {
        path: PathBuf,
        source: btf_rs::Error,
    },
}

/// How deep anonymous structures are followed; the kernel's are 3 or 4 deep.
const DEPTH_MAX: u32 = 8;

/// The kernel's types.
pub struct KernelBtf {
    btf: Btf,
    /// Ids by name: looking a name up walks all types.
    ids: Mutex<HashMap<String, Vec<u32>>>,
}

impl KernelBtf {
    /// Opens the kernel's BTF; `None` where it has none
    /// (`CONFIG_DEBUG_INFO_BTF`).
    ///
    /// # Errors
    /// The file is there and cannot be read, or is no BTF.
    pub fn open(roots: &Roots) -> Result<Option<Self>, BtfError> {
        let path = roots.sysfs.join("kernel/btf/vmlinux");
        match load(&path) {
            Ok(btf) => Ok(Some(Self::over(btf))),
            Err(btf_rs::Error::IO(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(btf_rs::Error::IO(source)) if source.raw_os_error().is_some() => {
                Err(BtfError::Read { path, source })
            }
            Err(source) => Err(BtfError::Parse { path, source }),
        }
    }

    fn over(btf: Btf) -> Self {
        let ids = Mutex::default();
        Self { btf, ids }
    }

    /// Where `member` lies in `structure` (a struct or union), in bytes from its
    /// beginning. Members of anonymous structs and unions count as the
    /// structure's own, as in C.
    ///
    /// `None` where either is absent, the member is a bitfield, or the kernel has
    /// several structures of this name that disagree.
    #[must_use]
    pub fn member_offset(&self, structure: &str, member: &str) -> Option<u32> {
        if structure.is_empty() || member.is_empty() {
            return None;
        }
        let mut offset = None;
        for id in self.ids(structure) {
            let Ok(Type::Struct(definition) | Type::Union(definition)) =
                self.btf.resolve_type_by_id(id)
            else {
                continue;
            };
            match (offset, self.member_bits(&definition, member, DEPTH_MAX)) {
                (_, None) => {}
                (None, found) => offset = found,
                (Some(known), Some(found)) if known == found => {}
                (Some(_), Some(_)) => return None,
            }
        }
        offset
            .filter(|bits| bits.is_multiple_of(8))
            .map(|bits| bits / 8)
    }

    /// Whether BTF has a function of this name.
    #[must_use]
    pub fn has_function(&self, name: &str) -> bool {
        self.ids(name)
            .into_iter()
            .any(|id| matches!(self.btf.resolve_type_by_id(id), Ok(Type::Func(_))))
    }

    /// The name of the function with this id; `None` where the id is another
    /// kind of type's or there is none.
    #[must_use]
    pub fn function_name(&self, id: u32) -> Option<String> {
        match self.btf.resolve_type_by_id(id) {
            Ok(Type::Func(function)) => self.btf.resolve_name(&function).ok(),
            _ => None,
        }
    }

    fn ids(&self, name: &str) -> Vec<u32> {
        let mut known = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ids) = known.get(name) {
            return ids.clone();
        }
        let ids = self.btf.resolve_ids_by_name(name).unwrap_or_default();
        known.insert(name.to_owned(), ids.clone());
        ids
    }

    /// The offset of `wanted` in bits; `None` for a bitfield too.
    fn member_bits(&self, structure: &Struct, wanted: &str, depth: u32) -> Option<u32> {
        for member in &structure.members {
            let name = self.btf.resolve_name(member).ok()?;
            if name == wanted {
                let bitfield = member.bitfield_size().is_some_and(|bits| bits > 0);
                return (!bitfield).then(|| member.bit_offset());
            }
            if name.is_empty()
                && depth > 0
                && let Some(inner) = self.anonymous(member)
                && let Some(bits) = self.member_bits(&inner, wanted, depth - 1)
            {
                return member.bit_offset().checked_add(bits);
            }
        }
        None
    }

    /// The struct or union behind an unnamed member, qualifiers passed over.
    fn anonymous(&self, member: &Member) -> Option<Struct> {
        let mut found = self.btf.resolve_chained_type(member).ok()?;
        for _ in 0..DEPTH_MAX {
            found = match found {
                Type::Struct(inner) | Type::Union(inner) => return Some(inner),
                Type::Const(inner) | Type::Volatile(inner) => {
                    self.btf.resolve_chained_type(&inner).ok()?
                }
                _ => return None,
            };
        }
        None
    }
}

impl fmt::Debug for KernelBtf {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("KernelBtf").finish_non_exhaustive()
    }
}

/// Parses BTF with the backend of `btf-rs` that maps the bytes and keeps an
/// index.
///
/// Measured on 5.5 MB (126,610 types): opened in 1 ms, and 1 ms for each name
/// looked up, against 75 to 200 ms to open (and 40 ms to drop) the backend that
/// builds every type; we ask for some thirty names. sysfs lets its BTF be mapped
/// from 6.16 on; up to then (ENODEV) the bytes go through a file in memory,
/// which takes 9 ms.
fn load(path: &Path) -> Result<Btf, btf_rs::Error> {
    match Btf::from_file_with_backend(path, Backend::Mmap) {
        Err(btf_rs::Error::IO(error)) if error.kind() != io::ErrorKind::NotFound => {
            load_bytes(&fs::read(path)?)
        }
        other => other,
    }
}

fn load_bytes(bytes: &[u8]) -> Result<Btf, btf_rs::Error> {
    match map_bytes(bytes) {
        Err(btf_rs::Error::IO(_)) => Btf::from_bytes(bytes),
        mapped => mapped,
    }
}

fn map_bytes(bytes: &[u8]) -> Result<Btf, btf_rs::Error> {
    let file = memfd_create("lpwatch-btf", MemfdFlags::CLOEXEC).map_err(io::Error::from)?;
    let mut file = File::from(file);
    file.write_all(bytes)?;
    // Where /proc is not mounted this fails and the slower backend is used.
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    Btf::from_file_with_backend(path, Backend::Mmap)
}

#[cfg(test)]
mod tests;

//! The process that holds a BPF program, and where the program is pinned.

use std::{
    io,
    os::fd::{AsFd as _, AsRawFd as _},
    path::{Path, PathBuf},
};

use aya::maps::MapData;

use crate::{
    kernel::{
        ReadError, Roots,
        bpf_owners::{self, Holder, OwnerSearch, ProgramReference},
    },
    probe::ProbeError,
};

use super::chain;

/// The searches, each made when first needed, and then kept.
#[derive(Debug, Default)]
pub(super) struct OwnerIndex {
    holders: Option<Result<OwnerSearch<Holder>, ReadError>>,
    pins: Option<Result<OwnerSearch<PathBuf>, ReadError>>,
}

/// What keeps one program loaded.
#[derive(Debug, Default)]
pub(super) struct Owner {
    pub pid: Option<u32>,
    pub comm: Option<String>,
    pub pinned: Option<String>,
    /// Why neither a process nor a pin is known.
    pub unknown: Option<String>,
}

impl OwnerIndex {
    /// A pinned link keeps the program attached whoever holds it, so it is
    /// always reported. A pinned program only keeps it loaded, so it is
    /// reported where no process holds it.
    pub fn of(&mut self, roots: &Roots, program: u32) -> Owner {
        let holders = self
            .holders
            .get_or_insert_with(|| bpf_owners::read_holders(roots));
        let pins = self
            .pins
            .get_or_insert_with(|| bpf_owners::read_pins(roots, ask));
        let holder = holders.as_ref().ok().and_then(|found| found.of(program));
        let pin = pins.as_ref().ok().and_then(|found| match holder {
            Some(_) => found.of_link(program),
            None => found.of(program),
        });
        Owner {
            pid: holder.map(|holder| holder.pid),
            comm: holder.and_then(|holder| holder.comm.clone()),
            pinned: pin.map(|path| path.to_string_lossy().into_owned()),
            unknown: (holder.is_none() && pin.is_none()).then(|| why_unknown(holders, pins)),
        }
    }
}

fn why_unknown(
    holders: &Result<OwnerSearch<Holder>, ReadError>,
    pins: &Result<OwnerSearch<PathBuf>, ReadError>,
) -> String {
    let why = [missed(holders, "processes"), missed(pins, "pinned objects")];
    let why: Vec<String> = why.into_iter().flatten().collect();
    if why.is_empty() {
        return "no process here holds it, and it is not pinned below /sys/fs/bpf".to_owned();
    }
    why.join("; ")
}

/// Why a search may be incomplete; `None` for a complete one.
fn missed<T>(found: &Result<OwnerSearch<T>, ReadError>, what: &str) -> Option<String> {
    match found {
        Err(error) => Some(chain(error)),
        Ok(found) if found.closed > 0 => Some(format!(
            "no permission to inspect {} {what} (run as root)",
            found.closed
        )),
        Ok(found) => found
            .cut
            .then(|| format!("there are too many {what} to inspect them all")),
    }
}

/// What is pinned at `path`, read from the `fdinfo` of a descriptor of it.
///
/// aya opens a pin of unknown kind only as a map; it accepts any object, and
/// reads nothing of it but its type and id. (As a program it would read the BTF
/// too, which takes `CAP_SYS_ADMIN`; as a link it would not give the
/// descriptor.)
fn ask(path: &Path) -> io::Result<Option<ProgramReference>> {
    let object = MapData::from_pin(path).map_err(|error| {
        let error = ProbeError::new("open a pinned BPF object", &error);
        let kind = if error.is_permission() {
            io::ErrorKind::PermissionDenied
        } else {
            io::ErrorKind::Other
        };
        io::Error::new(kind, error)
    })?;
    let descriptor = object.fd().as_fd().as_raw_fd();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{descriptor}"))?;
    Ok(ProgramReference::from_fdinfo(&info))
}

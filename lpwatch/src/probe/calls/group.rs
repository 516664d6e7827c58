//! Many functions hooked at once (kprobe.multi): one program and one link for all of
//! them, attached and detached in one step.
//!
//! aya 0.14 cannot load such a program. So its instructions are taken from the object
//! once more, and loaded here.

use std::{
    collections::HashSet,
    ffi::CString,
    io,
    os::fd::{AsRawFd, BorrowedFd, OwnedFd},
    sync::{Arc, mpsc},
    thread,
};

use aya_obj::{Object, generated::bpf_insn};

use crate::probe::{ProbeError, missed::runs_missed, object};

use super::{fail, failed, link};

/// Its name in the object.
const PROGRAM: &str = "count_cookie";

/// Its name in the kernel.
const NAME: &str = "count_multi";

/// The program, ready to be loaded.
pub(super) struct GroupProgram {
    instructions: Vec<bpf_insn>,
    license: CString,
}

/// A function to be hooked: its address and its slot.
pub(super) type CountedMember = (u64, u32);

/// Functions that one link hooks. Dropping it detaches all of them.
#[derive(Debug)]
pub(super) struct Group {
    #[expect(dead_code, reason = "held, because dropping it detaches the hooks")]
    link: OwnedFd,
    program: OwnedFd,
    /// The slots of all members, also of those that nobody reads any more.
    pub slots: Vec<u32>,
}

impl Group {
    /// Detaches all, on a thread of its own, and then sends the slots. The kernel waits
    /// until no task is in a trampoline any more (`synchronize_rcu_tasks` in
    /// `ftrace_shutdown`), which a task that keeps a CPU can delay.
    pub fn let_go(self, done: mpsc::Sender<Vec<u32>>) {
        let thread = thread::Builder::new().name("lpwatch-detach".to_owned());
        let detach = move || {
            let slots = self.slots.clone();
            drop(self);
            // Nobody counts any more.
            let _ = done.send(slots);
        };
        if let Err(error) = thread.spawn(detach) {
            // The closure is gone, and with it the hooks; the slots are not used again.
            tracing::warn!(%error, "hooks were detached in the loop");
        }
    }

    /// Calls that were missed, of any of its functions.
    pub fn missed(&self) -> u64 {
        runs_missed(&self.program).unwrap_or_default()
    }
}

impl GroupProgram {
    /// `maps` are the maps that the program uses, by name.
    pub fn new(maps: &[(&str, BorrowedFd<'_>)]) -> Result<Self, ProbeError> {
        let bytes = object::bytes().ok_or(ProbeError::NotBuilt)?;
        let mut object = Object::parse(bytes).map_err(|error| fail(&error))?;
        object.programs.retain(|name, _| name == PROGRAM);
        let missing = || failed(format!("the object has no `{PROGRAM}`"));
        let program = object.programs.get(PROGRAM).ok_or_else(missing)?;
        let (key, license) = (program.function_key(), program.license.clone());
        object.functions.retain(|of, _| *of == key);
        let sections = HashSet::from([key.0]);
        let named = std::mem::take(&mut object.maps);
        let mut used = Vec::new();
        for (name, fd) in maps {
            let no_map = || failed(format!("the object has no `{name}`"));
            used.push((*name, fd.as_raw_fd(), named.get(*name).ok_or_else(no_map)?));
        }
        object
            .relocate_maps(used.into_iter(), &sections)
            .map_err(|error| fail(&error))?;
        object
            .relocate_calls(&sections)
            .map_err(|error| fail(&error))?;
        let function = object.functions.remove(&key).ok_or_else(missing)?;
        Ok(Self {
            instructions: function.instructions,
            license,
        })
    }

    /// Hooks these functions, in as few groups as possible: the kernel refuses all if it
    /// refuses one. Returns the group of each function, in their order.
    pub fn attach(&self, members: &[CountedMember]) -> Vec<io::Result<Arc<Group>>> {
        let error = match self.attach_all(members) {
            Ok(group) => {
                let group = Arc::new(group);
                return members.iter().map(|_| Ok(Arc::clone(&group))).collect();
            }
            Err(error) => error,
        };
        let one_may_be_refused = error.kind() == io::ErrorKind::InvalidInput;
        if members.len() > 1 && one_may_be_refused {
            let (some, others) = members.split_at(members.len() / 2);
            let mut groups = self.attach(some);
            groups.extend(self.attach(others));
            return groups;
        }
        let again = || io::Error::from_raw_os_error(error.raw_os_error().unwrap_or_default());
        members.iter().map(|_| Err(again())).collect()
    }

    /// A program of its own for each group, so that the kernel counts the missed calls
    /// of each.
    fn attach_all(&self, members: &[CountedMember]) -> io::Result<Group> {
        let program = link::load_multi(NAME, &self.instructions, &self.license)?;
        let addresses: Vec<u64> = members.iter().map(|(address, _)| *address).collect();
        let cookies: Vec<u64> = members.iter().map(|(_, slot)| u64::from(*slot)).collect();
        let fd = std::os::fd::AsFd::as_fd(&program);
        let link = link::multi(fd, &addresses, &cookies)?;
        Ok(Group {
            link,
            program,
            slots: members.iter().map(|(_, slot)| *slot).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::{fs::File, os::fd::AsFd as _};

    use super::*;
    use crate::probe::is_built;

    #[test]
    /// aya-obj itself panics in a debug build if the program uses another map.
    fn the_program_uses_no_other_maps() {
        if !is_built() {
            return;
        }
        let file = File::open("/dev/null").unwrap();
        let maps = super::super::MAPS.map(|name| (name, file.as_fd()));
        let program = GroupProgram::new(&maps).unwrap();
        assert!(!program.instructions.is_empty());
        let odd = [("NO_SUCH_MAP", file.as_fd())];
        assert!(GroupProgram::new(&odd).is_err(), "a map that is not there");
    }
}

//! When patches were enabled, from the kernel log.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    kernel::{
        Roots,
        files::sentence,
        host::Clocks,
        kmsg::{
            ForeignKind, ForeignSystem, LivepatchLine, LogReader, parse_foreign, parse_livepatch,
        },
    },
    model::EngineKind,
};

/// When each patch was last enabled.
#[derive(Clone, Debug, Default)]
pub struct AppliedTimes {
    at: BTreeMap<(EngineKind, String), Timestamp>,
}

impl AppliedTimes {
    /// Reads the running kernel's log; a tree has none.
    pub fn read(roots: &Roots, notes: &mut Vec<String>) -> Self {
        let mut applied = Self::default();
        if !roots.is_live() {
            return applied;
        }
        let clocks = Clocks::now();
        let records = LogReader::open_from_start().and_then(|mut log| log.read_available());
        match records {
            Ok(records) => {
                for record in records {
                    let at = clocks.boot_to_wall(clocks.log_to_boot(record.micros));
                    applied.take(&record.text, at);
                }
            }
            Err(error) => notes.push(format!(
                "It is unknown when the patches were enabled. {}",
                sentence(&error)
            )),
        }
        applied
    }

    fn take(&mut self, text: &str, at: Timestamp) {
        if let Some((engine, patch)) = applied(text) {
            self.at.insert((engine, patch), at);
        }
    }

    pub fn since(&self, engine: EngineKind, patch: &str) -> Option<Timestamp> {
        self.at.get(&(engine, patch.to_owned())).copied()
    }
}

/// The patch that this line reports as enabled or being enabled.
fn applied(text: &str) -> Option<(EngineKind, String)> {
    if let Some(LivepatchLine::Enabling { patch }) = parse_livepatch(text) {
        return Some((EngineKind::Livepatch, patch));
    }
    let line = parse_foreign(text)?;
    let engine = match line.system {
        ForeignSystem::Kpatch => EngineKind::Kpatch,
        ForeignSystem::Kgraft => EngineKind::Kgraft,
        ForeignSystem::Ksplice => EngineKind::Ksplice,
    };
    match line.kind {
        ForeignKind::Applied { patch }
        | ForeignKind::Begun {
            patch,
            patching: true,
        } => Some((engine, patch)),
        ForeignKind::Begun { .. }
        | ForeignKind::Reversed { .. }
        | ForeignKind::Succeeded
        | ForeignKind::StillInProgress { .. }
        | ForeignKind::Forced
        | ForeignKind::FunctionBusy { .. }
        | ForeignKind::Holder { .. }
        | ForeignKind::Aborted { .. }
        | ForeignKind::Complaint { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_line_of_each_system_counts() {
        let mut applied = AppliedTimes::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        for (second, text) in [
            (1, "livepatch: enabling patch 'lp'"),
            (2, "kpatch: loaded patch module 'lp'"),
            (3, "livepatch: enabling patch 'lp'"),
            (4, "kgr: applying patch 'kgr_a'"),
            (5, "kgr: reverting patch 'kgr_a'"),
            (6, "ksplice: Update k1 applied successfully"),
            (7, "livepatch: 'lp': unpatching complete"),
        ] {
            applied.take(text, at(second));
        }
        let since = |engine, patch| applied.since(engine, patch);
        assert_eq!(since(EngineKind::Livepatch, "lp"), Some(at(3)));
        assert_eq!(since(EngineKind::Kpatch, "lp"), Some(at(2)));
        assert_eq!(since(EngineKind::Kgraft, "kgr_a"), Some(at(4)));
        assert_eq!(since(EngineKind::Ksplice, "k1"), Some(at(6)));
        assert_eq!(since(EngineKind::Ksplice, "k2"), None);
    }
}

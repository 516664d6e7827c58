//! When patches were enabled, and the modules that the kernel refused to load
//! because of them, from the kernel log.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::{
    kernel::{
        Roots,
        files::sentence,
        host::Clocks,
        kmsg::{
            ForeignKind, ForeignSystem, LivepatchLine, LogReader, RefusalParser, parse_foreign,
            parse_livepatch,
        },
    },
    model::{EngineKind, ModuleRefusal, ModuleRefusals, Moment},
};

/// What the log reports of the patches.
#[derive(Clone, Debug, Default)]
pub struct LoggedPatches {
    /// When each was last enabled.
    at: BTreeMap<(EngineKind, String), Timestamp>,
    refused: ModuleRefusals,
    parser: RefusalParser,
}

impl LoggedPatches {
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
                    let boot = clocks.log_to_boot(record.micros);
                    let wall = clocks.boot_to_wall(boot);
                    let at = Moment { boot, wall };
                    applied.take(&record.text, record.micros, at);
                }
            }
            Err(error) => notes.push(format!(
                "It is unknown when the patches were enabled. {}",
                sentence(&error)
            )),
        }
        applied
    }

    fn take(&mut self, text: &str, micros: u64, at: Moment) {
        if let Some(line) = parse_livepatch(text) {
            self.take_line(&line, micros, at);
        }
        if let Some((engine, patch)) = applied(text) {
            self.at.insert((engine, patch), at.wall);
        }
    }

    fn take_line(&mut self, line: &LivepatchLine, micros: u64, at: Moment) {
        match line {
            LivepatchLine::Enabling { patch } => self.refused.forget_patch(patch),
            LivepatchLine::Reverting { patch, object } => self.refused.forget(patch, object),
            _ => {}
        }
        if let Some(refused) = self.parser.take(micros, line) {
            let key = (refused.patch, refused.module);
            self.refused.note(key, refused.errno, refused.cause, at);
        }
    }

    /// The refusal of this module because of this live patch.
    pub fn refusal(&self, patch: &str, module: &str) -> Option<&ModuleRefusal> {
        self.refused.of(patch, module)
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

    fn moment(second: i64) -> Moment {
        Moment {
            wall: Timestamp::from_second(second).unwrap(),
            ..Moment::default()
        }
    }

    #[test]
    fn the_last_line_of_each_system_counts() {
        let mut applied = LoggedPatches::default();
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
            applied.take(text, 0, moment(second));
        }
        let since = |engine, patch| applied.since(engine, patch);
        assert_eq!(since(EngineKind::Livepatch, "lp"), Some(at(3)));
        assert_eq!(since(EngineKind::Kpatch, "lp"), Some(at(2)));
        assert_eq!(since(EngineKind::Kgraft, "kgr_a"), Some(at(4)));
        assert_eq!(since(EngineKind::Ksplice, "k1"), Some(at(6)));
        assert_eq!(since(EngineKind::Ksplice, "k2"), None);
    }
    #[test]
    fn a_refused_module_is_known_until_it_loads_or_the_patch_is_another() {
        let mut log = LoggedPatches::default();
        let at = |second| Timestamp::from_second(second).unwrap();
        let refusal = "livepatch: patch 'lp' failed for module 'm', refusing to load module 'm'";
        let mut times = |second, text: &str| {
            log.take(text, 0, moment(second));
            log.refusal("lp", "m")
                .map(|refusal| (refusal.at, refusal.times))
        };
        assert_eq!(times(1, refusal), Some((at(1), 1)));
        assert_eq!(times(2, refusal), Some((at(2), 2)));
        let other = "livepatch: reverting patch 'lp' on unloading module 'n'";
        assert_eq!(times(3, other), Some((at(2), 2)));
        let loaded = "livepatch: reverting patch 'lp' on unloading module 'm'";
        assert_eq!(times(4, loaded), None);
        assert_eq!(times(5, refusal), Some((at(5), 1)));
        assert_eq!(times(6, "livepatch: enabling patch 'lp'"), None);
    }
}

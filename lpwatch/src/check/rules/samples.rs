//! Plain values for the tests of the rules.

use crate::model::TaskKind;
use crate::{
    check::{
        CheckContext,
        facts::{CheckFacts, tasks::PredictedBlocker},
    },
    kernel::patch_file::{Machine, MadeBy, Modinfo, PatchFile, PatchObject, PatchedFunction},
    model::{
        EngineKind, ObjectView, PatchView,
        check::{CheckFinding, Obstacle},
        snapshot::Severity,
    },
};

/// A patch file that changes these functions of vmlinux.
pub(in crate::check) fn patch(functions: &[&str]) -> PatchFile {
    PatchFile {
        name: "fix".to_owned(),
        modinfo: Modinfo {
            livepatch: true,
            ..Modinfo::default()
        },
        machine: Machine::X86_64,
        build_id: None,
        signed: false,
        made_by: Some(MadeBy::HandWritten),
        replace: Some(false),
        objects: vec![PatchObject {
            name: "vmlinux".to_owned(),
            functions: functions
                .iter()
                .map(|name| PatchedFunction {
                    name: (*name).to_owned(),
                    sympos: 0,
                    new_function: Some(format!("new_{name}")),
                })
                .collect(),
            callbacks: Vec::new(),
        }],
        uses: Vec::new(),
        states: Vec::new(),
        shadow_variables: false,
        unread: Vec::new(),
    }
}

pub(in crate::check) fn context<'a>(
    patch: &'a PatchFile,
    facts: &'a CheckFacts,
) -> CheckContext<'a> {
    CheckContext {
        patch,
        facts,
        is_loaded: false,
    }
}

/// A loaded patch that changes these functions of vmlinux.
pub(in crate::check) fn loaded(name: &str, functions: &[&str]) -> PatchView {
    PatchView {
        enabled: Some(true),
        replace: Some(false),
        objects: vec![ObjectView {
            name: "vmlinux".to_owned(),
            patched: Some(true),
            functions: functions
                .iter()
                .map(|name| ((*name).to_owned(), 1))
                .collect(),
        }],
        ..PatchView::new(name.to_owned(), EngineKind::Livepatch)
    }
}

/// A user task with this obstacle in that many samples.
pub(in crate::check) fn observed(tid: u32, obstacle: Obstacle, seen: u32) -> PredictedBlocker {
    PredictedBlocker {
        tid,
        tgid: tid,
        comm: format!("t{tid}"),
        kind: TaskKind::User,
        obstacle,
        function: Some("f".to_owned()),
        module: None,
        program: None,
        vfork_child: None,
        seen,
    }
}

/// A danger with a dummy text.
pub(in crate::check) fn finding() -> CheckFinding {
    super::findings::finding(&super::busy::RULE, Severity::Danger, "No.", None)
}

//! What a host offers to lpwatch, and which hooks lpwatch uses: `lpwatch doctor`.
//!
//! [`examine`] reads what the host offers, attaches the daemon's hooks, detaches
//! them and reports the result. It attaches nothing during a transition, so as
//! not to add to the kernel's work.

mod calibrate;
mod facts;
mod hooks;
mod notes;
mod offers;
mod readiness;

use std::env::consts::ARCH;

use crate::{
    engine,
    error::Error,
    kernel::{Roots, btf::KernelBtf, offers::Offers},
    model::{
        ObservedFact, PatchView, Snapshot,
        doctor::{Calibration, ChosenHook, DoctorReport},
        document::{DocumentHead, Source},
    },
    probe::{self, SHARING_MARKER},
};

use facts::HookInputs;
use hooks::HookExamination;
use readiness::ReadinessInputs;

/// How to examine.
#[derive(Clone, Debug, Default)]
pub struct DoctorOptions {
    pub roots: Roots,
    /// Do not use BPF.
    pub no_bpf: bool,
    /// Test the counters on a kernel function.
    pub calibrate: bool,
}

/// Examines the host; `daemon` is the snapshot of a running daemon.
///
/// # Errors
/// sysfs exists and its patches cannot be read.
pub fn examine(options: &DoctorOptions, daemon: Option<&Snapshot>) -> Result<DoctorReport, Error> {
    let roots = &options.roots;
    let host = Offers::read(roots, &offers::symbols());
    let patches = engine::read_all(roots)?.patches;
    let btf = KernelBtf::open(roots).ok().flatten();
    let looked = hooks::look(options, &host, btf.as_deref(), &patches, daemon);
    let known = known(&host, btf.as_deref(), &looked);
    let mut chosen = facts::choose(&known);
    let calibration = options
        .calibrate
        .then(|| calibrate::calibrate(options, &host, &patches));
    if let Some(calibration) = &calibration {
        prove(&mut chosen, calibration);
    }
    let offers = offers::all(&host, probe::is_built(), ARCH);
    let (verdict, summary) = readiness::judge(&ReadinessInputs {
        host: &host,
        offers: &offers,
        facts: &chosen,
        by: looked.by,
        no_bpf: options.no_bpf,
    });
    let HookExamination {
        by, seconds, notes, ..
    } = looked;
    Ok(DoctorReport {
        head: DocumentHead::new(
            host.host.node,
            host.host.release,
            jiff::Timestamp::now(),
            Source::Sysfs,
        ),
        arch: ARCH.to_owned(),
        verdict,
        summary,
        chosen_by: by,
        attach_seconds: seconds,
        offers,
        facts: chosen,
        notes: notes.into_iter().chain(notes::of_processor(ARCH)).collect(),
        calibration,
    })
}

/// Adds the result of the calibration to the facts.
fn prove(facts: &mut [ChosenHook], calibration: &Calibration) {
    let trials = &calibration.trials;
    if trials.iter().all(|trial| trial.counted.is_none()) {
        return;
    }
    for fact in facts
        .iter_mut()
        .filter(|fact| fact.fact == ObservedFact::Calls)
    {
        fact.works = Some(trials.iter().all(|trial| trial.outcome.is_good()));
    }
}

fn known(host: &Offers, btf: Option<&KernelBtf>, looked: &HookExamination) -> HookInputs {
    let HookExamination {
        by,
        hooks,
        tasks,
        programs,
        new_code,
        daemon,
        ..
    } = looked;
    let marked = btf.map_or_else(
        || host.has_symbol(SHARING_MARKER) == Some(true),
        |btf| btf.has_function(SHARING_MARKER),
    );
    let armed = host.kprobes_armed.found().is_none_or(|armed| armed != "0");
    let shown = host.symbols.found().is_some_and(|symbols| !symbols.hidden);
    HookInputs {
        livepatch: host.livepatch,
        by: *by,
        hooks: hooks.clone(),
        sharing: probe::sharing(marked).map_err(str::to_owned),
        kprobes: host.kprobe_events && armed && !host.is_confidential(),
        groups: btf.is_some_and(|btf| probe::may_group(|name| btf.has_function(name))),
        // A daemon may have more rights than the caller.
        addresses: shown || daemon.is_some(),
        tasks: tasks.clone(),
        programs: programs.clone(),
        new_code: new_code.clone(),
        log: daemon.as_ref().map_or_else(
            || hooks::unread(&host.log, "/dev/kmsg"),
            |daemon| daemon.log.clone(),
        ),
        patch_state: match daemon {
            Some(_) => Ok(()),
            None => hooks::unread(&host.patch_state, "/proc/1/patch_state"),
        },
    }
}

/// The patch in transition, if there is one.
fn in_transition(patches: &[PatchView]) -> Option<&str> {
    let patch = patches.iter().find(|patch| patch.in_transition)?;
    Some(&patch.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::doctor::{ChosenBy, FactSource, Readiness};

    #[test]
    fn a_recorded_tree_is_judged_without_touching_this_host() {
        let folder = tempfile::tempdir().unwrap();
        for (path, content) in [
            ("sys/kernel/livepatch/lp/enabled", "1\n"),
            ("sys/kernel/livepatch/lp/transition", "0\n"),
            ("proc/sys/kernel/osrelease", "5.10.0-test\n"),
            ("proc/sys/kernel/ftrace_enabled", "1\n"),
            ("proc/1/patch_state", "-1\n"),
            ("proc/kallsyms", "ffffffff81000000 T klp_init_transition\n"),
        ] {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, content).unwrap();
        }
        let options = DoctorOptions {
            roots: Roots {
                sysfs: folder.path().join("sys"),
                procfs: folder.path().join("proc"),
            },
            calibrate: true,
            ..DoctorOptions::default()
        };
        let report = examine(&options, None).unwrap();
        assert_eq!(report.head.kernel, "5.10.0-test");
        assert_eq!(report.chosen_by, ChosenBy::Policy);
        assert!(report.notes[0].contains("a recorded tree is read"));
        // The tree contains no BTF.
        assert_eq!(report.verdict, Readiness::Lacking);
        let kind = |name: ObservedFact| {
            let mut facts = report.facts.iter();
            facts.find(|fact| fact.fact == name).unwrap().kind
        };
        assert_eq!(kind(ObservedFact::Tasks), FactSource::Procfs);
        assert_eq!(kind(ObservedFact::Calls), FactSource::None);
        let calibration = report.calibration.unwrap();
        assert!(calibration.not_tried.unwrap().contains("recorded tree"));
    }
}

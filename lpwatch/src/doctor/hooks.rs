//! The state of the hooks: tried here, read from the daemon, or planned.

use std::time::Instant;

use crate::{
    kernel::{
        btf::KernelBtf,
        host::Clocks,
        offers::{Offers, Reading, Rights},
    },
    model::{
        Direction, ObservedFact, PatchView, Snapshot,
        doctor::ChosenBy,
        snapshot::{Probe, Source},
    },
    probe::{self, Hooks, LoadOptions, ProbeError, TaskFilter, TaskIterator, load_hooks},
};

use super::{DoctorOptions, in_transition, readiness::is_ftrace_off};

/// The result of examining the hooks.
pub(super) struct HookExamination {
    pub by: ChosenBy,
    /// How long attaching took.
    pub seconds: Option<f64>,
    /// The hooks, or why there is no BPF.
    pub hooks: Result<Vec<Probe>, String>,
    pub tasks: Result<(), String>,
    pub programs: Result<(), String>,
    pub new_code: Result<(), String>,
    /// What the daemon can read, if there is one.
    pub daemon: Option<DaemonReads>,
    pub notes: Vec<String>,
}

/// What the daemon can read and the caller may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DaemonReads {
    pub log: Result<(), String>,
}

/// Finds out which hooks work on this host, in the least harmful way.
pub(super) fn look(
    options: &DoctorOptions,
    host: &Offers,
    btf: Option<&KernelBtf>,
    patches: &[PatchView],
    daemon: Option<&Snapshot>,
) -> HookExamination {
    if let Some(snapshot) = daemon {
        return of_daemon(snapshot);
    }
    if !host.livepatch {
        return HookExamination::without("this kernel does not support live patching");
    }
    if options.no_bpf {
        return HookExamination::without("BPF is disabled (--no-bpf)");
    }
    if let Some(why) = not_to_attach(options, host, patches) {
        let mut looked = planned(host, btf);
        looked.notes.push(format!(
            "No hook was attached: {why}. The report shows the hooks that would be attached."
        ));
        return looked;
    }
    attached(options)
}

/// Why no hook may be attached now.
fn not_to_attach(options: &DoctorOptions, host: &Offers, patches: &[PatchView]) -> Option<String> {
    if !options.roots.is_live() {
        return Some("a recorded tree is read".to_owned());
    }
    if let Some(patch) = in_transition(patches) {
        return Some(format!(
            "{patch} is in transition, and lpwatch must not add to the kernel's work"
        ));
    }
    is_ftrace_off(host).then(|| "ftrace is switched off".to_owned())
}

fn of_daemon(snapshot: &Snapshot) -> HookExamination {
    let mut notes = vec![
        "A daemon is running. The report shows its hooks; no other hook was attached.".to_owned(),
    ];
    notes.extend(snapshot.notes.iter().cloned());
    let hooks = match snapshot.head.source {
        Source::Bpf => Ok(snapshot.probes.clone()),
        Source::Procfs | Source::Sysfs | Source::Prometheus => {
            Err("the running daemon does not use BPF".to_owned())
        }
    };
    let mut probes = snapshot.probes.iter();
    let log = probes.any(|probe| probe.fact == ObservedFact::Log && probe.attached);
    let reads = DaemonReads {
        log: log
            .then_some(())
            .ok_or_else(|| "the daemon cannot read the kernel log".to_owned()),
    };
    HookExamination {
        by: ChosenBy::Daemon,
        hooks,
        daemon: Some(reads),
        notes,
        ..HookExamination::without("")
    }
}

/// The hooks that the policy would choose.
fn planned(host: &Offers, btf: Option<&KernelBtf>) -> HookExamination {
    let may = host.rights.as_ref().and_then(Rights::may_trace);
    let why_not = match (btf, may) {
        (None, _) => Some(ProbeError::NoBtf.to_string()),
        (_, Some(false)) => Some("no permission to load BPF programs".to_owned()),
        _ if !probe::is_built() => Some(ProbeError::NotBuilt.to_string()),
        _ => None,
    };
    match (why_not, btf) {
        (None, Some(btf)) => HookExamination {
            hooks: Ok(probe::planned(
                |name| btf.has_function(name),
                |name| host.has_symbol(name),
            )),
            ..HookExamination::without("")
        },
        (why, _) => HookExamination::without(&why.unwrap_or_default()),
    }
}

/// Attaches all hooks, tests them and detaches them.
fn attached(options: &DoctorOptions) -> HookExamination {
    let started = Instant::now();
    let loaded = load_hooks(&options.roots, &LoadOptions::default(), false);
    let seconds = started.elapsed().as_secs_f64();
    match loaded {
        Ok((mut iterator, hooks)) => {
            let looked = tried(&mut iterator, &hooks);
            drop(hooks);
            drop(iterator);
            HookExamination {
                seconds: Some(seconds),
                ..looked
            }
        }
        Err(error) => HookExamination::without(&error.to_string()),
    }
}

fn tried(iterator: &mut TaskIterator, hooks: &Hooks) -> HookExamination {
    let words = |error: ProbeError| error.to_string();
    let now = Clocks::now().boot;
    HookExamination {
        by: ChosenBy::Attaching,
        hooks: Ok(hooks.probes.clone()),
        tasks: iterator
            .look(TaskFilter::Left(Direction::Patching), now, false)
            .map(drop)
            .map_err(words),
        programs: iterator.programs().map(drop).map_err(words),
        new_code: iterator.patched_functions().map(drop).map_err(words),
        ..HookExamination::without("")
    }
}

impl HookExamination {
    /// The result without BPF, with the reason.
    fn without(why: &str) -> Self {
        Self {
            by: ChosenBy::Policy,
            seconds: None,
            hooks: Err(why.to_owned()),
            tasks: Ok(()),
            programs: Ok(()),
            new_code: Ok(()),
            daemon: None,
            notes: Vec::new(),
        }
    }
}

/// Whether something was read, or why not.
pub(super) fn unread<T>(reading: &Reading<T>, what: &str) -> Result<(), String> {
    match reading {
        // A recorded tree need not contain everything that the host had.
        Reading::Found(_) | Reading::NotRecorded => Ok(()),
        Reading::Absent => Err(format!("{what} does not exist")),
        Reading::Forbidden => Err(format!("no permission to read {what}")),
        Reading::Failed(error) => Err(format!("{what} cannot be read: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::offers::samples::whole;
    use crate::model::samples::stalled;

    /// What is found where a daemon answers with this snapshot.
    fn asked(daemon: &Snapshot) -> HookExamination {
        let options = DoctorOptions::default();
        look(&options, &whole(), None, &[], Some(daemon))
    }

    #[test]
    fn a_daemon_is_asked_and_nothing_is_attached() {
        let mut snapshot = stalled();
        snapshot.head.source = Source::Bpf;
        snapshot.notes = vec!["The kernel log is not read.".to_owned()];
        let looked = asked(&snapshot);
        assert_eq!(looked.by, ChosenBy::Daemon);
        assert_eq!(looked.hooks, Ok(snapshot.probes.clone()));
        assert_eq!(looked.notes.len(), 2);
        assert!(looked.daemon.unwrap().log.is_err());
        snapshot.head.source = Source::Procfs;
        let looked = asked(&snapshot);
        assert!(looked.hooks.unwrap_err().contains("daemon"));
    }

    #[test]
    fn nothing_is_attached_in_a_transition() {
        let patch = PatchView {
            enabled: Some(true),
            in_transition: true,
            ..PatchView::new("lp_stall".to_owned(), crate::model::EngineKind::Livepatch)
        };
        let looked = look(&DoctorOptions::default(), &whole(), None, &[patch], None);
        assert_eq!((looked.by, looked.seconds), (ChosenBy::Policy, None));
        assert!(looked.notes[0].contains("lp_stall is in transition"));
    }

    #[test]
    fn nothing_is_attached_where_ftrace_is_off_or_bpf_is_ruled_out() {
        let mut host = whole();
        host.settings.ftrace_enabled = Reading::Found("0".to_owned());
        let looked = look(&DoctorOptions::default(), &host, None, &[], None);
        assert!(looked.notes[0].contains("ftrace is switched off"));
        let options = DoctorOptions {
            no_bpf: true,
            ..DoctorOptions::default()
        };
        let looked = look(&options, &whole(), None, &[], None);
        assert_eq!(looked.by, ChosenBy::Policy);
        assert!(looked.hooks.unwrap_err().contains("--no-bpf"));
    }
}

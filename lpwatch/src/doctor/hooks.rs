//! The hooks: attached and taken off again, asked of the daemon, or planned.

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

use super::{Options, in_transition, standing::is_ftrace_off};

/// What was found out about hooks.
pub(super) struct Looked {
    pub by: ChosenBy,
    /// How long attaching took.
    pub seconds: Option<f64>,
    /// The hooks, or why there is no BPF.
    pub hooks: Result<Vec<Probe>, String>,
    pub tasks: Result<(), String>,
    pub programs: Result<(), String>,
    pub new_code: Result<(), String>,
    /// What a daemon can read, where one was asked.
    pub daemon: Option<DaemonReads>,
    pub notes: Vec<String>,
}

/// What a daemon can read that whoever asks it may not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct DaemonReads {
    pub log: Result<(), String>,
}

/// Finds out which hooks serve here, in the way that harms least.
pub(super) fn look(
    options: &Options,
    host: &Offers,
    btf: Option<&KernelBtf>,
    patches: &[PatchView],
    daemon: Option<&Snapshot>,
) -> Looked {
    if let Some(snapshot) = daemon {
        return of_daemon(snapshot);
    }
    if !host.livepatch {
        return Looked::without("this kernel has no live patches");
    }
    if options.no_bpf {
        return Looked::without("BPF is ruled out (--no-bpf)");
    }
    if let Some(why) = not_to_attach(options, host, patches) {
        let mut looked = planned(host, btf);
        looked.notes.push(format!(
            "Nothing was attached: {why}. The hooks shown are those that would be."
        ));
        return looked;
    }
    attached(options)
}

/// Why no hook is to be attached now.
fn not_to_attach(options: &Options, host: &Offers, patches: &[PatchView]) -> Option<String> {
    if !options.roots.is_live() {
        return Some("a recorded tree is read".to_owned());
    }
    if let Some(patch) = in_transition(patches) {
        return Some(format!(
            "{patch} is in transition, and a watcher must not add to the kernel's work then"
        ));
    }
    is_ftrace_off(host).then(|| "ftrace is switched off".to_owned())
}

fn of_daemon(snapshot: &Snapshot) -> Looked {
    let mut notes =
        vec!["A daemon runs here: these are its hooks, and nothing else was attached.".to_owned()];
    notes.extend(snapshot.notes.iter().cloned());
    let hooks = match snapshot.source {
        Source::Bpf => Ok(snapshot.probes.clone()),
        Source::Procfs => Err("the daemon that runs uses no BPF".to_owned()),
    };
    let mut probes = snapshot.probes.iter();
    let log = probes.any(|probe| probe.fact == ObservedFact::Log && probe.attached);
    let reads = DaemonReads {
        log: log
            .then_some(())
            .ok_or_else(|| "the daemon cannot read the kernel log".to_owned()),
    };
    Looked {
        by: ChosenBy::Daemon,
        hooks,
        daemon: Some(reads),
        notes,
        ..Looked::without("")
    }
}

/// What the policy chooses where nothing stands against it.
fn planned(host: &Offers, btf: Option<&KernelBtf>) -> Looked {
    let may = host.rights.as_ref().and_then(Rights::may_trace);
    let why_not = match (btf, may) {
        (None, _) => Some(ProbeError::NoBtf.to_string()),
        (_, Some(false)) => Some("no permission to load BPF programs".to_owned()),
        _ if !probe::is_built() => Some(ProbeError::NotBuilt.to_string()),
        _ => None,
    };
    match (why_not, btf) {
        (None, Some(btf)) => Looked {
            hooks: Ok(probe::planned(
                |name| btf.has_function(name),
                |name| host.has_symbol(name),
            )),
            ..Looked::without("")
        },
        (why, _) => Looked::without(&why.unwrap_or_default()),
    }
}

/// Attaches all hooks, tries what can be tried, and takes them off.
fn attached(options: &Options) -> Looked {
    let started = Instant::now();
    let loaded = load_hooks(&options.roots, &LoadOptions::default(), false);
    let seconds = started.elapsed().as_secs_f64();
    match loaded {
        Ok((mut iterator, hooks)) => {
            let looked = tried(&mut iterator, &hooks);
            drop(hooks);
            drop(iterator);
            Looked {
                seconds: Some(seconds),
                ..looked
            }
        }
        Err(error) => Looked::without(&error.to_string()),
    }
}

fn tried(iterator: &mut TaskIterator, hooks: &Hooks) -> Looked {
    let words = |error: ProbeError| error.to_string();
    let now = Clocks::now().boot;
    Looked {
        by: ChosenBy::Attaching,
        hooks: Ok(hooks.probes.clone()),
        tasks: iterator
            .look(TaskFilter::Left(Direction::Patching), now, false)
            .map(drop)
            .map_err(words),
        programs: iterator.programs().map(drop).map_err(words),
        new_code: iterator.patched_functions().map(drop).map_err(words),
        ..Looked::without("")
    }
}

impl Looked {
    /// Without BPF, for this reason.
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
        // What a recorded tree does not hold was there when it was recorded.
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

    #[test]
    fn a_daemon_is_asked_and_nothing_is_attached() {
        let mut snapshot = stalled();
        snapshot.source = Source::Bpf;
        snapshot.notes = vec!["The kernel log is not read.".to_owned()];
        let looked = look(&Options::default(), &whole(), None, &[], Some(&snapshot));
        assert_eq!(looked.by, ChosenBy::Daemon);
        assert_eq!(looked.hooks, Ok(snapshot.probes.clone()));
        assert_eq!(looked.notes.len(), 2);
        assert!(looked.daemon.unwrap().log.is_err());
        snapshot.source = Source::Procfs;
        let looked = look(&Options::default(), &whole(), None, &[], Some(&snapshot));
        assert!(looked.hooks.unwrap_err().contains("daemon"));
    }

    #[test]
    fn nothing_is_attached_in_a_transition() {
        let patch = PatchView {
            enabled: Some(true),
            in_transition: true,
            ..PatchView::new("lp_stall".to_owned(), crate::model::EngineKind::Livepatch)
        };
        let looked = look(&Options::default(), &whole(), None, &[patch], None);
        assert_eq!((looked.by, looked.seconds), (ChosenBy::Policy, None));
        assert!(looked.notes[0].contains("lp_stall is in transition"));
    }

    #[test]
    fn nothing_is_attached_where_ftrace_is_off_or_bpf_is_ruled_out() {
        let mut host = whole();
        host.settings.ftrace_enabled = Reading::Found("0".to_owned());
        let looked = look(&Options::default(), &host, None, &[], None);
        assert!(looked.notes[0].contains("ftrace is switched off"));
        let options = Options {
            no_bpf: true,
            ..Options::default()
        };
        let looked = look(&options, &whole(), None, &[], None);
        assert_eq!(looked.by, ChosenBy::Policy);
        assert!(looked.hooks.unwrap_err().contains("--no-bpf"));
    }
}

//! `lpwatch doctor`: what this host offers, and which hooks are chosen on it.

use std::io::IsTerminal;

use crate::{
    doctor::{DoctorOptions, examine},
    exit::Exit,
    model::doctor::{DoctorReport, Readiness},
    render,
};

use super::{args::Globals, output::Printer, snapshots};

/// Show what this host offers to lpwatch, which hook is chosen for each fact and
/// why, what is lost because something is missing, and the remedy.
///
/// A fact is something that lpwatch observes about a transition, for example that it
/// begins, or which tasks are left. For each fact lpwatch chooses the least harmful
/// and most precise hook of this kernel. Most facts also have a fallback. To test
/// the hooks, doctor attaches those of a daemon for a moment and detaches them
/// again. If a daemon runs, doctor asks it instead. During a transition doctor
/// attaches nothing.
///
/// The first line is the result.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Test the counters on this kernel: count 1000 calls of getppid(2) at the entry
    /// of its kernel function, with each kind of counter in use on this host.
    #[arg(long)]
    calibrate: bool,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch doctor                      before the first patch, on each kernel
  lpwatch doctor --calibrate          also test the counters
  lpwatch doctor --no-bpf             what is available without BPF
  lpwatch doctor -o json | jq '.offers[] | select(.state == \"missing\")'

Exit codes:
  0 every fact has a hook or a fallback        3 a fact has neither: a privilege is missing
  4 a fact has neither on this kernel, or the kernel cannot be live-patched
  13 danger: ftrace is switched off            1 error, or the calibration failed";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let (daemon, note) = match snapshots::from_daemon(globals).await {
        Ok(snapshot) => (Some(snapshot), None),
        Err(missing) => (None, missing.note()?),
    };
    let options = DoctorOptions {
        roots: globals.roots(),
        no_bpf: globals.no_bpf,
        calibrate: args.calibrate,
    };
    if !output.is_json() && std::io::stderr().is_terminal() {
        eprintln!("Inspecting this host. Attaching hooks takes a moment.");
    }
    let mut report = examine(&options, daemon.as_ref())?;
    report.notes.extend(note);
    if output.is_json() {
        output.json(&report)?;
    } else {
        Printer::text(&render::doctor::doctor(&report, &output.style))?;
    }
    Ok(exit_of(&report))
}

fn exit_of(report: &DoctorReport) -> Exit {
    let failed = report
        .calibration
        .as_ref()
        .is_some_and(|calibration| !calibration.is_good());
    match report.verdict {
        Readiness::Danger => Exit::Danger,
        Readiness::NoLivepatch => Exit::Unsupported,
        _ if failed => Exit::Error,
        Readiness::Lacking => Exit::Unsupported,
        Readiness::NoPermission => Exit::NoPermission,
        Readiness::Well => Exit::Success,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        doctor::DoctorOptions,
        kernel::Roots,
        model::doctor::{Calibration, CounterOutcome, CounterTrial, FactSource},
    };

    fn report(verdict: Readiness) -> DoctorReport {
        let empty = tempfile::tempdir().unwrap();
        let roots = Roots {
            sysfs: empty.path().to_owned(),
            procfs: empty.path().to_owned(),
        };
        let options = DoctorOptions {
            roots,
            ..DoctorOptions::default()
        };
        DoctorReport {
            verdict,
            ..examine(&options, None).unwrap()
        }
    }

    #[test]
    fn an_empty_tree_gives_a_report_and_not_an_error() {
        let empty = report(Readiness::Well);
        assert!(empty.facts.iter().all(|fact| fact.kind == FactSource::None));
        assert!(empty.summary.contains("does not support live patching"));
    }

    #[test]
    fn each_result_has_its_exit_code() {
        for (verdict, exit) in [
            (Readiness::Well, Exit::Success),
            (Readiness::NoPermission, Exit::NoPermission),
            (Readiness::Lacking, Exit::Unsupported),
            (Readiness::NoLivepatch, Exit::Unsupported),
            (Readiness::Danger, Exit::Danger),
        ] {
            assert_eq!(exit_of(&report(verdict)), exit);
        }
    }

    #[test]
    fn a_failed_calibration_is_an_error() {
        let mut report = report(Readiness::Well);
        let trial = |outcome| CounterTrial {
            kind: FactSource::Kprobe,
            outcome,
            calls: 1000,
            counted: Some(999),
            plain_ns: None,
            counted_ns: None,
            why: None,
        };
        let calibration = |outcome, left_behind| Calibration {
            function: None,
            call: "getppid".to_owned(),
            trials: vec![trial(outcome)],
            left_behind,
            not_tried: None,
        };
        for (outcome, left, exit) in [
            (CounterOutcome::Exactly, Some(0), Exit::Success),
            (CounterOutcome::WithOthers, None, Exit::Success),
            (CounterOutcome::TooFew, Some(0), Exit::Error),
            (CounterOutcome::Failed, Some(0), Exit::Error),
            (CounterOutcome::Exactly, Some(1), Exit::Error),
        ] {
            report.calibration = Some(calibration(outcome, left));
            assert_eq!(exit_of(&report), exit);
        }
    }
}

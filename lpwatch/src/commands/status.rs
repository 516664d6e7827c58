//! `lpwatch status`: the state of every patch.

use clap_complete::ArgValueCandidates;

use crate::{
    error::Error,
    exit::Exit,
    model::{Outcome, Phase, Snapshot, snapshot::Patch},
    render::outcome,
    text::{printable, quoted},
};

use super::{
    args::Globals,
    completions,
    output::Printer,
    past,
    snapshots::{self, SnapshotStream},
    watching::{Printed, SnapshotPacer, WatchArgs},
};

/// Show the state of every live patch: whether it is in transition, the tasks left
/// on old code, the phase, and what to do next.
///
/// If a daemon runs, the state comes from the daemon. Otherwise this command reads
/// the host itself: it takes the start of a transition from the kernel log, if the
/// log still contains it, and derives the phase from the age.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Only this patch (the name of its module).
    #[arg(add = ArgValueCandidates::new(completions::patches))]
    patch: Option<String>,

    #[command(flatten)]
    watch: WatchArgs,
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    if args.watch.watch {
        return watch(globals, args).await;
    }
    let snapshot = snapshots::now(globals).await?;
    let (snapshot, exit) = select(snapshot, args.patch.as_deref())?;
    output.snapshot(&snapshot, args.patch.as_deref())?;
    Ok(exit)
}

async fn watch(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let mut watched = SnapshotPacer::new(SnapshotStream::open(globals).await?, &args.watch)?;
    let mut printed = Printed::default();
    let mut exit = Exit::Success;
    while let Some(snapshot) = watched.next().await? {
        let selected;
        (selected, exit) = select(Snapshot::clone(&snapshot), args.patch.as_deref())?;
        // The terminal may have another size now.
        let output = Printer::new(globals);
        output.next_snapshot(&selected, args.patch.as_deref(), &mut printed)?;
    }
    Ok(exit)
}

/// The snapshot reduced to `patch`, if one is given, and the exit code.
pub(super) fn select(
    mut snapshot: Snapshot,
    patch: Option<&str>,
) -> Result<(Snapshot, Exit), Error> {
    let Some(asked) = patch else {
        let exit = exit_of(&snapshot);
        return Ok((snapshot, exit));
    };
    let name = module_name(&snapshot, asked);
    let past = snapshot.last_transition(&name).map(|past| past.outcome);
    if snapshot.patch(&name).is_none() && !past.is_some_and(has_failed) {
        return Err(gone(&snapshot, &name, asked));
    }
    snapshot.patches.retain(|patch| patch.name == name);
    snapshot
        .last_transitions
        .retain(|past| past.patch.as_deref() == Some(&name));
    // One that is not loaded has failed as well.
    let is_refused = snapshot.patches.iter().all(Patch::was_refused);
    let exit = if is_refused {
        Exit::Failed
    } else {
        exit_of(&snapshot)
    };
    Ok((snapshot, exit))
}

/// How to find the name of a loaded patch.
pub(super) const LIST: &str = ". To list the loaded patches:\n    lpwatch status";

pub(super) fn no_such_patch(name: &str) -> Error {
    Error::NoSuchPatch {
        name: name.to_owned(),
        hint: LIST.to_owned(),
    }
}

/// The error about a patch that is not loaded, with what its last transition did.
fn gone(snapshot: &Snapshot, name: &str, asked: &str) -> Error {
    Error::NoSuchPatch {
        name: asked.to_owned(),
        hint: format!("{}{LIST}", why_gone(snapshot, name)),
    }
}

/// What is known of a patch that is not loaded, as the rest of a sentence: which patch
/// has replaced it, and what its last transition did.
pub(super) fn why_gone(snapshot: &Snapshot, name: &str) -> String {
    let other = snapshot.replaced_by(name);
    let replaced = other.map(|other| format!(": {} has replaced it", printable(other)));
    let past = snapshot.last_transition(name);
    let last = past.map(|past| format!(". {}", outcome::last(past)));
    [replaced, last].into_iter().flatten().collect()
}

/// What commands other than `status` report of a patch that is not loaded. Its exit
/// code is that of `status`.
pub(super) fn not_loaded(snapshot: &Snapshot, asked: &str) -> Error {
    let name = module_name(snapshot, asked);
    match snapshot.last_transition(&name) {
        Some(past) if has_failed(past.outcome) => Error::PatchFailed {
            name: asked.to_owned(),
            outcome: past.outcome.name(),
            hint: format!(". To see why:\n    lpwatch status {}", quoted(&name)),
        },
        _ => gone(snapshot, &name, asked),
    }
}

/// Whether a patch that is not loaded is absent because of this outcome.
pub(super) fn has_failed(outcome: Outcome) -> bool {
    match outcome {
        Outcome::Reversed | Outcome::Cancelled | Outcome::Refused => true,
        Outcome::Completed | Outcome::Forced | Outcome::Unknown => false,
    }
}

/// The name of the patch that is asked for.
pub(super) fn module_name(snapshot: &Snapshot, asked: &str) -> String {
    if snapshot.patch(asked).is_some() {
        asked.to_owned()
    } else {
        past::module_name(asked)
    }
}

/// The exit code of the worst patch.
pub(super) fn exit_of(snapshot: &Snapshot) -> Exit {
    let mut exit = Exit::Success;
    for transition in snapshot
        .patches
        .iter()
        .filter_map(|patch| patch.transition.as_ref())
    {
        match transition.phase {
            Some(Phase::Stalled) => return Exit::Stalled,
            Some(Phase::Progressing | Phase::Slow | Phase::Long) | None => {
                exit = Exit::InTransition;
            }
        }
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        model::{Direction, Refusal, samples},
        render::style::Style,
    };

    #[test]
    fn the_last_transition_of_a_patch_that_is_gone_is_told() {
        let mut snapshot = samples::snapshot(Vec::new());
        let mut past = samples::past("lp_x", Outcome::Completed);
        past.direction = Some(Direction::Unpatching);
        snapshot.last_transitions.push(past);
        let selected = select(snapshot.clone(), Some("lp-x")).unwrap_err();
        for error in [selected, not_loaded(&snapshot, "lp-x")] {
            let text = error.to_string();
            assert!(
                text.contains("no live patch named `lp-x` is loaded. Its last"),
                "{text}"
            );
            assert!(text.contains("unpatching completed after 1.2 s"), "{text}");
            assert!(text.ends_with("\n    lpwatch status"), "{text}");
            assert_eq!(Exit::from(&error), Exit::Error);
        }
        let nothing = crate::render::tasks::nothing(Some("lp_x"), &snapshot, &Style::default());
        assert!(
            nothing.starts_with("lp_x is not loaded. Its last transition"),
            "{nothing}"
        );
    }

    /// `lp_two` was enabled, then `lp_all`, which replaces all others.
    fn replaced() -> Snapshot {
        let mut all = samples::patch("lp_all");
        all.replace = Some(true);
        let mut snapshot = samples::snapshot(vec![samples::patch("lp_one"), all]);
        let completed = |name| samples::past(name, Outcome::Completed);
        snapshot.last_transitions = vec![
            completed("lp_all"),
            completed("lp_one"),
            completed("lp_two"),
        ];
        snapshot
    }

    #[test]
    fn a_patch_that_another_has_replaced_names_it() {
        let snapshot = replaced();
        let selected = select(snapshot.clone(), Some("lp_two")).unwrap_err();
        for error in [selected, not_loaded(&snapshot, "lp_two")] {
            let text = error.to_string();
            assert!(
                text.contains("named `lp_two` is loaded: lp_all has replaced it. Its last"),
                "{text}"
            );
            assert_eq!(Exit::from(&error), Exit::Error);
        }
    }

    #[test]
    fn who_has_replaced_a_patch_is_no_guess() {
        let by = |snapshot: &Snapshot| snapshot.replaced_by("lp_two").map(str::to_owned);
        assert_eq!(by(&replaced()).as_deref(), Some("lp_all"));
        assert_eq!(replaced().replaced_by("lp_one"), None, "it is loaded");
        // It was disabled, or never enabled.
        let mut disabled = replaced();
        disabled.last_transitions[2].direction = Some(Direction::Unpatching);
        assert_eq!(by(&disabled), None);
        let mut reversed = replaced();
        reversed.last_transitions[2].outcome = Outcome::Reversed;
        assert_eq!(by(&reversed), None);
        // A patch that is gone, too, may have replaced it.
        let mut other = replaced();
        other.last_transitions[1].patch = Some("lp_gone".to_owned());
        assert_eq!(by(&other), None);
        let mut unknown = replaced();
        unknown.patches[1].replace = None;
        assert_eq!(by(&unknown), None);
        // One that did not complete has replaced nothing.
        let mut failed = replaced();
        failed.last_transitions[0].outcome = Outcome::Reversed;
        assert_eq!(by(&failed), None);
    }

    /// An operator ordered it: nothing has failed on this host.
    #[test]
    fn a_reversal_is_an_outcome_and_not_a_failure() {
        let mut snapshot = samples::snapshot(Vec::new());
        snapshot.last_transitions = vec![samples::past("lp_stall", Outcome::Reversed)];
        assert_eq!(exit_of(&snapshot), Exit::Success);
        let (_, exit) = select(snapshot.clone(), None).unwrap();
        assert_eq!(exit, Exit::Success);
        // Who asks for that patch hears that it is not enabled.
        let (_, exit) = select(snapshot, Some("lp_stall")).unwrap();
        assert_eq!(exit, Exit::Failed);
    }

    #[test]
    fn a_refused_patch_has_failed_although_it_is_loaded() {
        let exit = |enabled: Option<bool>, cause: Option<&str>| {
            let mut patch = samples::patch("k1");
            patch.enabled = enabled;
            patch.refusal = cause.map(|cause| Refusal::because(Some(cause.to_owned())));
            let (_, exit) = select(samples::snapshot(vec![patch]), Some("k1")).unwrap();
            exit
        };
        let busy = Some("code_busy: a task was in it");
        assert_eq!(exit(Some(false), busy), Exit::Failed);
        // Disabling it was refused: it stays in force.
        assert_eq!(exit(Some(true), busy), Exit::Success);
        assert_eq!(exit(Some(false), None), Exit::Success);
        assert_eq!(exit(None, busy), Exit::Success, "it may be in force");
    }
}

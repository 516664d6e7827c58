//! Rollouts of which the tests draw screens.

use std::sync::Arc;

use jiff::SignedDuration;

use crate::model::{
    Outcome, TransitionHold, WaitReason,
    samples::{self, past, patch, progressing, stalled},
    snapshot::{Calls, Snapshot},
    waits::CallbackKind,
};

pub(super) fn calls(old: u64, new: u64, rates: (f64, f64)) -> Calls {
    Calls {
        old,
        new,
        old_per_second: Some(rates.0),
        new_per_second: Some(rates.1),
        rates: Vec::new(),
        counter: "kprobe".to_owned(),
        counted_since: samples::now(),
        before: None,
        during: None,
        after: None,
        new_share: None,
        entered: None,
        not_entered: None,
        effective: None,
        above: 0,
        uncertain: 0,
        missed_together: None,
        findings: Vec::new(),
    }
}

/// One second after another until the stall of `samples::stalled`, with calls that go
/// from old to new code.
pub(super) fn rollout() -> Vec<Arc<Snapshot>> {
    let (mut old, mut new) = (0, 0);
    let seconds = (0..=130_u32).map(|second| {
        let mut snapshot = stalled();
        let taken_at = samples::now() - SignedDuration::from_secs(i64::from(130 - second));
        snapshot.head.taken_at = taken_at;
        let share = u64::from(second.saturating_sub(94).min(34));
        let wave = 900 + u64::from(second % 7) * 60;
        let made = (wave * (40 - share) / 40, wave * share / 40);
        (old, new) = (old + made.0, new + made.1);
        let [_, patch] = snapshot.patches.as_mut_slice() else {
            panic!("two patches");
        };
        let rate = |calls: u64| f64::from(u32::try_from(calls).unwrap());
        patch.objects[0].functions[0].calls = Some(calls(old, new, (rate(made.0), rate(made.1))));
        let transition = patch.transition.as_mut().unwrap();
        transition.age_seconds = Some(second.into());
        transition
            .trend
            .retain(|point| point.seconds <= second.into());
        let left = transition.trend.last().map(|point| point.remaining);
        transition.tasks_remaining = left;
        Arc::new(snapshot)
    });
    seconds.collect()
}

pub(super) fn completed() -> Snapshot {
    let mut snapshot = samples::snapshot(vec![patch("lp_easy")]);
    snapshot.last_transitions = vec![past("lp_easy", Outcome::Completed)];
    snapshot
}

pub(super) fn callback() -> Snapshot {
    let mut snapshot = progressing();
    let transition = snapshot.patches[0].transition.as_mut().unwrap();
    transition.tasks_remaining = Some(0);
    transition.blockers = Vec::new();
    transition.waits_for = Some(TransitionHold {
        reason: WaitReason::Callback,
        callback: Some(CallbackKind::PostPatch),
        function: Some("lp_easy_post".to_owned()),
        module: Some("lp_easy".to_owned()),
        tid: Some(164),
        tgid: Some(164),
        comm: Some("insmod".to_owned()),
        kind: None,
        state: Some('S'),
        since_seconds: Some(79.0),
        stack: vec![
            "msleep+0x2d".to_owned(),
            "lp_easy_post+0x11 [lp_easy]".to_owned(),
        ],
        frame: Some(1),
        holder: None,
    });
    snapshot
}

pub(super) type State = (&'static str, Vec<Arc<Snapshot>>);

pub(super) fn states() -> [State; 4] {
    [
        ("stall", rollout()),
        ("idle", vec![Arc::new(samples::snapshot(Vec::new()))]),
        (
            "completed",
            vec![Arc::new(progressing()), Arc::new(completed())],
        ),
        ("callback", vec![Arc::new(callback())]),
    ]
}

//! What hooks, log and readings report of one transition, in any order.

use super::*;

/// All orders of two lists that keep the order of each.
fn merged<T: Clone>(left: &[T], right: &[T]) -> Vec<Vec<T>> {
    let (Some((first, rest)), Some((other, others))) = (left.split_first(), right.split_first())
    else {
        return vec![[left, right].concat()];
    };
    let before = |one: &T, tails: Vec<Vec<T>>| {
        let tails = tails.into_iter();
        tails
            .map(|tail| [vec![one.clone()], tail].concat())
            .collect::<Vec<_>>()
    };
    let mut all = before(first, merged(rest, right));
    all.extend(before(other, merged(left, others)));
    all
}

#[test]
fn what_hooks_and_log_report_in_any_order_is_one_transition() {
    let attempt = EventKind::Try {
        patch: Some(PATCH.to_owned()),
        direction: Some(Direction::Patching),
        before: Some(0),
    };
    let hooks = [
        (EventSource::Hook, 100.0, begin(Direction::Patching)),
        (EventSource::Hook, 100.1, attempt),
        (
            EventSource::Hook,
            100.9,
            complete(Direction::Patching, None),
        ),
    ];
    let log = [
        (EventSource::Log, 99.99, begin(Direction::Patching)),
        (EventSource::Log, 100.0, begin(Direction::Patching)),
        (EventSource::Log, 101.0, complete(Direction::Patching, None)),
    ];
    let orders = merged(&hooks, &log);
    // The last hook is attached after it all, or long before.
    for (hooks_since, order) in [102, 0]
        .into_iter()
        .flat_map(|at| orders.iter().map(move |order| (at, order)))
    {
        for read_at in 0..=order.len() {
            let mut model = model(Some(hooks_since));
            for (index, (source, seconds, kind)) in order.iter().cloned().enumerate() {
                if index == read_at {
                    observe(&mut model, 101.5, &[patch(true, false)]);
                }
                let now = at(101.5);
                let event = Event {
                    at: Duration::from_secs_f64(seconds),
                    source,
                    kind,
                };
                model.handle(Input::Event(event), &now);
            }
            observe(&mut model, 103.0, &[patch(true, false)]);
            let ended = snapshot(&model, 103.0).last_transitions;
            assert_eq!(ended.len(), 1, "{read_at} of {order:?}: {ended:?}");
        }
    }
}

#[test]
fn a_patch_taken_back_and_enabled_again_is_three_transitions() {
    use EventSource::{Hook, Log};
    // With hooks, the lines of the log say it before or after them.
    for (hooks_since, sources) in [
        (Some(0), &[Hook][..]),
        (None, &[Log]),
        (Some(0), &[Log, Hook]),
        (Some(0), &[Hook, Log]),
        (Some(102), &[Log, Hook]),
    ] {
        let mut model = model(hooks_since);
        for (seconds, kind) in [
            (100.0, begin(Direction::Patching)),
            (100.2, complete(Direction::Patching, Some(0))),
            (100.3, begin(Direction::Unpatching)),
            (100.4, complete(Direction::Unpatching, Some(0))),
            (100.6, begin(Direction::Patching)),
            (100.8, complete(Direction::Patching, Some(0))),
        ] {
            for source in sources {
                tell(&mut model, seconds, *source, kind.clone());
            }
        }
        // sysfs confirms the last end.
        observe(&mut model, 101.0, &[patch(true, false)]);
        let ended = snapshot(&model, 101.0).last_transitions;
        assert_eq!(ended.len(), 3, "{sources:?}: {ended:?}");
        let started = ended.iter().filter(|past| past.started_at.is_some());
        assert_eq!(started.count(), 3, "{sources:?}: {ended:?}");
    }
}

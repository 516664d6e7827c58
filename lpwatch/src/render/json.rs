//! The snapshot as JSON: the contract of `-o json` and `-o jsonl`.

use serde::Serialize;
use serde_json::Value;

use crate::model::Snapshot;

/// The document of `-o json`, indented, without a newline at its end.
///
/// # Errors
/// When a number has no JSON form.
pub fn pretty(snapshot: &Snapshot) -> serde_json::Result<String> {
    serde_json::to_string_pretty(snapshot)
}

/// The same document on one line, for `-o jsonl`, without its newline.
///
/// # Errors
/// When a number has no JSON form.
pub fn line(snapshot: &Snapshot) -> serde_json::Result<String> {
    serde_json::to_string(snapshot)
}

/// The fields that change by themselves: times, ages, and what the kernel counts once
/// a second while nothing happens.
const CLOCK: [&str; 12] = [
    "taken_at",
    "age_seconds",
    "seconds_without_progress",
    "since_seconds",
    "first_seconds",
    "last_seconds",
    "seconds",
    "trend",
    "tries",
    "tries_in_all",
    "rates",
    // Of a task: it may wake for a moment.
    "state",
];

/// A document without the fields that change by themselves.
///
/// # Errors
/// When a number has no JSON form.
pub fn without_clock<T: Serialize>(document: &T) -> serde_json::Result<Value> {
    let mut value = serde_json::to_value(document)?;
    strip(&mut value);
    Ok(value)
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            fields.retain(|name, _| !CLOCK.contains(&name.as_str()));
            fields.values_mut().for_each(strip);
        }
        Value::Array(items) => items.iter_mut().for_each(strip),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::samples;

    #[test]
    fn both_forms_hold_the_same_document() {
        let snapshot = samples::stalled();
        let line = line(&snapshot).unwrap();
        assert!(!line.contains('\n'));
        assert_eq!(serde_json::from_str::<Snapshot>(&line).unwrap(), snapshot);
        let pretty = pretty(&snapshot).unwrap();
        assert_eq!(serde_json::from_str::<Snapshot>(&pretty).unwrap(), snapshot);
    }

    #[test]
    fn time_that_passes_is_no_change() {
        let before = samples::stalled();
        let mut after = before.clone();
        after.head.taken_at += jiff::SignedDuration::from_secs(1);
        let transition = |snapshot: &mut Snapshot| {
            let mut patches = snapshot.patches.iter_mut();
            patches.find_map(|patch| patch.transition.clone()).unwrap()
        };
        let mut moved = transition(&mut after);
        moved.age_seconds = moved.age_seconds.map(|age| age + 1.0);
        moved.tries = moved.tries.map(|tries| tries + 1);
        for blocker in &mut moved.blockers {
            blocker.since_seconds = blocker.since_seconds.map(|since| since + 1.0);
        }
        let set = |snapshot: &mut Snapshot, moved: &crate::model::snapshot::Transition| {
            for patch in &mut snapshot.patches {
                if patch.transition.is_some() {
                    patch.transition = Some(moved.clone());
                }
            }
        };
        set(&mut after, &moved);
        let value = |snapshot: &Snapshot| without_clock(snapshot).unwrap();
        assert_eq!(value(&before), value(&after));
        moved.tasks_remaining = Some(77);
        set(&mut after, &moved);
        assert_ne!(value(&before), value(&after));
    }

    #[test]
    fn an_odd_name_stays_on_its_line() {
        let mut snapshot = samples::stalled();
        snapshot.patches[0].name = "a\nb\u{1b}[2J".to_owned();
        assert!(!line(&snapshot).unwrap().contains(['\n', '\u{1b}']));
    }

    #[test]
    fn what_is_unknown_is_null() {
        let json = line(&samples::stalled()).unwrap();
        assert!(json.contains(r#""stack_order":null"#), "{json}");
    }
}

//! The time that a report is about.

use crate::model::{
    Outcome, Snapshot,
    journal::{Entry, EntryKind, Record},
};

/// The log's clock differs a little from that of the events; and a module is loaded
/// before its transition begins. In seconds.
const BEFORE: f64 = 1.0;
const AFTER: f64 = 2.0;

/// The time from which a refused patch is looked for, before its refusal.
const REFUSED_WITHIN: f64 = 10.0;

/// The time that a report is about, in seconds since boot.
#[derive(Clone, Debug, PartialEq)]
pub struct ReportTime {
    /// The boot; `None` if it is unknown.
    boot_id: Option<String>,
    /// Whether it is the present boot.
    is_now: bool,
    from: Option<f64>,
    /// `None`: until now.
    to: Option<f64>,
}

impl ReportTime {
    /// That of a transition that has ended. `now` is the id of the present boot.
    #[must_use]
    pub fn of_ended(record: &Record, now: Option<&str>) -> Self {
        Self {
            is_now: record.boot_id.is_some() && record.boot_id.as_deref() == now,
            boot_id: record.boot_id.clone(),
            from: record.started_boot_seconds.or_else(|| {
                let refused = record.transition.outcome == Outcome::Refused;
                refused.then_some(record.ended_boot_seconds - REFUSED_WITHIN)
            }),
            to: Some(record.ended_boot_seconds),
        }
    }

    /// That of the transition of `patch` under way. `now` is the id of the present boot,
    /// `uptime` its age in seconds.
    #[must_use]
    pub fn under_way(
        snapshot: &Snapshot,
        patch: Option<&str>,
        now: Option<String>,
        uptime: f64,
    ) -> Self {
        let age = patch.and_then(|patch| snapshot.patch(patch)?.transition.as_ref()?.age_seconds);
        Self {
            boot_id: now,
            is_now: true,
            from: age.map(|age| uptime - age),
            to: None,
        }
    }

    /// Whether it is of the present boot.
    #[must_use]
    pub fn is_now(&self) -> bool {
        self.is_now
    }

    /// The first and the last moment, with what belongs to it.
    #[must_use]
    pub fn bounds(&self) -> (f64, f64) {
        (
            self.from.map_or(0.0, |from| from - BEFORE),
            self.to.map_or(f64::INFINITY, |to| to + AFTER),
        )
    }

    /// Of these entries of one patch, oldest first, those that belong to it: none of an
    /// earlier transition, which can have ended just before.
    #[must_use]
    pub fn of_it(&self, mut entries: Vec<Entry>) -> Vec<Entry> {
        entries.retain(|entry| self.contains(entry));
        let is_earlier_end = |entry: &Entry| {
            let from = self.from.unwrap_or(f64::NEG_INFINITY);
            entry.kind == EntryKind::TransitionEnded && entry.boot_seconds < from
        };
        let earlier = entries.iter().rposition(is_earlier_end);
        entries.split_off(earlier.map_or(0, |place| place + 1))
    }

    fn contains(&self, entry: &Entry) -> bool {
        let (from, to) = self.bounds();
        self.boot_id == entry.boot_id && (from..=to).contains(&entry.boot_seconds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::journal::samples;

    #[test]
    fn it_contains_the_events_of_its_boot_from_shortly_before_to_shortly_after() {
        let mut record = samples::completed("lp_fix", 1);
        record.boot_id = Some("this".to_owned());
        (record.started_boot_seconds, record.ended_boot_seconds) = (Some(100.0), 105.0);
        let span = ReportTime::of_ended(&record, Some("this"));
        assert!(span.is_now());
        assert!(!ReportTime::of_ended(&record, Some("next")).is_now());
        assert!(!ReportTime::of_ended(&record, None).is_now());
        let entry = |boot: &str, at: f64| Entry {
            boot_id: Some(boot.to_owned()),
            boot_seconds: at,
            ..samples::entry("lp_fix")
        };
        for (boot, at, contains) in [
            ("this", 98.9, false),
            ("this", 99.1, true),
            ("this", 106.0, true),
            ("this", 108.0, false),
            ("other", 101.0, false),
        ] {
            assert_eq!(span.contains(&entry(boot, at)), contains, "{boot} {at}");
        }
    }

    #[test]
    fn what_ended_just_before_is_another_transition() {
        let mut record = samples::completed("lp_fix", 1);
        record.boot_id = Some("this".to_owned());
        (record.started_boot_seconds, record.ended_boot_seconds) = (Some(100.0), 105.0);
        let entry = |kind, at: f64| Entry {
            boot_id: Some("this".to_owned()),
            boot_seconds: at,
            kind,
            ..samples::entry("lp_fix")
        };
        let entries = vec![
            entry(EntryKind::TransitionReversed, 99.3),
            entry(EntryKind::TransitionEnded, 99.5),
            entry(EntryKind::TransitionBegun, 100.0),
            entry(EntryKind::TransitionEnded, 105.0),
        ];
        let own = ReportTime::of_ended(&record, Some("this")).of_it(entries.clone());
        assert_eq!(own, entries[2..]);
    }

    #[test]
    fn a_refused_patch_has_the_log_of_its_loading() {
        let mut record = samples::completed("lp_fix", 1);
        record.transition.outcome = Outcome::Refused;
        (record.started_boot_seconds, record.ended_boot_seconds) = (None, 105.0);
        let (from, _) = ReportTime::of_ended(&record, None).bounds();
        assert!((from - 94.0).abs() < 1e-6, "{from}");
    }
}

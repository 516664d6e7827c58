//! The calls of each function over time.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use crate::model::snapshot::{Calls, Snapshot};

/// Readings closer together than this are one.
const APART: f64 = 0.9;
/// How many rates are kept: the widest screen shows fewer.
const KEPT: usize = 300;

/// A function of a patch, or one that is watched without a patch.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FunctionKey {
    pub patch: Option<String>,
    pub object: String,
    pub name: String,
    pub sympos: u32,
}

/// Calls per second of old and new code.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct CodeRates {
    pub old: f64,
    pub new: f64,
}

/// The calls of one function.
#[derive(Debug)]
pub(super) struct CallCourse {
    since: Timestamp,
    at: Timestamp,
    old: u64,
    new: u64,
    /// Between two readings, oldest first.
    pub rates: VecDeque<CodeRates>,
    /// In the last ten seconds, as `lpwatch calls` shows them.
    pub now: (Option<f64>, Option<f64>),
    /// Whether calls enter the new function.
    pub effective: Option<bool>,
}

/// The calls of all functions that are counted.
#[derive(Debug, Default)]
pub(super) struct CallHistory {
    series: BTreeMap<FunctionKey, CallCourse>,
}

impl CallHistory {
    /// Adds the calls since the snapshot before.
    pub fn take(&mut self, snapshot: &Snapshot) {
        let of_patches = snapshot.patches.iter().flat_map(|patch| {
            patch.objects.iter().flat_map(move |object| {
                object.functions.iter().map(move |function| {
                    let key = FunctionKey {
                        patch: Some(patch.name.clone()),
                        object: object.name.clone(),
                        name: function.name.clone(),
                        sympos: function.sympos,
                    };
                    (key, function.calls.as_ref())
                })
            })
        });
        let watched = snapshot.watched.iter().map(|watched| {
            let key = FunctionKey {
                patch: None,
                object: watched.object.clone(),
                name: watched.name.clone(),
                sympos: watched.sympos,
            };
            (key, watched.calls.as_ref())
        });
        let mut before = std::mem::take(&mut self.series);
        for (key, calls) in of_patches.chain(watched) {
            let Some(calls) = calls else { continue };
            let known = before.remove(&key);
            let series = CallCourse::with(known, calls, snapshot.head.taken_at);
            self.series.insert(key, series);
        }
    }

    pub fn len(&self) -> usize {
        self.series.len()
    }

    /// The functions of `patch` first.
    pub fn shown(&self, patch: Option<&str>) -> Vec<(&FunctionKey, &CallCourse)> {
        let mut all: Vec<_> = self.series.iter().collect();
        all.sort_by_key(|(key, _)| key.patch.as_deref() != patch);
        all
    }
}

impl CallCourse {
    fn with(known: Option<Self>, calls: &Calls, at: Timestamp) -> Self {
        let mut series = match known {
            Some(known) if known.goes_on(calls) => known,
            _ => Self {
                since: calls.counted_since,
                at,
                old: calls.old,
                new: calls.new,
                rates: VecDeque::new(),
                now: (None, None),
                effective: None,
            },
        };
        series.now = (calls.old_per_second, calls.new_per_second);
        series.effective = calls.effective;
        let seconds = at.duration_since(series.at).as_secs_f64();
        if seconds >= APART {
            let per_second = |now: u64, before: u64| to_float(now - before) / seconds;
            if series.rates.len() == KEPT {
                series.rates.pop_front();
            }
            series.rates.push_back(CodeRates {
                old: per_second(calls.old, series.old),
                new: per_second(calls.new, series.new),
            });
            (series.at, series.old, series.new) = (at, calls.old, calls.new);
        }
        series
    }

    /// Whether these are later numbers of the same counter.
    fn goes_on(&self, calls: &Calls) -> bool {
        self.since == calls.counted_since && calls.old >= self.old && calls.new >= self.new
    }

    /// The last rates, as heights of bars up to `top`, oldest first.
    pub fn heights(
        &self,
        width: usize,
        top: u64,
        of: impl Fn(&CodeRates) -> f64,
    ) -> impl Iterator<Item = u64> {
        let shown = self.rates.len().min(width);
        let rates = self.rates.iter().skip(self.rates.len() - shown);
        let highest = rates
            .clone()
            .map(|rates| rates.old.max(rates.new))
            .fold(0.0, f64::max);
        let heights: Vec<u64> = rates.map(|rates| height(of(rates), highest, top)).collect();
        // The newest is at the right.
        std::iter::repeat_n(0, width - shown).chain(heights)
    }
}

/// A rate above 0 has a height above 0.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "it is between 0 and `top`"
)]
fn height(rate: f64, highest: f64, top: u64) -> u64 {
    if highest <= 0.0 {
        return 0;
    }
    ((rate / highest * to_float(top)).ceil() as u64).min(top)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "rates are shown with few digits"
)]
fn to_float(count: u64) -> f64 {
    count as f64
}

//! From the sums of one function to what is shown of it.

use super::{
    epochs::State,
    figures::{Calls, PhaseCalls, Rate},
    findings::{self, FunctionEvidence},
    function::TrackedFunction,
    record::{CallPeriod, CallRecord},
    series::{Series, Split, Stretches, per_second},
};
use crate::model::{
    Moment,
    time::{seconds, three_digits},
};

/// A function of a patch, to be shown.
pub(super) struct Shown<'a> {
    pub name: &'a str,
    pub patch: &'a str,
    pub function: &'a TrackedFunction,
    /// The state now.
    pub state: Option<&'a State>,
    pub ftrace_off: bool,
}

impl Shown<'_> {
    pub fn record(&self, record: &CallRecord, now: &Moment) -> Calls {
        let sum = record.sum();
        let mut calls = figures(self.function, &record.series, sum, now);
        calls.before = record.before.map(PhaseCalls::of);
        calls.during = record.during().map(PhaseCalls::of);
        calls.after = record.after().map(PhaseCalls::of);
        calls.above = record.above;
        calls.entered = record
            .effect
            .as_ref()
            .map(super::effect::EffectTracker::entered);
        calls.effective = record.effect.as_ref().and_then(|effect| effect.effective);
        calls.not_entered.clone_from(&record.no_entries);
        calls.findings = findings::of(&FunctionEvidence {
            name: self.name,
            patch: self.patch,
            record,
            rates: self.rates_now(),
            transition: self
                .state
                .and_then(State::turning)
                .filter(|(patch, _)| *patch == self.patch)
                .map(|(_, direction)| direction),
            suspects: &self.function.suspects,
            ftrace_off: self.ftrace_off,
        });
        calls
    }

    /// The rates since the patch was applied, if nothing lies above it.
    fn rates_now(&self) -> Option<&Stretches> {
        let state = self.state?;
        let is_rest = state.turning().is_none() && state.position(self.patch).is_some();
        is_rest.then_some(&self.function.rates)
    }
}

/// A function that no patch changes: all its calls come before one.
pub(super) fn unpatched(
    name: &str,
    function: &TrackedFunction,
    ftrace_off: bool,
    now: &Moment,
) -> Calls {
    let mut calls = figures(function, &function.series, function.calls, now);
    calls.before = Some(PhaseCalls::of(function.base));
    calls.findings = findings::unpatched(name, ftrace_off);
    calls
}

fn figures(function: &TrackedFunction, series: &Series, sum: Split, now: &Moment) -> Calls {
    let rates = series.rates();
    let last: Option<Rate> = rates.first().copied();
    Calls {
        old: sum.old,
        new: sum.new,
        old_per_second: last.map(|rate| rate.old_per_second),
        new_per_second: last.map(|rate| rate.new_per_second),
        new_share: last.and_then(share),
        rates,
        counter: function.kind.to_owned(),
        counted_since: now.at(function.since).wall,
        before: None,
        during: None,
        after: None,
        above: 0,
        entered: None,
        effective: None,
        not_entered: None,
        uncertain: function.uncertain,
        missed_together: Some(function.missed_together).filter(|missed| *missed > 0),
        findings: Vec::new(),
    }
}

/// The share of new code; `None` without calls.
fn share(rate: Rate) -> Option<f64> {
    let all = rate.old_per_second + rate.new_per_second;
    (all > 0.0).then(|| three_digits(rate.new_per_second / all))
}

impl PhaseCalls {
    fn of(phase: CallPeriod) -> Self {
        let CallPeriod { calls, time } = phase;
        Self {
            old: calls.old,
            new: calls.new,
            seconds: seconds(time),
            old_per_second: per_second(calls.old, time),
            new_per_second: per_second(calls.new, time),
        }
    }
}

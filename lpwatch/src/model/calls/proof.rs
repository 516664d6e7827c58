//! What `lpwatch verify` concludes from a report of calls.

#[cfg(test)]
mod tests;

use lpwatch_common::patch::VMLINUX;
use serde::Serialize;

use super::{
    figures::{Calls, Severity},
    report::{CallsReport, CountedFunction, Effect},
};

/// Whether the new code was proved to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ProofVerdict {
    /// At least one function was called, and every function that was called runs its
    /// new code.
    Proved,
    /// New code that should run does not.
    Disproved,
    /// Neither.
    NotProved,
}

/// Why nothing is proved. [calls.md](calls.md#lpwatch-verify) says what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "NotProvedBecause"))]
#[serde(rename_all = "snake_case")]
pub enum Gap {
    /// No patch is loaded, or it names no functions.
    NoFunctions,
    /// No patch is enabled.
    Disabled,
    /// The modules that the patch changes are not loaded.
    ObjectNotLoaded,
    /// Tasks may still run old code.
    InTransition,
    /// It is unknown how often a function was called, or what code a call ran.
    NotCounted,
    /// A function was called less often than required.
    TooFewCalls,
    /// No function was called.
    NotCalled,
}

/// The conclusion about all functions of a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Proof {
    /// Whether the new code was proved to run.
    pub verdict: ProofVerdict,
    /// Why nothing is proved; `null` with another verdict.
    pub not_proved_because: Option<Gap>,
    /// The number of functions whose new code runs.
    pub functions_proved: usize,
    /// The number of functions of enabled patches of which that is unknown.
    pub functions_not_proved: usize,
    /// How often each function must be called (`--require-calls`); `null` without that
    /// option.
    pub required_calls: Option<u64>,
}

/// The conclusion about one function.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Proved,
    Disproved,
    Open(Gap),
}

impl Proof {
    /// Concludes from `report`. With `required`, every function needs so many calls.
    #[must_use]
    pub fn of(report: &CallsReport, required: Option<u64>) -> Self {
        let parts: Vec<Part> = report
            .functions
            .iter()
            .filter(|function| function.patch.is_some())
            .map(|function| part(function, required))
            .collect();
        let count = |is: fn(Part) -> bool| parts.iter().filter(|part| is(**part)).count();
        let gap = gap(&parts, required);
        let verdict = match gap {
            _ if parts.contains(&Part::Disproved) => ProofVerdict::Disproved,
            Some(_) => ProofVerdict::NotProved,
            None => ProofVerdict::Proved,
        };
        Self {
            verdict,
            not_proved_because: gap.filter(|_| verdict == ProofVerdict::NotProved),
            functions_proved: count(|part| part == Part::Proved),
            functions_not_proved: count(
                |part| matches!(part, Part::Open(gap) if gap != Gap::Disabled),
            ),
            required_calls: required,
        }
    }
}

/// Whether more calls cannot change that nothing is proved.
#[must_use]
pub fn is_final(report: &CallsReport, proof: &Proof) -> bool {
    let is_uncounted = |function: &CountedFunction| {
        matches!(function.effect, Effect::NotKnown { .. })
            && unknown(function) == Gap::NotCounted
            && match &function.calls {
                Some(calls) => calls.not_entered.is_some(),
                None => function.not_counted.is_some(),
            }
    };
    match proof.not_proved_because {
        Some(Gap::NoFunctions | Gap::Disabled) => true,
        Some(Gap::NotCounted) => report.functions.iter().any(is_uncounted),
        _ => false,
    }
}

/// What keeps the functions from being proved.
fn gap(parts: &[Part], required: Option<u64>) -> Option<Gap> {
    let gaps = parts.iter().filter_map(|part| match part {
        Part::Open(gap) => Some(*gap),
        Part::Proved | Part::Disproved => None,
    });
    let prevents = |gap: &Gap| match gap {
        Gap::InTransition | Gap::NotCounted | Gap::TooFewCalls => true,
        Gap::NotCalled => required.is_some(),
        Gap::NoFunctions | Gap::Disabled | Gap::ObjectNotLoaded => false,
    };
    if let Some(gap) = gaps.clone().filter(prevents).min() {
        return Some(gap);
    }
    if parts.contains(&Part::Proved) {
        return None;
    }
    // What a call would still prove comes before what nothing can.
    Some(gaps.max().unwrap_or(Gap::NoFunctions))
}

fn part(function: &CountedFunction, required: Option<u64>) -> Part {
    let is_danger = function.worst() == Some(Severity::Danger);
    match &function.effect {
        Effect::NotEffective => Part::Disproved,
        _ if is_danger => Part::Disproved,
        Effect::NotPatched => Part::Open(Gap::Disabled),
        _ if function.transition.is_some() => Part::Open(Gap::InTransition),
        Effect::NotKnown { .. } => Part::Open(unknown(function)),
        Effect::Effective if proved_calls(function) < required.unwrap_or(0) => {
            Part::Open(Gap::TooFewCalls)
        }
        Effect::Effective => Part::Proved,
    }
}

/// Why it is unknown whether the new code of this function runs.
fn unknown(function: &CountedFunction) -> Gap {
    if function.object_patched == Some(false) && function.object != VMLINUX {
        return Gap::ObjectNotLoaded;
    }
    let entered = function
        .calls
        .as_ref()
        .and_then(|calls| calls.entered.as_ref());
    match entered {
        Some(entered) if entered.expected == 0 => Gap::NotCalled,
        Some(_) | None => Gap::NotCounted,
    }
}

/// The calls that are known to have run the new code.
fn proved_calls(function: &CountedFunction) -> u64 {
    let entered = |calls: &Calls| {
        let entered = calls.entered.as_ref()?;
        Some(entered.entries.min(entered.expected))
    };
    function.calls.as_ref().and_then(entered).unwrap_or(0)
}

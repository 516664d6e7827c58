//! The report of `lpwatch doctor`: what a host offers, the source of each fact, and
//! the result of a calibration.
//!
//! The JSON form is a contract like that of a snapshot: fields are only added, and
//! an unknown value is `null`.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::{ObservedFact, document::DocumentHead};

/// The report about one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct DoctorReport {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// The processor that lpwatch was built for, with Rust's name.
    pub arch: String,
    pub verdict: Readiness,
    /// The readiness in one sentence.
    pub summary: String,
    /// How the choice of hooks was determined.
    pub chosen_by: ChosenBy,
    /// How long attaching the hooks took; `null` if none was attached.
    pub attach_seconds: Option<f64>,
    pub offers: Vec<Offer>,
    pub facts: Vec<ChosenHook>,
    /// Further notes, one sentence each.
    pub notes: Vec<String>,
    /// `null` unless requested.
    pub calibration: Option<Calibration>,
}

/// Whether a host can be watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Every fact has a hook or a fallback.
    Well,
    /// A fact has neither, because a privilege is missing.
    NoPermission,
    /// A fact has neither, on this kernel.
    Lacking,
    /// This kernel does not support live patching.
    NoLivepatch,
    /// A setting makes live patches ineffective.
    Danger,
}

/// How the choice of hooks was determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// The hooks were attached and detached.
    Attaching,
    /// The running daemon has them attached.
    Daemon,
    /// Nothing was attached; the policy would choose them.
    Policy,
}

/// A feature of the host that lpwatch can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Offer {
    /// A short name that does not change, e.g. `btf`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    pub state: Availability,
    /// What was found, e.g. `kptr_restrict=1`.
    pub value: Option<String>,
    /// What it is used for.
    pub why: String,
    /// What is lost without it; `null` if it is available.
    pub lost: Option<String>,
    /// How to make it available.
    pub remedy: Option<String>,
}

/// Whether a feature is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    Available,
    Missing,
    /// It cannot be determined on this host.
    Unknown,
}

/// The source of one fact on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct ChosenHook {
    pub fact: ObservedFact,
    /// What the fact says.
    pub what: String,
    pub kind: FactSource,
    /// Where the hook is, e.g. `klp_init_transition`.
    pub target: Option<String>,
    /// Whether it works; `null` if that was not tried.
    pub works: Option<bool>,
    /// Whether this is the fallback already.
    pub fallen_back: bool,
    /// Why this kind was chosen, or why the hook is missing.
    pub why: String,
    /// The fallback without it.
    pub fallback: Option<String>,
}

impl ChosenHook {
    /// Whether the fact is unavailable.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.kind == FactSource::None && self.fallback.is_none()
    }
}

/// The kind of source of a fact.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    Serialize,
    Deserialize,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum FactSource {
    Fentry,
    Kprobe,
    Kretprobe,
    RawTracepoint,
    Iter,
    Kmsg,
    Sysfs,
    Procfs,
    None,
}

impl FactSource {
    /// As the JSON form spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The kind with this name; [`Self::None`] for any other name.
    #[must_use]
    pub fn of(name: &str) -> Self {
        name.parse().unwrap_or(Self::None)
    }
}

/// The test of the counters on a kernel function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Calibration {
    /// The function whose calls were counted; `null` if none was.
    pub function: Option<String>,
    /// The system call that enters it.
    pub call: String,
    /// One for each kind of counter.
    pub trials: Vec<CounterTrial>,
    /// BPF programs that still existed afterwards; `null` if they cannot be
    /// listed.
    pub left_behind: Option<u32>,
    /// Why nothing was tested.
    pub not_tried: Option<String>,
}

/// The test of one kind of counter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CounterTrial {
    pub kind: FactSource,
    pub outcome: CounterOutcome,
    /// Calls made.
    pub calls: u64,
    /// Calls counted, of all processes; `null` if it was not tested.
    pub counted: Option<u64>,
    /// Nanoseconds for one call, without and with the counter.
    pub plain_ns: Option<f64>,
    pub counted_ns: Option<f64>,
    /// Why it was not tested or has failed.
    pub why: Option<String>,
}

/// The result of testing a counter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CounterOutcome {
    /// It counted exactly the calls made.
    Exactly,
    /// It counted every call made, and some of other processes.
    WithOthers,
    /// It missed calls.
    TooFew,
    /// It could not be attached or read.
    Failed,
    /// The policy does not use this kind here.
    NotTried,
}

impl CounterOutcome {
    /// The result for these numbers of calls counted and calls made.
    #[must_use]
    pub fn of(calls: u64, counted: u64) -> Self {
        match counted.cmp(&calls) {
            std::cmp::Ordering::Equal => Self::Exactly,
            std::cmp::Ordering::Greater => Self::WithOthers,
            std::cmp::Ordering::Less => Self::TooFew,
        }
    }

    /// Whether the counter works, or was not to be tested.
    #[must_use]
    pub fn is_good(self) -> bool {
        match self {
            Self::Exactly | Self::WithOthers | Self::NotTried => true,
            Self::TooFew | Self::Failed => false,
        }
    }
}

impl Calibration {
    /// Whether every tested counter works and no program was left behind.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.trials.iter().all(|trial| trial.outcome.is_good())
            && self.left_behind.is_none_or(|left| left == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_one_name_each_in_words_and_in_json() {
        for kind in FactSource::VARIANTS.iter().copied() {
            assert_eq!(FactSource::of(kind.name()), kind);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{}\"", kind.name()));
        }
        assert_eq!(FactSource::of("fexit"), FactSource::None);
    }

    #[test]
    fn counts_are_judged_by_the_calls_made() {
        assert_eq!(CounterOutcome::of(1000, 1000), CounterOutcome::Exactly);
        assert_eq!(CounterOutcome::of(1000, 1001), CounterOutcome::WithOthers);
        assert_eq!(CounterOutcome::of(1000, 999), CounterOutcome::TooFew);
        assert_eq!(CounterOutcome::of(1000, 0), CounterOutcome::TooFew);
    }
}

//! The report of `lpwatch doctor`: what a host offers, the source of each fact, and
//! the result of a calibration.
//!
//! The JSON form is a contract like that of a snapshot: fields are only added, and
//! an unknown value is `null`.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::{ObservedFact, document::DocumentHead};

/// What a host offers, and what lpwatch uses of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "DoctorDocument"))]
pub struct DoctorReport {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// The processor architecture: `x86_64`, `aarch64`, `s390x`, `powerpc64`.
    pub arch: String,
    /// Whether the host can be watched.
    pub verdict: Readiness,
    /// The verdict in one sentence.
    pub summary: String,
    /// How the choice of hooks was determined.
    pub chosen_by: ChosenBy,
    /// How long attaching the hooks took, in seconds; `null` if none was attached.
    pub attach_seconds: Option<f64>,
    /// What the host offers.
    pub offers: Vec<Offer>,
    /// The source of each fact.
    pub facts: Vec<ChosenHook>,
    /// Further notes, one sentence each.
    pub notes: Vec<String>,
    /// The test of the counters; `null` without `--calibrate`.
    pub calibration: Option<Calibration>,
}

/// Whether a host can be watched. The [exit code](doctor.md#exit-codes) follows from
/// it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// Every fact has a hook or a fallback.
    Well,
    /// A fact has neither hook nor fallback, because a privilege is missing.
    NoPermission,
    /// A fact has neither hook nor fallback on this kernel.
    Lacking,
    /// This kernel does not support live patching.
    NoLivepatch,
    /// ftrace is switched off, so that live patches have no effect.
    Danger,
}

/// How the choice of hooks was determined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// The hooks were attached and detached.
    Attaching,
    /// They are the hooks of the running daemon.
    Daemon,
    /// Nothing was attached; lpwatch would choose these.
    Policy,
}

/// A feature of the host that lpwatch can use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Offer {
    /// A stable name, e.g. `btf`: see [doctor.md](doctor.md#offers).
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// Whether the host has it.
    pub state: Availability,
    /// What was found, e.g. `kptr_restrict=1`; `null` if nothing was.
    pub value: Option<String>,
    /// What it is needed for.
    pub why: String,
    /// What is lost without it; `null` if nothing is.
    pub lost: Option<String>,
    /// What to do; if it is unknown, how to find out; `null` if nothing is to be done.
    pub remedy: Option<String>,
}

/// Whether a feature is available.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    /// The host has it.
    Available,
    /// The host does not have it.
    Missing,
    /// It cannot be determined, usually because a privilege is missing.
    Unknown,
}

/// The source of one fact on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "ChosenSource"))]
pub struct ChosenHook {
    /// The fact.
    pub fact: ObservedFact,
    /// What lpwatch learns from it, in words.
    pub what: String,
    /// The kind of source; `none` if there is none.
    pub kind: FactSource,
    /// The function, the iterator or the file, e.g. `klp_init_transition`; `null` if
    /// there is none.
    pub target: Option<String>,
    /// Whether it works; `null` if that was not tried. For `calls` the result of the
    /// calibration.
    pub works: Option<bool>,
    /// Whether this is the fallback for a hook.
    pub fallen_back: bool,
    /// Why this kind was chosen; for a fallback, why there is no hook.
    pub why: String,
    /// What lpwatch uses without the hook; `null` if there is nothing.
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
    /// A BPF program at the entry of a kernel function.
    Fentry,
    /// A kprobe at the entry of a kernel function.
    Kprobe,
    /// A return probe on a kernel function.
    Kretprobe,
    /// A tracepoint of the kernel.
    RawTracepoint,
    /// A BPF iterator: one pass in the kernel reads all tasks or all programs.
    Iter,
    /// The kernel log (`/dev/kmsg`).
    Kmsg,
    /// Files in sysfs.
    Sysfs,
    /// Files in `/proc`.
    Procfs,
    /// Nothing.
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
    /// The kernel function whose calls were counted; `null` if none was.
    pub function: Option<String>,
    /// The system call that enters it, e.g. `getppid`.
    pub call: String,
    /// One trial for each kind of counter.
    pub trials: Vec<CounterTrial>,
    /// BPF programs that still existed afterwards; `null` if they cannot be listed
    /// (that needs `CAP_SYS_ADMIN`).
    pub left_behind: Option<u32>,
    /// Why nothing was tested; `null` if something was.
    pub not_tried: Option<String>,
}

/// The test of one kind of counter.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CounterTrial {
    /// The kind of counter: `kprobe` or `fentry`.
    pub kind: FactSource,
    /// The result.
    pub outcome: CounterOutcome,
    /// How many calls doctor made.
    pub calls: u64,
    /// How many calls were counted, of all processes; `null` if it was not tested.
    pub counted: Option<u64>,
    /// The time of one call without the counter, in nanoseconds; `null` if it was not
    /// tested.
    pub plain_ns: Option<f64>,
    /// The time of one call with the counter, in nanoseconds; `null` if it was not
    /// tested.
    pub counted_ns: Option<f64>,
    /// Why it was not tested or has failed; `null` if it has not.
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
    /// lpwatch does not use this kind here.
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

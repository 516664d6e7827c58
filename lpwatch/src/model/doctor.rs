//! What `lpwatch doctor` reports: what a host offers, what was chosen for each
//! fact, and what a calibration found.
//!
//! The JSON form is a contract like that of a snapshot: fields are only added,
//! and what is not known is `null`.

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::ObservedFact;

/// The version of the JSON form.
pub const SCHEMA_VERSION: u32 = 1;

/// All that was found out about one host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub schema_version: u32,
    /// The host's node name (`uname -n`).
    pub host: String,
    /// The running kernel's release (`uname -r`).
    pub kernel: String,
    /// The processor lpwatch was built for, as Rust names it.
    pub arch: String,
    pub standing: Standing,
    /// What it comes to, in one sentence.
    pub summary: String,
    /// Where the choice of hooks is known from.
    pub chosen_by: ChosenBy,
    /// How long attaching the hooks took; `null` where none was attached.
    pub attach_seconds: Option<f64>,
    pub offers: Vec<Offer>,
    pub facts: Vec<ChosenHook>,
    /// What else is to be known, one sentence each.
    pub notes: Vec<String>,
    /// `null` unless asked for.
    pub calibration: Option<Calibration>,
}

/// How a host stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Every fact has a hook or a fallback.
    Well,
    /// A fact has neither, for want of a privilege.
    NoPermission,
    /// A fact has neither, on this kernel.
    Lacking,
    /// This kernel cannot be live-patched at all.
    NoLivepatch,
    /// Something is set that makes live patches void.
    Danger,
}

/// Where the choice of hooks is known from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChosenBy {
    /// The hooks were attached, and taken off again.
    Attaching,
    /// The daemon that runs has them attached.
    Daemon,
    /// Nothing was attached: what the policy would choose.
    Policy,
}

/// Something a host can offer to a watcher.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Offer {
    /// A short name that does not change, e.g. `btf`.
    pub id: String,
    /// What it is, for people.
    pub name: String,
    pub state: Availability,
    /// What was found, e.g. `kptr_restrict=1`.
    pub value: Option<String>,
    /// What it is good for, or how it is known.
    pub why: String,
    /// What is lost without it; `null` where nothing is missing.
    pub lost: Option<String>,
    /// What can be done about that.
    pub remedy: Option<String>,
}

/// Whether something is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Availability {
    Available,
    Missing,
    /// It cannot be told here.
    Unknown,
}

/// What tells of one fact on this host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChosenHook {
    pub fact: ObservedFact,
    /// What is known by it.
    pub what: String,
    pub kind: HookKind,
    /// What it hangs on, e.g. `klp_init_transition`.
    pub target: Option<String>,
    /// Whether it works; `null` where that was not tried.
    pub works: Option<bool>,
    /// Whether this is the fallback already.
    pub fallen_back: bool,
    /// Why this kind, or why it is missing.
    pub why: String,
    /// What serves where it does not.
    pub fallback: Option<String>,
}

impl ChosenHook {
    /// Whether the fact is not to be had at all.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.kind == HookKind::None && self.fallback.is_none()
    }
}

/// By what a fact is known.
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
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum HookKind {
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

impl HookKind {
    /// As the JSON form spells it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The kind of this name; [`Self::None`] where it is another.
    #[must_use]
    pub fn of(name: &str) -> Self {
        name.parse().unwrap_or(Self::None)
    }
}

/// The counters, tried on a function of the kernel's own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// The function whose calls were counted; `null` where none was.
    pub function: Option<String>,
    /// The system call that enters it.
    pub call: String,
    /// One for each kind of counter.
    pub trials: Vec<CounterTrial>,
    /// BPF programs that were still there afterwards; `null` where they cannot
    /// be listed.
    pub left_behind: Option<u32>,
    /// Why nothing was tried.
    pub not_tried: Option<String>,
}

/// One kind of counter, tried.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CounterTrial {
    pub kind: HookKind,
    pub outcome: Counted,
    /// Calls made.
    pub calls: u64,
    /// Calls counted, whoever made them; `null` where it was not tried.
    pub counted: Option<u64>,
    /// Nanoseconds for one call, without and with the counter.
    pub plain_ns: Option<f64>,
    pub counted_ns: Option<f64>,
    /// Why it was not tried or has failed.
    pub why: Option<String>,
}

/// What a counter did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Every call, and no other.
    Exactly,
    /// Every call, and some of other processes.
    WithOthers,
    /// Not every call.
    TooFew,
    /// It could not be attached or read.
    Failed,
    /// The policy does not use this kind here.
    NotTried,
}

impl Counted {
    /// What this many calls counted say of this many made.
    #[must_use]
    pub fn of(calls: u64, counted: u64) -> Self {
        match counted.cmp(&calls) {
            std::cmp::Ordering::Equal => Self::Exactly,
            std::cmp::Ordering::Greater => Self::WithOthers,
            std::cmp::Ordering::Less => Self::TooFew,
        }
    }

    /// Whether this is as it should be.
    #[must_use]
    pub fn is_good(self) -> bool {
        match self {
            Self::Exactly | Self::WithOthers | Self::NotTried => true,
            Self::TooFew | Self::Failed => false,
        }
    }
}

impl Calibration {
    /// Whether every counter that was tried counts, and nothing stays behind.
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
        for kind in HookKind::VARIANTS.iter().copied() {
            assert_eq!(HookKind::of(kind.name()), kind);
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{}\"", kind.name()));
        }
        assert_eq!(HookKind::of("fexit"), HookKind::None);
    }

    #[test]
    fn counts_are_judged_by_the_calls_made() {
        assert_eq!(Counted::of(1000, 1000), Counted::Exactly);
        assert_eq!(Counted::of(1000, 1001), Counted::WithOthers);
        assert_eq!(Counted::of(1000, 999), Counted::TooFew);
        assert_eq!(Counted::of(1000, 0), Counted::TooFew);
    }
}

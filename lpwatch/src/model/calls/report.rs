//! The report of `lpwatch calls` and `lpwatch verify`: functions from a snapshot.

use lpwatch_common::patch::VMLINUX;
use serde::{Deserialize, Serialize};

use super::figures::{Calls, FindingKind, Severity};
use crate::model::{
    EngineKind, Snapshot, TransitionSummary,
    document::DocumentHead,
    object_name,
    snapshot::{Function, Object, Patch},
};

/// The calls of functions on one host at one moment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "CallsDocument"))]
pub struct CallsReport {
    #[serde(flatten)]
    pub head: DocumentHead,
    /// Whether it comes from a daemon, which has counted for longer. `false`: the
    /// command counted by itself.
    pub daemon: bool,
    /// What is missing on this host, one note each.
    pub notes: Vec<String>,
    /// The functions of the loaded patches, then those that are watched without a
    /// patch.
    pub functions: Vec<CountedFunction>,
    /// The loaded patches whose functions are unknown.
    #[serde(default)]
    pub functions_unknown: Vec<OpaquePatch>,
}

/// A loaded patch whose functions are unknown, because its system does not show them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct OpaquePatch {
    /// Its name.
    pub patch: String,
    /// Its patching system.
    pub engine: EngineKind,
    /// Whether it is enabled or being enabled; `null` if its system does not report it.
    pub enabled: Option<bool>,
}

/// A function of a patch, or a watched function without one.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CountedFunction {
    /// Its patch; `null` for a function that is watched without a patch.
    pub patch: Option<String>,
    /// Whether the patch is enabled or being enabled; `null` if that is unknown, or
    /// without a patch.
    pub enabled: Option<bool>,
    /// The transition of the patch; `null` if it is not in transition.
    pub transition: Option<TransitionSummary>,
    /// `vmlinux` (the kernel itself) or the name of a module; `null` if the patching
    /// system does not show it.
    #[serde(with = "crate::model::view::object_or_null")]
    #[cfg_attr(test, schemars(with = "Option<String>"))]
    pub object: String,
    /// Whether calls are redirected to the new code; `false` for a module that is not
    /// loaded, `null` if unknown.
    pub object_patched: Option<bool>,
    /// Its name in the kernel's symbol table.
    pub name: String,
    /// Which of several symbols with this name in the object, from 1.
    pub sympos: u32,
    /// The calls of its old and new code; `null` if they are not counted.
    pub calls: Option<Calls>,
    /// Why the calls are not counted; `null` if they are, or if the reason is unknown.
    pub not_counted: Option<String>,
    /// Whether the new code runs.
    #[cfg_attr(test, schemars(with = "EffectDocument"))]
    pub effect: Effect,
}

/// Whether a function's new code runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "EffectDocument", from = "EffectDocument")]
pub enum Effect {
    /// Calls reach it.
    Effective,
    /// Calls should reach it and do not.
    NotEffective,
    /// Unknown, with the reason.
    NotKnown { why: String },
    /// No patch changes the function, or it is disabled.
    NotPatched,
}

/// Whether a function's new code runs.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Effect"))]
struct EffectDocument {
    /// The verdict.
    verdict: EffectVerdict,
    /// With `not_known`: why it is unknown; otherwise `null`.
    why: Option<String>,
}

/// The verdict about a function's new code.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
enum EffectVerdict {
    /// The new code runs: calls reach it.
    Effective,
    /// Calls should reach the new code, and do not.
    NotEffective,
    /// It is unknown, see `why`.
    NotKnown,
    /// No patch changes the function, or its patch is disabled.
    NotPatched,
}

impl From<Effect> for EffectDocument {
    fn from(effect: Effect) -> Self {
        let (verdict, why) = match effect {
            Effect::Effective => (EffectVerdict::Effective, None),
            Effect::NotEffective => (EffectVerdict::NotEffective, None),
            Effect::NotKnown { why } => (EffectVerdict::NotKnown, Some(why)),
            Effect::NotPatched => (EffectVerdict::NotPatched, None),
        };
        Self { verdict, why }
    }
}

impl From<EffectDocument> for Effect {
    fn from(document: EffectDocument) -> Self {
        match document.verdict {
            EffectVerdict::Effective => Self::Effective,
            EffectVerdict::NotEffective => Self::NotEffective,
            EffectVerdict::NotKnown => Self::NotKnown {
                why: document.why.unwrap_or_default(),
            },
            EffectVerdict::NotPatched => Self::NotPatched,
        }
    }
}

impl CallsReport {
    /// All functions of a snapshot's patches, then those watched without one;
    /// `only` leaves those of one patch.
    #[must_use]
    pub fn of(snapshot: &Snapshot, only: Option<&str>) -> Self {
        let patches = snapshot.patches.iter();
        let patches = patches.filter(|patch| only.is_none_or(|only| patch.name == only));
        let patched = patches.clone().flat_map(|patch| {
            patch.objects.iter().flat_map(move |object| {
                let functions = object.functions.iter();
                functions.map(move |function| CountedFunction::of(patch, object, function))
            })
        });
        let opaque = patches.filter(|patch| {
            let mut objects = patch.objects.iter();
            objects.all(|object| object.functions.is_empty())
        });
        let watched = snapshot.watched.iter().filter(|_| only.is_none());
        let watched = watched.map(|watched| CountedFunction {
            patch: None,
            enabled: None,
            transition: None,
            object: watched.object.clone(),
            object_patched: None,
            name: watched.name.clone(),
            sympos: watched.sympos,
            calls: watched.calls.clone(),
            not_counted: watched.not_counted.clone(),
            effect: Effect::NotPatched,
        });
        Self {
            head: snapshot.head.clone(),
            daemon: snapshot.daemon,
            notes: snapshot.notes.clone(),
            functions: patched.chain(watched).collect(),
            functions_unknown: opaque
                .map(|patch| OpaquePatch {
                    patch: patch.name.clone(),
                    engine: patch.engine,
                    enabled: patch.enabled,
                })
                .collect(),
        }
    }

    /// Whether anything found is a danger.
    #[must_use]
    pub fn is_danger(&self) -> bool {
        self.functions.iter().any(|function| {
            function.effect == Effect::NotEffective || function.worst() == Some(Severity::Danger)
        })
    }

    /// Whether of some patched function it is not known that its new code runs.
    #[must_use]
    pub fn is_open(&self) -> bool {
        let mut effects = self.functions.iter().map(|function| &function.effect);
        effects.any(|effect| matches!(effect, Effect::NotKnown { .. }))
    }

    /// Whether a function is short of entries, and another reading will tell
    /// whether they are missing.
    #[must_use]
    pub fn is_doubtful(&self) -> bool {
        let mut counted = self
            .functions
            .iter()
            .filter_map(|function| function.calls.as_ref());
        counted.any(|calls| {
            let entered = calls.entered.as_ref();
            calls.effective != Some(false)
                && entered.is_some_and(|entered| entered.entries < entered.expected)
        })
    }
}

impl CountedFunction {
    fn of(patch: &Patch, object: &Object, function: &Function) -> Self {
        Self {
            patch: Some(patch.name.clone()),
            enabled: patch.enabled,
            transition: patch.transition.as_ref().map(TransitionSummary::of),
            object: object.name.clone(),
            object_patched: object.patched,
            name: function.name.clone(),
            sympos: function.sympos,
            calls: function.calls.clone(),
            not_counted: never_called(object).or_else(|| function.not_counted.clone()),
            effect: Effect::of(patch, object, function),
        }
    }

    /// How bad the worst is that was found.
    #[must_use]
    pub fn worst(&self) -> Option<Severity> {
        let findings = self.calls.iter().flat_map(|calls| &calls.findings);
        findings.map(|finding| finding.severity).max()
    }
}

impl Effect {
    fn of(patch: &Patch, object: &Object, function: &Function) -> Self {
        if patch.enabled == Some(false) && patch.transition.is_none() {
            return Self::NotPatched;
        }
        let not_known = |why: &str| Self::NotKnown {
            why: why.to_owned(),
        };
        if object.patched == Some(false) {
            let is_never_patched =
                object.name == VMLINUX || object_name::impossible(&object.name).is_some();
            return if is_never_patched {
                Self::NotEffective
            } else {
                not_known("its module is not loaded")
            };
        }
        let Some(calls) = &function.calls else {
            return not_known(match &function.not_counted {
                Some(why) => why,
                None => "its calls are not counted",
            });
        };
        let ftrace_off = |kind| kind == FindingKind::FtraceDisabled;
        match calls.effective {
            Some(true) => Self::Effective,
            Some(false) => Self::NotEffective,
            None if calls
                .findings
                .iter()
                .any(|finding| ftrace_off(finding.kind)) =>
            {
                Self::NotEffective
            }
            None => not_known(&why_open(patch, calls)),
        }
    }
}

/// Why nothing can call the functions of an object that no module can be.
fn never_called(object: &Object) -> Option<String> {
    let is_patched = object.patched != Some(false);
    object_name::impossible(&object.name).filter(|_| !is_patched)
}

fn why_open(patch: &Patch, calls: &Calls) -> String {
    if let Some(why) = &calls.not_entered {
        return format!("entries of the new code are not counted: {why}");
    }
    if calls.entered.is_none() {
        return "entries of the new code are not counted".to_owned();
    }
    if calls.above > 0 {
        return "a patch above this one has its place".to_owned();
    }
    if patch.transition.is_some() {
        return "no task that has switched has called it".to_owned();
    }
    "it was not called since its entries are counted".to_owned()
}

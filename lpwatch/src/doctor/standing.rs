//! What it all comes to.

use crate::{
    kernel::offers::{Offers, Reading},
    model::doctor::{ChosenBy, ChosenHook, Offer, Standing},
};

/// What decides how a host stands.
pub(super) struct Grounds<'a> {
    pub host: &'a Offers,
    pub offers: &'a [Offer],
    pub facts: &'a [ChosenHook],
    pub by: ChosenBy,
    /// Whether BPF was ruled out by whoever asks.
    pub no_bpf: bool,
}

/// Whether ftrace, which everything hangs on, is switched off.
pub(super) fn is_ftrace_off(host: &Offers) -> bool {
    host.settings
        .ftrace_enabled
        .found()
        .is_some_and(|value| value == "0")
}

/// How the host stands, and that in a sentence.
pub(super) fn judge(grounds: &Grounds<'_>) -> (Standing, String) {
    let Grounds {
        host,
        offers,
        facts,
        ..
    } = grounds;
    if !host.livepatch {
        let found = offers.iter().find(|offer| offer.id == "livepatch");
        let found = found.and_then(|offer| offer.value.as_deref());
        return (
            Standing::NoLivepatch,
            format!(
                "This kernel cannot be live-patched: {}.",
                found.unwrap_or("it does not show live patches")
            ),
        );
    }
    if is_ftrace_off(host) {
        return (
            Standing::Danger,
            "DANGER: ftrace is switched off (kernel.ftrace_enabled=0): live patches and counters \
             are both dead."
                .to_owned(),
        );
    }
    let lost: Vec<&str> = facts
        .iter()
        .filter(|fact| fact.is_lost())
        .map(|fact| fact.fact.as_str())
        .collect();
    if lost.is_empty() {
        return (Standing::Well, well(facts));
    }
    let lost = lost.join(", ");
    if grounds.no_bpf {
        let words = format!("This host can be watched. Without BPF, as asked for, not: {lost}.");
        return (Standing::Well, words);
    }
    if grounds.by != ChosenBy::Daemon && wants_rights(host) {
        let words = format!(
            "This user may not see all: not known are {lost}. As root, more of them may be."
        );
        return (Standing::NoPermission, words);
    }
    let words = format!("This host can be watched, but these are not known here: {lost}.");
    (Standing::Lacking, words)
}

fn well(facts: &[ChosenHook]) -> String {
    let fallen_back: Vec<&str> = facts
        .iter()
        .filter(|fact| fact.fallen_back)
        .map(|fact| fact.fact.as_str())
        .collect();
    if fallen_back.is_empty() {
        return "This host can be watched, and every fact has its hook.".to_owned();
    }
    let fallen_back = fallen_back.join(", ");
    format!("This host can be watched. By a fallback, as there is no hook: {fallen_back}.")
}

/// Whether this user lacks a right that matters.
fn wants_rights(host: &Offers) -> bool {
    let rights = host.rights.as_ref();
    rights.and_then(|rights| rights.may_trace()) == Some(false)
        || host.log == Reading::Forbidden
        || host.patch_state == Reading::Forbidden
}

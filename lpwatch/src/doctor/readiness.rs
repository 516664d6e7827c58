//! The readiness of the host, in one sentence.

use crate::{
    kernel::offers::{Offers, Reading, Rights},
    model::doctor::{ChosenBy, ChosenHook, Offer, Readiness},
};

/// The inputs that decide a host's readiness.
pub(super) struct ReadinessInputs<'a> {
    pub host: &'a Offers,
    pub offers: &'a [Offer],
    pub facts: &'a [ChosenHook],
    pub by: ChosenBy,
    /// Whether the caller disabled BPF.
    pub no_bpf: bool,
}

/// Whether ftrace, which everything depends on, is switched off.
pub(super) fn is_ftrace_off(host: &Offers) -> bool {
    host.settings
        .ftrace_enabled
        .found()
        .is_some_and(|value| value == "0")
}

/// The readiness of the host and its description.
pub(super) fn judge(grounds: &ReadinessInputs<'_>) -> (Readiness, String) {
    let ReadinessInputs {
        host,
        offers,
        facts,
        ..
    } = grounds;
    if !host.livepatch {
        let found = offers.iter().find(|offer| offer.id == "livepatch");
        let found = found.and_then(|offer| offer.value.as_deref());
        return (
            Readiness::NoLivepatch,
            format!(
                "This kernel does not support live patching: {}.",
                found.unwrap_or("/sys/kernel/livepatch is not available")
            ),
        );
    }
    if is_ftrace_off(host) {
        return (
            Readiness::Danger,
            "DANGER: ftrace is switched off (kernel.ftrace_enabled=0): live patches and counters \
             have no effect."
                .to_owned(),
        );
    }
    let lost: Vec<&str> = facts
        .iter()
        .filter(|fact| fact.is_lost())
        .map(|fact| fact.fact.name())
        .collect();
    if lost.is_empty() {
        return (Readiness::Well, well(facts));
    }
    let lost = lost.join(", ");
    if grounds.no_bpf {
        let words =
            format!("This host can be watched. Unavailable, because BPF is disabled: {lost}.");
        return (Readiness::Well, words);
    }
    if grounds.by != ChosenBy::Daemon && wants_rights(host) {
        let words = format!(
            "This user may not read everything. Unavailable: {lost}. More may be available as root."
        );
        return (Readiness::NoPermission, words);
    }
    let words = format!("This host can be watched. Unavailable: {lost}.");
    (Readiness::Lacking, words)
}

fn well(facts: &[ChosenHook]) -> String {
    let fallen_back: Vec<&str> = facts
        .iter()
        .filter(|fact| fact.fallen_back)
        .map(|fact| fact.fact.name())
        .collect();
    if fallen_back.is_empty() {
        return "This host can be watched, and every fact has a hook.".to_owned();
    }
    let fallen_back = fallen_back.join(", ");
    format!(
        "This host can be watched. Facts from a fallback, because they have no hook: {fallen_back}."
    )
}

/// Whether this user lacks a privilege that lpwatch needs.
fn wants_rights(host: &Offers) -> bool {
    let rights = host.rights.as_ref();
    rights.and_then(Rights::may_trace) == Some(false)
        || host.log == Reading::Forbidden
        || host.patch_state == Reading::Forbidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::offers::{self, samples};
    use crate::model::{ObservedFact, doctor::FactSource};

    fn fact(name: ObservedFact, kind: FactSource, fallback: Option<&str>) -> ChosenHook {
        ChosenHook {
            fact: name,
            what: String::new(),
            kind,
            target: None,
            works: None,
            fallen_back: kind == FactSource::None,
            why: String::new(),
            fallback: fallback.map(str::to_owned),
        }
    }

    fn judged(host: &Offers, facts: &[ChosenHook], no_bpf: bool) -> (Readiness, String) {
        let offers = offers::all(host, true, "x86_64");
        judge(&ReadinessInputs {
            host,
            offers: &offers,
            facts,
            by: ChosenBy::Attaching,
            no_bpf,
        })
    }

    #[test]
    fn all_is_well_where_every_fact_has_something() {
        let host = samples::whole();
        let hooked = [fact(ObservedFact::Begun, FactSource::Fentry, None)];
        let (standing, summary) = judged(&host, &hooked, false);
        assert_eq!(standing, Readiness::Well);
        assert!(summary.contains("every fact has a hook"), "{summary}");
        let makes_do = [fact(
            ObservedFact::Verdict,
            FactSource::None,
            Some("stacks"),
        )];
        let (standing, summary) = judged(&host, &makes_do, false);
        assert_eq!(standing, Readiness::Well);
        assert!(summary.ends_with("no hook: verdict."), "{summary}");
    }

    #[test]
    fn a_lost_fact_is_the_kernels_or_the_users_or_was_asked_for() {
        let lost = [fact(ObservedFact::Calls, FactSource::None, None)];
        let standing = |host: &Offers, no_bpf| judged(host, &lost, no_bpf).0;
        assert_eq!(standing(&samples::whole(), false), Readiness::Lacking);
        assert_eq!(standing(&samples::whole(), true), Readiness::Well);
        assert_eq!(
            standing(&samples::unprivileged(), false),
            Readiness::NoPermission
        );
        assert!(judged(&samples::whole(), &lost, false).1.contains("calls"));
    }

    #[test]
    fn no_livepatch_comes_before_all_else() {
        let mut host = samples::no_livepatch("CONFIG_X86=y\n");
        host.settings.ftrace_enabled = Reading::Found("0".to_owned());
        let (standing, summary) = judged(&host, &[], false);
        assert_eq!(standing, Readiness::NoLivepatch);
        assert!(summary.contains("CONFIG_LIVEPATCH is not set"), "{summary}");
    }

    #[test]
    fn ftrace_switched_off_is_a_danger_said_loudly() {
        let mut host = samples::whole();
        host.settings.ftrace_enabled = Reading::Found("0".to_owned());
        let (standing, summary) = judged(&host, &[], false);
        assert_eq!(standing, Readiness::Danger);
        assert!(summary.starts_with("DANGER"), "{summary}");
    }
}

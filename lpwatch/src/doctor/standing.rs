//! What it all comes to.

use crate::{
    kernel::offers::{Offers, Reading, Rights},
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
        .map(|fact| fact.fact.name())
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
        .map(|fact| fact.fact.name())
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
    rights.and_then(Rights::may_trace) == Some(false)
        || host.log == Reading::Forbidden
        || host.patch_state == Reading::Forbidden
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::offers::{self, samples};
    use crate::model::{ObservedFact, doctor::HookKind};

    fn fact(name: ObservedFact, kind: HookKind, fallback: Option<&str>) -> ChosenHook {
        ChosenHook {
            fact: name,
            what: String::new(),
            kind,
            target: None,
            works: None,
            fallen_back: kind == HookKind::None,
            why: String::new(),
            fallback: fallback.map(str::to_owned),
        }
    }

    fn judged(host: &Offers, facts: &[ChosenHook], no_bpf: bool) -> (Standing, String) {
        let offers = offers::all(host, true, "x86_64");
        judge(&Grounds {
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
        let hooked = [fact(ObservedFact::Begun, HookKind::Fentry, None)];
        let (standing, summary) = judged(&host, &hooked, false);
        assert_eq!(standing, Standing::Well);
        assert!(summary.contains("every fact has its hook"), "{summary}");
        let makes_do = [fact(ObservedFact::Verdict, HookKind::None, Some("stacks"))];
        let (standing, summary) = judged(&host, &makes_do, false);
        assert_eq!(standing, Standing::Well);
        assert!(summary.ends_with("no hook: verdict."), "{summary}");
    }

    #[test]
    fn a_lost_fact_is_the_kernels_or_the_users_or_was_asked_for() {
        let lost = [fact(ObservedFact::Calls, HookKind::None, None)];
        let standing = |host: &Offers, no_bpf| judged(host, &lost, no_bpf).0;
        assert_eq!(standing(&samples::whole(), false), Standing::Lacking);
        assert_eq!(standing(&samples::whole(), true), Standing::Well);
        assert_eq!(
            standing(&samples::unprivileged(), false),
            Standing::NoPermission
        );
        assert!(judged(&samples::whole(), &lost, false).1.contains("calls"));
    }

    #[test]
    fn no_livepatch_comes_before_all_else() {
        let mut host = samples::no_livepatch("CONFIG_X86=y\n");
        host.settings.ftrace_enabled = Reading::Found("0".to_owned());
        let (standing, summary) = judged(&host, &[], false);
        assert_eq!(standing, Standing::NoLivepatch);
        assert!(summary.contains("CONFIG_LIVEPATCH is not set"), "{summary}");
    }

    #[test]
    fn ftrace_switched_off_is_a_danger_said_loudly() {
        let mut host = samples::whole();
        host.settings.ftrace_enabled = Reading::Found("0".to_owned());
        let (standing, summary) = judged(&host, &[], false);
        assert_eq!(standing, Standing::Danger);
        assert!(summary.starts_with("DANGER"), "{summary}");
    }
}

//! Reports made by hand.

use crate::model::{
    ObservedFact,
    doctor::{
        Availability, Calibration, ChosenBy, ChosenHook, CounterOutcome, CounterTrial,
        DoctorReport, FactSource, Offer, Readiness,
    },
    document::{DocumentHead, Source},
};

pub(super) fn offer(name: &str, state: Availability, value: &str) -> Offer {
    let missing = state == Availability::Missing;
    Offer {
        id: name.replace(' ', "_"),
        name: name.to_owned(),
        state,
        value: Some(value.to_owned()),
        why: "It is good for much.".to_owned(),
        lost: missing.then(|| "Tasks are read from /proc, which takes longer.".to_owned()),
        remedy: (state != Availability::Available)
            .then(|| "Boot a kernel built with CONFIG_DEBUG_INFO_BTF=y.".to_owned()),
    }
}

pub(super) fn fact(fact: ObservedFact, kind: FactSource, target: &str, why: &str) -> ChosenHook {
    ChosenHook {
        fact,
        what: "a transition begins: of which patch, in which direction".to_owned(),
        kind,
        target: Some(target.to_owned()),
        works: (kind != FactSource::None).then_some(true),
        fallen_back: false,
        why: why.to_owned(),
        fallback: None,
    }
}

pub(super) fn trial(
    kind: FactSource,
    outcome: CounterOutcome,
    counted: Option<u64>,
) -> CounterTrial {
    CounterTrial {
        kind,
        outcome,
        calls: 1000,
        counted,
        plain_ns: counted.map(|_| 200.0),
        counted_ns: counted.map(|_| 300.0),
        why: None,
    }
}

/// A host of 5.10 without BTF's fentry for one function, calibrated.
pub(super) fn report() -> DoctorReport {
    let fentry = "the kernel's BTF has the function";
    let mut verdict = fact(
        ObservedFact::Verdict,
        FactSource::None,
        "klp_check_and_switch_task",
        "it came with 5.16",
    );
    verdict.fallen_back = true;
    verdict.fallback = Some("why a task stays is told from its stack".to_owned());
    let mut effect = fact(
        ObservedFact::Effect,
        FactSource::None,
        "",
        "it came with 5.16",
    );
    effect.target = None;
    let mut not_used = trial(FactSource::Fentry, CounterOutcome::NotTried, None);
    not_used.why = Some("not used here: it came with 6.0".to_owned());
    DoctorReport {
        head: DocumentHead::new(
            "web-17".to_owned(),
            "5.10.0-35".to_owned(),
            crate::model::samples::now(),
            Source::Sysfs,
        ),
        arch: "x86_64".to_owned(),
        verdict: Readiness::Lacking,
        summary: "This host can be watched, but these are not known here: effect.".to_owned(),
        chosen_by: ChosenBy::Attaching,
        attach_seconds: Some(1.26),
        offers: vec![
            offer(
                "live patching",
                Availability::Available,
                "/sys/kernel/livepatch",
            ),
            offer(
                "BTF",
                Availability::Missing,
                "/sys/kernel/btf/vmlinux does not exist",
            ),
            offer("lockdown", Availability::Unknown, "no permission"),
        ],
        facts: vec![
            fact(
                ObservedFact::Begun,
                FactSource::Fentry,
                "klp_init_transition",
                fentry,
            ),
            fact(
                ObservedFact::Complete,
                FactSource::Kprobe,
                "klp_complete_transition",
                "not in the BTF",
            ),
            fact(
                ObservedFact::Forced,
                FactSource::Fentry,
                "klp_force_transition",
                fentry,
            ),
            verdict,
            effect,
        ],
        notes: vec!["A daemon was not asked.".to_owned()],
        calibration: Some(Calibration {
            function: Some("__do_sys_getppid".to_owned()),
            call: "getppid".to_owned(),
            trials: vec![
                trial(FactSource::Kprobe, CounterOutcome::Exactly, Some(1000)),
                not_used,
            ],
            left_behind: Some(0),
            not_tried: None,
        }),
    }
}

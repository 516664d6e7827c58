//! Functions that are dangerous to patch by their nature, and hot functions.

use lpwatch_common::patch::VMLINUX;

use crate::{
    check::{
        CheckContext,
        facts::{
            rates::{CallRate, CountedBy},
            tasks::TaskFacts,
        },
        risky_functions::kind_of,
    },
    model::{calls::FunctionId, check::CheckFinding, snapshot::Severity},
};

use super::{
    Rule,
    findings::{display, finding},
};

pub(super) const RULE: Rule = Rule {
    id: "risky",
    title: "no function is dangerous to patch by its nature",
    background: "\
Some functions cannot be patched safely even if the kernel accepts it. do_exit and the functions that it \
calls do not return, so a task in them never leaves old code. Functions of the fork path run partly \
in the parent and partly in the child. The scheduler is on the stack of every sleeping task, so no \
task can switch while it is being patched. Entry code and the handlers of exceptions and NMIs run \
before or without the bookkeeping that livepatch needs. livepatch itself, ftrace and stop_machine \
are the code that applies a patch.

The redirection by ftrace costs about 30 to 60 ns at each call on today's processors, which matters \
for a very hot function. lpwatch takes the call rates from the daemon, or counts calls with one \
kprobe for each function while it samples the tasks. It does not count functions of the kinds above, \
and counts nothing during a transition. --hot sets the number of calls a second above which a \
function is reported.",
    sources: &[
        "Documentation/livepatch/livepatch.rst, Limitations (5.10 to 7.3)",
        "kpatch: doc/patch-author-guide.md",
        "kernel/livepatch/transition.c, klp_check_stack",
    ],
    judge,
};

/// The default of `--hot`: at about 50 ns a call this is half a percent of a CPU.
const HOT: f64 = 100_000.0;

fn judge(context: &CheckContext<'_>) -> Vec<CheckFinding> {
    let vmlinux = context
        .patch
        .objects
        .iter()
        .filter(|object| object.name == VMLINUX);
    let functions = vmlinux.flat_map(|object| &object.functions);
    let mut found: Vec<CheckFinding> = functions
        .filter_map(|function| by_nature(&function.name))
        .collect();
    let TaskFacts { rates, hot, .. } = &context.facts.tasks;
    let above = hot.unwrap_or(HOT);
    let too_hot = rates.iter().filter(|(_, rate)| rate.per_second > above);
    found.extend(too_hot.map(|(function, rate)| hot_finding(function, rate)));
    found
}

fn hot_finding(function: &FunctionId, rate: &CallRate) -> CheckFinding {
    let CallRate {
        per_second,
        seconds,
        by,
    } = rate;
    let function = display(function);
    let text = format!(
        "{function} is called {per_second:.0} times a second, and each call of a patched function costs more."
    );
    let line = match by {
        CountedBy::Daemon => {
            format!("{function}: counted by the daemon, over the last {seconds:.0} s")
        }
        CountedBy::Check => format!("{function}: counted for {seconds:.1} s, by this check"),
    };
    finding(&RULE, Severity::Warning, text, None)
        .with_evidence(vec![line])
        .with_remedy(vec![
            "Before the rollout, measure the load on one host: lpwatch calls".to_owned(),
        ])
}

fn by_nature(function: &str) -> Option<CheckFinding> {
    let kind = kind_of(function)?;
    let text = format!("{function} {}.", kind.why);
    Some(finding(&RULE, kind.severity, text, None).with_remedy(vec![
        "Patch its callers or the functions that it calls instead, or reboot into a fixed kernel.".to_owned(),
    ]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::{facts::CheckFacts, rules::samples};

    fn rate((name, per_second): (&str, f64)) -> (FunctionId, CallRate) {
        let rate = CallRate {
            per_second,
            seconds: 5.0,
            by: CountedBy::Check,
        };
        (FunctionId::new("vmlinux", name, 0), rate)
    }

    fn judged(functions: &[&str], facts: &CheckFacts) -> Vec<(Severity, String)> {
        let patch = samples::patch(functions);
        let found = judge(&samples::context(&patch, facts));
        found
            .into_iter()
            .map(|found| (found.severity, found.text))
            .collect()
    }

    #[test]
    fn dangerous_ones_are_told_from_harmless_ones() {
        let facts = CheckFacts::default();
        let found = judged(
            &[
                "do_exit",
                "cmdline_proc_show",
                "copy_process",
                "klp_find_ops",
            ],
            &facts,
        );
        let severities: Vec<Severity> = found.iter().map(|found| found.0).collect();
        assert_eq!(
            severities,
            [Severity::Danger, Severity::Warning, Severity::Danger]
        );
        assert!(judged(&["schedule_work_on_nothing", "do_exit_not"], &facts).is_empty());
    }

    #[test]
    fn a_hot_function_is_told_with_its_rate() {
        let mut facts = CheckFacts::default();
        let counted = [("vfs_read", 250_000.0), ("gcd", 12.0)];
        facts.tasks.rates = counted.into_iter().map(rate).collect();
        let found = judged(&["vfs_read", "gcd"], &facts);
        assert_eq!(found.len(), 1);
        assert!(found[0].1.contains("250000"), "{}", found[0].1);
        facts.tasks.hot = Some(10.0);
        assert_eq!(judged(&["vfs_read", "gcd"], &facts).len(), 2);
        facts.tasks.hot = Some(12.0);
        assert_eq!(judged(&["vfs_read", "gcd"], &facts).len(), 1);
        facts.tasks.rates = [rate(("gcd", 0.0))].into();
        facts.tasks.hot = Some(0.0);
        assert_eq!(judged(&["gcd"], &facts), []);
    }
}

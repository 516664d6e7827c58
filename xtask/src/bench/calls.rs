//! The tables of `bench calls`.

use std::fmt::Write;

use super::boot::Measured;
use super::goal::{Goal, rounded};
use super::record::{Call, Record, Skipped, Work};
use super::spread::Spread;
use super::table::Table;

/// Each kind of hook as the guest calls it, and as a person is told of it.
const HOOKS: [(&str, &str); 6] = [
    (NOTHING, "nothing"),
    (EMPTY_FENTRY, "empty fentry program"),
    ("kprobe", "kprobe program that counts"),
    ("lpwatch", "lpwatch"),
    ("bpftrace_fentry", "bpftrace, fentry"),
    ("bpftrace_kprobe", "bpftrace, kprobe"),
];
const NOTHING: &str = "nothing";
const EMPTY_FENTRY: &str = "empty_fentry";

/// One table for each loop.
pub fn tables(measured: &Measured) -> String {
    let records = &measured.records;
    let works = records.iter().filter_map(|record| match record {
        Record::Work(work) => Some(work),
        _ => None,
    });
    let tables: Vec<String> = works.map(|work| table(work, records)).collect();
    let mut text = tables.join("\n");
    text.push('\n');
    for goal in goals(measured) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "- {goal}");
    }
    text
}

/// What lpwatch may add to a call.
pub fn goals(measured: &Measured) -> Vec<Goal> {
    let calls = |work: &str| -> Vec<&Call> {
        let calls = measured.records.iter().filter_map(|record| match record {
            Record::Call(call) if call.work == work => Some(call),
            _ => None,
        });
        calls.collect()
    };
    let goals = [("getppid", 120), ("patched_cmdline", 150)];
    let goals = goals.into_iter().filter_map(|(work, most)| {
        let all = calls(work);
        let own = all.iter().copied().filter(|call| call.hook == "lpwatch");
        let added = Spread::of(own.filter_map(|call| added(call, &all)))?;
        Some(Goal {
            name: format!("{work}: added by lpwatch, in hundredths of an empty fentry program"),
            most,
            value: rounded((added.median * 100.0).max(0.0)),
        })
    });
    goals.collect()
}

fn table(work: &Work, records: &[Record]) -> String {
    let calls: Vec<&Call> = records
        .iter()
        .filter_map(|record| match record {
            Record::Call(call) if call.work == work.work => Some(call),
            _ => None,
        })
        .collect();
    let mut table = Table::new(&[
        "on the function",
        "time of a call, in unhooked calls",
        "added, in empty fentry programs",
        "rounds",
        "counts every call",
    ]);
    let mut notes = String::new();
    for (hook, words) in HOOKS {
        let of: Vec<&Call> = calls
            .iter()
            .copied()
            .filter(|call| call.hook == hook)
            .collect();
        if of.is_empty() {
            let why = skipped(&work.work, hook, records);
            // Writing to a String cannot fail.
            let _ = writeln!(notes, "\nNot measured: {words} ({why}).");
            continue;
        }
        let ratios = of.iter().filter_map(|call| ratio(call, &calls));
        let added = of.iter().filter_map(|call| added(call, &calls));
        table.row([
            words.to_owned(),
            shown(Spread::of(ratios)),
            shown(Spread::of(added).filter(|_| hook != NOTHING)),
            of.len().to_string(),
            exact(&of),
        ]);
    }
    let Work {
        function, bpftrace, ..
    } = work;
    let what = match work.work.as_str() {
        "getppid" => "getppid(2)",
        "patched_cmdline" => "a read of /proc/cmdline, live-patched by `lp_cmdline`",
        other => other,
    };
    let bpftrace = bpftrace.as_deref().unwrap_or("not there");
    format!(
        "Loop over {what}, which enters `{function}` (bpftrace: {bpftrace}):\n\n{}{notes}",
        table.text()
    )
}

/// The time of a call against the unhooked one of the same round.
fn ratio(call: &Call, all: &[&Call]) -> Option<f64> {
    let unhooked = same_round(call, NOTHING, all)?;
    Some(call.nanoseconds / unhooked.nanoseconds)
}

/// What the hook adds, against what the empty program adds in the same round.
fn added(call: &Call, all: &[&Call]) -> Option<f64> {
    let unhooked = same_round(call, NOTHING, all)?.nanoseconds;
    let empty = same_round(call, EMPTY_FENTRY, all)?.nanoseconds - unhooked;
    // A program that took nothing, or less, was lost in the noise.
    (empty > 0.0).then(|| (call.nanoseconds - unhooked) / empty)
}

fn same_round<'a>(call: &Call, hook: &str, all: &[&'a Call]) -> Option<&'a Call> {
    all.iter()
        .copied()
        .find(|other| other.round == call.round && other.hook == hook)
}

fn shown(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| spread.to_string())
}

fn exact(calls: &[&Call]) -> String {
    let told = |call: &&&Call| call.counted.is_some();
    if !calls.iter().any(|call| told(&call)) {
        return "–".to_owned();
    }
    let wrong = calls.iter().find(|call| call.counted != Some(call.made));
    match wrong {
        None => "yes".to_owned(),
        Some(call) => format!("{} of {}", call.counted.unwrap_or(0), call.made),
    }
}

fn skipped(work: &str, hook: &str, records: &[Record]) -> String {
    let why = records.iter().find_map(|record| match record {
        Record::Skipped(Skipped {
            work: of,
            hook: by,
            why,
        }) if of == work && by == hook => Some(why.clone()),
        _ => None,
    });
    why.unwrap_or_else(|| "no round came to its end".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::outcome::Outcome;

    fn call(hook: &str, round: u32, nanoseconds: f64, counted: Option<u64>) -> Record {
        Record::Call(Call {
            work: "getppid".into(),
            hook: hook.into(),
            round,
            nanoseconds,
            made: 7,
            counted,
        })
    }

    #[test]
    fn rounds_are_compared_within_themselves() {
        let records = vec![
            Record::Work(Work {
                work: "getppid".into(),
                function: "f".into(),
                calls_per_part: 1,
                bpftrace: None,
            }),
            call("nothing", 0, 100.0, None),
            call("empty_fentry", 0, 110.0, None),
            call("kprobe", 0, 150.0, Some(7)),
            call("nothing", 1, 200.0, None),
            call("empty_fentry", 1, 220.0, None),
            call("kprobe", 1, 300.0, Some(7)),
            Record::Skipped(Skipped {
                work: "getppid".into(),
                hook: "bpftrace_fentry".into(),
                why: "too old".into(),
            }),
        ];
        let text = tables(&Measured {
            records,
            outcome: Outcome::Exit(0),
            log: "log".into(),
        });
        let row = text.lines().find(|line| line.contains("kprobe program"));
        let cells: Vec<&str> = row.unwrap().split('|').map(str::trim).collect();
        assert_eq!(
            cells[2..6],
            ["1.50 (1.50–1.50)", "5.00 (5.00–5.00)", "2", "yes"]
        );
        assert!(text.contains("bpftrace, fentry (too old)"), "{text}");
    }
}

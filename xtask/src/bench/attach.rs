//! The table of `bench attach`.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::boot::Measured;
use super::goal::{Goal, rounded};
use super::record::{Attach, Record};
use super::spread::Spread;
use super::table::Table;

const TOOLS: [(&str, &str); 3] = [
    ("lpwatch", "lpwatch daemon"),
    ("bpftrace_kprobe", "bpftrace, kprobe"),
    ("bpftrace_fentry", "bpftrace, fentry"),
];

const KIB_IN_MIB: f64 = 1024.0;

pub fn tables(measured: &Measured) -> String {
    let attached: Vec<&Attach> = measured
        .records
        .iter()
        .filter_map(|record| match record {
            Record::Attach(attach) => Some(attach),
            _ => None,
        })
        .collect();
    let numbers: BTreeSet<usize> = attached.iter().map(|attach| attach.functions).collect();
    let mut table = Table::new(&[
        "functions",
        "tool",
        "seconds until all are hooked",
        "seconds to end",
        "open files",
        "MiB of the process",
        "MiB of the kernel",
        "rounds",
    ]);
    for number in numbers {
        for (tool, words) in TOOLS {
            let of: Vec<&Attach> = attached
                .iter()
                .copied()
                .filter(|attach| attach.functions == number && attach.tool == tool)
                .collect();
            if !of.is_empty() {
                table.row(row(number, words, &of));
            }
        }
    }
    let mut notes = String::new();
    for record in &measured.records {
        if let Record::Skipped(skipped) = record {
            let (_, words) = TOOLS
                .into_iter()
                .find(|(tool, _)| *tool == skipped.hook)
                .unwrap_or(("", "another tool"));
            // Writing to a String cannot fail.
            let _ = writeln!(
                notes,
                "\nNot measured: {words} with {} functions ({}).",
                skipped.work, skipped.why
            );
        }
    }
    for goal in goals(measured) {
        // Writing to a String cannot fail.
        let _ = writeln!(notes, "\n- {goal}");
    }
    format!("{}\n\n{}{notes}", bpftrace(&measured.records), table.text())
}

/// What is aimed at for 500 functions and fewer, beyond what a daemon without any takes.
pub fn goals(measured: &Measured) -> Vec<Goal> {
    let of_lpwatch = measured.records.iter().filter_map(|record| match record {
        Record::Attach(attach) if attach.tool == "lpwatch" => Some(attach),
        _ => None,
    });
    let all: Vec<&Attach> = of_lpwatch.collect();
    let beyond = |number: usize, what: fn(&Attach) -> f64| {
        let median = |number: usize| {
            let some = all.iter().filter(|attach| attach.functions == number);
            Spread::of(some.map(|attach| what(attach))).map(|spread| spread.median)
        };
        Some((median(number)? - median(0)?).max(0.0))
    };
    let numbers: BTreeSet<usize> = all.iter().map(|attach| attach.functions).collect();
    let most = numbers.range(1..=500).next_back().copied();
    let Some(number) = most else {
        return Vec::new();
    };
    let goals = [
        (
            "until all are hooked, ms",
            2000,
            beyond(number, |attach| attach.seconds * 1000.0),
        ),
        (
            "to end, ms",
            1000,
            beyond(number, |attach| attach.seconds_to_end * 1000.0),
        ),
        (
            "open files",
            16,
            beyond(number, |attach| float(attach.files)),
        ),
    ];
    let goals = goals.into_iter().filter_map(|(what, most, value)| {
        Some(Goal {
            name: format!("{number} functions: {what}, beyond a daemon without any"),
            most,
            value: rounded(value?),
        })
    });
    goals.collect()
}

fn row(number: usize, words: &str, of: &[&Attach]) -> [String; 8] {
    let spread = |what: fn(&Attach) -> f64| Spread::of(of.iter().map(|attach| what(attach)));
    let shown = |spread: Option<Spread>| {
        spread.map_or_else(|| "–".to_owned(), |spread| format!("{spread:.1}"))
    };
    [
        number.to_string(),
        words.to_owned(),
        shown(spread(|attach| attach.seconds)),
        shown(spread(|attach| attach.seconds_to_end)),
        shown(spread(|attach| float(attach.files))),
        shown(spread(|attach| float(attach.peak_kib) / KIB_IN_MIB)),
        shown(spread(|attach| {
            float(attach.kernel_bytes) / KIB_IN_MIB / KIB_IN_MIB
        })),
        of.len().to_string(),
    ]
}

fn bpftrace(records: &[Record]) -> String {
    let version = records.iter().find_map(|record| match record {
        Record::Tools(tools) => tools.bpftrace.clone(),
        _ => None,
    });
    let version = version.unwrap_or_else(|| "not there".to_owned());
    format!("bpftrace: {version}")
}

#[expect(
    clippy::cast_precision_loss,
    reason = "sizes of memory here are far below 2 to the 52nd"
)]
fn float(size: u64) -> f64 {
    size as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::outcome::Outcome;

    #[test]
    fn sizes_are_told_in_mib() {
        let records = vec![Record::Attach(Attach {
            tool: "lpwatch".into(),
            functions: 10,
            round: 0,
            seconds: 1.25,
            files: 40,
            peak_kib: 10 * 1024,
            kernel_bytes: 3 << 20,
            seconds_to_end: 0.5,
        })];
        let text = tables(&Measured {
            records,
            outcome: Outcome::Exit(0),
            log: "log".into(),
        });
        let row = text.lines().find(|line| line.starts_with("| 10 ")).unwrap();
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        assert_eq!(cells[6..8], ["10.0 (10.0–10.0)", "3.0 (3.0–3.0)"], "{text}");
    }
}

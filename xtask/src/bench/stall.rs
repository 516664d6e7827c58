//! What a daemon takes, at rest and in a stall, as a table.

use std::fmt::Write;

use super::boot::Measured;
use super::goal::Goal;
use super::record::{Record, Taken};
use super::table::Table;

/// Renders what was measured.
pub fn tables(measured: &Measured) -> String {
    let mut table = Table::new(&[
        "when",
        "threads",
        "resident, KiB",
        "peak, KiB",
        "in the kernel, KiB",
        "of a processor, %",
        "one reading of /proc, ms",
    ]);
    for taken in all(measured) {
        table.row([
            taken.when.clone(),
            taken.threads.to_string(),
            taken.resident_kib.to_string(),
            taken.peak_kib.to_string(),
            (taken.kernel_bytes / 1024).to_string(),
            format!("{:.1}", taken.processor),
            format!("{:.0}", taken.loop_ms),
        ]);
    }
    let mut text = table.text();
    text.push('\n');
    for goal in goals(measured) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "- {goal}");
    }
    text
}

/// What is aimed at. The processor's time is not among it: the guest is emulated.
pub fn goals(measured: &Measured) -> Vec<Goal> {
    let mut goals = Vec::new();
    for taken in all(measured) {
        let of = |what: &str, most, value| Goal {
            name: format!("{}: {what}, KiB", taken.when),
            most,
            value,
        };
        if taken.when == "idle" {
            goals.push(of("resident", 12 * 1024, taken.resident_kib));
            goals.push(of("peak", 20 * 1024, taken.peak_kib));
        } else {
            goals.push(of("resident", 14 * 1024, taken.resident_kib));
        }
    }
    goals
}

fn all(measured: &Measured) -> impl Iterator<Item = &Taken> {
    measured.records.iter().filter_map(|record| match record {
        Record::Taken(taken) => Some(taken),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::outcome::Outcome;

    #[test]
    fn what_is_too_large_is_named() {
        let taken = |when: &str, resident_kib| {
            Record::Taken(Taken {
                when: when.into(),
                threads: 30_100,
                resident_kib,
                peak_kib: 19_000,
                kernel_bytes: 4096,
                processor: 0.5,
                loop_ms: 900.0,
            })
        };
        let measured = Measured {
            records: vec![taken("idle", 11_000), taken("stall", 40_000)],
            outcome: Outcome::Exit(0),
            log: "log".into(),
        };
        let missed: Vec<String> = goals(&measured)
            .iter()
            .filter(|goal| !goal.is_met())
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            missed,
            ["missed: stall: resident, KiB: 40000, at most 14336"]
        );
        assert!(tables(&measured).contains("met: idle: peak, KiB: 19000, at most 20480"));
    }
}

//! The tables of `bench harm`.

use std::fmt::Write;

use super::boot::Measured;
use super::record::{Record, Transition, Unloading};
use super::spread::Spread;
use super::table::Table;

const STORIES: [(&str, &str); 2] = [
    ("easy", "no task in the way"),
    ("asleep", "tasks asleep in the patched function"),
];
const DIRECTIONS: [&str; 2] = ["patching", "unpatching"];
const WITHOUT: &str = "without";
const CONDITIONS: [(&str, &str); 3] = [
    (WITHOUT, "no lpwatch"),
    ("daemon", "daemon"),
    ("counting", "daemon, counting there"),
];

/// The kernel signals tasks after fifteen tries: what needs that has stalled.
const STALLED: u32 = 10;

/// Seconds for which the tasks left are shown.
const SECONDS: usize = 4;

pub fn tables(measured: &Measured) -> String {
    let records = &measured.records;
    let mut text = String::new();
    for (story, words) in STORIES {
        for direction in DIRECTIONS {
            // Writing to a String cannot fail.
            let _ = writeln!(
                text,
                "{direction}, {words}:\n\n{}",
                table(records, story, direction).text()
            );
        }
    }
    let _ = writeln!(
        text,
        "unloading the patch:\n\n{}",
        unloading(records).text()
    );
    text.push_str(&checks(records));
    text
}

fn table(records: &[Record], story: &str, direction: &str) -> Table {
    let mut table = Table::new(&[
        "with",
        "turns",
        "ms, median",
        "ratio",
        "tries",
        "after waking",
        "left after 1, 2, 3, 4 s",
        "stalls",
    ]);
    let of = |condition: &str| -> Vec<&Transition> {
        let transitions = records.iter().filter_map(|record| match record {
            Record::Transition(transition) => Some(transition),
            _ => None,
        });
        transitions
            .filter(|one| {
                one.story == story && one.direction == direction && one.condition == condition
            })
            .collect()
    };
    let times = |all: &[&Transition]| Spread::of(all.iter().map(|one| f64::from(one.milliseconds)));
    let unwatched = times(&of(WITHOUT));
    for (condition, words) in CONDITIONS {
        let all = of(condition);
        let Some(time) = times(&all) else { continue };
        let tries = all.iter().map(|one| f64::from(one.tries));
        let after = all.iter().filter_map(|one| one.tries_after_waking);
        let stalls = all.iter().filter(|one| one.tries >= STALLED).count();
        table.row([
            words.to_owned(),
            all.len().to_string(),
            format!("{time:.0}"),
            unwatched.map_or_else(
                || "–".to_owned(),
                |unwatched| format!("{:.2}", time.median / unwatched.median),
            ),
            shown(Spread::of(tries)),
            shown(Spread::of(after.map(f64::from))),
            left(&all),
            stalls.to_string(),
        ]);
    }
    table
}

/// The tasks left after each second: the median of those turns that had not
/// ended by then, all others having none.
fn left(all: &[&Transition]) -> String {
    let after = |second: usize| {
        let left = all.iter().map(|one| one.left.get(second).copied());
        Spread::of(left.map(|left| f64::from(left.unwrap_or(0))))
    };
    let seconds = (0..SECONDS).map(|second| {
        after(second).map_or_else(|| "–".to_owned(), |left| format!("{:.0}", left.median))
    });
    seconds.collect::<Vec<_>>().join(", ")
}

fn unloading(records: &[Record]) -> Table {
    let mut table = Table::new(&["with", "turns", "ms, median", "refused at first"]);
    for (condition, words) in CONDITIONS {
        let all: Vec<&Unloading> = records
            .iter()
            .filter_map(|record| match record {
                Record::Unloading(unloading) if unloading.condition == condition => Some(unloading),
                _ => None,
            })
            .collect();
        let times = Spread::of(all.iter().map(|one| f64::from(one.milliseconds)));
        let Some(time) = times else { continue };
        table.row([
            words.to_owned(),
            all.len().to_string(),
            format!("{time:.0}"),
            all.iter().filter(|one| one.held > 0).count().to_string(),
        ]);
    }
    table
}

fn checks(records: &[Record]) -> String {
    let checks = records.iter().filter_map(|record| match record {
        Record::Check(check) => Some(check),
        _ => None,
    });
    let lines = checks.map(|check| {
        let word = if check.passed { "holds" } else { "**FAILS**" };
        format!("- {word}: {} ({})\n", check.name, check.detail)
    });
    let lines: String = lines.collect();
    if lines.is_empty() {
        return "Nothing was concluded.\n".to_owned();
    }
    format!(
        "What must hold (figures: {}):\n\n{lines}",
        CONDITIONS.map(|(_, words)| words).join(" / ")
    )
}

fn shown(spread: Option<Spread>) -> String {
    spread.map_or_else(|| "–".to_owned(), |spread| format!("{spread:.0}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::outcome::Outcome;

    fn transition(condition: &str, milliseconds: u32, left: Vec<u32>) -> Record {
        Record::Transition(Transition {
            story: "easy".into(),
            condition: condition.into(),
            direction: "patching".into(),
            turn: 0,
            milliseconds,
            tries: 4,
            tries_after_waking: Some(1),
            left,
        })
    }

    #[test]
    fn times_are_compared_with_those_without_lpwatch() {
        let records = vec![
            transition("without", 1000, vec![3]),
            transition("daemon", 1100, vec![3, 2]),
            transition("daemon", 1300, vec![]),
        ];
        let text = tables(&Measured {
            records,
            outcome: Outcome::Exit(1),
            log: "log".into(),
        });
        let row = text.lines().find(|line| line.starts_with("| daemon "));
        let cells: Vec<&str> = row.unwrap().split('|').map(str::trim).collect();
        assert_eq!(cells[3..5], ["1200 (1100–1300)", "1.20"]);
        assert_eq!(cells[7..9], ["2, 1, 0, 0", "0"]);
        assert!(text.ends_with("Nothing was concluded.\n"));
    }
}

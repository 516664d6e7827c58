//! What a run consists of: the parts that were asked for, and the boots into
//! which the scenarios of a kernel are divided.

use super::catalogue::{Scenario, groups_of};
use super::part::Part;
use super::pool::Kind;
use crate::cli::TestArgs;

/// The scenarios that come before all others: if they fail, little else passes.
pub const SMOKE: [&str; 3] = ["easy", "stall", "wait"];

/// Scenarios in one boot at most: another boot costs a few seconds, and a long
/// one that is left alone at the end costs more.
const MOST_IN_A_BOOT: usize = 16;

/// As many ordinary scenarios take as long as a long one.
const LONG: f64 = 6.0;

/// What the words on the command line ask for.
#[derive(Debug, PartialEq, Eq)]
pub struct Plan {
    parts: Vec<Part>,
    /// Parts of scenario names; none stands for all.
    pub names: Vec<String>,
}

impl Plan {
    pub fn of(args: &TestArgs) -> Self {
        let has = |part: &Part| args.filters.iter().any(|filter| filter == part.word());
        let is_name = |filter: &&String| Part::ALL.iter().all(|part| part.word() != *filter);
        let names: Vec<String> = args.filters.iter().filter(is_name).cloned().collect();
        let named = !names.is_empty()
            || !args.only.is_empty()
            || !args.group.is_empty()
            || !args.kernel.is_empty();
        let all = !named && !Part::ALL.iter().any(has);
        let wanted = |part: &Part| all || has(part) || (named && *part == Part::Vm);
        Self {
            parts: Part::ALL.into_iter().filter(wanted).collect(),
            names,
        }
    }

    pub fn has(&self, part: Part) -> bool {
        self.parts.contains(&part)
    }

    pub fn is_everything(&self) -> bool {
        self.parts == Part::ALL
    }

    /// Whether a part needs lpwatch built for guests.
    pub fn needs_programs(&self) -> bool {
        [Part::Fleet, Part::Dist, Part::Vm]
            .iter()
            .any(|part| self.has(*part))
    }
}

/// Scenarios to be run in one boot.
#[derive(Debug, Clone, PartialEq)]
pub struct Boot {
    /// Tells the logs of several boots apart.
    pub label: String,
    pub scenarios: Vec<String>,
    pub kind: Kind,
    /// How long it takes beside others; roughly the number of its scenarios.
    pub weight: f64,
}

/// Divides the scenarios of a kernel into boots.
pub fn boots(scenarios: &[&Scenario]) -> Vec<Boot> {
    let mut boots = Vec::new();
    let owned: Vec<Scenario> = scenarios.iter().map(|&one| one.clone()).collect();
    for kind in [Kind::Ordinary, Kind::Paced] {
        for group in groups_of(&owned) {
            let fits = |one: &&Scenario| one.group == group && one.kind == kind && !one.own_boot;
            let fitting: Vec<&Scenario> = owned.iter().filter(|one| fits(one)).collect();
            boots.extend(chunks(group, &fitting, kind));
        }
    }
    // There are few in each group.
    let is_timed = |one: &&Scenario| one.kind == Kind::Timed && !one.own_boot;
    let timed: Vec<&Scenario> = owned.iter().filter(is_timed).collect();
    boots.extend(chunks("timed", &timed, Kind::Timed));
    let alone = scenarios.iter().filter(|one| one.own_boot);
    boots.extend(alone.map(|one| Boot {
        label: one.name.clone(),
        scenarios: vec![one.name.clone()],
        kind: one.kind,
        weight: weight(&[*one]),
    }));
    boots
}

/// One that takes minutes counts as many.
fn weight(scenarios: &[&Scenario]) -> f64 {
    let each = |one: &&Scenario| if one.long { LONG } else { 1.0 };
    scenarios.iter().map(each).sum()
}

/// As few boots as the limit allows, of nearly the same size.
fn chunks(group: &str, scenarios: &[&Scenario], kind: Kind) -> Vec<Boot> {
    if scenarios.is_empty() {
        return Vec::new();
    }
    let number = scenarios.len().div_ceil(MOST_IN_A_BOOT);
    let size = scenarios.len().div_ceil(number);
    let suffix = match kind {
        Kind::Ordinary | Kind::Timed => "",
        Kind::Paced => "-paced",
    };
    scenarios
        .chunks(size)
        .enumerate()
        .map(|(place, scenarios)| Boot {
            label: match number {
                1 => format!("{group}{suffix}"),
                _ => format!("{group}{suffix}-{}", place + 1),
            },
            scenarios: scenarios.iter().map(|one| one.name.clone()).collect(),
            kind,
            weight: weight(scenarios),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command as Subcommand};
    use crate::test::catalogue::parse;

    fn plan(words: &[&str]) -> Plan {
        let line = ["xtask", "test"].iter().chain(words);
        match Cli::parse_from(line).command {
            Subcommand::Test(args) => Plan::of(&args),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn filters_say_what_to_run() {
        let parts = |words: &[&str]| plan(words).parts;
        assert_eq!(parts(&[]), Part::ALL);
        assert!(plan(&[]).is_everything());
        for part in Part::ALL {
            assert_eq!(parts(&[part.word()]), [part]);
        }
        assert_eq!(parts(&["unit", "vm"]), [Part::Unit, Part::Vm]);
        assert_eq!(parts(&["--kernel", "6.1"]), [Part::Vm]);
        assert_eq!(parts(&["--group", "life"]), [Part::Vm]);
        let stall = plan(&["stall"]);
        assert_eq!((stall.parts, stall.names.len()), (vec![Part::Vm], 1));
    }

    #[test]
    fn every_scenario_is_in_one_boot() {
        let calls: Vec<String> = (0..17).map(|n| format!("c{n}\tcalls\t\tx\n")).collect();
        let mut list = calls.concat();
        list.push_str("own\tcalls\tboot=own,long\tx\nslow\tlife\ttimed\tx\neasy\tlife\t\tx\n");
        let all = parse(&list);
        let boots = boots(&all.iter().collect::<Vec<_>>());
        let sizes: Vec<(&str, usize)> = boots
            .iter()
            .map(|boot| (boot.label.as_str(), boot.scenarios.len()))
            .collect();
        assert_eq!(
            sizes,
            [
                ("calls-1", 9),
                ("calls-2", 8),
                ("life", 1),
                ("timed", 1),
                ("own", 1)
            ]
        );
        assert_eq!(boots[3].kind, Kind::Timed);
        assert!(boots[4].weight > boots[3].weight, "it starts before others");
    }
}

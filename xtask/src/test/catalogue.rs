//! The scenarios there are, and which of them were asked for.

use std::fmt::Write;

use anyhow::{Result, bail};

use super::pool::Kind;
use crate::kernels::Series;

/// The kernel for scenarios whose outcome no kernel decides.
pub const ONE_KERNEL: Series = Series::V6_12;

/// A scenario as `lpwatch-scenarios list` names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenario {
    pub name: String,
    pub group: String,
    /// It leaves its guest unfit for another.
    pub own_boot: bool,
    /// What may run beside it.
    pub kind: Kind,
    /// No kernel decides its outcome, so it runs in [`ONE_KERNEL`].
    pub once: bool,
    /// It takes minutes.
    pub long: bool,
    pub about: String,
}

impl Scenario {
    /// Whether it runs in that kernel; `whole` asks for every kernel.
    pub fn runs_in(&self, series: Series, kernels: &[Series], whole: bool) -> bool {
        // A kernel that was asked for by name has to do for all.
        let one = kernels.first().copied().filter(|_| kernels.len() == 1);
        !self.once || whole || series == one.unwrap_or(ONE_KERNEL)
    }
}

/// Reads what `lpwatch-scenarios list` prints: name, group, marks and
/// description, with tabs between.
pub fn parse(text: &str) -> Vec<Scenario> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    let scenario = |line: &str| {
        let mut fields = line.split('\t').map(str::trim);
        let mut next = || fields.next().unwrap_or_default().to_owned();
        let (name, group, marks, about) = (next(), next(), next(), next());
        let has = |mark: &str| marks.split(',').any(|other| other == mark);
        Scenario {
            own_boot: has("boot=own"),
            kind: match () {
                () if has("timed") => Kind::Timed,
                () if has("paced") => Kind::Paced,
                () => Kind::Ordinary,
            },
            once: has("once"),
            long: has("long"),
            name,
            group,
            about,
        }
    };
    lines.map(scenario).collect()
}

/// What the command line asks for; empty lists ask for everything.
#[derive(Debug, Clone, Copy, Default)]
pub struct Wanted<'a> {
    /// Exact names.
    pub only: &'a [String],
    /// Parts of names.
    pub parts: &'a [String],
    pub groups: &'a [String],
}

/// The scenarios that are wanted.
///
/// # Errors
/// A name, a part of one or a group that no scenario has.
pub fn choose(all: Vec<Scenario>, wanted: Wanted<'_>) -> Result<Vec<Scenario>> {
    let Wanted {
        only,
        parts,
        groups,
    } = wanted;
    let unknown_name = only
        .iter()
        .find(|name| all.iter().all(|scenario| scenario.name != **name))
        .or_else(|| {
            let is_part = |part: &&String| all.iter().any(|one| one.name.contains(part.as_str()));
            parts.iter().find(|part| !is_part(part))
        });
    if let Some(unknown) = unknown_name {
        let names: Vec<&str> = all.iter().map(|scenario| scenario.name.as_str()).collect();
        bail!(
            "no scenario is called `{unknown}`; there are:\n  {}",
            names.join("\n  ")
        );
    }
    if let Some(unknown) = groups
        .iter()
        .find(|group| all.iter().all(|scenario| scenario.group != **group))
    {
        bail!(
            "no group is called `{unknown}`; there are: {}",
            groups_of(&all).join(", ")
        );
    }
    let everything = only.is_empty() && parts.is_empty() && groups.is_empty();
    let is_wanted = |scenario: &Scenario| {
        everything
            || only.contains(&scenario.name)
            || groups.contains(&scenario.group)
            || parts
                .iter()
                .any(|part| scenario.name.contains(part.as_str()))
    };
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// The groups, in the order in which they first come.
pub fn groups_of(all: &[Scenario]) -> Vec<&str> {
    let mut groups = Vec::new();
    for scenario in all {
        if !groups.contains(&scenario.group.as_str()) {
            groups.push(scenario.group.as_str());
        }
    }
    groups
}

/// The list as `cargo xtask test --list` prints it.
pub fn text(scenarios: &[Scenario]) -> String {
    let mut text = String::new();
    let width = scenarios.iter().map(|one| one.name.len()).max();
    let width = width.unwrap_or_default();
    for group in groups_of(scenarios) {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{group}");
        for one in scenarios.iter().filter(|one| one.group == group) {
            let _ = write!(text, "  {:<width$}  {}", one.name, one.about);
            if one.once {
                let _ = write!(text, " [{ONE_KERNEL} only]");
            }
            text.push('\n');
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "easy\tlife\t\tA patch completes\n\
                        stall\tlife\t\tA stall\n\
                        stall_daemon\tlife\ttimed\tA stall, by the daemon\n\n\
                        forced\tfaults\tboot=own,once\tForced\n";

    fn names(wanted: Wanted<'_>) -> Result<Vec<String>> {
        let chosen = choose(parse(LIST), wanted)?;
        Ok(chosen.into_iter().map(|one| one.name).collect())
    }

    fn words(words: &[&str]) -> Vec<String> {
        words.iter().map(|&word| word.to_owned()).collect()
    }

    #[test]
    fn the_list_is_read() {
        let list = parse(LIST);
        assert_eq!(list.len(), 4);
        assert!(!list[0].own_boot && !list[0].once);
        assert_eq!([list[0].kind, list[2].kind], [Kind::Ordinary, Kind::Timed]);
        assert!(list[3].own_boot && list[3].once);
        assert_eq!(
            (list[3].name.as_str(), list[3].about.as_str()),
            ("forced", "Forced")
        );
        let text = text(&list);
        assert!(
            text.contains("life\n  easy          A patch completes\n"),
            "{text}"
        );
        assert!(text.contains("Forced [6.12 only]"), "{text}");
    }

    #[test]
    fn scenarios_are_chosen_by_name_and_group() {
        let stall = words(&["stall"]);
        let life = words(&["life"]);
        let typo = words(&["stal_"]);
        assert_eq!(names(Wanted::default()).unwrap().len(), 4);
        let only = Wanted {
            only: &stall,
            ..Wanted::default()
        };
        assert_eq!(names(only).unwrap(), ["stall"]);
        let parts = Wanted {
            parts: &stall,
            ..Wanted::default()
        };
        assert_eq!(names(parts).unwrap(), ["stall", "stall_daemon"]);
        let groups = Wanted {
            groups: &life,
            ..Wanted::default()
        };
        assert_eq!(names(groups).unwrap().len(), 3);
        let error = names(Wanted {
            only: &typo,
            ..Wanted::default()
        })
        .unwrap_err();
        assert!(error.to_string().contains("stall_daemon"), "{error}");
        let error = names(Wanted {
            groups: &stall,
            ..Wanted::default()
        })
        .unwrap_err();
        assert!(error.to_string().contains("faults"), "{error}");
    }

    #[test]
    fn what_no_kernel_decides_runs_once() {
        let list = parse(LIST);
        let (easy, forced) = (&list[0], &list[3]);
        let all = Series::ALL;
        assert!(all.iter().all(|&series| easy.runs_in(series, &all, false)));
        let kernels = all
            .iter()
            .filter(|&&series| forced.runs_in(series, &all, false));
        assert_eq!(kernels.count(), 1);
        assert!(forced.runs_in(Series::V5_10, &all, true));
        assert!(forced.runs_in(Series::V5_10, &[Series::V5_10], false));
    }
}

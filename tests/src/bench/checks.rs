//! What must hold whatever the times are.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::harm::Condition;
use super::story::{Story, Turn};
use super::told::{HELD, STALLED, middle};

/// One thing that must hold.
#[derive(Serialize)]
#[serde(tag = "record", rename = "check")]
pub struct Check {
    pub name: &'static str,
    pub passed: bool,
    pub detail: String,
}

/// All turns of one story under one condition.
pub type Turns = BTreeMap<(Story, Condition), Vec<Turn>>;

/// What was found besides.
#[derive(Default)]
pub struct Found {
    /// Modules that the kernel refused to load while lpwatch ran.
    pub refused: Vec<String>,
    /// Links of lpwatch's that may stay on the stacks of tasks.
    pub on_stacks: BTreeSet<String>,
    /// BPF objects left behind by a daemon.
    pub left_behind: BTreeSet<String>,
    /// How often lpwatch's links were looked through, and its objects counted.
    pub looks: usize,
    pub ends: usize,
}

impl Check {
    fn of(name: &'static str, passed: bool, detail: String) -> Self {
        Self {
            name,
            passed,
            detail,
        }
    }
}

/// Says of each whether it holds.
pub fn conclude(turns: &Turns, found: &Found) -> Vec<Check> {
    vec![
        verdicts(turns),
        tries(turns),
        unreliable(turns),
        stalls(turns),
        Check::of(
            "loading a livepatch was never refused",
            found.refused.is_empty(),
            list(&found.refused),
        ),
        unloading(turns),
        Check::of(
            "no fexit or fmod_ret program was attached",
            found.on_stacks.is_empty() && found.looks > 0,
            format!("{} looks {}", found.looks, list(&found.on_stacks)),
        ),
        Check::of(
            "no BPF object was left behind",
            found.left_behind.is_empty() && found.ends > 0,
            format!("{} ends {}", found.ends, list(&found.left_behind)),
        ),
    ]
}

fn stories(turns: &Turns) -> BTreeSet<Story> {
    turns.keys().map(|(story, _)| *story).collect()
}

/// With lpwatch the kernel says of the sleeping tasks what it says without.
fn verdicts(turns: &Turns) -> Check {
    let mut detail = Vec::new();
    let mut passed = true;
    for story in stories(turns) {
        for at in 0..2 {
            let of = |condition| all_verdicts(turns, story, condition, at);
            let without = of(Condition::Without);
            for condition in Condition::WITH {
                passed &= of(condition) == without;
            }
            let texts = Condition::ALL.map(|condition| format!("{:?}", of(condition)));
            detail.push(format!("{}: {}", story.name(), texts.join(" / ")));
        }
    }
    Check::of("the same verdicts", passed, detail.join("; "))
}

/// The different sets of verdicts that transitions ended with.
fn all_verdicts(
    turns: &Turns,
    story: Story,
    condition: Condition,
    at: usize,
) -> BTreeSet<BTreeMap<String, usize>> {
    let turns = turns.get(&(story, condition)).into_iter().flatten();
    turns
        .filter_map(|turn| turn.transitions.get(at))
        .map(|seen| seen.verdicts.clone())
        .collect()
}

/// As many tries as without lpwatch. A task that is running when the kernel
/// looks costs one more, and a daemon is a task, too: one is allowed for that.
fn tries(turns: &Turns) -> Check {
    let mut passed = true;
    let mut detail = Vec::new();
    for story in stories(turns) {
        for at in 0..2 {
            let median = |condition| {
                let turns = turns.get(&(story, condition)).into_iter().flatten();
                let seen = turns.filter_map(|turn| turn.transitions.get(at));
                middle(seen.map(|seen| seen.told.tries))
            };
            let [without, daemon, counting] = Condition::ALL.map(median);
            passed &= without > 0 && daemon.max(counting) <= without + 1;
            detail.push(format!(
                "{} {without} / {daemon} / {counting}",
                story.name()
            ));
        }
    }
    Check::of("as many tries (median)", passed, detail.join("; "))
}

fn unreliable(turns: &Turns) -> Check {
    let number = |condition| {
        let seen = transitions(turns, condition);
        seen.filter(|seen| !seen.told.unreliable.is_empty()).count()
    };
    let [without, daemon, counting] = Condition::ALL.map(number);
    Check::of(
        "no stack became unreliable",
        daemon.max(counting) <= without,
        format!("transitions with one: {without} / {daemon} / {counting}"),
    )
}

fn stalls(turns: &Turns) -> Check {
    let number = |condition| {
        let seen = transitions(turns, condition);
        seen.filter(|seen| seen.told.tries >= STALLED).count()
    };
    let [without, daemon, counting] = Condition::ALL.map(number);
    Check::of(
        "no stall was added",
        daemon == 0 && counting == 0,
        format!("stalls: {without} / {daemon} / {counting}"),
    )
}

fn unloading(turns: &Turns) -> Check {
    let all = |condition: Condition| {
        let of = turns.iter().filter(move |((_, of), _)| *of == condition);
        of.flat_map(|(_, turns)| turns)
    };
    let slowest = |condition| {
        let times = all(condition).map(|turn| turn.unloading);
        times.max().unwrap_or_default()
    };
    let times = Condition::ALL.map(slowest);
    let held = Condition::ALL.map(|condition| all(condition).filter(|turn| turn.held > 0).count());
    let [without, daemon, counting] = times.map(|time| time.as_millis());
    Check::of(
        "unloading a livepatch was never held up",
        times.iter().all(|time| *time < HELD) && held == [0; 3],
        format!(
            "slowest: {without} / {daemon} / {counting} ms; refused at first: {} / {} / {}",
            held[0], held[1], held[2]
        ),
    )
}

fn transitions(turns: &Turns, condition: Condition) -> impl Iterator<Item = &super::story::Seen> {
    let of = turns.iter().filter(move |((_, of), _)| *of == condition);
    of.flat_map(|(_, turns)| turns)
        .flat_map(|turn| &turn.transitions)
}

fn list<'a>(items: impl IntoIterator<Item = &'a String>) -> String {
    let items: Vec<&str> = items.into_iter().map(String::as_str).collect();
    items.join(", ")
}

//! The tasks left in one line: how many for each reason.

use super::style::Style;
use super::{why, words};
use crate::model::{Blocker, Reason};
use crate::text;

/// How many groups are shown.
const SHOWN: usize = 4;

/// Tasks with the same description.
struct SummedRows {
    /// Sleeping kernel threads are a group of their own: no signal moves them.
    kthreads: bool,
    words: String,
    count: usize,
}

/// `1 kernel thread asleep in target_main, 2 with an unreliable stack
/// (kretprobe on f)`; `None` where no reason is known.
pub(super) fn by_reason(sorted: &[&Blocker], style: &Style) -> Option<String> {
    let mut groups: Vec<SummedRows> = Vec::new();
    let mut unknown = 0_usize;
    for blocker in sorted {
        let Some(words) = description(blocker, style) else {
            unknown += 1;
            continue;
        };
        let kthreads = blocker.kthread && blocker.reason == Some(Reason::SleepingOnFunction);
        let known = groups
            .iter_mut()
            .find(|group| group.kthreads == kthreads && group.words == words);
        match known {
            Some(group) => group.count += 1,
            None => groups.push(SummedRows {
                kthreads,
                words,
                count: 1,
            }),
        }
    }
    if groups.is_empty() {
        return None;
    }
    let mut parts: Vec<String> = groups.iter().take(SHOWN).map(SummedRows::text).collect();
    let rest: usize = groups.iter().skip(SHOWN).map(|group| group.count).sum();
    if rest > 0 {
        parts.push(format!("{rest}{}for other reasons", text::NBSP));
    }
    if unknown > 0 {
        parts.push(format!("{unknown}{}not inspected", text::NBSP));
    }
    Some(parts.join(", "))
}

impl SummedRows {
    fn text(&self) -> String {
        let count = if self.kthreads {
            format!("{} ", words::counted(self.count, "kernel thread"))
        } else {
            format!("{}{}", self.count, text::NBSP)
        };
        format!("{count}{}", self.words)
    }
}

fn description(blocker: &Blocker, style: &Style) -> Option<String> {
    let within = |word: &str| match blocker.function.as_deref() {
        Some(function) => format!("{word} in {}", style.text(function)),
        None => word.to_owned(),
    };
    Some(match blocker.reason? {
        Reason::SleepingOnFunction if blocker.function.is_none() => {
            "asleep in a patched function".to_owned()
        }
        Reason::SleepingOnFunction => within("asleep"),
        Reason::UnreliableStack => match why::foreign(blocker, style) {
            Some(foreign) => format!("with an unreliable stack ({foreign})"),
            None => "with an unreliable stack".to_owned(),
        },
        Reason::NoUnwindData => {
            format!(
                "in code without unwind data ({})",
                why::code(blocker, style)
            )
        }
        Reason::Uninterruptible => within("in uninterruptible sleep"),
        Reason::Running => "running".to_owned(),
        Reason::KvmVcpu => "inside a virtual machine".to_owned(),
        Reason::WaitingForSignal => "waiting for the kernel's signal".to_owned(),
        Reason::Idle => "idle".to_owned(),
        Reason::Pending => "without a known reason".to_owned(),
    })
}

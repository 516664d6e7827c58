//! What happened, derived from two snapshots.
//!
//! [`changes`] is the only place that compares them: events that a daemon reports can
//! replace it.

use std::collections::VecDeque;

use jiff::Timestamp;

use crate::model::snapshot::{FindingKind, Patch, Snapshot, Transition};
use crate::model::{Outcome, Phase};
use crate::render::{
    outcome,
    paint::Paint,
    style::Style,
    waits,
    words::{self, counted},
};
use crate::text::NBSP;

/// How many are kept.
const KEPT: usize = 500;
/// Tasks that switch within this time are one line.
const TOGETHER: i64 = 10;

/// Something that happened.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct SeenChange {
    /// When it happened; if that is unknown, when it was seen.
    pub at: Timestamp,
    pub paint: Paint,
    /// A sentence without its full stop, safe to show.
    pub text: String,
    /// Tasks that have switched.
    switched: Option<Switched>,
}

#[derive(Clone, Debug, PartialEq)]
struct Switched {
    /// The patch, safe to show.
    name: String,
    tasks: u32,
    left: u32,
}

impl SeenChange {
    fn new(at: Timestamp, paint: Paint, text: &str) -> Self {
        Self {
            at,
            paint,
            text: text.trim_end_matches('.').replace(NBSP, " "),
            switched: None,
        }
    }

    fn switched(at: Timestamp, switched: Switched) -> Self {
        let Switched { name, tasks, left } = &switched;
        let have = if *tasks == 1 { "has" } else { "have" };
        let text = format!(
            "{name}: {} {have} switched, {} left",
            counted(*tasks, "task"),
            counted(*left, "task")
        );
        Self {
            switched: Some(switched),
            ..Self::new(at, Paint::Plain, &text)
        }
    }
}

/// What happened, oldest first.
#[derive(Debug, Default)]
pub(super) struct Changes {
    all: VecDeque<SeenChange>,
}

impl Changes {
    /// Adds what happened next.
    pub fn extend(&mut self, news: Vec<SeenChange>) {
        for new in news {
            if !self.joins(&new) {
                if self.all.len() == KEPT {
                    self.all.pop_front();
                }
                self.all.push_back(new);
            }
        }
    }

    /// Adds tasks that have switched to those that switched just before.
    fn joins(&mut self, new: &SeenChange) -> bool {
        let Some(last) = self.all.back_mut() else {
            return false;
        };
        let (Some(before), Some(now)) = (&last.switched, &new.switched) else {
            return false;
        };
        let is_soon = new.at.duration_since(last.at).as_secs() < TOGETHER;
        if before.name != now.name || !is_soon {
            return false;
        }
        let sum = Switched {
            tasks: before.tasks.saturating_add(now.tasks),
            ..now.clone()
        };
        *last = SeenChange::switched(last.at, sum);
        true
    }

    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Newest first.
    pub fn newest(&self) -> impl Iterator<Item = &SeenChange> {
        self.all.iter().rev()
    }
}

/// What happened between two snapshots, oldest first. Before the first snapshot: the
/// transitions that ended.
pub(super) fn changes(before: Option<&Snapshot>, now: &Snapshot, style: &Style) -> Vec<SeenChange> {
    let mut news = ended(before, now, style);
    let Some(before) = before else {
        for patch in &now.patches {
            if let Some(transition) = &patch.transition {
                news.push(begun(patch, transition, now.head.taken_at, style));
            }
        }
        news.sort_by_key(|change| change.at);
        return news;
    };
    let at = now.head.taken_at;
    let add = |paint, text: &str| SeenChange::new(at, paint, text);
    if before.daemon != now.daemon {
        news.push(if now.daemon {
            add(Paint::Plain, "A daemon reports the state now")
        } else {
            add(
                Paint::Yellow,
                "The daemon has ended; lpwatch reads this host itself",
            )
        });
    }
    if now.daemon && before.daemon && now.events_lost > before.events_lost {
        let lost = now.events_lost - before.events_lost;
        let events = counted(lost, "kernel event");
        news.push(add(Paint::Yellow, &format!("{events} lost")));
    }
    for patch in &now.patches {
        news.extend(of_patch(before.patch(&patch.name), patch, at, style));
    }
    let gone = before
        .patches
        .iter()
        .filter(|patch| now.patch(&patch.name).is_none());
    news.extend(gone.map(|patch| {
        let text = format!("{}: no longer loaded", style.text(&patch.name));
        add(Paint::Plain, &text)
    }));
    news
}

/// The transitions that have ended since.
fn ended(before: Option<&Snapshot>, now: &Snapshot, style: &Style) -> Vec<SeenChange> {
    let plain = Style {
        color: false,
        ..*style
    };
    let is_new = |past: &&crate::model::snapshot::PastTransition| {
        before.is_none_or(|before| {
            let known = before.last_transitions.iter();
            !known.clone().any(|known| {
                known.patch == past.patch
                    && known.ended_at.duration_since(past.ended_at).abs()
                        < jiff::SignedDuration::from_secs(2)
                    && known.outcome == past.outcome
            })
        })
    };
    let news = now.last_transitions.iter().rev().filter(is_new);
    news.map(|past| {
        let paint = match past.outcome {
            Outcome::Completed => Paint::Green,
            Outcome::Reversed | Outcome::Forced | Outcome::Unknown => Paint::Yellow,
            Outcome::Cancelled | Outcome::Refused => Paint::Red,
        };
        SeenChange::new(past.ended_at, paint, &outcome::past(past, &plain))
    })
    .collect()
}

fn begun(patch: &Patch, transition: &Transition, seen_at: Timestamp, style: &Style) -> SeenChange {
    let tasks = transition.tasks_total.map_or_else(String::new, |tasks| {
        format!(" of {}", counted(tasks, "task"))
    });
    let what = match transition.started_at {
        Some(_) => "began",
        None => "was under way",
    };
    let text = format!(
        "{}: {}{tasks} {what}",
        style.text(&patch.name),
        transition.direction.name()
    );
    SeenChange::new(
        transition.started_at.unwrap_or(seen_at),
        Paint::Plain,
        &text,
    )
}

fn of_patch(before: Option<&Patch>, now: &Patch, at: Timestamp, style: &Style) -> Vec<SeenChange> {
    let name = style.text(&now.name);
    let mut news = Vec::new();
    let add = |paint, text: &str| SeenChange::new(at, paint, &format!("{name}: {text}"));
    if before.is_none() {
        news.push(add(Paint::Plain, "loaded"));
    }
    let transition_before = before.and_then(|before| before.transition.as_ref());
    match (transition_before, &now.transition) {
        (None, Some(transition)) => {
            news.push(begun(now, transition, at, style));
            news.extend(of_transition(None, transition, now, at, style));
        }
        (Some(before), Some(transition)) => {
            news.extend(of_transition(Some(before), transition, now, at, style));
        }
        (_, None) => {}
    }
    let refused = |patch: &Patch| {
        let objects = patch.objects.iter();
        objects
            .filter_map(|object| Some((object.name.clone(), object.refusal.as_ref()?.times)))
            .collect::<Vec<_>>()
    };
    let known = before.map(&refused).unwrap_or_default();
    for (object, times) in refused(now) {
        if !known.contains(&(object.clone(), times)) {
            let text = format!("the kernel refused to load module {}", style.text(&object));
            news.push(add(Paint::Red, &text));
        }
    }
    if let Some(before) = before {
        news.extend(effects(before, now, at, style));
    }
    news
}

fn of_transition(
    before: Option<&Transition>,
    now: &Transition,
    patch: &Patch,
    at: Timestamp,
    style: &Style,
) -> Vec<SeenChange> {
    let name = style.text(&patch.name);
    let mut news = Vec::new();
    let add = |paint, text: &str| SeenChange::new(at, paint, &format!("{name}: {text}"));
    let turned = before.is_some_and(|before| before.direction != now.direction);
    if turned {
        let text = format!("reversed, now {}", now.direction.name());
        news.push(add(Paint::Yellow, &text));
    }
    if now.forced && before.is_some_and(|before| !before.forced) {
        news.push(add(Paint::Red, "forced"));
    }
    if let Some(before) = before.filter(|_| !turned)
        && let (Some(had), Some(left)) = (before.tasks_remaining, now.tasks_remaining)
        && had > left
    {
        let switched = Switched {
            name: name.clone(),
            tasks: had - left,
            left,
        };
        news.push(SeenChange::switched(at, switched));
    }
    let signals = |transition: &Transition| transition.signals.unwrap_or(0);
    if !turned && before.is_some_and(|before| signals(before) < signals(now)) {
        let text = "the kernel has signalled the tasks left";
        news.push(add(Paint::Plain, text));
    }
    if let Some(phase) = now.phase
        && phase != Phase::Progressing
        && before.and_then(|before| before.phase) != Some(phase)
    {
        let (word, paint) = words::phase(phase);
        let left = now.tasks_remaining.map_or_else(String::new, |left| {
            format!(", {} left", counted(left, "task"))
        });
        news.push(add(paint, &format!("{word}{left}")));
    }
    let waits_for = |transition: &Transition| {
        let wait = transition.waits_for.as_ref();
        wait.map(|wait| (wait.reason, wait.callback, wait.tid))
    };
    let known = before.and_then(waits_for);
    match &now.waits_for {
        Some(wait) if known != waits_for(now) => {
            news.push(add(Paint::Yellow, &waits::sentence(wait, style)));
        }
        None if known.is_some() => {
            let text = "what the transition waited for has ended";
            news.push(add(Paint::Plain, text));
        }
        _ => {}
    }
    news
}

/// Functions whose new code was found not to run, or runs again.
fn effects(before: &Patch, now: &Patch, at: Timestamp, style: &Style) -> Vec<SeenChange> {
    let ineffective = |patch: &Patch| {
        let functions = patch.objects.iter().flat_map(|object| &object.functions);
        functions
            .filter(|function| {
                let findings = function.calls.iter().flat_map(|calls| &calls.findings);
                findings
                    .clone()
                    .any(|finding| finding.kind == FindingKind::NotEffective)
            })
            .map(|function| function.name.clone())
            .collect::<Vec<_>>()
    };
    let (had, has) = (ineffective(before), ineffective(now));
    let name = style.text(&now.name);
    let lost = has.iter().filter(|function| !had.contains(function));
    let lost = lost.map(|function| {
        let text = format!(
            "{name}: calls of {} do not run the new code",
            style.text(function)
        );
        SeenChange::new(at, Paint::Alarm, &text)
    });
    let regained = had.iter().filter(|function| !has.contains(function));
    let regained = regained.map(|function| {
        let text = format!(
            "{name}: nothing shows any more that calls of {} miss the new code",
            style.text(function)
        );
        SeenChange::new(at, Paint::Plain, &text)
    });
    lost.chain(regained).collect()
}

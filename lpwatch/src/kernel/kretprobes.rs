//! The armed return probes, and their names in tracefs.
//!
//! Source: `<sysfs>/kernel/debug/kprobes/list` (`report_probe`,
//! kernel/kprobes.c) has every probe, whoever set it, but no names;
//! `kprobe_events` of tracefs (`kernel/trace/trace_kprobe.c`) has the names of
//! those set there. One set by a BPF program or a kernel module has no name.

use std::{collections::BTreeMap, fs};

use super::{
    ReadError, Roots,
    kprobes::KprobeLine,
    probe_events::{self, ProbeEvent},
};

const REMEDY: &str = "only root can read debugfs and tracefs; run as root";

/// An armed return probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kretprobe {
    pub function: String,
    /// `group/event` in tracefs, if it was placed there.
    pub name: Option<String>,
}

impl Kretprobe {
    fn of_event(event: ProbeEvent) -> Self {
        Self {
            function: event.function,
            name: Some(event.name),
        }
    }
}

/// The armed return probes, by function. Without debugfs only those that
/// tracefs has, and without tracefs none has a name.
///
/// # Errors
/// Neither can be read: the error is that of debugfs.
pub fn read(roots: &Roots) -> Result<Vec<Kretprobe>, ReadError> {
    let path = roots.sysfs.join("kernel/debug/kprobes/list");
    let events = probe_events::enabled(roots).map(|mut events| {
        events.retain(|event| event.is_return);
        events
    });
    match (fs::read_to_string(&path), events) {
        (Ok(list), events) => Ok(named(&armed(&list), &events.unwrap_or_default())),
        (Err(_), Some(events)) => Ok(events.into_iter().map(Kretprobe::of_event).collect()),
        (Err(error), None) => Err(ReadError::from_io(&path, error, REMEDY)),
    }
}

/// How many return probes are armed on each function.
fn armed(list: &str) -> BTreeMap<&str, usize> {
    let mut armed = BTreeMap::new();
    let lines = list.lines().filter_map(KprobeLine::parse);
    for line in lines.filter(|line| line.kind == "r" && line.is_armed) {
        *armed.entry(line.function).or_default() += 1;
    }
    armed
}

/// Gives each function's probes their names. One probe without a name stands
/// for all others of its function: which of them has a name is unknown.
fn named(armed: &BTreeMap<&str, usize>, events: &[ProbeEvent]) -> Vec<Kretprobe> {
    let mut probes = Vec::new();
    for (&function, &count) in armed {
        let before = probes.len();
        let known = events.iter().filter(|event| event.function == function);
        probes.extend(known.cloned().map(Kretprobe::of_event));
        if probes.len() - before < count {
            probes.push(Kretprobe {
                function: function.to_owned(),
                name: None,
            });
        }
    }
    probes
}

#[cfg(test)]
mod tests;

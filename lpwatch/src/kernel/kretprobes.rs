//! The return probes that are armed, and the names tracefs gives them.
//!
//! Source: `<sysfs>/kernel/debug/kprobes/list` (`report_probe`,
//! kernel/kprobes.c) has every probe, whoever set it, but no names;
//! `kprobe_events` of tracefs (`kernel/trace/trace_kprobe.c`) has the names of
//! those set there. One set by a BPF program or a kernel module has no name.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{ReadError, Roots, kprobes::Line};

const REMEDY: &str = "debugfs and tracefs are open to root alone; run as root";

/// An armed return probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kretprobe {
    pub function: String,
    /// `group/event` in tracefs, if it was set there.
    pub name: Option<String>,
}

/// The armed return probes, by function. Without debugfs only those that
/// tracefs has, and without tracefs none has a name.
///
/// # Errors
/// Neither can be read: the error is that of debugfs.
pub fn read(roots: &Roots) -> Result<Vec<Kretprobe>, ReadError> {
    let path = roots.sysfs.join("kernel/debug/kprobes/list");
    match (fs::read_to_string(&path), events(roots)) {
        (Ok(list), events) => Ok(named(&armed(&list), &events.unwrap_or_default())),
        (Err(_), Some(events)) => Ok(events.into_iter().map(Event::into_probe).collect()),
        (Err(error), None) => Err(ReadError::from_io(&path, error, REMEDY)),
    }
}

/// How many return probes are armed on each function.
fn armed(list: &str) -> BTreeMap<&str, usize> {
    let mut armed = BTreeMap::new();
    let lines = list.lines().filter_map(Line::parse);
    for line in lines.filter(|line| line.kind == "r" && line.is_armed) {
        *armed.entry(line.function).or_default() += 1;
    }
    armed
}

/// Gives each function's probes their names. Which of several probes has none
/// cannot be told, so one that has none stands for all of these.
fn named(armed: &BTreeMap<&str, usize>, events: &[Event]) -> Vec<Kretprobe> {
    let mut probes = Vec::new();
    for (&function, &count) in armed {
        let before = probes.len();
        let known = events.iter().filter(|event| event.function == function);
        probes.extend(known.cloned().map(Event::into_probe));
        if probes.len() - before < count {
            probes.push(Kretprobe {
                function: function.to_owned(),
                name: None,
            });
        }
    }
    probes
}

/// An enabled return probe of tracefs.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Event {
    function: String,
    name: String,
}

impl Event {
    fn into_probe(self) -> Kretprobe {
        Kretprobe {
            function: self.function,
            name: Some(self.name),
        }
    }
}

/// `None` where no tracefs can be read.
fn events(roots: &Roots) -> Option<Vec<Event>> {
    let places = ["kernel/tracing", "kernel/debug/tracing"];
    places.into_iter().find_map(|place| {
        let tracefs: PathBuf = roots.sysfs.join(place);
        let events = fs::read_to_string(tracefs.join("kprobe_events")).ok()?;
        let events = events.lines().filter_map(event);
        Some(events.filter(|event| is_enabled(&tracefs, event)).collect())
    })
}

/// A line is `r8:group/event module:function+0 arguments`; the 8, which is
/// `maxactive`, and the module may be lacking.
fn event(line: &str) -> Option<Event> {
    let (head, rest) = line.strip_prefix('r')?.split_once(' ')?;
    let (maxactive, name) = head.split_once(':')?;
    if !maxactive.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let place = rest.split_whitespace().next()?;
    let place = place.split_once(':').map_or(place, |(_, place)| place);
    Some(Event {
        function: symbol(place).to_owned(),
        name: name.to_owned(),
    })
}

fn is_enabled(tracefs: &Path, event: &Event) -> bool {
    let enable = tracefs.join("events").join(&event.name).join("enable");
    fs::read_to_string(enable).is_ok_and(|enabled| enabled.starts_with('1'))
}

/// The symbol of `symbol+0xoffset`.
fn symbol(place: &str) -> &str {
    place.split_once('+').map_or(place, |(symbol, _)| symbol)
}

#[cfg(test)]
mod tests;

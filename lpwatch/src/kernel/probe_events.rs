//! The probes that were placed through tracefs, which alone have names.
//!
//! Source: `kprobe_events` of tracefs (`trace_kprobe_show`,
//! `kernel/trace/trace_kprobe.c`) and each event's `enable`.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::Roots;

/// A probe of tracefs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProbeEvent {
    pub is_return: bool,
    pub function: String,
    /// The offset in the function, in bytes.
    pub offset: u64,
    /// `group/event`.
    pub name: String,
}

/// The probes that are enabled there. `None` if tracefs cannot be read.
pub(super) fn enabled(roots: &Roots) -> Option<Vec<ProbeEvent>> {
    let places = ["kernel/tracing", "kernel/debug/tracing"];
    places.into_iter().find_map(|place| {
        let tracefs: PathBuf = roots.sysfs.join(place);
        let events = fs::read_to_string(tracefs.join("kprobe_events")).ok()?;
        let events = events.lines().filter_map(parse);
        Some(events.filter(|event| is_enabled(&tracefs, event)).collect())
    })
}

/// A line is `r8:group/event module:function+4 arguments`, or begins with `p`;
/// the 8, which is `maxactive`, the module and the offset may be missing.
fn parse(line: &str) -> Option<ProbeEvent> {
    let (head, rest) = line.split_once(' ')?;
    let (kind, name) = head.split_once(':')?;
    let is_return = match kind.strip_prefix('r') {
        Some(maxactive) if maxactive.bytes().all(|byte| byte.is_ascii_digit()) => true,
        None if kind == "p" => false,
        _ => return None,
    };
    let place = rest.split_whitespace().next()?;
    let place = place.split_once(':').map_or(place, |(_, place)| place);
    let (function, offset) = place.split_once('+').unwrap_or((place, "0"));
    Some(ProbeEvent {
        is_return,
        function: function.to_owned(),
        offset: offset.parse().ok()?,
        name: name.to_owned(),
    })
}

fn is_enabled(tracefs: &Path, event: &ProbeEvent) -> bool {
    let enable = tracefs.join("events").join(&event.name).join("enable");
    fs::read_to_string(enable).is_ok_and(|enabled| enabled.starts_with('1'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(is_return: bool, name: &str, function: &str, offset: u64) -> ProbeEvent {
        ProbeEvent {
            is_return,
            function: function.to_owned(),
            offset,
            name: name.to_owned(),
        }
    }

    #[test]
    fn lines_are_read_as_the_kernel_writes_them() {
        let nap = "hrtimer_nanosleep";
        let lines = [
            (
                "p:kprobes/inside hrtimer_nanosleep+9",
                event(false, "kprobes/inside", nap, 9),
            ),
            (
                "p:kprobes/entry hrtimer_nanosleep",
                event(false, "kprobes/entry", nap, 0),
            ),
            (
                "r8:kprobes/ret hrtimer_nanosleep",
                event(true, "kprobes/ret", nap, 0),
            ),
            (
                "r:group/module lp_target:lp_ioctl+0 arg1=$retval",
                event(true, "group/module", "lp_ioctl", 0),
            ),
        ];
        for (line, expected) in lines {
            assert_eq!(parse(line), Some(expected), "{line}");
        }
        for line in [
            "rubbish",
            "",
            "e:x/y sched/sched_switch",
            "p:a/b f+z",
            "rx:a/b f",
            "p:a/b",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }
}

//! Every probe on a function, whoever placed it.
//!
//! Source: `<sysfs>/kernel/debug/kprobes/list` (`report_probe`,
//! kernel/kprobes.c) has every probe, but no names; tracefs has the names of
//! those set there (`probe_events`).

use std::{collections::HashMap, fs};

use super::{
    ReadError, Roots,
    probe_events::{self, ProbeEvent},
};

const REMEDY: &str = "only root can read debugfs; run as root";

/// A line of the list: `address  k  function+0x4  [module] [DISABLED][FTRACE]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KprobeLine<'a> {
    address: u64,
    /// `k`, or `r` for a return probe.
    pub kind: &'a str,
    pub function: &'a str,
    offset: u64,
    /// The module the function is in.
    module: Option<&'a str>,
    /// The function tracer calls it at the function's entry, rather than a
    /// breakpoint.
    on_ftrace: bool,
    /// Neither disabled nor gone with its module.
    pub is_armed: bool,
}

impl<'a> KprobeLine<'a> {
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        let kind = fields.next()?;
        let place = fields.next()?;
        let (function, offset) = place.split_once("+0x").unwrap_or((place, "0"));
        let mut module = None;
        let (mut is_armed, mut on_ftrace) = (true, false);
        // The flags follow each other without a space.
        for field in fields {
            if field.starts_with('[') {
                is_armed &= !field.contains("[DISABLED]") && !field.contains("[GONE]");
                on_ftrace |= field.contains("[FTRACE]");
            } else {
                module = Some(field);
            }
        }
        Some(Self {
            address,
            kind,
            function,
            offset: u64::from_str_radix(offset, 16).ok()?,
            module,
            on_ftrace,
            is_armed,
        })
    }
}

/// An armed probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kprobe {
    /// Its address; 0 if the kernel hides its addresses.
    pub address: u64,
    /// It probes the return of the function.
    pub is_return: bool,
    /// The symbol it is in, and its offset in bytes.
    pub function: String,
    pub offset: u64,
    /// The module of that symbol; `None` for vmlinux.
    pub module: Option<String>,
    /// The function tracer calls it at the function's entry.
    pub on_ftrace: bool,
    /// `group/event` in tracefs, if it was placed there.
    pub name: Option<String>,
}

/// The armed probes, in the kernel's order, with the names of tracefs if that
/// can be read.
///
/// # Errors
/// debugfs is not mounted, or this user may not read it.
pub fn armed(roots: &Roots) -> Result<Vec<Kprobe>, ReadError> {
    let events = probe_events::enabled(roots).unwrap_or_default();
    Ok(named(&list(roots)?, events))
}

/// Gives each probe one of the names at its address. If several probes are at
/// one address and some have no name, the last ones get none.
fn named(list: &str, mut events: Vec<ProbeEvent>) -> Vec<Kprobe> {
    let lines = list.lines().filter_map(KprobeLine::parse);
    let probes = lines.filter(|line| line.is_armed).map(|line| {
        let is_return = line.kind == "r";
        let found = events.iter().position(|event| {
            let at_entry = event.offset == 0 && line.on_ftrace;
            event.is_return == is_return
                && event.function == line.function
                && (at_entry || event.offset == line.offset)
        });
        Kprobe {
            address: line.address,
            is_return,
            function: line.function.to_owned(),
            offset: line.offset,
            module: line.module.map(str::to_owned),
            on_ftrace: line.on_ftrace,
            name: found.map(|index| events.remove(index).name),
        }
    });
    probes.collect()
}

fn list(roots: &Roots) -> Result<String, ReadError> {
    let path = roots.sysfs.join("kernel/debug/kprobes/list");
    fs::read_to_string(&path).map_err(|error| ReadError::from_io(&path, error, REMEDY))
}

/// The number of armed probes on each function, by the function's address.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kprobes {
    at: HashMap<u64, usize>,
}

impl Kprobes {
    /// Reads the kernel's list.
    ///
    /// # Errors
    /// debugfs is not mounted, or this user may not read it.
    pub fn read(roots: &Roots) -> Result<Self, ReadError> {
        Ok(Self::parse(&list(roots)?))
    }

    fn parse(list: &str) -> Self {
        let mut at = HashMap::new();
        let lines = list.lines().filter_map(KprobeLine::parse);
        for line in lines.filter(|line| line.kind == "k" && line.is_armed) {
            let beginning = line.address.saturating_sub(line.offset);
            *at.entry(beginning).or_default() += 1;
        }
        Self { at }
    }

    /// The number of armed probes within the function at this address.
    #[must_use]
    pub fn at(&self, beginning: u64) -> usize {
        self.at.get(&beginning).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of 5.10 and of 6.12, whose functions begin with `endbr64`.
    const LIST: &str = "\
ffffffff8a518470  r  hrtimer_nanosleep+0x0    [FTRACE]
ffffffff8a518470  k  hrtimer_nanosleep+0x0    [FTRACE]
ffffffff8a518475  k  hrtimer_nanosleep+0x5    [OPTIMIZED]
ffffffffbc709644  k  cmdline_proc_show+0x4    [FTRACE]
ffffffffbc709644  k  cmdline_proc_show+0x4    [DISABLED][FTRACE]
ffffffffc03e4014  k  lp_cmdline_show+0x4  lp_cmdline [FTRACE]
";

    fn event(is_return: bool, name: &str, function: &str, offset: u64) -> ProbeEvent {
        ProbeEvent {
            is_return,
            function: function.to_owned(),
            offset,
            name: name.to_owned(),
        }
    }

    #[test]
    fn each_armed_probe_is_reported_with_its_name() {
        let events = vec![
            event(false, "kprobes/entry", "cmdline_proc_show", 0),
            event(false, "kprobes/inside", "hrtimer_nanosleep", 5),
            event(true, "kprobes/ret", "hrtimer_nanosleep", 0),
        ];
        let probes = named(LIST, events);
        let told: Vec<_> = probes
            .iter()
            .map(|probe| (probe.is_return, probe.offset, probe.name.as_deref()))
            .collect();
        let expected = [
            (true, 0, Some("kprobes/ret")),
            (false, 0, None),
            (false, 5, Some("kprobes/inside")),
            (false, 4, Some("kprobes/entry")),
            (false, 4, None),
        ];
        assert_eq!(told, expected);
        assert!(probes[1].on_ftrace && !probes[2].on_ftrace);
        assert_eq!(probes[3].module, None);
        assert_eq!(probes[4].module.as_deref(), Some("lp_cmdline"));
        assert_eq!(probes[4].address, 0xffff_ffff_c03e_4014);
    }

    #[test]
    fn probes_are_counted_where_the_function_begins() {
        let list = "\
ffffffff8f8e4ab4  k  gcd+0x4    [FTRACE]
ffffffff8f8e4ab4  k  gcd+0x4    [DISABLED][FTRACE]
ffffffff8f8e4ab0  k  gcd+0x0    
ffffffff8f8e4ab0  r  gcd+0x0    [FTRACE]
ffffffffc0a01010  k  lp_cmdline_show+0x0  lp_cmdline [FTRACE]
not a line
";
        let probes = Kprobes::parse(list);
        assert_eq!(probes.at(0xffff_ffff_8f8e_4ab0), 2);
        assert_eq!(probes.at(0xffff_ffff_c0a0_1010), 1);
        assert_eq!(probes.at(0xffff_ffff_c0a0_0000), 0);
    }
}

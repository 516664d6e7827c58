//! Every probe at a function, whoever placed it.
//!
//! Source: `<sysfs>/kernel/debug/kprobes/list` (`report_probe`,
//! kernel/kprobes.c).

use std::{collections::HashMap, fs};

use super::{ReadError, Roots};

const REMEDY: &str = "debugfs is open to root alone; run as root";

/// A line of the list: `address  k  function+0x4  [module] [DISABLED][FTRACE]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Line<'a> {
    address: u64,
    /// `k`, or `r` for a return probe.
    pub kind: &'a str,
    pub function: &'a str,
    offset: u64,
    /// Neither switched off nor gone with its module.
    pub is_armed: bool,
}

impl<'a> Line<'a> {
    pub fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let address = u64::from_str_radix(fields.next()?, 16).ok()?;
        let kind = fields.next()?;
        let place = fields.next()?;
        let (function, offset) = place.split_once("+0x").unwrap_or((place, "0"));
        let is_off = |field: &str| field.contains("[DISABLED]") || field.contains("[GONE]");
        Some(Self {
            address,
            kind,
            function,
            offset: u64::from_str_radix(offset, 16).ok()?,
            is_armed: !fields.any(is_off),
        })
    }
}

/// How many armed probes stand at each function, by the address at which it
/// begins.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kprobes {
    at: HashMap<u64, usize>,
}

impl Kprobes {
    /// Reads the kernel's list.
    ///
    /// # Errors
    /// debugfs is not mounted, or not open to us.
    pub fn read(roots: &Roots) -> Result<Self, ReadError> {
        let path = roots.sysfs.join("kernel/debug/kprobes/list");
        let list = fs::read_to_string(&path);
        let list = list.map_err(|error| ReadError::from_io(&path, error, REMEDY))?;
        Ok(Self::parse(&list))
    }

    fn parse(list: &str) -> Self {
        let mut at = HashMap::new();
        let lines = list.lines().filter_map(Line::parse);
        for line in lines.filter(|line| line.kind == "k" && line.is_armed) {
            let beginning = line.address.saturating_sub(line.offset);
            *at.entry(beginning).or_default() += 1;
        }
        Self { at }
    }

    /// The armed probes within the function that begins there.
    #[must_use]
    pub fn at(&self, beginning: u64) -> usize {
        self.at.get(&beginning).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! Functions to place hooks at.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail, ensure};

use super::work::Work;
use crate::foreign::{Attachable, ProbeCounter};

const TRACEABLE: &str = "/sys/kernel/tracing/available_filter_functions";

/// What getppid(2) enters: one function, that goes by several names.
const GETPPID: [&str; 3] = ["__do_sys_getppid", "__x64_sys_getppid", "sys_getppid"];

/// Calls made to see whether a function is entered once by each.
const TRIED: u64 = 1000;

/// Beginnings of names of functions that a guest does not call again once it
/// is up: the interpreter of ACPI, security modules that are not in use,
/// networks and devices that it does not have.
const RARELY_CALLED: [&str; 24] = [
    "acpi_ds_", "acpi_ex_", "acpi_hw_", "acpi_ns_", "acpi_ps_", "acpi_rs_", "acpi_tb_", "selinux_",
    "tomoyo_", "xfrm_", "xen_", "uncore_", "pci_", "pcie_", "pnp_", "thermal_", "rtc_", "cpufreq_",
    "fib6_", "ip6_", "ipv6_", "ima_", "acpi_", "intel_",
];

/// The function that getppid(2) enters, once with each call.
pub fn of_getppid() -> Result<&'static str> {
    let traceable = traceable()?;
    let mut attachable = Attachable::new()?;
    let mut seen = Vec::new();
    for function in GETPPID {
        if !traceable.contains(function) || !attachable.is(function)? {
            continue;
        }
        let counted = count(function, &Work::Getppid)?;
        if counted == TRIED {
            return Ok(function);
        }
        seen.push(format!("{function} {counted} times"));
    }
    bail!(
        "{TRIED} calls of getppid(2) entered {}",
        if seen.is_empty() {
            "no function that can be traced".to_owned()
        } else {
            seen.join(", ")
        }
    );
}

/// Checks that a function is entered once by each call.
pub fn is_entered_by(function: &str, work: &Work) -> Result<()> {
    let counted = count(function, work)?;
    ensure!(
        counted == TRIED,
        "{TRIED} calls entered {function} {counted} times"
    );
    Ok(())
}

fn count(function: &str, work: &Work) -> Result<u64> {
    let counter = ProbeCounter::place(function)?;
    work.call(TRIED)?;
    counter.called()
}

/// So many functions that every kind of hook can be placed at, and that nobody
/// calls meanwhile.
pub fn rarely_called(number: usize) -> Result<Vec<String>> {
    let mut attachable = Attachable::new()?;
    rare(number, |function| attachable.is(function))
}

/// The same, of which it is only known that kprobes can be placed at them.
pub fn rarely_called_probed(number: usize) -> Result<Vec<String>> {
    rare(number, |_| Ok(true))
}

fn rare(number: usize, mut is_good: impl FnMut(&str) -> Result<bool>) -> Result<Vec<String>> {
    let symbols = fs::read_to_string("/proc/kallsyms")?;
    let once = names_of_one(&symbols);
    let traceable = traceable()?;
    let mut found = Vec::new();
    for beginning in RARELY_CALLED {
        for function in traceable.iter().filter(|name| name.starts_with(beginning)) {
            if found.len() == number {
                return Ok(found);
            }
            let is_new = !found.contains(function);
            if is_new && once.contains(function.as_str()) && is_good(function)? {
                found.push(function.clone());
            }
        }
    }
    ensure!(
        found.len() == number,
        "only {} functions are called rarely enough",
        found.len()
    );
    Ok(found)
}

fn traceable() -> Result<BTreeSet<String>> {
    let text = fs::read_to_string(TRACEABLE).with_context(|| format!("reading {TRACEABLE}"))?;
    // A module's functions have the module behind them.
    let kernels = text.lines().filter(|line| !line.contains(' '));
    Ok(kernels.map(str::to_owned).collect())
}

/// Names that only one symbol has: by others a hook cannot be placed.
fn names_of_one(symbols: &str) -> BTreeSet<&str> {
    let names = || symbols.lines().filter_map(|line| line.split(' ').nth(2));
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&str> = names().filter(|name| !seen.insert(*name)).collect();
    names().filter(|name| !twice.contains(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_two_functions_is_left_out() {
        let symbols = "ff00 t twice\nff10 T once\nff20 t twice\nff30 t theirs\t[module]\n";
        assert_eq!(names_of_one(symbols).into_iter().next(), Some("once"));
        assert!(!names_of_one(symbols).contains("twice"));
    }
}

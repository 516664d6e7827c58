//! Whether lpwatch's counters are in place, as the kernel shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::hooks::Target;
use crate::guest;
use crate::lpwatch::Running;

const LIST: &str = "/sys/kernel/debug/kprobes/list";

/// Every function that ftrace calls something for.
const HOOKED: &str = "/sys/kernel/tracing/enabled_functions";

/// lpwatch's programs that are no kprobes: for functions that are patched already, and
/// for many functions at once.
const NO_KPROBES: [&str; 2] = ["count_fentry", "count_multi"];

/// An emulated kernel takes its time to hook hundreds of functions.
const PATIENCE: Duration = Duration::from_mins(10);

/// Between two looks at the kernel's list.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// Where functions begin: the kernel's list may know them by other names.
struct Beginnings(BTreeSet<u64>);

/// Waits until calls of that function are counted.
pub fn wait_counted(target: &Target<'_>) -> Result<()> {
    let function = Beginnings::of(&[target.function])?;
    let replacement: Vec<&str> = target.replaced.iter().map(|replaced| replaced.by).collect();
    let replacement = Beginnings::of(&replacement)?;
    guest::wait_until("lpwatch counts the function", || {
        let probed = probed()?;
        let counted = function.missing_in(&probed) == 0 || has_no_kprobe();
        Ok(counted && replacement.missing_in(&probed) == 0)
    })
    .with_context(|| target.function.to_owned())
}

fn has_no_kprobe() -> bool {
    aya::programs::loaded_programs().flatten().any(|program| {
        let name = program.name_as_str();
        name.is_some_and(|name| NO_KPROBES.contains(&name))
    })
}

/// Waits until each of these functions is hooked; `daemon` is to place the hooks.
pub fn wait_probed(functions: &[&str], daemon: &mut Running) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let list = fs::read_to_string(HOOKED).with_context(|| format!("reading {HOOKED}"))?;
        let hooked: BTreeSet<&str> = list.lines().filter_map(first_word).collect();
        let missing = functions
            .iter()
            .filter(|name| !hooked.contains(*name))
            .count();
        if missing == 0 {
            return Ok(());
        }
        if let Some(status) = daemon.child.try_wait()? {
            bail!("the daemon ended ({status}): {}", daemon.stderr()?);
        }
        if Instant::now() > deadline {
            bail!("{missing} functions have no hook: {}", daemon.stderr()?);
        }
        thread::sleep(LOOK_AGAIN);
    }
}

impl Beginnings {
    fn of(functions: &[&str]) -> Result<Self> {
        let wanted: BTreeSet<&str> = functions.iter().copied().collect();
        let symbols = fs::read_to_string("/proc/kallsyms")?;
        let found: BTreeMap<&str, u64> = symbols
            .lines()
            .filter_map(symbol)
            .filter(|(name, _)| wanted.contains(name))
            .collect();
        let missing = wanted.iter().find(|name| !found.contains_key(**name));
        if let Some(missing) = missing {
            bail!("the kernel has no {missing}");
        }
        Ok(Self(found.into_values().collect()))
    }

    fn missing_in(&self, probed: &BTreeSet<u64>) -> usize {
        self.0.difference(probed).count()
    }
}

/// `__do_sys_getppid (1) R I     tramp: ftrace_regs_caller+0x0/0x70 …`
fn first_word(line: &str) -> Option<&str> {
    line.split_whitespace().next()
}

/// `ffffffff8f8e4ab0 t __do_sys_getppid`, and behind it a module's name.
fn symbol(line: &str) -> Option<(&str, u64)> {
    let mut words = line.split_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    Some((words.nth(1)?, address))
}

/// Where the functions begin at which kprobes stand.
fn probed() -> Result<BTreeSet<u64>> {
    let list = fs::read_to_string(LIST).with_context(|| format!("reading {LIST}"))?;
    Ok(list.lines().filter_map(beginning).collect())
}

/// `ffffffff8f8e4ab4  k  __do_sys_getppid+0x4    [FTRACE]`
fn beginning(line: &str) -> Option<u64> {
    let mut words = line.split_whitespace();
    let address = u64::from_str_radix(words.next()?, 16).ok()?;
    let (_, offset) = words.nth(1)?.split_once("+0x")?;
    address.checked_sub(u64::from_str_radix(offset, 16).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_list_is_read() {
        let line = "ffffffff8f8e4ab4  k  __do_sys_getppid+0x4    [FTRACE]";
        assert_eq!(beginning(line), Some(0xffff_ffff_8f8e_4ab0));
        let line = "ffffffffc0a01010  k  lp_cmdline_show+0x0  lp_cmdline [FTRACE]";
        assert_eq!(beginning(line), Some(0xffff_ffff_c0a0_1010));
        assert_eq!(beginning("kprobes globally optimized"), None);
    }

    #[test]
    fn symbols_have_their_beginnings() {
        let line = "ffffffffc0a01010 t lp_cmdline_show\t[lp_cmdline]";
        assert_eq!(
            symbol(line),
            Some(("lp_cmdline_show", 0xffff_ffff_c0a0_1010))
        );
    }
}

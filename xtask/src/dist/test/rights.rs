//! The capabilities the daemon is given: those of the unit, and what Debian's
//! kernels take besides.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::paths;

const FILES: [&str; 2] = [
    "deploy/systemd/lpwatch.service",
    "deploy/debian/10-debian-kernels.conf",
];

/// Their names, as in capabilities(7).
pub fn all() -> Result<Vec<String>> {
    let mut all = Vec::new();
    for file in FILES {
        let text = fs::read_to_string(paths::workspace().join(file))?;
        let names = text
            .lines()
            .find_map(|line| line.strip_prefix("AmbientCapabilities="))
            .with_context(|| format!("{file} names no capabilities"))?;
        let bounding = format!("CapabilityBoundingSet={names}");
        if !text.lines().any(|line| line == bounding) {
            bail!("{file}: the bounding set is another than the ambient set");
        }
        all.extend(names.split_whitespace().map(str::to_owned));
    }
    Ok(all)
}

/// As in /proc/PID/status.
pub fn mask(names: &[String]) -> Result<String> {
    let mask = names.iter().try_fold(0_u64, |mask, name| {
        Ok::<_, anyhow::Error>(mask | 1 << number(name)?)
    })?;
    Ok(format!("{mask:016x}"))
}

/// A capability's number (include/uapi/linux/capability.h).
fn number(name: &str) -> Result<u32> {
    Ok(match name {
        "CAP_DAC_READ_SEARCH" => 2,
        "CAP_SYS_PTRACE" => 19,
        "CAP_SYS_ADMIN" => 21,
        "CAP_SYS_RESOURCE" => 24,
        "CAP_SYSLOG" => 34,
        "CAP_PERFMON" => 38,
        "CAP_BPF" => 39,
        other => bail!("a capability that is not known here: {other}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rights_are_known() {
        let names = all().unwrap();
        assert!(names.len() >= 3, "{names:?}");
        assert_eq!(mask(&names).unwrap().len(), 16);
        assert_eq!(mask(&["CAP_BPF".to_owned()]).unwrap(), "0000008000000000");
    }
}

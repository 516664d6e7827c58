//! Whether a process is ending: it was killed, or it is letting go of what it held.
//!
//! Source: `fs/proc/array.c` (`do_task_stat`, `task_sig`), 5.10 to 7.3.

use std::{fs, path::Path};

use super::tasks::stat;

/// Whether the process is gone, ending, or killed and about to end. `None` if that
/// cannot be read.
#[must_use]
pub fn is_ending(procfs: &Path, pid: u32) -> Option<bool> {
    let folder = procfs.join(pid.to_string());
    let read = |file: &str| match fs::read(folder.join(file)) {
        Ok(bytes) => Ok(bytes),
        Err(error) => match error
            .raw_os_error()
            .map(rustix::io::Errno::from_raw_os_error)
        {
            // It ended, before or while it was read.
            Some(rustix::io::Errno::NOENT | rustix::io::Errno::SRCH) => Err(Some(true)),
            _ => Err(None),
        },
    };
    let text = match (read("stat"), read("status")) {
        (Ok(stat), _) if stat::is_exiting(&stat)? => return Some(true),
        (Err(answer), _) | (_, Err(answer)) => return answer,
        (Ok(_), Ok(status)) => status,
    };
    Some(is_killed(&String::from_utf8_lossy(&text)))
}

/// Whether SIGKILL is pending, by the text of `status`.
fn is_killed(status: &str) -> bool {
    const SIGKILL: u64 = 1 << (9 - 1);
    let masks = status.lines().filter_map(|line| {
        line.strip_prefix("SigPnd:")
            .or(line.strip_prefix("ShdPnd:"))
    });
    masks
        .filter_map(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .any(|mask| mask & SIGKILL != 0)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn ending(stat: &str, pending: &str) -> Option<bool> {
        let procfs = tempfile::tempdir().unwrap();
        let folder = procfs.path().join("7");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("stat"), stat).unwrap();
        let status = format!("Name:\tlpwatch\nSigPnd:\t{pending}\nShdPnd:\t0000000000000000\n");
        fs::write(folder.join("status"), status).unwrap();
        is_ending(procfs.path(), 7)
    }

    #[test]
    fn a_process_that_lives_is_told_from_one_that_ends() {
        let none = "0000000000000000";
        assert_eq!(ending("7 (a) S 1 7 7 0 -1 4194560 1", none), Some(false));
        assert_eq!(ending("7 (a) D 1 7 7 0 -1 4194564 1", none), Some(true));
        assert_eq!(ending("7 (a) Z 1 7 7 0 -1 4194560 1", none), Some(true));
        let killed = "0000000000000100";
        assert_eq!(ending("7 (a) S 1 7 7 0 -1 4194560 1", killed), Some(true));
        let asked = "0000000000004000";
        assert_eq!(ending("7 (a) S 1 7 7 0 -1 4194560 1", asked), Some(false));
        assert_eq!(ending("nonsense", none), None);
    }

    #[test]
    fn a_process_that_has_gone_has_ended() {
        let procfs = Path::new("/proc");
        assert_eq!(is_ending(procfs, std::process::id()), Some(false));
        let mut child = Command::new("true").spawn().unwrap();
        child.wait().unwrap();
        assert_eq!(is_ending(procfs, child.id()), Some(true));
    }
}

//! The names of the host and its kernel, and how its clocks relate.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, Timespec, clock_gettime};

use super::{Roots, config::KernelConfig};

/// Names of the running host and kernel, as of `uname(2)`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// `uname -n`.
    pub node: String,
    /// `uname -r`.
    pub release: String,
}

impl Host {
    /// The host that `roots` show: the running one, or that of a recorded tree
    /// (`<procfs>/sys/kernel/{hostname,osrelease}`; empty names where these are
    /// missing).
    #[must_use]
    pub fn of(roots: &Roots) -> Self {
        if !roots.is_live() {
            let name = |file: &str| {
                let path = roots.procfs.join("sys/kernel").join(file);
                std::fs::read_to_string(path)
                    .map_or_else(|_| String::new(), |name| name.trim().to_owned())
            };
            return Self {
                node: name("hostname"),
                release: name("osrelease"),
            };
        }
        let uname = rustix::system::uname();
        Self {
            node: uname.nodename().to_string_lossy().into_owned(),
            release: uname.release().to_string_lossy().into_owned(),
        }
    }
}

/// The kernel's id of this boot; `None` if it cannot be read.
#[must_use]
pub fn boot_id(roots: &Roots) -> Option<String> {
    let path = roots.procfs.join("sys/kernel/random/boot_id");
    let id = std::fs::read_to_string(path).ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// Whether the kernel was built with `CONFIG_LIVEPATCH`; `None` where no
/// configuration can be read.
#[must_use]
pub fn livepatch_config(roots: &Roots, release: &str) -> Option<bool> {
    KernelConfig::read(roots, release).map(|config| config.has("LIVEPATCH"))
}

/// The clocks at one moment, to convert the time of one into another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Clocks {
    /// Since boot, with the time asleep (`CLOCK_BOOTTIME`).
    pub boot: Duration,
    /// Since boot, without the time asleep (`CLOCK_MONOTONIC`).
    pub monotonic: Duration,
    /// The time of day (`CLOCK_REALTIME`).
    pub wall: Timestamp,
}

impl Clocks {
    /// Reads the three clocks, within about a microsecond.
    #[must_use]
    pub fn now() -> Self {
        let wall = clock_gettime(ClockId::Realtime);
        Self {
            boot: since_boot(clock_gettime(ClockId::Boottime)),
            monotonic: since_boot(clock_gettime(ClockId::Monotonic)),
            wall: i32::try_from(wall.tv_nsec)
                .ok()
                .and_then(|nanoseconds| Timestamp::new(wall.tv_sec, nanoseconds).ok())
                .unwrap_or(Timestamp::UNIX_EPOCH),
        }
    }

    /// The time of a kernel log line (microseconds) on the boot clock.
    /// The log uses `local_clock()`, which stands still while the machine is
    /// asleep and otherwise differs from `CLOCK_MONOTONIC` by milliseconds. A
    /// line from before the last sleep therefore comes out late by that sleep.
    /// before the last sleep comes out late by that sleep.
    #[must_use]
    pub fn log_to_boot(&self, micros: u64) -> Duration {
        Duration::from_micros(micros).saturating_add(self.boot.saturating_sub(self.monotonic))
    }

    /// The time of day of a moment on the boot clock.
    #[must_use]
    pub fn boot_to_wall(&self, boot: Duration) -> Timestamp {
        let signed = |time| SignedDuration::try_from(time).unwrap_or(SignedDuration::MAX);
        let ahead = signed(boot).saturating_sub(signed(self.boot));
        self.wall.checked_add(ahead).unwrap_or(self.wall)
    }
}

fn since_boot(time: Timespec) -> Duration {
    // Neither field of these two clocks is ever negative.
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn config(text: &str) -> Option<bool> {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("config"), text).unwrap();
        let roots = Roots {
            procfs: folder.path().to_owned(),
            sysfs: folder.path().to_owned(),
        };
        livepatch_config(&roots, "6.1.0")
    }

    #[test]
    fn the_configuration_says_yes_no_or_nothing() {
        assert_eq!(config("CONFIG_X86=y\nCONFIG_LIVEPATCH=y\n"), Some(true));
        assert_eq!(config("# CONFIG_LIVEPATCH is not set\n"), Some(false));
        assert_eq!(
            config("CONFIG_ARM=y\nCONFIG_HAVE_LIVEPATCH=y\n"),
            Some(false)
        );
        assert_eq!(config("hello\n"), None);
        assert_eq!(config(""), None);
    }

    #[test]
    fn another_hosts_tree_is_not_answered_from_this_hosts_boot() {
        let roots = Roots {
            procfs: PathBuf::from("/nonexistent"),
            sysfs: PathBuf::from("/sys"),
        };
        assert_eq!(
            livepatch_config(&roots, &Host::of(&Roots::default()).release),
            None
        );
    }

    #[test]
    fn the_host_has_names() {
        let host = Host::of(&Roots::default());
        assert!(!host.release.is_empty());
    }

    #[test]
    fn times_turn_from_one_clock_into_another() {
        let clocks = Clocks {
            boot: Duration::from_mins(20),
            monotonic: Duration::from_mins(15),
            wall: Timestamp::from_second(1_700_000_000).unwrap(),
        };
        assert_eq!(
            clocks.log_to_boot(1_500_000),
            Duration::from_millis(301_500)
        );
        let wall = |seconds| {
            clocks
                .boot_to_wall(Duration::from_secs(seconds))
                .as_second()
        };
        assert_eq!(wall(1_190), 1_699_999_990);
        assert_eq!(wall(1_201), 1_700_000_001);
        assert_eq!(clocks.boot_to_wall(Duration::MAX), clocks.wall);
        assert!(clocks.log_to_boot(u64::MAX) > clocks.boot);
    }

    #[test]
    fn the_boot_clock_is_never_behind_the_monotonic_one() {
        let clocks = Clocks::now();
        // The clocks are read one after the other: allow for the time between.
        assert!(clocks.boot + Duration::from_millis(100) >= clocks.monotonic);
        assert!(clocks.wall > Timestamp::UNIX_EPOCH);
    }
}

//! Flags shared by the subcommands.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{ArgAction, ValueEnum};
use jiff::SignedDuration;

use crate::{
    daemon::DEFAULT_SOCKET,
    kernel::Roots,
    model::Thresholds,
    observe::{
        observer::{Hooking, ObserverOptions},
        watch_list::WatchList,
    },
    probe::LoadOptions,
    render::style::ColorChoice,
};

/// The form of the output.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OutputForm {
    /// For people.
    #[default]
    Table,
    /// One indented JSON document.
    Json,
    /// One JSON document per line.
    Jsonl,
}

/// Flags of every subcommand.
#[derive(Clone, Debug, clap::Args)]
pub struct Globals {
    /// The form of the output.
    #[arg(
        short,
        long,
        value_enum,
        default_value_t,
        global = true,
        value_name = "FORM"
    )]
    pub output: OutputForm,

    /// Use no BPF: read only sysfs and /proc.
    #[arg(long, global = true)]
    pub no_bpf: bool,

    /// Do not ask the daemon: read the host directly.
    #[arg(long, global = true, conflicts_with = "socket")]
    pub no_daemon: bool,

    /// The daemon's Unix socket [default: /run/lpwatch/lpwatch.sock]. A command that
    /// finds no daemon at a PATH given here fails.
    #[arg(long, global = true, value_name = "PATH")]
    pub socket: Option<PathBuf>,

    /// Read this tree instead of /sys. With this flag or --procfs-root, lpwatch reads
    /// only the tree: it uses no BPF, no kernel log and no daemon.
    #[arg(long, global = true, value_name = "DIR", default_value = "/sys")]
    pub sysfs_root: PathBuf,

    /// Read this tree instead of /proc.
    #[arg(long, global = true, value_name = "DIR", default_value = "/proc")]
    pub procfs_root: PathBuf,

    /// When to use colour. `auto`: on a terminal, unless `NO_COLOR` is set.
    #[arg(long, global = true, value_enum, default_value_t, value_name = "WHEN")]
    pub color: ColorChoice,

    /// Print more messages to stderr; give it twice for all of them.
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub verbose: u8,

    #[command(flatten)]
    pub thresholds: ThresholdArgs,
}

impl Globals {
    pub fn roots(&self) -> Roots {
        Roots {
            sysfs: self.sysfs_root.clone(),
            procfs: self.procfs_root.clone(),
        }
    }

    /// Where the daemon listens.
    pub fn socket(&self) -> &Path {
        self.socket.as_deref().unwrap_or(Path::new(DEFAULT_SOCKET))
    }

    /// Whether a daemon may be asked.
    pub fn may_ask_daemon(&self) -> bool {
        // A daemon may use BPF, so `--no-bpf` excludes it.
        !self.no_daemon && !self.no_bpf && self.roots().is_live()
    }

    /// The flag because of which no daemon is asked, besides `--no-daemon`.
    pub fn instead_of_daemon(&self) -> Option<&'static str> {
        let Roots { sysfs, procfs } = Roots::default();
        if self.sysfs_root != sysfs {
            Some("--sysfs-root <DIR>")
        } else if self.procfs_root != procfs {
            Some("--procfs-root <DIR>")
        } else if self.no_bpf {
            Some("--no-bpf")
        } else {
            None
        }
    }

    pub fn observer_options(&self) -> ObserverOptions {
        ObserverOptions {
            roots: self.roots(),
            no_bpf: self.no_bpf,
            load: LoadOptions::default(),
            daemon: false,
            hooks: Hooking::Nothing,
            watch: WatchList::default(),
        }
    }
}

/// When a transition counts as slow, stalled or long.
#[derive(Clone, Copy, Debug, clap::Args)]
#[command(next_help_heading = "Phases")]
pub struct ThresholdArgs {
    /// A transition this old is slow (default 15s).
    #[arg(long = "slow-after", global = true, value_name = "TIME", value_parser = some_time)]
    slow: Option<Duration>,

    /// A transition in which no task has switched for this long is stalled
    /// (default 60s).
    #[arg(long = "stall-after", global = true, value_name = "TIME", value_parser = some_time)]
    stalled: Option<Duration>,

    /// A transition this old is long (default 1h).
    #[arg(long = "long-after", global = true, value_name = "TIME", value_parser = some_time)]
    long: Option<Duration>,
}

impl ThresholdArgs {
    pub fn thresholds(self) -> Thresholds {
        let default = Thresholds::default();
        self.instead_of(default).unwrap_or(default)
    }

    /// The thresholds that were given, and those of `others` for the rest; `None` if
    /// none was given.
    pub fn instead_of(self, others: Thresholds) -> Option<Thresholds> {
        let given = [self.slow, self.stalled, self.long];
        given.iter().any(Option::is_some).then(|| Thresholds {
            slow: self.slow.unwrap_or(others.slow),
            stalled: self.stalled.unwrap_or(others.stalled),
            long: self.long.unwrap_or(others.long),
        })
    }

    /// `--stall-after`, if it was given.
    pub fn stall_after(self) -> Option<Duration> {
        self.stalled
    }
}

/// A time such as `15s`, `1m 30s`, `2h`; a bare number is seconds.
fn duration(text: &str) -> Result<Duration, String> {
    let seconds = text.parse::<f64>().ok();
    let parsed = match seconds {
        Some(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        None => text
            .parse::<SignedDuration>()
            .ok()
            .and_then(|time| time.try_into().ok()),
    };
    parsed.ok_or_else(|| "not a time; write for example 15s, 1m30s or 2h".to_owned())
}

/// A time to wait or to count: like [`duration`], and not 0.
pub fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() {
        return Err("it must be longer than 0; write for example 15s, 1m30s or 2h".to_owned());
    }
    Ok(time)
}

/// A time between two outputs: at least a tenth of a second.
pub fn interval(text: &str) -> Result<Duration, String> {
    let time = some_time(text)?;
    if time < SHORTEST_INTERVAL {
        return Err("it must be 100ms or longer; write for example 1s or 1m".to_owned());
    }
    Ok(time)
}

const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_leaves_the_others_as_they_are() {
        let seconds = Duration::from_secs;
        let daemons = Thresholds {
            slow: seconds(3),
            stalled: seconds(5),
            long: seconds(7),
        };
        let none = ThresholdArgs {
            slow: None,
            stalled: None,
            long: None,
        };
        assert_eq!(none.instead_of(daemons), None);
        let slow = ThresholdArgs {
            slow: Some(seconds(9)),
            ..none
        };
        let expected = Thresholds {
            slow: seconds(9),
            ..daemons
        };
        assert_eq!(slow.instead_of(daemons), Some(expected));
    }

    #[test]
    fn times_are_parsed() {
        assert_eq!(duration("15s"), Ok(Duration::from_secs(15)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_hours(2)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        for none in ["0", "0s", "0ms"] {
            let refused = some_time(none).unwrap_err();
            assert!(refused.contains("longer than 0"), "{refused}");
            assert!(interval(none).is_err());
        }
        assert!(interval("99ms").unwrap_err().contains("100ms"));
        assert_eq!(interval("100ms"), Ok(Duration::from_millis(100)));
        for bad in ["", "-3s", "-1", "soon", "NaN", "1e300"] {
            assert!(duration(bad).is_err(), "{bad}");
        }
    }
}

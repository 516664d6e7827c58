//! The kernels lpwatch is tested in: Debian's cloud kernels, by series.
//!
//! A series names a suite and a meta package, never a version: the archive
//! moves, and the newest of each series is what should be tested.

mod cache;
pub mod drivers;
mod fetch;

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

pub use cache::{Cached, sha256};

/// A line of kernels with its own behaviour under live patching.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Series {
    V5_10,
    V6_1,
    V6_12,
    V7,
}

/// Where a series can be had.
#[derive(Debug, Clone, Copy)]
pub struct Source {
    /// The suite with the kernel.
    pub suite: &'static str,
    /// The suite its modules are built in.
    pub base: &'static str,
    /// The package that always depends on the newest kernel.
    pub meta: &'static str,
}

/// The meta package of the suites that have one line of kernels only.
const CLOUD: &str = "linux-image-cloud-amd64";

const V5_10: &[Source] = &[
    Source::of("bullseye-security", "bullseye", CLOUD),
    Source::of("bullseye", "bullseye", CLOUD),
];
const V6_1: &[Source] = &[
    Source::of("bookworm-security", "bookworm", CLOUD),
    Source::of("bookworm", "bookworm", CLOUD),
];
const V6_12: &[Source] = &[
    Source::of(
        "bookworm-security",
        "bookworm",
        "linux-image-6.12-cloud-amd64",
    ),
    Source::of("trixie-security", "trixie", CLOUD),
    Source::of("trixie", "trixie", CLOUD),
];
const V7: &[Source] = &[
    Source::of("sid", "sid", CLOUD),
    Source::of("trixie-backports", "trixie", CLOUD),
];

impl Source {
    const fn of(suite: &'static str, base: &'static str, meta: &'static str) -> Self {
        Self { suite, base, meta }
    }
}

impl Series {
    /// Every series, oldest first.
    pub const ALL: [Self; 4] = [Self::V5_10, Self::V6_1, Self::V6_12, Self::V7];

    /// As on the command line and in folder names.
    pub fn name(self) -> &'static str {
        match self {
            Self::V5_10 => "5.10",
            Self::V6_1 => "6.1",
            Self::V6_12 => "6.12",
            Self::V7 => "7",
        }
    }

    /// Without these a test run proves too little to pass.
    pub fn is_required(self) -> bool {
        matches!(self, Self::V6_1 | Self::V6_12)
    }

    /// Where to look, best first.
    pub fn sources(self) -> &'static [Source] {
        match self {
            Self::V5_10 => V5_10,
            Self::V6_1 => V6_1,
            Self::V6_12 => V6_12,
            Self::V7 => V7,
        }
    }

    /// Whether a release (`6.12.1+deb12-cloud-amd64`) is of this series: a
    /// meta package may have moved on to the next.
    pub fn has(self, release: &str) -> bool {
        release
            .strip_prefix(self.name())
            .is_some_and(|rest| rest.starts_with(['.', '-', '+']))
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Series {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|series| series.name() == name)
            .ok_or_else(|| {
                format!("unknown kernel series `{name}`; there are 5.10, 6.1, 6.12 and 7")
            })
    }
}

/// What `--kernel` of `vm` takes: a series, or a kernel image of one's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    Series(Series),
    Image(PathBuf),
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('/') {
            return Ok(Self::Image(PathBuf::from(text)));
        }
        text.parse()
            .map(Self::Series)
            .map_err(|error| format!("{error}, or a path to a vmlinuz"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_belongs_to_one_series() {
        assert!(Series::V6_1.has("6.1.0-56-cloud-amd64"));
        assert!(!Series::V6_1.has("6.12.117+deb12-cloud-amd64"));
        assert!(Series::V6_12.has("6.12.117+deb12-cloud-amd64"));
        assert!(Series::V7.has("7.2.13+deb14-cloud-amd64"));
    }

    #[test]
    fn a_choice_is_a_series_or_a_path() {
        assert_eq!("6.1".parse(), Ok(Choice::Series(Series::V6_1)));
        assert_eq!("./vmlinuz".parse(), Ok(Choice::Image("./vmlinuz".into())));
        assert!("6.2".parse::<Choice>().is_err());
    }
}

//! bpftrace, as Debian has it for the same release as the kernel.

use std::env;
use std::process::Command;

use anyhow::{Context, Result};

use super::tool::{READY, Tool};

const PROGRAM: &str = "/bin/bpftrace";

/// How bpftrace places its probes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Kprobe,
    Fentry,
}

/// The bpftrace of this guest.
pub struct Bpftrace {
    pub version: String,
    /// What it calls fentry.
    fentry: &'static str,
}

impl Bpftrace {
    /// The one there is, if there is one.
    pub fn find() -> Result<Self> {
        let output = Command::new(PROGRAM)
            .arg("--version")
            .output()
            .with_context(|| format!("no {PROGRAM} in this guest"))?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.trim().trim_start_matches("bpftrace ").to_owned();
        let fentry = fentry_in(&version);
        Ok(Self { version, fentry })
    }

    /// Lets it count the calls of these functions, in one sum.
    pub fn count(&self, kind: Kind, functions: &[&str]) -> Result<Tool> {
        let kind = match kind {
            Kind::Kprobe => "kprobe",
            Kind::Fentry => self.fentry,
        };
        let points: Vec<String> = functions
            .iter()
            .map(|function| format!("{kind}:{function}"))
            .collect();
        let script = format!("{} {{ @ = count(); }}", points.join(",\n"));
        // It runs this command once all is attached, which no word of its own
        // says in every version.
        let when_ready = format!("{} bench {READY}", env::current_exe()?.display());
        Tool::start(PROGRAM, &["-e", &script, "-c", &when_ready])
    }
}

/// Its own name for fentry up to 0.20 was kfunc.
fn fentry_in(version: &str) -> &'static str {
    let mut numbers = version.trim_start_matches('v').split('.');
    let mut next = || numbers.next().and_then(|number| number.parse::<u32>().ok());
    let (major, minor) = (next().unwrap_or(0), next().unwrap_or(0));
    if (major, minor) > (0, 20) {
        "fentry"
    } else {
        "kfunc"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fentry_had_another_name() {
        assert_eq!(fentry_in("v0.11.3"), "kfunc");
        assert_eq!(fentry_in("v0.17.0"), "kfunc");
        assert_eq!(fentry_in("v0.27.1"), "fentry");
        assert_eq!(fentry_in("1.0.0"), "fentry");
    }
}

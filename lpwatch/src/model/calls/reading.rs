//! A reading of the counters, as the kernel side keeps them.

use std::time::Duration;

use lpwatch_common::{calls::BUCKETS, patch::VMLINUX};

/// A function of the running kernel.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FunctionId {
    /// `vmlinux` or a module.
    pub object: String,
    pub name: String,
    /// Which of several symbols of that name, from 1.
    pub sympos: u32,
}

impl FunctionId {
    /// Of this object, name and place; 0, which a patch file may have for "the
    /// only one", is 1 as in sysfs.
    #[must_use]
    pub fn new(object: &str, name: &str, sympos: u32) -> Self {
        Self {
            object: object.to_owned(),
            name: name.to_owned(),
            sympos: sympos.max(1),
        }
    }

    /// As kprobes and people name it: `name`, or `module:name`.
    #[must_use]
    pub fn spelled(&self) -> String {
        if self.object == VMLINUX {
            return self.name.clone();
        }
        format!("{}:{}", self.object, self.name)
    }
}

/// Calls by epoch and state, summed over all CPUs; they only grow.
pub type Buckets = [u64; BUCKETS];

/// All counters at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallsReading {
    /// When the reading began, since boot.
    pub at: Duration,
    /// The epoch before and after the reading: it did not change meanwhile.
    pub epoch: u32,
    pub functions: Vec<FunctionReading>,
    /// `kernel.ftrace_enabled` is 0: nothing is redirected, nothing counted.
    pub ftrace_off: bool,
}

/// One function that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionReading {
    pub id: FunctionId,
    /// Whether it was asked for, besides being patched or not.
    pub asked: bool,
    pub counter: Counter,
    /// What its new code does, for each patch that has one for it.
    pub entries: Vec<Entries>,
    /// What may keep the new code from being entered, a sentence each; looked
    /// for only where there is a doubt.
    pub suspects: Vec<String>,
}

/// The counter at a function's own entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counter {
    Counting {
        /// `fentry` or `kprobe`.
        kind: &'static str,
        /// Since when, since boot. Another time means another counter, which
        /// began at 0 again.
        since: Duration,
        calls: Box<Buckets>,
        /// Calls that the hook was not told of and that are not among `calls`.
        missed: u64,
    },
    /// Nothing counts it: why, in a sentence.
    Missing(String),
}

/// The counter at the entry of the function that a patch puts in the place of
/// another. It is read after the original's, so calls under way may be counted
/// here and not there, never the other way round for long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    pub patch: String,
    /// The new function's symbol.
    pub function: String,
    pub counter: Counter,
}

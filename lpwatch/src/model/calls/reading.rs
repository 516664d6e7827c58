//! A reading of the counters in the kernel.

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
    /// A `sympos` of 0, which means the only symbol in a patch file, becomes 1 as in
    /// sysfs.
    #[must_use]
    pub fn new(object: &str, name: &str, sympos: u32) -> Self {
        Self {
            object: object.to_owned(),
            name: name.to_owned(),
            sympos: sympos.max(1),
        }
    }

    /// The name for kprobes and messages: `name` or `module:name`.
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
    /// `kernel.ftrace_enabled` is 0: nothing is redirected or counted.
    pub ftrace_off: bool,
}

/// One function that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionReading {
    pub id: FunctionId,
    /// Whether the user asked for it, patched or not.
    pub asked: bool,
    pub counter: Counter,
    /// The entries of its new code, for each patch that changes it.
    pub entries: Vec<Entries>,
    /// Possible reasons why the new code is not entered, one sentence each; read
    /// only in case of doubt.
    pub suspects: Vec<String>,
}

/// The counter at a function's own entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Counter {
    Counting {
        /// `fentry`, `kprobe` or `kprobe_multi`.
        kind: &'static str,
        /// When it began, since boot. Another time means another counter, which
        /// began at 0.
        since: Duration,
        calls: Box<Buckets>,
        /// Calls that the hook missed and that are not in `calls`.
        missed: u64,
        /// Calls that the hook missed, and of which it is not known whether they were
        /// of this function or of others that it counts.
        missed_together: u64,
    },
    /// Why it is not counted, in one sentence.
    Missing(String),
}

/// The counter at the entry of the new function of a patch, read before the original's
/// counter and after it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entries {
    pub patch: String,
    /// The new function's symbol.
    pub function: String,
    /// The entries that the hook had seen before the original's counter was read.
    pub before: u64,
    /// Its reading after the original's.
    pub counter: Counter,
}

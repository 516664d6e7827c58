//! The command line of `cargo xtask bench`.

use clap::{Args, Subcommand};

use crate::kernels::Series;

#[derive(Debug, Subcommand)]
pub enum Bench {
    /// What a hook adds to each call of the function it stands at
    ///
    /// A loop over a system call that enters one function is timed in a guest:
    /// with nothing on that function, with an empty fentry program, with a
    /// kprobe program that counts, with lpwatch's counter, and with bpftrace
    /// (of the kernel's own Debian release) counting by fentry and by kprobe.
    /// All have their turn in every round of one boot. A second loop reads a
    /// file whose function is live-patched.
    Calls(CallsArgs),
    /// What it takes to hook 1, 10, 100 and 500 functions
    ///
    /// From the start of the process until every function is hooked, and the
    /// memory that takes: of the process at its peak, and of the kernel for
    /// BPF programs and maps. lpwatch (`daemon --watch`) and bpftrace have
    /// their turn in every round of one boot.
    Attach(AttachArgs),
    /// Proof that lpwatch does no harm to live patching
    ///
    /// Patches go in and out while tasks sleep, in turn with no lpwatch, with a
    /// daemon, and with a daemon that also counts calls of the functions in
    /// which tasks sleep. Times are printed; what does not depend on time must
    /// hold, or the exit code is 1: the kernel's verdicts on the tasks, its
    /// number of tries, that it never refuses to load or unload a livepatch,
    /// that nothing of lpwatch stays on a stack or is left behind.
    Harm(HarmArgs),
    /// What a daemon takes of a host
    ///
    /// Its memory and the processor's time, at rest and in a stall of many threads that
    /// nobody asks about. If it has more memory than aimed at, the exit code is 1.
    Stall(StallArgs),
    /// How large a long history is, and how soon `lpwatch history` prints its first line
    ///
    /// On this machine, without a guest: 1,000 transitions from the model's events, and a
    /// daemon on a recorded tree. The first line of `lpwatch history` may take half as long
    /// again as that of `lpwatch status`. If something is larger than aimed at, the exit
    /// code is 1.
    History(HistoryArgs),
    /// How large the packaged program is
    ///
    /// If it is larger than aimed at, the exit code is 1.
    Size,
}

const HOW_TO_READ: &str = "\
Tables go to stdout as Markdown, progress to stderr, all figures one by one to\n\
target/logs/bench-*.jsonl. The guests are emulated (QEMU without KVM): compare\n\
figures of one table, and take no time in them for that of a real machine.\n\n\
Exit codes: 0 measured; 1 failed; 124 when --timeout is over; 125 when the guest\n\
died; 130 on Ctrl-C.";

#[derive(Debug, Args)]
#[command(after_help = HOW_TO_READ)]
pub struct CallsArgs {
    /// The kernel: 5.10, 6.1, 6.12 or 7 (repeatable)
    #[arg(long, value_name = "SERIES", default_values = ["6.12"])]
    pub kernel: Vec<Series>,
    /// Turns of each hook (default 10, or 3 with --short)
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// Only to see that it works: fewer rounds
    #[arg(long)]
    pub short: bool,
    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
#[command(after_help = HOW_TO_READ)]
pub struct AttachArgs {
    /// The kernel: 5.10, 6.1, 6.12 or 7 (repeatable)
    #[arg(long, value_name = "SERIES", default_values = ["6.12"])]
    pub kernel: Vec<Series>,
    /// Turns of each number of functions (default 3, or 1 with --short)
    #[arg(long, value_name = "N")]
    pub rounds: Option<u32>,
    /// How many functions (repeatable; default 1, 10, 100 and 500)
    #[arg(long, value_name = "N")]
    pub functions: Vec<usize>,
    /// Only to see that it works: one round, and at most 100 functions
    #[arg(long)]
    pub short: bool,
    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
#[command(after_help = HOW_TO_READ)]
pub struct HarmArgs {
    /// Only in this kernel: 5.10, 6.1, 6.12 or 7 (repeatable)
    #[arg(long, value_name = "SERIES")]
    pub kernel: Vec<Series>,
    /// Turns of each story and condition (default 20, or 2 with --short)
    #[arg(long, value_name = "N")]
    pub turns: Option<u32>,
    /// Only to see that it works: fewer turns
    #[arg(long)]
    pub short: bool,
    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
#[command(after_help = HOW_TO_READ)]
pub struct StallArgs {
    /// The kernel: 5.10, 6.1, 6.12 or 7 (repeatable)
    #[arg(long, value_name = "SERIES", default_values = ["6.12"])]
    pub kernel: Vec<Series>,
    /// How many threads (default 30,000, or 1,000 with --short)
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Only to see that it works: fewer threads
    #[arg(long)]
    pub short: bool,
    #[command(flatten)]
    pub limits: LimitArgs,
}

#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// How often each command is timed
    #[arg(long, value_name = "N", default_value_t = 31)]
    pub rounds: u32,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct LimitArgs {
    /// End a boot after this long
    #[arg(long, value_name = "SECONDS", default_value_t = 5400)]
    pub timeout: u64,
    /// Take a guest for dead after this long without any output
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub silence: u64,
    /// Show what the guest says on its way
    #[arg(long, short)]
    pub verbose: bool,
}

//! `lpwatch-scenarios bench`: what lpwatch costs, and that it does no harm.
//!
//! `cargo xtask bench` boots a guest for it and makes tables of the lines of
//! JSON printed here. Times are measured and never judged; what does not depend
//! on time is.

mod attach;
mod bpftrace;
mod calls;
mod checks;
mod functions;
mod harm;
mod hold;
mod hooks;
pub mod kernel_objects;
mod memory;
mod probes;
mod stall;
mod story;
pub mod told;
mod tool;
mod work;

pub use functions::rarely_called_probed;
pub use harm::play as play_harm;
pub use story::Story;

use std::io::Write;

use anyhow::Result;
use serde::Serialize;

#[derive(clap::Subcommand)]
pub enum Bench {
    /// Time a system call, with each kind of hook on the function it enters
    Calls {
        /// How often each kind has its turn
        #[arg(long, default_value_t = 10)]
        rounds: u32,
    },
    /// Hook many functions: how long until all are hooked, and with what memory
    Attach {
        /// How often each number of functions has its turn
        #[arg(long, default_value_t = 3)]
        rounds: u32,
        /// How many functions (repeatable)
        #[arg(long, value_name = "N", default_values_t = [1, 10, 100, 500])]
        functions: Vec<usize>,
    },
    /// What a daemon takes of a host: at rest, and in a stall of many threads
    Stall {
        #[arg(long, default_value_t = 30_000)]
        threads: usize,
    },
    /// Patch and unpatch, without lpwatch and with it
    Harm {
        /// How often each has its turn
        #[arg(long, default_value_t = 20)]
        turns: u32,
    },
    /// Hold hooks until a signal comes, then print what they counted
    #[command(hide = true)]
    Hold {
        #[arg(value_enum)]
        how: hold::How,
        function: String,
    },
    /// Say that one is ready, and wait for a signal
    #[command(hide = true)]
    Ready,
}

pub fn run(bench: &Bench) -> Result<()> {
    match bench {
        Bench::Calls { rounds } => calls::run(*rounds),
        Bench::Attach { rounds, functions } => attach::run(*rounds, functions),
        Bench::Stall { threads } => stall::run(*threads),
        Bench::Harm { turns } => harm::run(*turns),
        Bench::Hold { how, function } => hold::hold(*how, function),
        Bench::Ready => hold::wait(),
    }
}

/// Prints one line for xtask to read.
fn emit(record: &impl Serialize) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{}", serde_json::to_string(record)?)?;
    stdout.flush()?;
    Ok(())
}

/// Why something has no figures in this kernel.
#[derive(Serialize)]
#[serde(tag = "record", rename = "skipped")]
struct Skipped<'a> {
    work: &'a str,
    hook: &'a str,
    why: String,
}

//! The command line. Its help is the manual of this tool.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::bench::args::Bench;
use crate::kernels::{Choice, Series};
use crate::vm::accel::Asked;
use crate::vm::qemu::Tcg;

/// Builds lpwatch and tries it in real kernels.
#[derive(Debug, Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    after_help = "Everything downloaded or built is kept below target/.\n\n\
        Start here:\n  \
        cargo xtask demo      see a live patch stall, and lpwatch tell why\n  \
        cargo xtask test      unit tests, a fleet, every scenario in four kernels",
    version
)]
pub struct Cli {
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Find or install everything the other commands need
    ///
    /// Every command does the part of this that it needs itself; this does all of it, and says
    /// what was chosen. On Debian and its kin, as root, missing packages are installed; anywhere
    /// else they are listed.
    Setup {
        /// Look for a BPF toolchain again, even if one is recorded
        #[arg(long)]
        again: bool,
    },
    /// Build lpwatch as one static program, BPF included: target/dist/lpwatch
    Build,
    /// See a live patch stall in a real kernel, and lpwatch tell why
    ///
    /// Exits with 0 only if lpwatch saw the transition, the stall and the reversal.
    #[command(after_help = "Examples:\n  \
        cargo xtask demo\n  \
        cargo xtask demo --kernel 7")]
    Demo {
        /// The kernel: 5.10, 6.1, 6.12 or 7
        #[arg(long, value_name = "SERIES", default_value = "6.12")]
        kernel: Series,
        #[command(flatten)]
        accel: AccelArgs,
    },
    /// Run lints, unit tests, the page, a fleet, the package, and the scenarios in real kernels
    Test(TestArgs),
    /// Make the Debian package and the container image: target/dist/
    ///
    /// The same commit gives the same bytes. SHA256SUMS lists them.
    Dist {
        /// Pack twice and compare, and run lintian over the package
        #[arg(long)]
        check: bool,
    },
    /// Simulate a fleet of hosts for a Prometheus to scrape
    ///
    /// One process on loopback, which ends by itself. `cargo xtask fleet-sim --help` tells more.
    #[command(disable_help_flag = true)]
    FleetSim {
        /// Passed on to the simulation
        #[arg(
            value_name = "ARGUMENTS",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        arguments: Vec<String>,
    },
    /// Measure what lpwatch costs, and prove that it does no harm
    ///
    /// The tables it prints are those in docs/cost.md.
    Bench {
        #[command(subcommand)]
        bench: Bench,
    },
    /// Boot a kernel with lpwatch in it, and run something there
    Vm(VmArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask vm --kernel 6.12                        a shell in the guest\n  \
    cargo xtask vm --kernel 6.1 -- uname -a             one program\n  \
    cargo xtask vm --kernel 6.1 -- 'insmod /modules/lp_stall.ko; lpwatch status'\n  \
    cargo xtask vm --kernel 7 --script try.sh --add data.json\n  \
    cargo xtask vm --kernel ./vmlinuz --modules ./mods --no-lpwatch -- ls /modules\n\n\
Exit codes: the command's own; 124 when --timeout is over; 125 when the guest died\n\
(panic, oops, lockup, silence); 130 on Ctrl-C.")]
pub struct VmArgs {
    /// The kernel: 5.10, 6.1, 6.12, 7, or the path of a vmlinuz
    #[arg(long, value_name = "SERIES|PATH", default_value = "6.12")]
    pub kernel: Choice,
    /// Run this script in the guest (`/bin/sh` unless it says otherwise)
    #[arg(long, value_name = "FILE", conflicts_with = "command")]
    pub script: Option<PathBuf>,
    /// Put this file or folder into the guest's /root (repeatable)
    #[arg(long, value_name = "FILE")]
    pub add: Vec<PathBuf>,
    /// Put these modules into /modules, rather than the series' own
    #[arg(long, value_name = "DIR")]
    pub modules: Option<PathBuf>,
    /// Memory of the guest
    #[arg(long, value_name = "MiB", default_value_t = 2048)]
    pub memory: u32,
    /// Processors of the guest
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub cpus: u32,
    /// End the run after this long
    #[arg(long, value_name = "SECONDS")]
    pub timeout: Option<u64>,
    /// Take the guest for dead after this long without any output
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    pub silence: u64,
    /// More arguments for the kernel
    #[arg(
        long,
        value_name = "KERNEL_ARGS",
        default_value = "",
        allow_hyphen_values = true
    )]
    pub append: String,
    /// How QEMU emulates the processors; `multi` is faster, `single` more faithful
    #[arg(long, value_enum, default_value_t)]
    pub tcg: Tcg,
    #[command(flatten)]
    pub accel: AccelArgs,
    /// Look for a newer kernel of the series even if one is cached
    #[arg(long)]
    pub refresh: bool,
    /// Leave lpwatch and the scenarios out, so nothing is compiled
    #[arg(long)]
    pub no_lpwatch: bool,
    /// What to run; without it, a shell
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<String>,
}

/// Whether guests are emulated.
#[derive(Debug, Clone, Copy, Args)]
pub struct AccelArgs {
    /// Run guests on KVM, emulate them (tcg), or use KVM if a kernel boots on it
    #[arg(long, value_enum, default_value_t)]
    pub accel: Asked,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    cargo xtask test                           everything\n  \
    cargo xtask test --list                    the scenarios, in groups\n  \
    cargo xtask test lint unit                 without kernels\n  \
    cargo xtask test page                      the status page, in Chromium\n  \
    cargo xtask test dist                      the package and the image, installed and run\n  \
    cargo xtask test vm --kernel 6.1           all scenarios in one kernel\n  \
    cargo xtask test --group reasons           the scenarios of one group\n  \
    cargo xtask test stall                     scenarios with `stall` in their name\n  \
    cargo xtask test --only stall --verbose    one scenario, and all it says\n\n\
The last line of the output counts: `N passed, N failed, N skipped`.\n\
The guests' whole logs are in target/logs/test-*.")]
pub struct TestArgs {
    /// `lint`, `unit`, `page`, `fleet`, `dist`, `vm`, or parts of scenario names; nothing means everything
    #[arg(value_name = "FILTER")]
    pub filters: Vec<String>,
    /// Only in this kernel: 5.10, 6.1, 6.12 or 7 (repeatable)
    #[arg(long, value_name = "SERIES")]
    pub kernel: Vec<Series>,
    /// Only the scenario of exactly this name (repeatable)
    #[arg(long, value_name = "SCENARIO")]
    pub only: Vec<String>,
    /// Only the scenarios of this group (repeatable)
    #[arg(long, value_name = "GROUP")]
    pub group: Vec<String>,
    /// Print the scenarios, with a line about each, and run nothing
    #[arg(long)]
    pub list: bool,
    /// Write where the time went to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub timings: Option<PathBuf>,
    #[command(flatten)]
    pub accel: AccelArgs,
    /// Show what every scenario says, not only those that fail
    #[arg(long, short)]
    pub verbose: bool,
    /// Guests at a time; default: as many as keep the processors busy
    #[arg(long, value_name = "N")]
    pub guests: Option<usize>,
    /// Take a guest for dead after this long without any output
    #[arg(long, value_name = "SECONDS", default_value_t = 180)]
    pub silence: u64,
    /// End a boot after this long
    #[arg(long, value_name = "SECONDS", default_value_t = 2400)]
    pub timeout: u64,
    /// Look for newer kernels even if some are cached
    #[arg(long)]
    pub refresh: bool,
}

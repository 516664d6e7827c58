//! The command line: one file per subcommand.

mod args;
mod calls;
mod check;
mod complaint;
mod completions;
mod counted;
mod daemon;
mod doctor;
#[cfg(test)]
mod documents;
mod events;
mod explain;
mod fleet;
mod history;
mod man;
mod output;
mod past;
mod patches;
mod report;
mod snapshots;
mod status;
mod tasks;
mod top;
mod verify;
mod version;
mod wait;
mod watching;

use std::{env, ffi::OsString};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand, error::ErrorKind};
use tracing::Metadata;
use tracing_subscriber::{
    Layer as _,
    filter::{Targets, filter_fn},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::{
    daemon::EVENT_TARGET, error::Error, exit::Exit, fleet::prometheus::PrometheusError,
    text::printable,
};

use args::Globals;

/// Watches Linux live patches: which tasks still run old code, why, and whether the
/// transition is stalled.
///
/// lpwatch only observes. It prints commands that can help, and runs none of them.
/// Nothing that it attaches to the kernel can block a transition.
#[derive(Debug, Parser)]
#[command(name = "lpwatch", version, max_term_width = 100, after_help = AFTER_HELP)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch status                      the state of every patch
  lpwatch status --watch              the same, again after each change
  lpwatch status -o json | jq .       for scripts; the exit code says more
  lpwatch tasks                       which tasks are left, and why
  lpwatch explain 139                 why this task has not switched
  lpwatch top                         all of that on the whole screen, live
  lpwatch wait --timeout 5m           return the moment the transition ends
  lpwatch calls                       how often old and new code is called
  lpwatch verify                      whether the new code runs
  lpwatch events                      what happened, in order
  lpwatch history                     the transitions that have ended, also before this boot
  lpwatch check fix.ko                whether it is safe to load this patch
  lpwatch patches                     what is patched on this host, by any engine
  lpwatch doctor                      what this host offers, and what is missing
  lpwatch fleet status                a rollout over many hosts, from Prometheus

Exit codes:
  0   all well, or the transition completed
  1   error: also a patch that is not loaded, and nobody at a given --socket
  2   wrong usage
  3   no permission
  4   this kernel cannot be live-patched
  10  in transition
  11  stalled
  12  reversed or failed: also a patch that is not loaded because of that
  13  check: a danger; verify, calls: new code does not run
  14  with --strict: check: warnings; verify: the result of a function is unknown
  15  verify: nothing is proved
  124 timed out";

#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Args),
    Tasks(tasks::Args),
    Top(top::Args),
    Explain(explain::Args),
    Wait(wait::Args),
    Calls(calls::Args),
    Verify(verify::Args),
    Events(events::Args),
    History(history::Args),
    Report(report::Args),
    Patches(patches::Args),
    Check(check::Args),
    Daemon(daemon::Args),
    Doctor(doctor::Args),
    Fleet(Box<fleet::Args>),
    Completions(completions::Args),
    Man(man::Args),
    Version(version::Args),
}

/// The command line. Each subcommand shows only the global flags that mean something
/// to it; it accepts all of them.
fn command_line() -> clap::Command {
    let command = Cli::command();
    let globals: Vec<clap::Arg> = command
        .get_arguments()
        .filter(|flag| flag.is_global_set())
        .cloned()
        .collect();
    command.mut_subcommands(|below| {
        let ignored = ignored(below.get_name());
        let hidden = globals
            .iter()
            .filter(|flag| ignored.contains(&flag.get_id().as_str()))
            .map(|flag| flag.clone().hide(true));
        below.args(hidden.collect::<Vec<_>>())
    })
}

/// The global flags that mean nothing to this subcommand.
fn ignored(subcommand: &str) -> &'static [&'static str] {
    match subcommand {
        "calls" | "verify" | "check" | "doctor" => &["slow", "stalled", "long"],
        "events" | "history" => &[
            "no_bpf",
            "sysfs_root",
            "procfs_root",
            "slow",
            "stalled",
            "long",
        ],
        "patches" => &["no_bpf", "no_daemon", "socket", "slow", "stalled", "long"],
        "daemon" => &["output", "no_daemon", "color"],
        "top" => &["output"],
        "fleet" => &[
            "no_bpf",
            "no_daemon",
            "socket",
            "sysfs_root",
            "procfs_root",
            "slow",
            "long",
        ],
        "version" => &[
            "no_bpf",
            "no_daemon",
            "socket",
            "sysfs_root",
            "procfs_root",
            "color",
            "slow",
            "stalled",
            "long",
        ],
        "completions" | "man" => &[
            "output",
            "no_bpf",
            "no_daemon",
            "socket",
            "sysfs_root",
            "procfs_root",
            "color",
            "verbose",
            "slow",
            "stalled",
            "long",
        ],
        _ => &[],
    }
}

/// Runs the command line. Errors are printed here.
#[must_use]
pub fn main() -> Exit {
    completions::answer(command_line);
    let cli = match parsed(env::args_os()) {
        Ok(cli) => cli,
        Err(error) => return usage(error),
    };
    start_log(&cli);
    match run(cli) {
        Ok(exit) => exit,
        // The reader has closed the pipe: `lpwatch status | head`.
        Err(error) if is_broken_pipe(&error) => Exit::Success,
        Err(error) => {
            complaint::error(&error);
            let own = error.downcast_ref::<Error>().map(Exit::from);
            let fleet = || error.downcast_ref::<PrometheusError>().map(Exit::from);
            own.or_else(fleet).unwrap_or(Exit::Error)
        }
    }
}

/// The command line, in which no flag is ignored that the user relies on.
fn parsed(words: impl IntoIterator<Item = OsString>) -> Result<Cli, clap::Error> {
    let mut line = command_line();
    let matches = line.try_get_matches_from_mut(words)?;
    let cli = Cli::from_arg_matches(&matches)?;
    match socket_ignored(&cli, matches.subcommand_name().unwrap_or_default()) {
        Some(why) => Err(line.error(ErrorKind::ArgumentConflict, why)),
        None => Ok(cli),
    }
}

/// Prints what the parser of the command line has to say: an error, or help.
fn usage(error: clap::Error) -> Exit {
    // clap quotes the arguments as they are.
    let escaped = env::args_os().map(|word| printable(&word.to_string_lossy()).into());
    let error = parsed(escaped).err().unwrap_or(error);
    // Without standard error there is nobody to tell.
    let _ = error.print();
    if error.exit_code() == 0 {
        Exit::Success
    } else {
        Exit::Usage
    }
}

/// Why `--socket` would have no effect, if it would have none.
fn socket_ignored(cli: &Cli, subcommand: &str) -> Option<String> {
    let Cli { globals, command } = cli;
    globals.socket.as_ref()?;
    let other = match command {
        // The daemon listens on it.
        Command::Daemon(_) => return None,
        Command::Status(_)
        | Command::Tasks(_)
        | Command::Top(_)
        | Command::Explain(_)
        | Command::Wait(_)
        | Command::Calls(_)
        | Command::Verify(_)
        | Command::Events(_)
        | Command::History(_)
        | Command::Report(_)
        | Command::Check(_)
        | Command::Doctor(_) => globals.instead_of_daemon()?,
        Command::Patches(_)
        | Command::Fleet(_)
        | Command::Completions(_)
        | Command::Man(_)
        | Command::Version(_) => {
            return Some(format!(
                "the argument '--socket <PATH>' cannot be used with '{subcommand}': it asks no \
                 daemon"
            ));
        }
    };
    Some(format!(
        "the argument '--socket <PATH>' cannot be used with '{other}': no daemon is then asked"
    ))
}

fn run(cli: Cli) -> anyhow::Result<Exit> {
    let Cli { globals, command } = cli;
    match command {
        Command::Status(args) => block_on(status::run(&globals, &args)),
        Command::Tasks(args) => block_on(tasks::run(&globals, &args)),
        Command::Top(args) => block_on(top::run(&globals, &args)),
        Command::Explain(args) => block_on(explain::run(&globals, &args)),
        Command::Wait(args) => block_on(wait::run(&globals, &args)),
        Command::Calls(args) => block_on(calls::run(&globals, &args)),
        Command::Check(args) => block_on(check::run(&globals, &args)),
        Command::Events(args) => block_on(events::run(&globals, &args)),
        Command::History(args) => block_on(history::run(&globals, &args)),
        Command::Report(args) => block_on(report::run(&globals, &args)),
        Command::Verify(args) => block_on(verify::run(&globals, &args)),
        Command::Patches(args) => patches::run(&globals, &args),
        Command::Daemon(args) => block_on(daemon::run(&globals, &args)),
        Command::Doctor(args) => block_on(doctor::run(&globals, &args)),
        Command::Fleet(args) => block_on(fleet::run(&globals, &args)),
        Command::Completions(args) => completions::run(&args),
        Command::Version(args) => version::run(&globals, &args),
        Command::Man(args) => man::run(&args, command_line()),
    }
}

fn block_on<T>(command: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?
        .block_on(command)
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    })
}

/// Messages go to stderr: errors, and for the daemon also warnings and what it does.
/// `LPWATCH_LOG` takes a level, e.g. `debug`, or levels by part.
fn start_log(cli: &Cli) {
    let level = match (&cli.command, cli.globals.verbose) {
        (_, 2..) => "lpwatch=trace,aya=debug,warn",
        (_, 1) => "lpwatch=debug,warn",
        (Command::Daemon(_), 0) => "lpwatch=info,warn",
        (_, 0) => "error",
    };
    let asked = env::var("LPWATCH_LOG").ok();
    let asked = asked.and_then(|levels| levels.parse().ok());
    let filter: Targets = asked.or_else(|| level.parse().ok()).unwrap_or_default();
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    // A message would be written over the screen.
    if matches!(cli.command, Command::Top(_)) && is_terminal {
        return;
    }
    // A daemon under systemd gives its events to the journal with fields.
    let journal = (matches!(cli.command, Command::Daemon(_))
        && env::var_os("JOURNAL_STREAM").is_some())
    .then(|| tracing_journald::layer().ok())
    .flatten();
    let is_event = |metadata: &Metadata<'_>| metadata.target() == EVENT_TARGET;
    let (has_journal, journal) = (
        journal.is_some(),
        journal.map(|layer| {
            layer
                .with_field_prefix(Some("LPWATCH".to_owned()))
                .with_filter(filter_fn(is_event))
        }),
    );
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(is_terminal)
        .with_filter(filter_fn(move |metadata| {
            !(has_journal && is_event(metadata))
        }));
    tracing_subscriber::registry()
        .with(filter)
        .with(lines)
        .with(journal)
        .init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }

    #[test]
    fn a_subcommand_shows_the_global_flags_that_mean_something_to_it() {
        let mut command = command_line();
        command.build();
        let shows = |path: &[&str], flag: &str| {
            let mut at = &command;
            for name in path {
                at = at.find_subcommand(name).unwrap();
            }
            at.get_arguments()
                .any(|arg| arg.get_id() == flag && !arg.is_hide_set())
        };
        for (path, flag, expected) in [
            (&["status"][..], "stalled", true),
            (&["status"], "socket", true),
            (&["verify"], "stalled", false),
            (&["fleet", "status"], "socket", false),
            (&["fleet", "wait"], "stalled", true),
            (&["fleet", "hosts"], "output", true),
            (&["man"], "output", false),
            (&["daemon"], "socket", true),
            (&["daemon"], "output", false),
        ] {
            assert_eq!(shows(path, flag), expected, "{path:?} {flag}");
        }
        // What is not shown is still accepted.
        let words = ["lpwatch", "man", "--no-bpf", "-o", "json"];
        let matches = command_line().try_get_matches_from(words).unwrap();
        let cli = Cli::from_arg_matches(&matches).unwrap();
        assert!(cli.globals.no_bpf);
    }

    fn refused(words: &str) -> Option<String> {
        let words = words.split(' ').map(OsString::from);
        parsed(words).err().map(|error| error.to_string())
    }

    #[test]
    fn a_socket_is_not_ignored_silently() {
        for (words, other) in [
            (
                "lpwatch --socket /x status --sysfs-root /t",
                "--sysfs-root <DIR>",
            ),
            (
                "lpwatch tasks --socket /x --procfs-root /t",
                "--procfs-root <DIR>",
            ),
            ("lpwatch doctor --no-bpf --socket /x", "--no-bpf"),
            ("lpwatch --socket /x patches", "patches"),
            ("lpwatch --socket /x man", "man"),
        ] {
            let text = refused(words).unwrap();
            assert!(text.contains("--socket") && text.contains(other), "{text}");
        }
        for words in [
            "lpwatch status --socket /x --sysfs-root /sys",
            "lpwatch daemon --socket /x --sysfs-root /t --no-bpf",
        ] {
            assert_eq!(refused(words), None);
        }
    }

    #[test]
    fn a_conflict_names_both_options() {
        for (words, both) in [
            (
                "lpwatch check fix.ko --explain symbol",
                ["--explain", "[PATCH]"],
            ),
            ("lpwatch check --rules --strict", ["--rules", "--strict"]),
            ("lpwatch check --rules -o json", ["--rules", "--output"]),
            (
                "lpwatch check --explain symbol -o json",
                ["--explain", "--output"],
            ),
            (
                "lpwatch check --rules --explain symbol",
                ["--rules", "--explain"],
            ),
        ] {
            let text = refused(words).unwrap();
            assert!(both.iter().all(|one| text.contains(one)), "{text}");
        }
        assert_eq!(refused("lpwatch check --rules --color never -v"), None);
    }

    #[test]
    fn a_time_of_0_and_an_unknown_rule_are_wrong_usage() {
        for words in [
            "lpwatch check fix.ko --sample 0",
            "lpwatch status --stall-after 0",
            "lpwatch status --slow-after 0s",
            "lpwatch status --long-after 0",
        ] {
            assert!(refused(words).unwrap().contains("longer than 0"), "{words}");
        }
        let text = refused("lpwatch check --explain nope").unwrap();
        assert!(
            text.contains("no such rule") && text.contains("will_block"),
            "{text}"
        );
        assert!(refused("lpwatch explain ").is_some());
        let fleet = "lpwatch fleet status --prometheus http://x --interval 5s";
        assert!(refused(fleet).unwrap().contains("--watch"));
        assert_eq!(refused(&format!("{fleet} --watch")), None);
    }

    #[test]
    fn a_socket_and_no_daemon_exclude_each_other() {
        let words = ["lpwatch", "status", "--no-daemon", "--socket", "/x"];
        assert!(command_line().try_get_matches_from(words).is_err());
    }
}

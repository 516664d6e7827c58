//! `lpwatch check`: whether a patch can be loaded safely on this host, now.

use std::{
    io::IsTerminal,
    path::{Path, PathBuf},
    time::Duration,
};

use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    check::{
        CheckContext, check,
        facts::{GatherOptions, gather, rates::of_daemon},
        rules::{self, Rule},
    },
    engine,
    error::Error,
    exit::Exit,
    kernel::{
        Roots,
        modules::{Presence, presence},
        patch_file::{PatchFile, find_in},
    },
    model::check::{CheckReport, CheckVerdict},
    observe::clock,
    render,
    text::printable,
};

use super::{
    args::{Globals, some_time},
    complaint,
    output::Printer,
    snapshots,
    status::no_such_patch,
};

/// Check whether it is safe to load a patch on this host, now.
///
/// Reads the module file and compares it with this host. Reports whether the kernel
/// would accept the patch, whether the patch would take effect, and which tasks
/// would block its transition, by name. The patch is not loaded, and nothing is
/// changed.
///
/// The tasks are observed for a few seconds (--sample). Run the check on the host
/// that is to be patched, under its usual load, shortly before you load the patch.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The patch: a module file (.ko, also .gz, .xz or .zst), or the name of a loaded
    /// patch.
    #[arg(required_unless_present_any = ["all", "explain", "rules"])]
    patch: Option<PathBuf>,

    /// Check every patch in this folder.
    #[arg(long, value_name = "DIR", conflicts_with = "patch")]
    all: Option<PathBuf>,

    /// Observe the tasks for this long.
    #[arg(long, value_name = "TIME", value_parser = some_time, default_value = "5s")]
    sample: Duration,

    /// Report functions called more than this many times a second.
    #[arg(long, value_name = "CALLS", default_value_t = 100_000)]
    hot: u32,

    /// Exit with 14 if the worst finding is a warning.
    #[arg(long)]
    strict: bool,

    /// Show the background of a rule, with its sources.
    #[arg(
        long,
        value_name = "RULE",
        value_parser = rule,
        conflicts_with_all = ["patch", "all", "sample", "hot", "strict", "output"]
    )]
    explain: Option<&'static Rule>,

    /// List the rules.
    #[arg(
        long,
        conflicts_with_all = ["patch", "all", "sample", "hot", "strict", "explain", "output"]
    )]
    rules: bool,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch check livepatch-fix.ko              before it is loaded
  lpwatch check --all /var/lib/kpatch/$(uname -r)
  lpwatch check --explain will_block          what a rule is about
  lpwatch check fix.ko -o json | jq .forecast

Exit codes:
  0 safe, or warnings without --strict   13 danger   14 with --strict: warnings
  1 it cannot be read, or is no patch    4 this kernel cannot be live-patched";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    if let Some(rule) = args.explain {
        Printer::text(&render::check::explain(rule, &output.style))?;
        return Ok(Exit::Success);
    }
    if args.rules {
        Printer::text(&render::check::rules(rules::ALL, &output.style))?;
        return Ok(Exit::Success);
    }
    snapshots::require_given(globals).await?;
    let session = Session {
        globals,
        args,
        output: &output,
    };
    match (&args.all, &args.patch) {
        (Some(folder), _) => session.folder(folder).await,
        (None, Some(patch)) => session.one(patch).await,
        // clap requires one of the two.
        (None, None) => Ok(Exit::Usage),
    }
}

fn rule(id: &str) -> Result<&'static Rule, String> {
    let known: Vec<&str> = rules::ALL.iter().map(|rule| rule.id).collect();
    rules::by_id(id).ok_or_else(|| format!("no such rule; the rules are {}", known.join(", ")))
}

struct Session<'a> {
    globals: &'a Globals,
    args: &'a Args,
    output: &'a Printer,
}

impl Session<'_> {
    async fn one(&self, patch: &Path) -> anyhow::Result<Exit> {
        let report = if is_file(patch) {
            let file = PatchFile::read(patch)?;
            if !file.modinfo.livepatch && file.made_by.is_none() {
                return Err(Error::NotAPatch {
                    name: file.name,
                    what: "it has no livepatch mark and contains no klp_patch",
                }
                .into());
            }
            self.check(&file, Some(patch)).await?
        } else {
            let name = patch.to_string_lossy();
            self.check(&self.loaded(&name)?, None).await?
        };
        self.print(&report)?;
        Ok(self.exit_of(&report))
    }

    /// Continues if a file cannot be read; the worst exit code counts.
    async fn folder(&self, folder: &Path) -> anyhow::Result<Exit> {
        let found = find_in(folder)
            .map_err(|error| anyhow::anyhow!("cannot list {}: {error}", folder.display()))?;
        if found.files.is_empty() {
            anyhow::bail!("no module file (.ko) exists in {}", folder.display());
        }
        for unread in &found.unread {
            complaint::complain(unread);
        }
        let mut worst = if found.unread.is_empty() {
            Exit::Success
        } else {
            Exit::Error
        };
        for (nth, path) in found.files.iter().enumerate() {
            let exit = match PatchFile::read(path) {
                Ok(file) if file.modinfo.livepatch => {
                    if nth > 0 && !self.output.is_json() {
                        Printer::text("")?;
                    }
                    let report = self.check(&file, Some(path)).await?;
                    self.print(&report)?;
                    self.exit_of(&report)
                }
                // The folder may also contain the modules that a patch changes.
                Ok(_) => continue,
                Err(error) => {
                    complaint::error(&error.into());
                    Exit::Error
                }
            };
            worst = worse(worst, exit);
        }
        Ok(worst)
    }

    async fn check(&self, patch: &PatchFile, path: Option<&Path>) -> anyhow::Result<CheckReport> {
        let how = GatherOptions {
            observer: self.globals.observer_options(),
            sample: self.args.sample,
            beside: path.and_then(Path::parent).map(Path::to_owned),
            counted: snapshots::from_daemon(self.globals)
                .await
                .map(|snapshot| of_daemon(&snapshot))
                .unwrap_or_default(),
            hot: Some(f64::from(self.args.hot)),
        };
        let progress = progress(self.output);
        let facts = gather(&how, patch, &mut |step| {
            progress.set_message(format!("{}: {step}", printable(&patch.name)));
        });
        progress.finish_and_clear();
        let facts = facts?;
        let file = path.map(|path| path.display().to_string());
        let context = CheckContext {
            patch,
            facts: &facts,
            is_loaded: path.is_none(),
        };
        let report = check(&context, file.as_deref(), &clock::now());
        snapshots::report_check(self.globals, &report).await;
        Ok(report)
    }

    /// A loaded patch, as sysfs describes it.
    fn loaded(&self, name: &str) -> anyhow::Result<PatchFile> {
        let roots = self.globals.roots();
        let patches = engine::read_all(&roots)?.patches;
        let spelled = name.replace('-', "_");
        let patch = patches
            .iter()
            .find(|patch| patch.name == name || patch.name == spelled)
            .ok_or_else(|| not_a_patch(&roots, &spelled, name))?;
        Ok(crate::check::facts::as_file(patch))
    }

    fn print(&self, report: &CheckReport) -> anyhow::Result<()> {
        if self.output.is_json() {
            self.output.json(report)
        } else {
            Printer::text(&render::check::check(report, &self.output.style))
        }
    }

    fn exit_of(&self, report: &CheckReport) -> Exit {
        let roots = self.globals.roots();
        if !roots.sysfs.join("kernel/livepatch").is_dir() {
            return Exit::Unsupported;
        }
        match report.verdict {
            CheckVerdict::Danger => Exit::Danger,
            CheckVerdict::Warning if self.args.strict => Exit::Warning,
            CheckVerdict::Warning | CheckVerdict::Safe => Exit::Success,
        }
    }
}

/// Whether the argument is a file, not the name of a loaded patch.
fn is_file(patch: &Path) -> bool {
    let text = patch.to_string_lossy();
    text.contains('/') || text.contains(".ko") || patch.exists()
}

/// The error about a name that no loaded patch has.
fn not_a_patch(roots: &Roots, module: &str, name: &str) -> Error {
    if presence(roots, module) == Some(Presence::Loaded) {
        Error::NotAPatch {
            name: module.to_owned(),
            what: "it is loaded as an ordinary module",
        }
    } else {
        no_such_file_or_patch(name)
    }
}

fn no_such_file_or_patch(name: &str) -> Error {
    match no_such_patch(name) {
        Error::NoSuchPatch { name, hint } => Error::NoSuchPatch {
            hint: format!(", and no file of that name exists{hint}"),
            name,
        },
        error => error,
    }
}

/// The more important of two exit codes.
fn worse(one: Exit, other: Exit) -> Exit {
    let rank = |exit: Exit| match exit {
        Exit::Danger => 5,
        Exit::Unsupported => 4,
        Exit::Error => 3,
        Exit::Warning => 2,
        _ => 0,
    };
    if rank(other) > rank(one) { other } else { one }
}

fn progress(output: &Printer) -> ProgressBar {
    if output.is_json() || !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

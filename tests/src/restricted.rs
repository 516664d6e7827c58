//! Runs a command with less than root has: another user, fewer capabilities,
//! a folder hidden. What is given up cannot be taken back, so a process of its
//! own gives it up and then becomes the command.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use caps::{CapSet, Capability, CapsHashSet};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::unistd::{Gid, Uid, setgid, setgroups, setuid};

#[derive(clap::Args)]
pub struct Options {
    /// Become this user and group
    #[arg(long)]
    uid: Option<u32>,
    /// Give up this capability, `CAP_BPF` for example (may be repeated)
    #[arg(long, value_name = "CAP")]
    drop: Vec<Capability>,
    /// As another user keep this capability alone (may be repeated)
    #[arg(long, value_name = "CAP", requires = "uid")]
    keep: Vec<Capability>,
    /// Let the command see an empty folder in this one's place
    #[arg(long, value_name = "DIR")]
    hide: Option<PathBuf>,
    /// The command to become
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// The command line that runs a command under these options.
pub fn prefix(options: &[&str]) -> Result<Vec<OsString>> {
    let mut line = vec![env::current_exe()?.into_os_string(), "restricted".into()];
    line.extend(options.iter().map(OsString::from));
    line.push("--".into());
    Ok(line)
}

/// Gives up what the options say and becomes the command.
pub fn become_command(options: &Options) -> Result<()> {
    if let Some(folder) = &options.hide {
        hide(folder)?;
    }
    for &capability in &options.drop {
        give_up(capability)?;
    }
    let (program, arguments) = options.command.split_first().context("no command given")?;
    let mut command = Command::new(program);
    command.args(arguments);
    match options.uid {
        Some(id) if !options.keep.is_empty() => become_user(id, &options.keep)?,
        Some(id) => {
            // The groups of root go along with it.
            command.uid(id).gid(id);
        }
        None => {}
    }
    Err(command.exec()).context("becoming the command")
}

fn hide(folder: &PathBuf) -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("a mount namespace of its own")?;
    let nothing: Option<&str> = None;
    mount(
        nothing,
        "/",
        nothing,
        MsFlags::MS_REC | MsFlags::MS_PRIVATE,
        nothing,
    )
    .context("keeping the mounts to itself")?;
    mount(
        Some("none"),
        folder,
        Some("tmpfs"),
        MsFlags::empty(),
        nothing,
    )
    .with_context(|| format!("hiding {}", folder.display()))
}

/// Becomes a user who passes these capabilities on to the command, as systemd's
/// `AmbientCapabilities=` does.
fn become_user(id: u32, keep: &[Capability]) -> Result<()> {
    let keep: CapsHashSet = keep.iter().copied().collect();
    caps::securebits::set_keepcaps(true)?;
    setgroups(&[])?;
    setgid(Gid::from_raw(id))?;
    setuid(Uid::from_raw(id))?;
    caps::set(None, CapSet::Permitted, &keep)?;
    caps::set(None, CapSet::Effective, &keep)?;
    caps::set(None, CapSet::Inheritable, &keep)?;
    caps::set(None, CapSet::Ambient, &keep).context("passing capabilities on")
}

/// A program that root starts gets all that its bounding set holds, so the
/// capability must go from there as well.
fn give_up(capability: Capability) -> Result<()> {
    for set in [CapSet::Bounding, CapSet::Effective, CapSet::Permitted] {
        caps::drop(None, set, capability)
            .with_context(|| format!("giving up {capability} ({set:?})"))?;
    }
    Ok(())
}

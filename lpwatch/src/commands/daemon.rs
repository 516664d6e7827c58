//! `lpwatch daemon`: follow transitions and answer questions about them.

use crate::{
    daemon::{
        self, DaemonOptions,
        observer::{Hooking, ObserverOptions},
        watch_list::{Watch, WatchList},
    },
    exit::Exit,
    kernel::host::Host,
    probe::LoadOptions,
};

use super::args::Globals;

/// Follow transitions and answer over a Unix socket, in the foreground.
///
/// The daemon sleeps until the kernel tells of a transition. It remembers how
/// the last ones went, and knows since when no task has switched. It ends on
/// SIGTERM or SIGINT and leaves nothing in the kernel.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Size of the ring the kernel's events pass through, in bytes: a power of
    /// two, at least a page.
    #[arg(long, value_name = "BYTES", value_parser = ring_size)]
    ring_buffer: Option<u32>,

    /// Let the BPF programs log what they do (much; for debugging lpwatch).
    #[arg(long)]
    bpf_log: bool,

    /// Count calls from now on, so that there is a *before* when they are
    /// patched: of a function (`NAME` for one of the kernel, `MODULE:NAME` for a
    /// module's), of all functions of a patch (`FILE.ko`), or of all patches in
    /// a folder, which is read again when it changes. Default: the patches that
    /// kpatch has installed for this kernel (/var/lib/kpatch/RELEASE).
    /// Functions of loaded patches are counted anyway.
    #[arg(long, value_name = "FUNCTION|FILE|DIR")]
    watch: Vec<Watch>,
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let options = globals.observer_options();
    let observer = ObserverOptions {
        daemon: true,
        hooks: Hooking::Calls,
        load: LoadOptions {
            ring_buffer_bytes: args.ring_buffer,
            bpf_log: args.bpf_log,
        },
        watch: WatchList::or_installed(args.watch.clone(), &Host::of(&options.roots).release),
        ..options
    };
    daemon::run(DaemonOptions {
        observer,
        socket: globals.socket.clone(),
        thresholds: globals.thresholds.thresholds(),
    })
    .await?;
    Ok(Exit::Well)
}

fn ring_size(text: &str) -> Result<u32, String> {
    let size: u32 = text.parse().map_err(|error| format!("{error}"))?;
    if size.is_power_of_two() && size >= 4096 {
        Ok(size)
    } else {
        Err("must be a power of two of at least 4096".to_owned())
    }
}

//! `lpwatch daemon`: follow transitions and answer questions about them.

use crate::{
    daemon::{self, DaemonOptions, observer::ObserverOptions},
    exit::Exit,
    kernel::functions::VMLINUX,
    model::calls::FunctionId,
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

    /// Count the calls of this function from now on, so that there is a
    /// *before* when it is patched: `NAME` for one of the kernel,
    /// `MODULE:NAME` for a module's. Functions of loaded patches are counted
    /// anyway.
    #[arg(long, value_name = "FUNCTION")]
    watch: Vec<String>,
}

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let observer = ObserverOptions {
        daemon: true,
        count: true,
        load: LoadOptions {
            ring_buffer_bytes: args.ring_buffer,
            bpf_log: args.bpf_log,
        },
        watch: args.watch.iter().map(|name| function(name)).collect(),
        ..globals.observer_options()
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

/// `NAME` or `MODULE:NAME`.
fn function(text: &str) -> FunctionId {
    let (object, name) = text.split_once(':').unwrap_or((VMLINUX, text));
    FunctionId {
        object: object.to_owned(),
        name: name.to_owned(),
        sympos: 1,
    }
}

//! `lpwatch daemon`: follow transitions and serve their state.

use std::{env, path::PathBuf, time::Duration};

use crate::{
    daemon::{
        self, DaemonOptions, HistoryOptions,
        web::{DEFAULT_TELEMETRY_PATH, Listen, ListenAddress, WebOptions, telemetry_path},
    },
    exit::Exit,
    history::{DEFAULT_DIR, Limits},
    kernel::host::Host,
    observe::{
        observer::{Hooking, ObserverOptions},
        watch_list::{Watch, WatchList},
    },
    probe::LoadOptions,
};

use super::{args::Globals, past::long_time};

/// Follow transitions and serve their state over a Unix socket and HTTP, in the
/// foreground.
///
/// The daemon sleeps until the kernel reports a transition. It remembers the last
/// transitions, and measures for how long no task has switched. It ends on SIGTERM
/// or SIGINT and leaves nothing in the kernel.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The size of the ring buffer for kernel events, in bytes: a power of two, at
    /// least one page.
    #[arg(long, value_name = "BYTES", value_parser = ring_size)]
    ring_buffer: Option<u32>,

    /// Let the BPF programs log what they do (verbose; for debugging lpwatch).
    #[arg(long)]
    bpf_log: bool,

    /// Count the calls of functions before they are patched: of one function (`NAME`
    /// in the kernel, `MODULE:NAME` in a module), of all functions of a patch
    /// (`FILE.ko`), or of all patches in a folder, which is read again when it
    /// changes. Default: the patches that kpatch has installed for this kernel
    /// (/var/lib/kpatch/RELEASE). The functions of loaded patches are always counted.
    #[arg(long, value_name = "FUNCTION|FILE|DIR")]
    watch: Vec<Watch>,

    #[command(flatten)]
    history: HistoryArgs,

    #[command(flatten)]
    web: WebArgs,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch daemon                                  for `lpwatch status` and other commands
  curl http://127.0.0.1:9417/metrics              the metrics for Prometheus
  curl http://127.0.0.1:9417/api/v1/status        the state as JSON
  lpwatch daemon --web.listen-address :9417 --web.config.file web.yml
                                                  for the network, with TLS and users
  lpwatch daemon --web.disable                    the Unix socket only
  lpwatch daemon --history-max-age 30d            keep the history for a month

web.yml, with the parts that you need:
  tls_server_config: {cert_file: server.pem, key_file: server.key}
  basic_auth_users: {prometheus: HASH}            HASH from htpasswd -nBC 10 prometheus

Exit codes:
  0 ended by a signal   1 error, such as an address in use   2 usage
  3 no permission       4 not supported by this kernel";

/// The history: what `lpwatch history` and `lpwatch events` show of the time before.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "History")]
struct HistoryArgs {
    /// Keep the history in this folder; `none` keeps none. Default: the state directory
    /// that systemd passes, otherwise /var/lib/lpwatch.
    #[arg(long = "history-dir", value_name = "DIR|none")]
    dir: Option<PathBuf>,

    /// Remove the oldest events and transitions when the history is larger than this.
    #[arg(
        long = "history-max-size",
        value_name = "SIZE",
        default_value = "64M",
        value_parser = size
    )]
    max_size: u64,

    /// Remove events and transitions that are older than this.
    #[arg(
        long = "history-max-age",
        value_name = "TIME",
        default_value = "400d",
        value_parser = long_time
    )]
    max_age: Duration,
}

impl HistoryArgs {
    fn options(&self, is_live: bool) -> HistoryOptions {
        let folder = match &self.dir {
            Some(folder) if folder.as_os_str() == "none" => None,
            Some(folder) => Some(folder.clone()),
            // A recorded tree is not the past of this host.
            None => is_live.then(state_directory),
        };
        HistoryOptions {
            folder,
            limits: Limits {
                size: self.max_size,
                age: self.max_age,
            },
        }
    }
}

/// The folder that systemd has made for the daemon, or the usual one.
fn state_directory() -> PathBuf {
    let passed = env::var_os("STATE_DIRECTORY").and_then(|list| env::split_paths(&list).next());
    passed.unwrap_or_else(|| DEFAULT_DIR.into())
}

/// A size in bytes: `64M`, `1G`, `2097152`; at least one MiB.
fn size(text: &str) -> Result<u64, String> {
    let (digits, unit) = match text.char_indices().find(|(_, c)| !c.is_ascii_digit()) {
        Some((at, _)) => text.split_at(at),
        None => (text, ""),
    };
    let shift = match unit.trim_end_matches("iB").trim_end_matches('B') {
        "" => 0,
        "K" | "k" => 10,
        "M" => 20,
        "G" => 30,
        _ => return Err("not a size; write for example 64M or 1G".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|error| format!("{error}"))?;
    let bytes = number.checked_mul(1 << shift).ok_or("too large")?;
    if bytes < 1 << 20 {
        return Err("must be at least 1M".to_owned());
    }
    Ok(bytes)
}

/// HTTP: metrics for Prometheus, the page, the API.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "HTTP")]
struct WebArgs {
    /// Listen on this address; may be given several times. HOST is an IP address or
    /// localhost, IPv6 in brackets. Without HOST: all addresses of this host.
    /// Default: 127.0.0.1:9417, which only this host can reach.
    #[arg(long = "web.listen-address", value_name = "HOST:PORT|:PORT|unix:PATH")]
    listen_address: Vec<ListenAddress>,

    /// Serve the metrics at this path.
    #[arg(
        long = "web.telemetry-path",
        value_name = "PATH",
        default_value = DEFAULT_TELEMETRY_PATH,
        value_parser = telemetry_path
    )]
    telemetry_path: String,

    /// Read TLS, client certificates, users with passwords and headers from this
    /// YAML file, in the format of the Prometheus exporters. The file is read again
    /// when it or a certificate changes. An invalid change is logged, and the
    /// previous configuration stays in use.
    #[arg(long = "web.config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// Serve on the sockets that systemd passes (a .socket unit) instead of listening.
    #[arg(long = "web.systemd-socket", conflicts_with = "listen_address")]
    systemd_socket: bool,

    /// Serve HTTP only on the daemon's own Unix socket (--socket).
    #[arg(long = "web.disable", conflicts_with_all = ["listen_address", "systemd_socket"])]
    disable: bool,
}

impl WebArgs {
    fn options(&self) -> WebOptions {
        let listen = if self.disable {
            Listen::Nowhere
        } else if self.systemd_socket {
            Listen::Systemd
        } else if self.listen_address.is_empty() {
            Listen::On(vec![ListenAddress::DEFAULT])
        } else {
            Listen::On(self.listen_address.clone())
        };
        WebOptions {
            listen,
            telemetry_path: self.telemetry_path.clone(),
            config_file: self.config_file.clone(),
        }
    }
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
        socket: globals.socket().to_owned(),
        thresholds: globals.thresholds.thresholds(),
        web: args.web.options(),
        history: args.history.options(globals.roots().is_live()),
    })
    .await?;
    Ok(Exit::Success)
}

fn ring_size(text: &str) -> Result<u32, String> {
    let size: u32 = text.parse().map_err(|error| format!("{error}"))?;
    if size.is_power_of_two() && size >= 4096 {
        Ok(size)
    } else {
        Err("must be a power of two of at least 4096".to_owned())
    }
}

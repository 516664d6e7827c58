//! `lpwatch daemon`: follow transitions and answer questions about them.

use std::path::PathBuf;

use crate::{
    daemon::{
        self, DaemonOptions,
        web::{DEFAULT_TELEMETRY_PATH, Listen, ListenAddress, WebOptions, telemetry_path},
    },
    exit::Exit,
    kernel::host::Host,
    observe::{
        observer::{Hooking, ObserverOptions},
        watch_list::{Watch, WatchList},
    },
    probe::LoadOptions,
};

use super::args::Globals;

/// Follow transitions and answer over a Unix socket and HTTP, in the foreground.
///
/// The daemon sleeps until the kernel tells of a transition. It remembers how
/// the last ones went, and knows since when no task has switched. It ends on
/// SIGTERM or SIGINT and leaves nothing in the kernel.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
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

    #[command(flatten)]
    web: WebArgs,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch daemon                                  for `lpwatch status` and the like
  curl http://127.0.0.1:9417/metrics              what Prometheus reads
  curl http://127.0.0.1:9417/api/v1/status        what is known, as JSON
  lpwatch daemon --web.listen-address :9417 --web.config.file web.yml
                                                  for the network, with TLS and users
  lpwatch daemon --web.disable                    the Unix socket only

web.yml, each part as you need it:
  tls_server_config: {cert_file: server.pem, key_file: server.key}
  basic_auth_users: {prometheus: HASH}            HASH from htpasswd -nBC 10 prometheus

Exit codes:
  0 ended by a signal   1 error, such as an address that is taken   2 usage
  3 no permission       4 this kernel cannot";

/// HTTP: metrics for Prometheus, the page, the API.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "HTTP")]
struct WebArgs {
    /// Listen here; may be given several times. HOST is an IP address or
    /// localhost, IPv6 in brackets; without HOST, all addresses of this host.
    /// Default: 127.0.0.1:9417, for this host alone.
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

    /// Take TLS, client certificates, users with passwords and headers from this
    /// file: YAML, as the exporters of Prometheus take it. It is read again when
    /// it changes, or a certificate does; a bad change is logged, and what held
    /// before stays.
    #[arg(long = "web.config.file", value_name = "FILE")]
    config_file: Option<PathBuf>,

    /// Serve on the sockets that systemd hands over (a .socket unit), in place
    /// of listening.
    #[arg(long = "web.systemd-socket", conflicts_with = "listen_address")]
    systemd_socket: bool,

    /// Serve no HTTP but on the daemon's own Unix socket (--socket).
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
        socket: globals.socket.clone(),
        thresholds: globals.thresholds.thresholds(),
        web: args.web.options(),
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

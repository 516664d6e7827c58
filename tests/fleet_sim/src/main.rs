//! A simulated fleet for Prometheus to scrape: one process, bounded in time, on
//! loopback only. Each host is a path; its metrics are written by lpwatch's own
//! writer from snapshots made up here. What it knows, `/truth` tells.

mod plan;
mod serve;
mod shown;
mod truth;

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context as _, ensure};
use clap::Parser;

use plan::Fleet;

/// Simulate a fleet of hosts over which a live patch rolls.
///
/// Prints `listening on 127.0.0.1:PORT` first, and ends by itself after --seconds.
/// For as long as --lead no host is patched; then the patch rolls over them in
/// four waves.
#[derive(Clone, Debug, Parser)]
#[command(name = "fleet_sim", max_term_width = 100, after_help = AFTER_HELP)]
pub struct Args {
    /// How many hosts.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    hosts: u32,

    /// Where to listen; loopback only.
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,

    /// End after this long.
    #[arg(long, default_value_t = 600, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    seconds: u32,

    /// Hosts whose transition stalls until it is healed.
    #[arg(long, default_value_t = 5)]
    stalled: u32,

    /// Hosts that stop answering in the middle of the rollout.
    #[arg(long, default_value_t = 7)]
    dead: u32,

    /// Hosts where the patch is reversed, refused or cancelled.
    #[arg(long, default_value_t = 3)]
    failed: u32,

    /// Hosts whose clock is hours wrong; they are among those that complete.
    #[arg(long, default_value_t = 1)]
    skewed: u32,

    /// How many kernels the hosts run.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=50))]
    kernels: u32,

    /// The same seed gives the same fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,

    /// How much faster than real time; ages and durations in the metrics are
    /// simulated seconds, too.
    #[arg(long, default_value_t = 10.0, value_parser = speed)]
    speed: f64,

    /// For how many simulated seconds nothing is patched.
    #[arg(long, default_value_t = 60)]
    lead: u32,

    /// Heal the stalled hosts after so many (real) seconds.
    #[arg(long)]
    heal_after: Option<u32>,

    /// The name of the patch.
    #[arg(long, default_value = "lp_sim")]
    patch: String,
}

const AFTER_HELP: &str = "\
Paths:
  GET /sd                  all hosts, for http_sd_configs of Prometheus
  GET /hosts/N/metrics     the metrics of host N, from 1
  GET /truth               what the simulation knows, as JSON: hosts by state, true
                           p50/p90/p99, names of the troubled hosts, whether all that
                           happens by itself has happened (`settled`)
  POST /heal               stalled hosts complete, two simulated seconds later
  POST /heal?what=all      dead hosts answer again and failed ones are retried, too

Scrape it with:
  scrape_configs:
    - job_name: lpwatch
      scrape_interval: 5s
      http_sd_configs:
        - url: http://127.0.0.1:PORT/sd
          refresh_interval: 30s";

fn speed(text: &str) -> Result<f64, String> {
    let speed: Option<f64> = text.parse().ok();
    speed
        .filter(|speed| (0.01..=1000.0).contains(speed))
        .ok_or_else(|| "must be between 0.01 and 1000".to_owned())
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    ensure!(
        args.listen.ip().is_loopback(),
        "{} is no loopback address: a simulated fleet is for this host only",
        args.listen.ip()
    );
    let troubled = u64::from(args.stalled)
        + u64::from(args.dead)
        + u64::from(args.failed)
        + u64::from(args.skewed);
    ensure!(
        troubled <= u64::from(args.hosts),
        "{troubled} of {} hosts cannot be stalled, dead, failed or skewed",
        args.hosts
    );
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(run(&args))
}

async fn run(args: &Args) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    println!("listening on {address}");
    let served = serve::serve(listener, Fleet::new(args), args.clone(), address);
    let end = Duration::from_secs(args.seconds.into());
    match tokio::time::timeout(end, served).await {
        Ok(ended) => ended,
        Err(_) => Ok(()),
    }
}

//! The simulated fleet over HTTP.

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Instant,
};

use anyhow::Context as _;
use axum::{
    Json, Router,
    body::Body,
    extract::{Path, Query, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    Args,
    plan::{Fleet, Heal, Standing},
    shown, truth,
};

struct Simulation {
    fleet: Fleet,
    args: Args,
    address: SocketAddr,
    started: Instant,
    began: Timestamp,
    heal: Mutex<Option<Heal>>,
}

/// Serves until it is dropped.
pub async fn serve(
    listener: tokio::net::TcpListener,
    fleet: Fleet,
    args: Args,
    address: SocketAddr,
) -> anyhow::Result<()> {
    let simulation = Arc::new(Simulation {
        fleet,
        args,
        address,
        started: Instant::now(),
        began: Timestamp::now(),
        heal: Mutex::new(None),
    });
    let router = Router::new()
        .route("/sd", get(discovery))
        .route("/truth", get(truth_now))
        .route("/heal", post(heal))
        .route("/hosts/{number}/metrics", get(metrics))
        .with_state(simulation);
    axum_serve(listener, router).await
}

/// axum's own server is not among the features lpwatch uses.
async fn axum_serve(listener: tokio::net::TcpListener, router: Router) -> anyhow::Result<()> {
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};
    loop {
        let (stream, _) = listener.accept().await.context("cannot accept")?;
        let service = TowerToHyperService::new(router.clone());
        tokio::spawn(async move {
            // A scraper that goes away is none of our business.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

impl Simulation {
    /// The simulated second.
    fn now(&self) -> f64 {
        self.started.elapsed().as_secs_f64() * self.args.speed
    }

    fn heal_now(&self) -> Option<Heal> {
        let scripted = self.args.heal_after.map(|after| Heal {
            at: f64::from(after) * self.args.speed,
            all_at: None,
        });
        let asked = self.heal.lock().map_or(None, |heal| *heal);
        let now = self.now();
        asked.or(scripted.filter(|heal| heal.at <= now))
    }
}

/// A target group of Prometheus's HTTP service discovery.
#[derive(Serialize)]
struct Group {
    targets: [String; 1],
    labels: Labels,
}

#[derive(Serialize)]
struct Labels {
    instance: String,
    dc: &'static str,
    __metrics_path__: String,
}

async fn discovery(State(simulation): State<Arc<Simulation>>) -> Json<Vec<Group>> {
    let group = |(nth, plan): (usize, &super::plan::Plan)| Group {
        targets: [simulation.address.to_string()],
        labels: Labels {
            instance: plan.name.clone(),
            dc: if nth.is_multiple_of(2) { "a" } else { "b" },
            __metrics_path__: format!("/hosts/{}/metrics", nth + 1),
        },
    };
    Json(
        simulation
            .fleet
            .hosts
            .iter()
            .enumerate()
            .map(group)
            .collect(),
    )
}

async fn truth_now(State(simulation): State<Arc<Simulation>>) -> Json<truth::Truth> {
    let heal = simulation.heal_now();
    Json(truth::truth(&simulation.fleet, simulation.now(), heal))
}

#[derive(Deserialize)]
struct HealQuery {
    what: Option<String>,
}

async fn heal(
    State(simulation): State<Arc<Simulation>>,
    Query(HealQuery { what }): Query<HealQuery>,
) -> Response {
    let all = match what.as_deref() {
        None | Some("stalled") => false,
        Some("all") => true,
        Some(_) => return (StatusCode::BAD_REQUEST, "what=stalled or what=all\n").into_response(),
    };
    let now = simulation.now();
    // Whoever was healed before stays healed since then.
    let before = simulation.heal_now();
    if let Ok(mut heal) = simulation.heal.lock() {
        *heal = Some(Heal {
            at: before.map_or(now, |heal| heal.at),
            all_at: before.and_then(|heal| heal.all_at).or(all.then_some(now)),
        });
    }
    StatusCode::NO_CONTENT.into_response()
}

async fn metrics(State(simulation): State<Arc<Simulation>>, Path(number): Path<usize>) -> Response {
    let plan = number
        .checked_sub(1)
        .and_then(|nth| simulation.fleet.hosts.get(nth));
    let Some(plan) = plan else {
        return (StatusCode::NOT_FOUND, "no such host\n").into_response();
    };
    let now = simulation.now();
    let standing = plan.at(now, simulation.heal_now());
    if standing == Standing::Silent {
        return broken_off();
    }
    match shown::metrics(
        plan,
        standing,
        now,
        simulation.began,
        &simulation.args.patch,
    ) {
        Ok(text) => ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}

/// A host that is gone: the connection breaks before there is an answer.
fn broken_off() -> Response {
    let died = futures_util::stream::once(async {
        Err::<&'static str, _>(std::io::Error::other("this host is dead"))
    });
    Response::new(Body::from_stream(died))
}

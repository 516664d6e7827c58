//! A Prometheus on loopback that answers what the test says.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    net::SocketAddr,
    sync::{Arc, Mutex},
    thread::JoinHandle,
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Query, State},
    http::{HeaderMap, Response},
    routing::get,
};
use tokio::sync::oneshot;

/// How a made-up host stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Is {
    OnNewCode,
    NotPatched,
    Moving(u32),
    Stalled,
    Failed,
    Down,
    /// It was scraped within the hour, and is no longer.
    Gone,
    /// Something else answers there.
    Foreign,
    /// It gives NaN.
    Broken,
}

/// What is answered.
#[derive(Clone, Debug)]
pub enum Answers {
    /// As a Prometheus would that scrapes `host-0`, `host-1`, ...
    Fleet(Vec<Is>),
    /// The same, with this warning.
    Warned(Vec<Is>, &'static str),
    /// The same, to whoever sends this `Authorization`.
    Guarded(Vec<Is>, String),
    /// Always this.
    Raw(u16, &'static str),
    /// The time, and this for the rest.
    Then(&'static str),
    Redirect(&'static str),
    /// Nothing, for so long.
    Slow(Duration),
}

/// A query that was asked.
#[derive(Clone, Debug)]
pub struct Asked {
    pub query: String,
    pub time: Option<String>,
    pub authorization: Option<String>,
}

#[derive(Clone)]
struct Shared {
    answers: Arc<Mutex<Answers>>,
    asked: Arc<Mutex<Vec<Asked>>>,
}

/// A Prometheus; it ends when it is dropped.
pub struct Fake {
    pub address: SocketAddr,
    shared: Shared,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    pub fn new(answers: Answers) -> Self {
        Self::at("127.0.0.1:0".parse().unwrap(), answers)
    }

    pub fn at(address: SocketAddr, answers: Answers) -> Self {
        let shared = Shared {
            answers: Arc::new(Mutex::new(answers)),
            asked: Arc::default(),
        };
        let listener = std::net::TcpListener::bind(address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let router = router(&shared);
        let thread = std::thread::spawn(move || {
            block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                tokio::select! {
                    () = accept(listener, router) => (),
                    _ = stopped => (),
                }
            });
        });
        Self {
            address,
            shared,
            stop: Some(stop),
            thread: Some(thread),
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub fn answer(&self, answers: Answers) {
        *self.shared.answers.lock().unwrap() = answers;
    }

    pub fn asked(&self) -> Vec<Asked> {
        self.shared.asked.lock().unwrap().clone()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// What answers a fleet, for servers of other kinds.
pub fn fleet(hosts: Vec<Is>) -> Router {
    router(&Shared {
        answers: Arc::new(Mutex::new(Answers::Fleet(hosts))),
        asked: Arc::default(),
    })
}

fn router(shared: &Shared) -> Router {
    Router::new()
        .route("/api/v1/query", get(answer))
        .with_state(shared.clone())
}

pub fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future);
}

async fn accept(listener: tokio::net::TcpListener, router: Router) {
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        tokio::spawn(serve(stream, router.clone()));
    }
}

pub async fn serve(
    stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    router: Router,
) {
    use hyper_util::{rt::TokioIo, service::TowerToHyperService};
    let service = TowerToHyperService::new(router);
    let _ = hyper::server::conn::http1::Builder::new()
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    State(shared): State<Shared>,
    Query(query): Query<BTreeMap<String, String>>,
    headers: HeaderMap,
) -> Response<Body> {
    let authorization = headers
        .get("authorization")
        .map(|value| value.to_str().unwrap().to_owned());
    let asked = Asked {
        query: query["query"].clone(),
        time: query.get("time").cloned(),
        authorization: authorization.clone(),
    };
    shared.asked.lock().unwrap().push(asked);
    let query = &query["query"];
    let answers = shared.answers.lock().unwrap().clone();
    match answers {
        Answers::Fleet(hosts) => response(200, good(query, &hosts, None)),
        Answers::Warned(hosts, warning) => response(200, good(query, &hosts, Some(warning))),
        Answers::Guarded(hosts, wanted) if authorization.as_ref() == Some(&wanted) => {
            response(200, good(query, &hosts, None))
        }
        Answers::Guarded(..) => response(401, "Unauthorized\n".to_owned()),
        Answers::Raw(status, body) => response(status, body.to_owned()),
        Answers::Then(_) if query == "time()" => response(200, good(query, &[], None)),
        Answers::Then(body) => response(200, body.to_owned()),
        Answers::Redirect(to) => {
            let mut response = response(302, String::new());
            response
                .headers_mut()
                .insert("location", to.parse().unwrap());
            response
        }
        Answers::Slow(time) => {
            tokio::time::sleep(time).await;
            response(200, good(query, &[], None))
        }
    }
}

fn response(status: u16, body: String) -> Response<Body> {
    Response::builder()
        .status(status)
        .body(Body::from(body))
        .unwrap()
}

/// What Prometheus would answer.
fn good(query: &str, hosts: &[Is], warning: Option<&str>) -> String {
    if query == "time()" {
        return r#"{"status":"success","data":{"resultType":"scalar","result":[1772334765,"1772334765"]}}"#
            .to_owned();
    }
    let mut result = String::new();
    for (nth, is) in hosts.iter().enumerate() {
        if let Some((labels, value)) = sample(query, *is) {
            let comma = if result.is_empty() { "" } else { "," };
            let _ = write!(
                result,
                r#"{comma}{{"metric":{{"instance":"host-{nth}"{labels}}},"value":[1772334765,"{value}"]}}"#
            );
        }
    }
    let warnings = warning.map_or_else(String::new, |warning| {
        format!(r#","warnings":["{warning}"]"#)
    });
    format!(
        r#"{{"status":"success","data":{{"resultType":"vector","result":[{result}]}}{warnings}}}"#
    )
}

/// Labels and value of a host's sample.
fn sample(query: &str, is: Is) -> Option<(&'static str, String)> {
    const P: &str = r#","patch":"lp_x""#;
    let one = |labels| Some((labels, "1".to_owned()));
    let is_moving = matches!(is, Is::Moving(_) | Is::Stalled);
    let left = match is {
        Is::Moving(left) => left,
        _ => 1,
    };
    let scraped = !matches!(is, Is::Gone | Is::Down);
    match query {
        query if query.starts_with("count by") => None,
        query if query.contains("last_over_time(up") => {
            (is == Is::Gone).then_some(("", "0".to_owned()))
        }
        query if query.contains("(up{") => match is {
            Is::Gone => None,
            Is::Down => Some(("", "0".to_owned())),
            _ => one(""),
        },
        _ if !scraped || is == Is::Foreign => None,
        query if query.contains("lpwatch_host_info") => one(r#","kernel":"6.1.0-40""#),
        query if query.contains("patch_enabled") => match is {
            Is::NotPatched | Is::Failed => None,
            Is::Broken => Some((P, "NaN".to_owned())),
            _ => one(P),
        },
        query if query.contains("in_progress") && is_moving => {
            one(r#","patch":"lp_x","direction":"patching""#)
        }
        query if query.contains("stalled") && is == Is::Stalled => one(P),
        query if query.contains("transition_tasks") && is_moving => {
            Some((r#","patch":"lp_x","code":"old""#, left.to_string()))
        }
        query if query.contains("blocked_tasks") && is_moving => {
            Some((r#","patch":"lp_x","reason":"running""#, left.to_string()))
        }
        query if query.contains("last_transition_end") && is == Is::Failed => Some((
            r#","patch":"lp_x","direction":"patching","outcome":"reversed""#,
            "1772334000".to_owned(),
        )),
        query if query.contains("last_transition_duration") && is == Is::OnNewCode => Some((
            r#","patch":"lp_x","direction":"patching","outcome":"completed""#,
            "2.5".to_owned(),
        )),
        _ => None,
    }
}

/// So many hosts in each state.
pub fn hosts(counts: &[(Is, usize)]) -> Vec<Is> {
    counts
        .iter()
        .flat_map(|&(is, count)| std::iter::repeat_n(is, count))
        .collect()
}

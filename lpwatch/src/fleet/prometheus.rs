//! Prometheus's HTTP API, version 1: instant queries only.
//!
//! Responses are bounded in size and time, redirects are not followed (the
//! credentials would go along), and no error contains a secret.

mod answer;
mod error;
mod login;
mod tls;
mod url;

use std::{error::Error as _, time::Duration};

use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode,
    body::{Bytes, Incoming},
    header::{ACCEPT, AUTHORIZATION, HeaderValue, LOCATION, USER_AGENT},
};
use hyper_rustls::HttpsConnector;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};

pub use answer::{QueryResult, Sample};
pub use error::{HttpRefusal, PrometheusError};
pub use login::Login;
pub use tls::Tls;
pub use url::BaseUrl;

/// How Prometheus is queried.
#[derive(Clone, Debug)]
pub struct PrometheusOptions {
    pub url: BaseUrl,
    pub login: Login,
    pub tls: Tls,
    /// For one response, from connecting to its last byte.
    pub timeout: Duration,
    /// The largest response accepted, in bytes.
    pub largest: usize,
}

/// Prometheus, or a server with its API: Thanos, Mimir, VictoriaMetrics.
pub struct Prometheus {
    url: BaseUrl,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    largest: usize,
}

impl Prometheus {
    /// Reads the files of secrets and certificates; sends no query yet.
    ///
    /// # Errors
    /// [`PrometheusError::File`] and [`PrometheusError::Certificate`] if one of them cannot be used.
    pub fn new(options: PrometheusOptions) -> Result<Self, PrometheusError> {
        let PrometheusOptions {
            url,
            login,
            tls,
            timeout,
            largest,
        } = options;
        let mut connector = HttpConnector::new();
        connector.enforce_http(false);
        let connector = hyper_rustls::HttpsConnectorBuilder::new()
            .with_tls_config(tls::config(&tls, &url)?)
            .https_or_http()
            .enable_http1()
            .wrap_connector(connector);
        Ok(Self {
            authorization: login.header()?,
            client: Client::builder(TokioExecutor::new()).build(connector),
            url,
            timeout,
            largest,
        })
    }

    /// The URL as given.
    #[must_use]
    pub fn url(&self) -> &BaseUrl {
        &self.url
    }

    /// Whether secrets are sent to another host unencrypted.
    #[must_use]
    pub fn sends_secrets_unencrypted(&self) -> bool {
        self.authorization.is_some() && !self.url.is_https() && !self.url.is_loopback()
    }

    /// Prometheus's own time, in seconds since the epoch: its clock, not ours,
    /// decides when a query is evaluated.
    ///
    /// # Errors
    /// [`PrometheusError`] if the response is not as expected.
    pub async fn now(&self) -> Result<f64, PrometheusError> {
        let body = self.get("time()", None).await?;
        answer::scalar(&body).map_err(|reason| self.wrong(reason))
    }

    /// An instant query, evaluated at `at`.
    ///
    /// # Errors
    /// [`PrometheusError`] if the response is not as expected.
    pub async fn query(&self, query: &str, at: f64) -> Result<QueryResult, PrometheusError> {
        let body = self.get(query, Some(at)).await?;
        answer::vector(&body).map_err(|reason| self.wrong(reason))
    }

    fn wrong(&self, reason: String) -> PrometheusError {
        PrometheusError::WrongAnswer {
            url: self.url.to_string(),
            reason,
        }
    }

    async fn get(&self, query: &str, at: Option<f64>) -> Result<Vec<u8>, PrometheusError> {
        let uri = self.url.query(query, at, self.timeout);
        let mut request = Request::get(uri)
            .header(ACCEPT, "application/json")
            .header(USER_AGENT, concat!("lpwatch/", env!("CARGO_PKG_VERSION")));
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization.clone());
        }
        let request = request
            .body(Empty::new())
            .map_err(|error| self.wrong(error.to_string()))?;
        tokio::time::timeout(self.timeout, self.answer(request, query))
            .await
            .map_err(|_| PrometheusError::TooSlow {
                url: self.url.to_string(),
                seconds: self.timeout.as_secs_f64(),
            })?
    }

    async fn answer(
        &self,
        request: Request<Empty<Bytes>>,
        query: &str,
    ) -> Result<Vec<u8>, PrometheusError> {
        let response =
            self.client
                .request(request)
                .await
                .map_err(|error| PrometheusError::Unreachable {
                    url: self.url.to_string(),
                    reason: causes(&error),
                })?;
        let status = response.status();
        let location = response.headers().get(LOCATION).cloned();
        let body = self.body(response.into_body()).await?;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(PrometheusError::Refused {
                url: self.url.to_string(),
                status: status.as_u16(),
                had_login: self.authorization.is_some(),
            }),
            status if status.is_redirection() => Err(PrometheusError::Redirected {
                url: self.url.to_string(),
                to: location.and_then(|to| url::shown(to.to_str().ok()?)),
            }),
            status => Err(PrometheusError::Status(Box::new(HttpRefusal {
                url: self.url.to_string(),
                status: status.as_u16(),
                query: query.to_owned(),
                reason: answer::reason(&body),
            }))),
        }
    }

    async fn body(&self, body: Incoming) -> Result<Vec<u8>, PrometheusError> {
        match Limited::new(body, self.largest).collect().await {
            Ok(collected) => Ok(collected.to_bytes().into()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => {
                Err(PrometheusError::TooLarge {
                    url: self.url.to_string(),
                    mib: self.largest >> 20,
                })
            }
            Err(error) => Err(PrometheusError::Unreachable {
                url: self.url.to_string(),
                reason: format!("the response was cut off: {error}"),
            }),
        }
    }
}

/// An error of the client with its causes; the error itself only says that a
/// connection failed.
fn causes(error: &hyper_util::client::legacy::Error) -> String {
    let mut deepest = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        deepest = next.to_string();
        cause = next.source();
    }
    deepest
}

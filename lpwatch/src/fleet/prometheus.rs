//! Prometheus's HTTP API, version 1, as far as it is needed: instant queries.
//!
//! Answers are bounded in size and time, redirects are not followed (they would
//! take the credentials elsewhere), and no error holds a secret.

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

pub use answer::{Answer, Sample};
pub use error::{Error, Refusal};
pub use login::Login;
pub use tls::Tls;
pub use url::BaseUrl;

/// How Prometheus is asked.
#[derive(Clone, Debug)]
pub struct Options {
    pub url: BaseUrl,
    pub login: Login,
    pub tls: Tls,
    /// For one answer, from connecting to its last byte.
    pub timeout: Duration,
    /// The largest answer taken, in bytes.
    pub largest: usize,
}

/// A Prometheus, or what answers like one: Thanos, Mimir, VictoriaMetrics.
pub struct Prometheus {
    url: BaseUrl,
    client: Client<HttpsConnector<HttpConnector>, Empty<Bytes>>,
    authorization: Option<HeaderValue>,
    timeout: Duration,
    largest: usize,
}

impl Prometheus {
    /// Reads the files of secrets and certificates; asks nothing yet.
    ///
    /// # Errors
    /// [`Error::File`] and [`Error::Certificate`] if one of them cannot be used.
    pub fn new(options: Options) -> Result<Self, Error> {
        let Options {
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

    /// Where it is, as it was asked for.
    #[must_use]
    pub fn url(&self) -> &BaseUrl {
        &self.url
    }

    /// Whether secrets go to another host in the clear.
    #[must_use]
    pub fn tells_secrets(&self) -> bool {
        self.authorization.is_some() && !self.url.is_https() && !self.url.is_loopback()
    }

    /// Prometheus's own time, in seconds since the epoch: its clock, not ours,
    /// decides at which moment a query is evaluated.
    ///
    /// # Errors
    /// [`Error`] if it does not answer as it should.
    pub async fn now(&self) -> Result<f64, Error> {
        let body = self.get("time()", None).await?;
        answer::scalar(&body).map_err(|reason| self.wrong(reason))
    }

    /// An instant query, evaluated at `at`.
    ///
    /// # Errors
    /// [`Error`] if it does not answer as it should.
    pub async fn query(&self, query: &str, at: f64) -> Result<Answer, Error> {
        let body = self.get(query, Some(at)).await?;
        answer::vector(&body).map_err(|reason| self.wrong(reason))
    }

    fn wrong(&self, reason: String) -> Error {
        Error::WrongAnswer {
            url: self.url.to_string(),
            reason,
        }
    }

    async fn get(&self, query: &str, at: Option<f64>) -> Result<Vec<u8>, Error> {
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
            .map_err(|_| Error::TooSlow {
                url: self.url.to_string(),
                seconds: self.timeout.as_secs_f64(),
            })?
    }

    async fn answer(&self, request: Request<Empty<Bytes>>, query: &str) -> Result<Vec<u8>, Error> {
        let response = self
            .client
            .request(request)
            .await
            .map_err(|error| Error::Unreachable {
                url: self.url.to_string(),
                reason: causes(&error),
            })?;
        let status = response.status();
        let location = response.headers().get(LOCATION).cloned();
        let body = self.body(response.into_body()).await?;
        match status {
            StatusCode::OK => Ok(body),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Err(Error::Refused {
                url: self.url.to_string(),
                status: status.as_u16(),
                had_login: self.authorization.is_some(),
            }),
            status if status.is_redirection() => Err(Error::Redirected {
                url: self.url.to_string(),
                to: location.and_then(|to| url::shown(to.to_str().ok()?)),
            }),
            status => Err(Error::Status(Box::new(Refusal {
                url: self.url.to_string(),
                status: status.as_u16(),
                query: query.to_owned(),
                reason: answer::reason(&body),
            }))),
        }
    }

    async fn body(&self, body: Incoming) -> Result<Vec<u8>, Error> {
        match Limited::new(body, self.largest).collect().await {
            Ok(collected) => Ok(collected.to_bytes().into()),
            Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(Error::TooLarge {
                url: self.url.to_string(),
                mib: self.largest >> 20,
            }),
            Err(error) => Err(Error::Unreachable {
                url: self.url.to_string(),
                reason: format!("its answer broke off: {error}"),
            }),
        }
    }
}

/// An error of the client and what led to it; the first only says that it is one
/// of a connection.
fn causes(error: &hyper_util::client::legacy::Error) -> String {
    let mut deepest = error.to_string();
    let mut cause = error.source();
    while let Some(next) = cause {
        deepest = next.to_string();
        cause = next.source();
    }
    deepest
}

//! The URL of Prometheus.

use std::{fmt, str::FromStr, time::Duration};

use hyper::Uri;

/// The URL above `/api/v1/query`, without a secret in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    https: bool,
    authority: String,
    /// Without a slash at its end.
    path: String,
}

impl BaseUrl {
    #[must_use]
    pub fn is_https(&self) -> bool {
        self.https
    }

    /// Whether the URL names this host itself.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        let host = self.authority.rsplit_once(':').map_or_else(
            || self.authority.as_str(),
            |(host, port)| {
                if port.ends_with(']') {
                    &self.authority
                } else {
                    host
                }
            },
        );
        host == "localhost"
            || host == "[::1]"
            || host
                .parse()
                .is_ok_and(|address: std::net::Ipv4Addr| address.is_loopback())
    }

    /// The address of an instant query.
    pub(super) fn query(&self, query: &str, at: Option<f64>, timeout: Duration) -> String {
        let target = format!("{self}/api/v1/query?");
        let begun = target.len();
        let mut form = form_urlencoded::Serializer::for_suffix(target, begun);
        form.append_pair("query", query);
        if let Some(at) = at {
            form.append_pair("time", &format!("{at:.3}"));
        }
        // After our timeout the query must not keep Prometheus busy.
        form.append_pair("timeout", &format!("{}ms", timeout.as_millis()));
        form.finish()
    }
}

impl fmt::Display for BaseUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

impl FromStr for BaseUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let uri: Uri = text
            .parse()
            .map_err(|_| "not a URL; write it like http://prometheus.example:9090".to_owned())?;
        let https = match uri.scheme_str() {
            Some("http") => false,
            Some("https") => true,
            _ => return Err("must begin with http:// or https://".to_owned()),
        };
        let authority = uri.authority().ok_or("names no host")?;
        if authority.as_str().contains('@') {
            return Err(
                "a user or password in the URL is visible to every user of this host: \
                 use --prometheus.user and --prometheus.password-file"
                    .to_owned(),
            );
        }
        if uri.query().is_some() || text.contains('#') {
            return Err("must have nothing behind its path (no ? and no #)".to_owned());
        }
        Ok(Self {
            https,
            authority: authority.to_string(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

/// The target of a redirect without possible secrets: user, query, fragment.
pub(super) fn shown(location: &str) -> Option<String> {
    let uri: Uri = location.parse().ok()?;
    let host = match (uri.scheme_str(), uri.host()) {
        (Some(scheme), Some(host)) => format!("{scheme}://{host}"),
        _ => String::new(),
    };
    Some(format!("{host}{}", uri.path()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_is_kept() {
        let url: BaseUrl = "https://example.org:9090/prometheus/".parse().unwrap();
        assert_eq!(url.to_string(), "https://example.org:9090/prometheus");
        assert_eq!(
            url.query("up{a=\"b c\"}", Some(1.5), Duration::from_secs(3)),
            "https://example.org:9090/prometheus/api/v1/query\
             ?query=up%7Ba%3D%22b+c%22%7D&time=1.500&timeout=3000ms"
        );
    }

    #[test]
    fn loopback_is_known_by_its_name() {
        for (text, is) in [
            ("http://localhost:9090", true),
            ("http://127.1.2.3", true),
            ("http://[::1]:9090", true),
            ("http://[::1]", true),
            ("http://10.0.0.1:9090", false),
            ("http://localhost.example.org", false),
        ] {
            assert_eq!(text.parse::<BaseUrl>().unwrap().is_loopback(), is, "{text}");
        }
    }

    #[test]
    fn secrets_and_nonsense_are_refused() {
        for text in [
            "prometheus:9090",
            "ftp://x",
            "http://user:geheim@x",
            "http://x/?a=b",
            "http://x/#graph",
            "",
            "/run/x.sock",
        ] {
            let error = text.parse::<BaseUrl>().unwrap_err();
            assert!(!error.contains("geheim"), "{error}");
        }
    }

    #[test]
    fn a_redirect_is_shown_without_secrets() {
        let location = "https://me:geheim@login.example/sso?state=geheim#x";
        assert_eq!(
            shown(location).as_deref(),
            Some("https://login.example/sso")
        );
        assert_eq!(shown("/graph").as_deref(), Some("/graph"));
    }
}

//! The web configuration file: YAML in the format of Prometheus's
//! exporter-toolkit (docs/web-configuration.md there), as far as lpwatch
//! supports it. An unknown key is an error: a misspelt key must not leave the
//! daemon open.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Read,
    path::Path,
};

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use serde::Deserialize;

use super::{
    Users, WebConfig,
    tls::{self, TlsSection},
};

/// The limit for a configuration, a certificate and a key.
const LARGEST: u64 = 1 << 20;

/// The headers that may be set: those of exporter-toolkit.
const HEADERS: [&str; 5] = [
    "content-security-policy",
    "strict-transport-security",
    "x-content-type-options",
    "x-frame-options",
    "x-xss-protection",
];

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    tls_server_config: Option<TlsSection>,
    http_server_config: Option<HttpSection>,
    basic_auth_users: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct HttpSection {
    /// Accepted without effect: lpwatch speaks HTTP/1.1.
    #[serde(default, rename = "http2")]
    _http2: Option<bool>,
    #[serde(default)]
    headers: Option<BTreeMap<String, String>>,
}

/// Reads a configuration; calls `reads` with each other file before it is read.
pub(super) fn load(path: &Path, mut reads: impl FnMut(&Path)) -> Result<WebConfig, String> {
    let text = String::from_utf8(read(path)?)
        .map_err(|_| format!("{} is not text in UTF-8", path.display()))?;
    let contents: Option<Contents> =
        serde_saphyr::from_str(&text).map_err(|error| error.to_string())?;
    let Contents {
        tls_server_config,
        http_server_config,
        basic_auth_users,
    } = contents.unwrap_or_default();
    // Paths in the file are relative to its own folder.
    let folder = path.parent().unwrap_or(Path::new("."));
    let mut read_beside = |name: &Path| {
        let beside = folder.join(name);
        reads(&beside);
        read(&beside)
    };
    let tls = tls_server_config
        .map(|section| tls::server_config(&section, &mut read_beside))
        .transpose()?;
    let headers = http_server_config.unwrap_or_default().headers;
    Ok(WebConfig {
        tls,
        users: Users::new(basic_auth_users.unwrap_or_default())?,
        headers: header_map(headers.unwrap_or_default())?,
    })
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let fail = |error: std::io::Error| format!("cannot read {}: {error}", path.display());
    // Opening a pipe would block.
    if !fs::metadata(path).map_err(fail)?.is_file() {
        return Err(format!("{} is not a regular file", path.display()));
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(fail)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(fail)?;
    if bytes.len() as u64 > LARGEST {
        return Err(format!("{} is longer than {LARGEST} bytes", path.display()));
    }
    Ok(bytes)
}

fn header_map(headers: BTreeMap<String, String>) -> Result<HeaderMap, String> {
    let header = |(name, value): (String, String)| {
        let known = HEADERS.contains(&name.to_ascii_lowercase().as_str());
        let parsed = HeaderName::try_from(&name).ok().filter(|_| known);
        let key = parsed.ok_or_else(|| {
            format!(
                "the header `{name}` cannot be set; these can: {}",
                HEADERS.join(", ")
            )
        })?;
        let value = HeaderValue::try_from(&value)
            .map_err(|_| format!("`{value}` is not a valid value of the header `{name}`"))?;
        Ok((key, value))
    };
    headers.into_iter().map(header).collect()
}

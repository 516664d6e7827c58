//! Credentials for Prometheus. Secrets come from files and are never shown.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use hyper::header::HeaderValue;

use super::PrometheusError;

/// The most that is read of a file with a secret: tokens have some kilobytes.
const LARGEST: u64 = 1 << 16;

/// Credentials for Prometheus.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Login {
    #[default]
    Nobody,
    /// HTTP basic authentication.
    User { name: String, password: PathBuf },
    /// A bearer token.
    Token(PathBuf),
}

impl Login {
    /// The value of `Authorization`, marked so that nothing prints it.
    pub(super) fn header(&self) -> Result<Option<HeaderValue>, PrometheusError> {
        let (text, what, path) = match self {
            Self::Nobody => return Ok(None),
            Self::User { name, password } => {
                let what = "the password file";
                let Secret(secret) = read(what, password)?;
                let both = STANDARD.encode(format!("{name}:{secret}"));
                (format!("Basic {both}"), what, password)
            }
            Self::Token(path) => {
                let what = "the bearer token file";
                let Secret(secret) = read(what, path)?;
                (format!("Bearer {secret}"), what, path)
            }
        };
        let mut value = HeaderValue::from_str(&text).map_err(|_| PrometheusError::Secret {
            what,
            path: path.clone(),
            reason: "characters that HTTP cannot carry",
        })?;
        value.set_sensitive(true);
        Ok(Some(value))
    }
}

/// A text that must never be printed, not even by mistake.
struct Secret(String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The secret in a file, without the newline that editors append.
fn read(what: &'static str, path: &Path) -> Result<Secret, PrometheusError> {
    let cannot = |source| PrometheusError::File {
        what,
        path: path.to_owned(),
        source,
    };
    let wrong = |reason| PrometheusError::Secret {
        what,
        path: path.to_owned(),
        reason,
    };
    let mut bytes = Vec::new();
    let file = fs::File::open(path).map_err(cannot)?;
    std::io::Read::read_to_end(&mut std::io::Read::take(file, LARGEST + 1), &mut bytes)
        .map_err(cannot)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > LARGEST) {
        return Err(wrong("more than 64 KiB, which is too long for a secret"));
    }
    let text = String::from_utf8(bytes).map_err(|_| wrong("bytes that are not UTF-8"))?;
    let secret = text.trim_end_matches(['\n', '\r']);
    if secret.is_empty() {
        return Err(wrong("nothing"));
    }
    Ok(Secret(secret.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn credentials_are_put_as_http_wants_them() {
        let secret = file("open sesame\n");
        let login = Login::User {
            name: "aladdin".to_owned(),
            password: secret.path().to_owned(),
        };
        let header = login.header().unwrap().unwrap();
        assert_eq!(
            header.to_str().unwrap(),
            "Basic YWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
        assert!(header.is_sensitive());
        assert!(!format!("{header:?}").contains("YWxh"));
        let token = Login::Token(secret.path().to_owned());
        assert_eq!(token.header().unwrap().unwrap(), "Bearer open sesame");
        assert_eq!(Login::Nobody.header().unwrap(), None);
    }

    #[test]
    fn a_bad_secret_is_refused_and_not_reported() {
        for content in ["", "\n", "two\nlines", &"x".repeat(70_000)] {
            let secret = file(content);
            let error = Login::Token(secret.path().to_owned()).header().unwrap_err();
            let told = error.to_string();
            assert!(told.starts_with("the bearer token file"), "{told}");
            assert!(!told.contains("lines") && told.len() < 200, "{told}");
        }
    }
}

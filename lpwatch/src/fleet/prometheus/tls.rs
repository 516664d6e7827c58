//! The certificates to trust, and the one to present.
//!
//! Without a CA file the system's certificates count (`SSL_CERT_FILE` and
//! `SSL_CERT_DIR` are honoured): a Prometheus inside a company mostly has a
//! certificate that only that company's hosts trust.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ClientConfig, RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

use super::{BaseUrl, PrometheusError};

/// The files of the given certificates.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Only these are trusted, in place of the system's.
    pub ca: Option<PathBuf>,
    /// The certificate to present with its chain, and its key.
    pub own: Option<(PathBuf, PathBuf)>,
}

/// The TLS configuration of the client. The system's certificates are read only
/// for an https URL.
pub(super) fn config(tls: &Tls, url: &BaseUrl) -> Result<ClientConfig, PrometheusError> {
    let Tls { ca, own } = tls;
    let roots = match ca {
        Some(path) => of_file(path)?,
        None if url.is_https() => of_system()?,
        None => RootCertStore::empty(),
    };
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| PrometheusError::NoRoots(error.to_string()))?
        .with_root_certificates(roots);
    let Some((certificate, key)) = own else {
        return Ok(builder.with_no_client_auth());
    };
    let chain = certificates("the certificate file", certificate)?;
    let what = "the key file";
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|error| bad(what, key, &error))?;
    builder
        .with_client_auth_cert(chain, secret)
        .map_err(|error| bad(what, key, &error))
}

fn of_file(path: &Path) -> Result<RootCertStore, PrometheusError> {
    let what = "the CA file";
    let mut roots = RootCertStore::empty();
    for certificate in certificates(what, path)? {
        roots
            .add(certificate)
            .map_err(|error| bad(what, path, &error))?;
    }
    Ok(roots)
}

fn certificates(
    what: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, PrometheusError> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(bad(what, path, &"it contains no PEM certificate")),
        Ok(found) => Ok(found),
        Err(error) => Err(bad(what, path, &error)),
    }
}

fn of_system() -> Result<RootCertStore, PrometheusError> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    // One broken certificate does not make the others unusable.
    let (added, ignored) = roots.add_parsable_certificates(found.certs);
    tracing::debug!(added, ignored, errors = ?found.errors, "the system's certificates");
    if added == 0 {
        let reason = found.errors.first().map(ToString::to_string);
        return Err(PrometheusError::NoRoots(
            reason.unwrap_or_else(|| "there are none".to_owned()),
        ));
    }
    Ok(roots)
}

fn bad(what: &'static str, path: &Path, reason: &dyn std::fmt::Display) -> PrometheusError {
    PrometheusError::Certificate {
        what,
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}

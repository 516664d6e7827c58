//! Converts the section `tls_server_config` for rustls.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use serde::Deserialize;
use tokio_rustls::rustls::{
    RootCertStore, ServerConfig, SupportedProtocolVersion,
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::{WebPkiClientVerifier, danger::ClientCertVerifier},
    version::{TLS12, TLS13},
};

/// The section as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TlsSection {
    pub cert_file: PathBuf,
    pub key_file: PathBuf,
    #[serde(default)]
    pub client_auth_type: Option<String>,
    #[serde(default)]
    pub client_ca_file: Option<PathBuf>,
    #[serde(default)]
    pub min_version: Option<String>,
    #[serde(default)]
    pub max_version: Option<String>,
}

/// Reads a file that the section names.
type Read<'a> = &'a mut dyn FnMut(&Path) -> Result<Vec<u8>, String>;

pub(super) fn server_config(
    section: &TlsSection,
    read: Read<'_>,
) -> Result<Arc<ServerConfig>, String> {
    let TlsSection {
        cert_file,
        key_file,
        client_auth_type,
        client_ca_file,
        min_version,
        max_version,
    } = section;
    let chain = certificates(cert_file, read)?;
    let key = PrivateKeyDer::from_pem_slice(&read(key_file)?)
        .map_err(|error| format!("key_file {}: {error}", key_file.display()))?;
    let provider = Arc::new(ring::default_provider());
    let clients = client_verifier(
        client_auth_type.as_deref(),
        client_ca_file.as_deref(),
        &provider,
        read,
    )?;
    let versions = versions(min_version.as_deref(), max_version.as_deref())?;
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&versions)
        .map_err(|error| error.to_string())?;
    let builder = match clients {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_single_cert(chain, key).map_err(|error| {
        format!(
            "{} and {} do not belong together: {error}",
            cert_file.display(),
            key_file.display()
        )
    })?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}

fn certificates(path: &Path, read: Read<'_>) -> Result<Vec<CertificateDer<'static>>, String> {
    let bytes = read(path)?;
    let chain: Vec<_> = CertificateDer::pem_slice_iter(&bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{}: {error}", path.display()))?;
    if chain.is_empty() {
        return Err(format!("{} contains no certificate", path.display()));
    }
    Ok(chain)
}

/// `None` where no client needs a certificate.
fn client_verifier(
    kind: Option<&str>,
    ca_file: Option<&Path>,
    provider: &Arc<CryptoProvider>,
    read: Read<'_>,
) -> Result<Option<Arc<dyn ClientCertVerifier>>, String> {
    let must_have_one = match kind.unwrap_or_default() {
        "" | "NoClientCert" => {
            return match ca_file {
                None => Ok(None),
                Some(_) => Err(
                    "client_ca_file is given, but client_auth_type asks no client for \
                                a certificate: write RequireAndVerifyClientCert"
                        .to_owned(),
                ),
            };
        }
        "RequireAndVerifyClientCert" => true,
        "VerifyClientCertIfGiven" => false,
        kind @ ("RequestClientCert" | "RequireAnyClientCert") => {
            return Err(format!(
                "client_auth_type {kind} would accept certificates without verifying them, which \
                 lpwatch does not support: write RequireAndVerifyClientCert"
            ));
        }
        other => {
            return Err(format!(
                "client_auth_type `{other}` is unknown: write NoClientCert, VerifyClientCertIfGiven \
                 or RequireAndVerifyClientCert"
            ));
        }
    };
    let ca_file = ca_file.ok_or("client_auth_type needs client_ca_file")?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(ca_file, read)? {
        roots
            .add(certificate)
            .map_err(|error| format!("{}: {error}", ca_file.display()))?;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(roots.into(), provider.clone());
    let builder = if must_have_one {
        builder
    } else {
        builder.allow_unauthenticated()
    };
    builder.build().map(Some).map_err(|error| error.to_string())
}

fn versions(
    min: Option<&str>,
    max: Option<&str>,
) -> Result<Vec<&'static SupportedProtocolVersion>, String> {
    let known = [("TLS12", &TLS12), ("TLS13", &TLS13)];
    let place = |name: &str| {
        let place = known.iter().position(|(known, _)| *known == name);
        place.ok_or_else(|| format!("TLS version `{name}` is not supported: write TLS12 or TLS13"))
    };
    let from = min.map_or(Ok(0), place)?;
    let to = max.map_or(Ok(known.len() - 1), place)?;
    if from > to {
        return Err("min_version is above max_version".to_owned());
    }
    Ok(known[from..=to]
        .iter()
        .map(|(_, version)| *version)
        .collect())
}

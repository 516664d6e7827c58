//! TLS: whom we trust, and the certificate we show.

use std::{fs, path::Path, sync::Arc};

use rcgen::{CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    fails,
    fake::{self, Is, hosts},
    run,
};

/// A certificate authority, and what it signed, as files.
struct Authority {
    folder: tempfile::TempDir,
}

impl Authority {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
        fs::write(folder.path().join("ca.pem"), issuer.pem()).unwrap();
        for (name, usage) in [
            ("server", ExtendedKeyUsagePurpose::ServerAuth),
            ("client", ExtendedKeyUsagePurpose::ClientAuth),
        ] {
            let key = KeyPair::generate().unwrap();
            let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
            params.extended_key_usages = vec![usage];
            let certificate = params.signed_by(&key, &issuer).unwrap();
            fs::write(folder.path().join(format!("{name}.pem")), certificate.pem()).unwrap();
            fs::write(
                folder.path().join(format!("{name}.key")),
                key.serialize_pem(),
            )
            .unwrap();
        }
        Self { folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// A Prometheus behind TLS, for as long as the test runs; its URL.
    fn serve(&self, asks_for_certificates: bool) -> String {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!(
            "https://localhost:{}",
            listener.local_addr().unwrap().port()
        );
        let acceptor = TlsAcceptor::from(Arc::new(self.config(asks_for_certificates)));
        let router = fake::fleet(hosts(&[(Is::OnNewCode, 3)]));
        std::thread::spawn(move || {
            fake::block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    let (acceptor, router) = (acceptor.clone(), router.clone());
                    tokio::spawn(async move {
                        if let Ok(stream) = acceptor.accept(stream).await {
                            fake::serve(stream, router).await;
                        }
                    });
                }
            });
        });
        url
    }

    fn config(&self, asks_for_certificates: bool) -> ServerConfig {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap();
        let builder = if asks_for_certificates {
            let mut roots = RootCertStore::empty();
            roots.add(certificate(&self.path("ca.pem"))).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        } else {
            builder.with_no_client_auth()
        };
        let key = PrivateKeyDer::from_pem_file(Path::new(&self.path("server.key"))).unwrap();
        let chain = vec![certificate(&self.path("server.pem"))];
        builder.with_single_cert(chain, key).unwrap()
    }
}

fn certificate(path: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_file(Path::new(path)).unwrap()
}

#[test]
fn only_those_are_trusted_who_were_named() {
    let (authority, other) = (Authority::new(), Authority::new());
    let url = authority.serve(false);
    let ca = authority.path("ca.pem");
    let output = run(&url, &["status", "--prometheus.ca-file", &ca]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let wrong = other.path("ca.pem");
    let output = run(&url, &["status", "--prometheus.ca-file", &wrong]);
    fails(&output, 1, &["cannot reach Prometheus", "certificate"]);
    let output = run(
        &url,
        &[
            "status",
            "--prometheus.ca-file",
            &authority.path("ca.pem.not"),
        ],
    );
    fails(&output, 1, &["the CA file"]);
    let key = authority.path("server.key");
    let output = run(&url, &["status", "--prometheus.ca-file", &key]);
    fails(&output, 1, &["it contains no PEM certificate"]);
}

#[test]
fn our_certificate_is_shown() {
    let authority = Authority::new();
    let url = authority.serve(true);
    let files = ["ca.pem", "client.pem", "client.key"].map(|name| authority.path(name));
    let trusting = ["status", "--prometheus.ca-file", &files[0]];
    fails(&run(&url, &trusting), 1, &["cannot reach Prometheus"]);
    let own = [
        "--prometheus.cert-file",
        &files[1],
        "--prometheus.key-file",
        &files[2],
    ];
    let output = run(&url, &[&trusting[..], &own[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
}

//! TLS, client certificates and passwords, and changes of all that.

use std::{fs, io, path::Path, sync::Arc};

use rcgen::{CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::support::{Server, ask, options, request, status};

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// Writes a certificate for localhost and its key.
fn issue(by: &Issuer, folder: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, by).unwrap();
    fs::write(folder.join(format!("{name}.pem")), certificate.pem()).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

fn client(trusts: &Issuer, shows: Option<(&Path, &str)>) -> TlsConnector {
    let mut roots = RootCertStore::empty();
    roots.add(trusts.as_ref().der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots);
    let config = match shows {
        None => builder.with_no_client_auth(),
        Some((folder, name)) => {
            let chain = CertificateDer::from_pem_file(folder.join(format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(folder.join(format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(vec![chain], key).unwrap()
        }
    };
    Arc::new(config).into()
}

async fn tls(
    server: &Server,
    client: &TlsConnector,
) -> io::Result<TlsStream<tokio::net::TcpStream>> {
    let name = "localhost".try_into().unwrap();
    client.connect(name, server.connect().await).await
}

/// The answer; empty where the handshake fails, now or (TLS 1.3) a little later.
async fn get(server: &Server, client: &TlsConnector) -> String {
    match tls(server, client).await {
        Ok(stream) => ask(stream, &request("/metrics", "")).await,
        Err(_) => String::new(),
    }
}

#[tokio::test]
async fn a_client_needs_a_certificate_of_the_right_authority() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (ours, theirs) = (authority(), authority());
    issue(&ours, folder, "server");
    issue(&ours, folder, "friend");
    issue(&theirs, folder, "stranger");
    fs::write(folder.join("ca.pem"), ours.as_ref().pem()).unwrap();
    let config = folder.join("web.yml");
    let text = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n  \
                client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n";
    fs::write(&config, text).unwrap();
    let server = Server::with(&options(Some(&config)));
    let friend = client(&ours, Some((folder, "friend")));
    assert_eq!(status(&get(&server, &friend).await), 200);
    assert_eq!(get(&server, &client(&ours, None)).await, "");
    let stranger = client(&ours, Some((folder, "stranger")));
    assert_eq!(get(&server, &stranger).await, "");
    assert_eq!(
        get(&server, &client(&theirs, Some((folder, "friend")))).await,
        ""
    );
    let plain = server.get("/metrics").await;
    assert!(!plain.contains("lpwatch_"), "without TLS: {plain}");
}

#[tokio::test]
async fn a_certificate_is_renewed_without_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (old, new) = (authority(), authority());
    issue(&old, folder, "server");
    let config = folder.join("web.yml");
    let text = "tls_server_config:\n  cert_file: server.pem\n  key_file: server.key\n";
    fs::write(&config, text).unwrap();
    let server = Server::with(&options(Some(&config)));
    assert_eq!(status(&get(&server, &client(&old, None)).await), 200);
    issue(&new, folder, "server");
    assert_eq!(status(&get(&server, &client(&new, None)).await), 200);
    assert_eq!(get(&server, &client(&old, None)).await, "");

    // What is bad changes nothing.
    fs::write(&config, "tls_server_config: {}\n").unwrap();
    assert_eq!(status(&get(&server, &client(&new, None)).await), 200);
    fs::write(folder.join("server.key"), "no key").unwrap();
    assert_eq!(status(&get(&server, &client(&new, None)).await), 200);
    fs::remove_file(&config).unwrap();
    assert_eq!(status(&get(&server, &client(&new, None)).await), 200);
}

#[tokio::test]
async fn a_password_is_asked_for_and_can_change() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("web.yml");
    let let_in = |password: &str| {
        let hash = bcrypt::hash(password, 4).unwrap();
        let text = format!(
            "basic_auth_users:\n  prom: {hash}\nhttp_server_config:\n  headers:\n    \
             X-Frame-Options: SAMEORIGIN\n"
        );
        fs::write(&config, text).unwrap();
    };
    let_in("one");
    let server = Server::with(&options(Some(&config)));
    // prom:one and prom:two
    let one = request("/metrics", "Authorization: Basic cHJvbTpvbmU=\r\n");
    let two = request("/metrics", "Authorization: Basic cHJvbTp0d28=\r\n");
    for path in ["/metrics", "/", "/-/healthy", "/api/v1/status", "/nothing"] {
        let answer = server.get(path).await;
        assert_eq!(status(&answer), 401, "{path}: {answer}");
        assert!(
            answer.contains("www-authenticate: Basic realm="),
            "{answer}"
        );
    }
    let answer = server.ask(&one).await;
    assert_eq!(status(&answer), 200);
    assert!(answer.contains("x-frame-options: SAMEORIGIN"), "{answer}");
    assert_eq!(status(&server.ask(&two).await), 401);
    assert_eq!(
        status(
            &server
                .ask(&request("/", "Authorization: Basic %%%\r\n"))
                .await
        ),
        401
    );
    let_in("two");
    assert_eq!(status(&server.ask(&two).await), 200);
    assert_eq!(status(&server.ask(&one).await), 401);
    fs::write(&config, "basic_auth_users: 7\n").unwrap();
    assert_eq!(status(&server.ask(&two).await), 200);
    assert_eq!(status(&server.get("/metrics").await), 401, "open to all");
}

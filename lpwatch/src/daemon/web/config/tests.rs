//! Web configurations, good and bad, and how they change.

use std::{collections::BTreeMap, fs, path::Path, time::Instant};

use axum::http::{HeaderMap, HeaderValue, header::AUTHORIZATION};
use base64::{Engine, prelude::BASE64_STANDARD};

use super::*;

/// A certificate for localhost and its key, in this folder.
fn certificate(folder: &Path) {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    fs::write(folder.join("cert.pem"), made.cert.pem()).unwrap();
    fs::write(folder.join("key.pem"), made.signing_key.serialize_pem()).unwrap();
}

fn write(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("web.yml");
    fs::write(&path, text).unwrap();
    path
}

const TLS: &str = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";

#[test]
fn what_prometheus_takes_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let hash = bcrypt::hash("secret", 4).unwrap();
    let text = format!(
        "{TLS}  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: cert.pem\n  \
         min_version: TLS13\nhttp_server_config:\n  http2: true\n  headers:\n    \
         Strict-Transport-Security: max-age=31536000\nbasic_auth_users:\n  prometheus: {hash}\n"
    );
    let config = LiveConfig::open(Some(&write(folder.path(), &text))).unwrap();
    let loaded = config.current();
    assert!(loaded.tls.is_some());
    assert_eq!(
        loaded.headers["strict-transport-security"],
        "max-age=31536000"
    );
    for empty in ["", "# nothing yet\n"] {
        let config = LiveConfig::open(Some(&write(folder.path(), empty))).unwrap();
        assert!(config.current().tls.is_none());
    }
}

#[test]
fn what_is_bad_says_what() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    fs::write(folder.path().join("empty.pem"), "").unwrap();
    let with = |lines: &str| format!("{TLS}{lines}");
    for (text, why) in [
        (
            "tls_server_config:\n  cert_file: cert.pem\n".to_owned(),
            "key_file",
        ),
        (with("  cipher_suites: [X]\n"), "cipher_suites"),
        ("basic_auth_user:\n  a: b\n".to_owned(), "basic_auth_user"),
        (
            "basic_auth_users:\n  a: plain\n".to_owned(),
            "not a bcrypt hash",
        ),
        (
            format!("basic_auth_users:\n  a: $2b$31${}\n", ".".repeat(53)),
            "cost of 31",
        ),
        (with("  client_ca_file: cert.pem\n"), "asks no client"),
        (
            with("  client_auth_type: RequireAnyClientCert\n"),
            "without verifying",
        ),
        (with("  client_auth_type: Always\n"), "is unknown"),
        (
            with("  client_auth_type: VerifyClientCertIfGiven\n"),
            "client_ca_file",
        ),
        (with("  min_version: TLS10\n"), "TLS12 or TLS13"),
        (
            with("  min_version: TLS13\n  max_version: TLS12\n"),
            "above",
        ),
        (TLS.replace("cert.pem", "nowhere.pem"), "nowhere.pem"),
        (TLS.replace("cert.pem", "empty.pem"), "no certificate"),
        (TLS.replace("key.pem", "cert.pem"), "key_file"),
        (
            "http_server_config:\n  headers:\n    Server: x\n".to_owned(),
            "cannot be set",
        ),
        ("a: [".to_owned(), ""),
        ("- a\n".to_owned(), ""),
    ] {
        let path = write(folder.path(), &text);
        let error = LiveConfig::open(Some(&path)).unwrap_err().to_string();
        assert!(error.contains(why), "{text}\n{error}");
        assert!(error.contains("web.yml"), "{error}");
    }
    let error = LiveConfig::open(Some(folder.path())).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[test]
fn a_change_is_taken_and_a_bad_one_is_not() {
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path());
    let path = write(folder.path(), TLS);
    let config = LiveConfig::open(Some(&path)).unwrap();
    let first = config.current();
    assert!(
        Arc::ptr_eq(&first, &config.current()),
        "read without a change"
    );

    write(folder.path(), "no: such key\n");
    assert!(
        Arc::ptr_eq(&first, &config.current()),
        "a bad one was taken"
    );
    write(folder.path(), TLS);
    let second = config.current();
    assert!(!Arc::ptr_eq(&first, &second), "a good one was not");

    // The certificate alone is renewed, in two steps that do not fit.
    let renewed = tempfile::tempdir().unwrap();
    certificate(renewed.path());
    let renew = |name| fs::copy(renewed.path().join(name), folder.path().join(name)).unwrap();
    renew("cert.pem");
    assert!(
        Arc::ptr_eq(&second, &config.current()),
        "half a change was taken"
    );
    renew("key.pem");
    assert!(
        !Arc::ptr_eq(&second, &config.current()),
        "a renewal was not"
    );
    fs::remove_file(&path).unwrap();
    assert!(config.current().tls.is_some(), "gone with its file");
}

fn basic(user: &str, password: &str) -> HeaderMap {
    let encoded = BASE64_STANDARD.encode(format!("{user}:{password}"));
    let value = HeaderValue::try_from(format!("Basic {encoded}")).unwrap();
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

#[tokio::test]
async fn the_right_password_is_needed_and_paid_for_once() {
    let hash = bcrypt::hash("a:b", 9).unwrap();
    let users = Users::new(BTreeMap::from([("u".to_owned(), hash)])).unwrap();
    let keeper = Authenticator::new().unwrap();
    for (headers, right) in [
        (HeaderMap::new(), false),
        (basic("u", "wrong"), false),
        (basic("nobody", "a:b"), false),
        (basic("u", ""), false),
        (basic("u", "a:b"), true),
    ] {
        assert_eq!(keeper.admits(&users, &headers).await, right, "{headers:?}");
    }
    let start = Instant::now();
    for _ in 0..100 {
        assert!(keeper.admits(&users, &basic("u", "a:b")).await);
    }
    let hundred = start.elapsed();
    let start = Instant::now();
    assert!(!keeper.admits(&users, &basic("u", "wrong")).await);
    assert!(hundred < 20 * start.elapsed(), "{hundred:?}");

    // Another password in the file: the old one is not remembered for it.
    let hash = bcrypt::hash("new", 4).unwrap();
    let users = Users::new(BTreeMap::from([("u".to_owned(), hash)])).unwrap();
    assert!(!keeper.admits(&users, &basic("u", "a:b")).await);
    assert!(keeper.admits(&users, &basic("u", "new")).await);
    let nobody = Users::default();
    assert!(keeper.admits(&nobody, &HeaderMap::new()).await);
}

//! Asking, being refused, and answers that are none.

use std::{fs, time::Duration};

use crate::{
    command, document, fails,
    fake::{Answers, Fake, Is, hosts},
    run, stderr, stdout,
};

fn all_well() -> Vec<Is> {
    hosts(&[(Is::OnNewCode, 3)])
}

#[test]
fn a_prometheus_that_is_away_is_an_error() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    for arguments in [["status", "lp_x"], ["wait", "lp_x"], ["hosts", "lp_x"]] {
        let output = run(&url, &arguments);
        fails(
            &output,
            1,
            &["cannot reach Prometheus at http://127.0.0.1", "refused"],
        );
    }
}

#[test]
fn a_slow_one_is_not_waited_for_for_ever() {
    let fake = Fake::new(Answers::Slow(Duration::from_secs(20)));
    let began = std::time::Instant::now();
    let output = run(&fake.url(), &["status", "--prometheus.timeout", "300ms"]);
    fails(
        &output,
        1,
        &["did not respond within 0.3 s", "--prometheus.timeout"],
    );
    assert!(began.elapsed() < Duration::from_secs(15));
}

#[test]
fn wrong_answers_are_told_apart() {
    let matrix = r#"{"status":"success","data":{"resultType":"matrix","result":[]}}"#;
    let cases = [
        (
            Answers::Raw(200, "<html>log in</html>"),
            "a web page (HTML)",
        ),
        (Answers::Raw(200, ""), "its response is empty"),
        (Answers::Raw(200, "true"), "cannot be read"),
        (
            Answers::Then(r#"{"status":"success","data":{"resultType":"vec"#),
            "ends too early",
        ),
        (Answers::Then(matrix), "a matrix, not a vector"),
        (
            Answers::Raw(404, "404 page not found"),
            "is this the URL of Prometheus",
        ),
        (Answers::Raw(503, "Service Unavailable"), "HTTP 503"),
        (
            Answers::Raw(
                422,
                r#"{"status":"error","errorType":"execution","error":"too many samples"}"#,
            ),
            "too many samples; the query was time()",
        ),
    ];
    for (answers, words) in cases {
        let fake = Fake::new(answers);
        fails(&run(&fake.url(), &["status"]), 1, &[words, &fake.url()]);
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Fake::new(Answers::Fleet(all_well()));
    let to: &'static str = Box::leak(format!("{}/login?token=geheim", elsewhere.url()).into());
    let fake = Fake::new(Answers::Redirect(to));
    let output = run(&fake.url(), &["status"]);
    fails(&output, 1, &["redirects", "/login", "does not follow"]);
    assert!(!stderr(&output).contains("geheim"), "{output:?}");
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn credentials_are_sent_and_never_told() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("secret");
    fs::write(&secret, "s3cret-t0ken\n").unwrap();
    let secret = secret.to_str().unwrap();
    let bearer: &[&str] = &["--prometheus.bearer-token-file", secret];
    let basic: &[&str] = &[
        "--prometheus.user",
        "me",
        "--prometheus.password-file",
        secret,
    ];
    // base64 of me:s3cret-t0ken
    for (login, wanted) in [
        (bearer, "Bearer s3cret-t0ken"),
        (basic, "Basic bWU6czNjcmV0LXQwa2Vu"),
    ] {
        let fake = Fake::new(Answers::Guarded(all_well(), wanted.to_owned()));
        let mut arguments = vec!["status", "-vv"];
        arguments.extend(login);
        let output = run(&fake.url(), &arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        assert!(
            fake.asked()
                .iter()
                .all(|asked| asked.authorization.as_deref() == Some(wanted))
        );
        // And where they are the wrong ones.
        fake.answer(Answers::Guarded(all_well(), "Bearer other".to_owned()));
        let refused = run(&fake.url(), &arguments);
        fails(
            &refused,
            3,
            &["denied access (HTTP 401)", "does not accept"],
        );
        for output in [output, refused] {
            for told in [stdout(&output), stderr(&output)] {
                for hidden in ["s3cret", "bWU6", "Bearer s", "Basic b"] {
                    assert!(!told.contains(hidden), "{hidden}: {told}");
                }
            }
        }
    }
}

#[test]
fn being_refused_says_what_to_give() {
    let fake = Fake::new(Answers::Guarded(all_well(), "Bearer x".to_owned()));
    for arguments in [["status", "lp_x"], ["wait", "lp_x"]] {
        let output = run(&fake.url(), &arguments);
        fails(&output, 3, &["HTTP 401", "--prometheus.bearer-token-file"]);
    }
    fake.answer(Answers::Raw(403, "no"));
    fails(&run(&fake.url(), &["status"]), 3, &["HTTP 403"]);
}

#[test]
fn a_url_with_a_password_is_refused_and_not_shown() {
    let output = run("http://me:geheim@127.0.0.1:9", &["status"]);
    fails(&output, 2, &["--prometheus.password-file"]);
    assert!(!stderr(&output).contains("geheim"), "{output:?}");
    let output = command("http://x", &["--help"])
        .env("LPWATCH_PROMETHEUS", "http://me:geheim@127.0.0.1")
        .output()
        .unwrap();
    assert!(!stdout(&output).contains("geheim"), "{output:?}");
    fails(&run("prometheus:9090", &["status"]), 2, &["http://"]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let fake = Fake::new(Answers::Fleet(all_well()));
    let missing = ["status", "--prometheus.bearer-token-file", "/nowhere/token"];
    fails(
        &run(&fake.url(), &missing),
        1,
        &["the bearer token file /nowhere/token"],
    );
    let missing = ["status", "--prometheus.ca-file", "/nowhere/ca.pem"];
    fails(
        &run(&fake.url(), &missing),
        1,
        &["the CA file /nowhere/ca.pem"],
    );
    assert!(fake.asked().is_empty());
}

#[test]
fn few_queries_are_asked_and_all_of_one_moment() {
    let fake = Fake::new(Answers::Fleet(hosts(&[(Is::OnNewCode, 5000)])));
    let output = run(
        &fake.url(),
        &["status", "lp-x", "--selector", "{job=\"lpwatch\",dc=\"x\"}"],
    );
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let asked = fake.asked();
    assert!(asked.len() <= 16, "{asked:?}");
    let (time, facts) = asked.split_first().unwrap();
    assert_eq!((time.query.as_str(), &time.time), ("time()", &None));
    for fact in facts {
        assert_eq!(fact.time.as_deref(), Some("1772334765.000"), "{fact:?}");
        assert!(fact.query.contains("{job=\"lpwatch\",dc=\"x\""), "{fact:?}");
    }
    let of_patch = facts
        .iter()
        .filter(|fact| fact.query.contains("patch=~\"lp[-_]x\""));
    assert!(of_patch.count() >= 9, "{facts:?}");
}

#[test]
fn no_host_at_all_is_an_error() {
    let fake = Fake::new(Answers::Fleet(Vec::new()));
    for arguments in [["status", "lp_x"], ["hosts", "lp_x"], ["wait", "lp_x"]] {
        let output = run(&fake.url(), &arguments);
        fails(
            &output,
            1,
            &["no host that matches {job=\"lpwatch\"}", "--job"],
        );
    }
}

#[test]
fn warnings_of_prometheus_are_told() {
    let warning = "dc2 did not answer";
    let fake = Fake::new(Answers::Warned(all_well(), warning));
    let output = run(&fake.url(), &["status"]);
    assert!(
        stdout(&output).contains("Prometheus warns: dc2 did not answer"),
        "{output:?}"
    );
    let output = run(&fake.url(), &["status", "-o", "json"]);
    assert_eq!(document(&output, 0)["warnings"][0], warning);
    let output = run(&fake.url(), &["hosts", "-o", "jsonl"]);
    assert!(stderr(&output).contains(warning), "{output:?}");
    assert_eq!(stdout(&output).lines().count(), 3);
}

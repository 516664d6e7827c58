//! `lpwatch fleet` against a Prometheus made up by the test: good answers, wrong
//! ones, none, and one that is started anew in the middle of a wait.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod asking;
mod fake;
mod numbers;
mod tls;
mod waiting;

use std::process::{Command, Output, Stdio};

/// `lpwatch fleet` with these arguments, asking this URL.
fn command(url: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lpwatch"));
    command
        .arg("fleet")
        .args(arguments)
        .args(["--prometheus", url])
        .env_remove("LPWATCH_LOG")
        .env_remove("LPWATCH_PROMETHEUS")
        .stdin(Stdio::null());
    command
}

fn run(url: &str, arguments: &[&str]) -> Output {
    command(url, arguments)
        .output()
        .unwrap_or_else(|error| panic!("lpwatch does not start: {error}"))
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What it printed, as JSON; and that it ended with this code.
fn document(output: &Output, code: i32) -> serde_json::Value {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"))
}

/// That it ended with this code, said all this on stderr, and printed nothing.
fn fails(output: &Output, code: i32, words: &[&str]) {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    assert_eq!(stdout(output), "", "an error is no answer");
    for words in words {
        assert!(stderr(output).contains(words), "{words}: {output:?}");
    }
}

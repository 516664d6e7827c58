//! Messages about errors, for standard error.

use std::env;

use crate::text::printable;

/// Prints a message, safe for the terminal.
pub fn complain(text: &str) {
    let arguments = arguments();
    eprintln!("lpwatch: {}", safe(text, &arguments));
}

/// Prints an error with its causes.
pub fn error(error: &anyhow::Error) {
    complain(&with_causes(error));
}

/// The error and its causes, each once: many errors contain their cause.
pub fn with_causes(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

fn arguments() -> Vec<String> {
    let arguments = env::args_os().skip(1);
    arguments
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect()
}

/// `text` with everything escaped that controls the terminal. Its own line breaks
/// remain, those of the arguments that it quotes do not.
fn safe(text: &str, arguments: &[String]) -> String {
    let mut text = text.to_owned();
    for argument in arguments {
        // The value of `--flag=VALUE` is quoted alone.
        let value = argument.split_once('=').map_or("", |(_, value)| value);
        for quoted in [argument.as_str(), value] {
            if !quoted.trim().is_empty() && printable(quoted) != quoted {
                text = text.replace(quoted, &printable(quoted));
            }
        }
    }
    let lines: Vec<String> = text.split('\n').map(printable).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::error::Error;

    #[test]
    fn foreign_text_does_not_reach_the_terminal() {
        let patch = "a\u{1b}[31mb\nc";
        let text = format!("no live patch named `{patch}` is loaded:\n    lpwatch status");
        assert_eq!(
            safe(&text, &["status".to_owned(), patch.to_owned()]),
            "no live patch named `a\\x1b[31mb\\nc` is loaded:\n    lpwatch status"
        );
        let flag = format!("--watch={patch}");
        assert_eq!(
            safe(&format!("bad value '{patch}'"), &[flag]),
            "bad value 'a\\x1b[31mb\\nc'"
        );
        // What is not an argument may have lines, and nothing else.
        assert_eq!(safe("a\n\u{9b}b\tc", &[]), "a\n\\x9bb\\tc");
        assert_eq!(safe("a\nb", &["\n".to_owned()]), "a\nb");
    }

    #[test]
    fn a_cause_is_printed_once() {
        let source = || io::Error::from_raw_os_error(13);
        let denied = source().to_string();
        let error = anyhow::Error::from(Error::File {
            action: "create",
            path: "/run/lpwatch".into(),
            source: source(),
        });
        let text = with_causes(&error);
        assert_eq!(text.matches(&denied).count(), 1, "{text}");
        let other = anyhow::Error::from(source()).context("cannot look");
        assert_eq!(with_causes(&other), format!("cannot look: {denied}"));
    }
}

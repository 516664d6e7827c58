//! The selected hosts and patch, as matchers of PromQL.

use std::{fmt::Write as _, str::FromStr};

/// Matchers that select hosts: `job="lpwatch",dc="x"`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector {
    matchers: Vec<Matcher>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Matcher {
    label: String,
    operator: &'static str,
    /// As written, quotes included.
    value: String,
}

impl Selector {
    /// Adds `job="…"`, unless a matcher names the job.
    #[must_use]
    pub fn of_job(mut self, job: &str) -> Self {
        if !self.matchers.iter().any(|matcher| matcher.label == "job") {
            let matcher = Matcher {
                label: "job".to_owned(),
                operator: "=",
                value: quoted(job),
            };
            self.matchers.insert(0, matcher);
        }
        self
    }

    /// The matchers, without braces.
    #[must_use]
    pub fn matchers(&self) -> String {
        let mut out = String::new();
        for Matcher {
            label,
            operator,
            value,
        } in &self.matchers
        {
            let comma = if out.is_empty() { "" } else { "," };
            // Writing to a String cannot fail.
            let _ = write!(out, "{comma}{label}{operator}{value}");
        }
        out
    }
}

impl FromStr for Selector {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let mut rest = match text.strip_prefix('{') {
            Some(inner) => inner.strip_suffix('}').ok_or("its `{` is not closed")?,
            None => text,
        };
        let mut matchers = Vec::new();
        loop {
            rest = rest.trim_start();
            if rest.is_empty() {
                return Ok(Self { matchers });
            }
            let (matcher, after) = Matcher::read(rest)?;
            matchers.push(matcher);
            let after = after.trim_start();
            rest = match after.strip_prefix(',') {
                Some(next) => next,
                None if after.is_empty() => after,
                None => return Err(format!("a comma is missing before `{after}`")),
            };
        }
    }
}

impl Matcher {
    fn read(text: &str) -> Result<(Self, &str), String> {
        let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = text.find(|c| !is_of_name(c)).unwrap_or(text.len());
        let (label, rest) = text.split_at(end);
        if label.is_empty() || label.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(format!(
                "`{text}` does not begin with a label; write it like dc=\"x\""
            ));
        }
        let rest = rest.trim_start();
        let operator = ["=~", "!~", "!=", "="]
            .into_iter()
            .find(|operator| rest.starts_with(operator))
            .ok_or_else(|| format!("`{label}` is not followed by =, !=, =~ or !~"))?;
        let rest = rest[operator.len()..].trim_start();
        let length = quoted_length(rest)
            .ok_or_else(|| format!("the value of `{label}` is not in quotes, like \"x\""))?;
        let (value, rest) = rest.split_at(length);
        let matcher = Self {
            label: label.to_owned(),
            operator,
            value: value.to_owned(),
        };
        Ok((matcher, rest))
    }
}

/// The length of the quoted text at the beginning of `text`.
fn quoted_length(text: &str) -> Option<usize> {
    let quote = text.chars().next().filter(|c| matches!(c, '"' | '\''))?;
    let mut is_escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            c if c == quote => return Some(at + 1),
            _ => (),
        }
    }
    None
}

/// The patch asked for: its name, with `*` for any characters. A `-` also
/// matches `_`, because the kernel turns `-` into `_`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PatchPattern(String);

impl PatchPattern {
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The matcher for the label `patch`.
    #[must_use]
    pub fn matcher(&self) -> String {
        let Self(pattern) = self;
        if !pattern.contains(['*', '-']) {
            return format!("patch={}", quoted(pattern));
        }
        let mut regex = String::new();
        for c in pattern.chars() {
            match c {
                '*' => regex.push_str(".*"),
                '-' => regex.push_str("[-_]"),
                c if c.is_ascii_punctuation() && c != '_' => regex.extend(['\\', c]),
                c => regex.push(c),
            }
        }
        format!("patch=~{}", quoted(&regex))
    }
}

impl FromStr for PatchPattern {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err("not a name of a patch".to_owned());
        }
        Ok(Self(text.to_owned()))
    }
}

/// `text` as a string of PromQL.
fn quoted(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            c => out.push(c),
        }
    }
    out.push('"');
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn selector(text: &str) -> String {
        text.parse::<Selector>().unwrap().matchers()
    }

    #[test]
    fn a_selector_is_taken_with_and_without_braces() {
        assert_eq!(
            selector("{ dc = \"x\", role!~'db|\\'.*', }"),
            "dc=\"x\",role!~'db|\\'.*'"
        );
        assert_eq!(selector("dc=~\"a,b}\""), "dc=~\"a,b}\"");
        assert_eq!(selector(""), "");
        assert_eq!(selector("{}"), "");
    }

    #[test]
    fn the_job_is_added_where_none_is_named() {
        let of_job = |text: &str| text.parse::<Selector>().unwrap().of_job("l\"w").matchers();
        assert_eq!(of_job("dc=\"x\""), "job=\"l\\\"w\",dc=\"x\"");
        assert_eq!(of_job("job=~\"a|b\""), "job=~\"a|b\"");
    }

    #[test]
    fn what_is_no_selector_is_refused() {
        for text in [
            "{dc=\"x\"",
            "dc=x",
            "dc",
            "=\"x\"",
            "1a=\"x\"",
            "dc=\"x",
            "dc=\"x\" or up",
            "dc=\"x\"} or up{a=\"b\"",
            "dc=\"x\\\"",
        ] {
            assert!(text.parse::<Selector>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_pattern_finds_names_as_sysfs_spells_them() {
        let matcher = |text: &str| text.parse::<PatchPattern>().unwrap().matcher();
        assert_eq!(matcher("lp_stall"), "patch=\"lp_stall\"");
        assert_eq!(matcher("lp\"a\\"), "patch=\"lp\\\"a\\\\\"");
        assert_eq!(matcher("kpatch-*.1"), "patch=~\"kpatch[-_].*\\\\.1\"");
        assert!("".parse::<PatchPattern>().is_err());
        assert!("a\nb".parse::<PatchPattern>().is_err());
    }
}

//! Finds the machine's Debian mirror in its apt sources.
//!
//! The project names no mirror of its own: whoever runs it has chosen one.
//! Both formats are read, one-line (`.list`) and deb822 (`.sources`).

use std::env;
use std::fs;
use std::path::Path;

use anyhow::{Result, bail};

/// Suites that only Debian itself has; they tell its mirror from others.
const DEBIAN_SUITES: &[&str] = &[
    "bullseye",
    "bookworm",
    "trixie",
    "forky",
    "duke",
    "sid",
    "oldoldstable",
    "oldstable",
    "stable",
    "testing",
    "unstable",
];

/// Where packages come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mirrors {
    /// The archive proper.
    pub main: String,
    /// The security archive, which has the newest kernels.
    pub security: String,
}

/// One archive named in the sources.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    uri: String,
    suite: String,
}

impl Mirrors {
    /// Reads the machine's sources; two variables can stand in for them.
    pub fn of_this_machine() -> Result<Self> {
        if let Ok(main) = env::var("XTASK_DEBIAN_MIRROR") {
            let security =
                env::var("XTASK_DEBIAN_SECURITY_MIRROR").unwrap_or_else(|_| security_beside(&main));
            return Ok(Self { main, security });
        }
        match Self::choose(&read_entries(Path::new("/etc/apt"))) {
            Some(mirrors) => Ok(mirrors),
            None => bail!(
                "no Debian mirror in /etc/apt/sources.list or /etc/apt/sources.list.d, and the \
                 test kernels are Debian's. Add one there, or set XTASK_DEBIAN_MIRROR \
                 (and XTASK_DEBIAN_SECURITY_MIRROR) to its address."
            ),
        }
    }

    /// The mirror that has `suite`.
    pub fn for_suite(&self, suite: &str) -> &str {
        if suite.ends_with("-security") {
            &self.security
        } else {
            &self.main
        }
    }

    fn choose(entries: &[Entry]) -> Option<Self> {
        let main = entries
            .iter()
            .find(|entry| DEBIAN_SUITES.contains(&entry.suite.as_str()))?
            .uri
            .clone();
        let security = entries
            .iter()
            .find(|entry| {
                entry
                    .suite
                    .strip_suffix("-security")
                    .is_some_and(|base| DEBIAN_SUITES.contains(&base))
            })
            .map_or_else(|| security_beside(&main), |entry| entry.uri.clone());
        Some(Self { main, security })
    }
}

/// Mirrors keep the security archive beside the main one.
fn security_beside(main: &str) -> String {
    format!("{}-security", main.trim_end_matches('/'))
}

fn read_entries(etc: &Path) -> Vec<Entry> {
    let mut files = vec![etc.join("sources.list")];
    if let Ok(folder) = fs::read_dir(etc.join("sources.list.d")) {
        let mut more: Vec<_> = folder.flatten().map(|file| file.path()).collect();
        more.sort();
        files.extend(more);
    }
    let mut entries = Vec::new();
    for file in files {
        let Ok(text) = fs::read_to_string(&file) else {
            continue;
        };
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => entries.extend(parse_list(&text)),
            Some("sources") => entries.extend(parse_deb822(&text)),
            _ => {}
        }
    }
    for entry in &mut entries {
        resolve_mirror_file(&mut entry.uri);
    }
    entries
}

/// Debian's cloud images point apt at a file of mirrors; its first line is one.
fn resolve_mirror_file(uri: &mut String) {
    let Some(path) = uri.strip_prefix("mirror+file:") else {
        return;
    };
    let Ok(text) = fs::read_to_string(path) else {
        return;
    };
    let first = text
        .lines()
        .map(str::trim)
        .find(|line| !line.is_empty() && !line.starts_with('#'));
    if let Some(first) = first.and_then(|line| line.split_whitespace().next()) {
        first.clone_into(uri);
    }
}

/// `deb [options] uri suite components…`
fn parse_list(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    for line in text.lines() {
        let line = line.split('#').next().unwrap_or_default();
        let Some(rest) = line.trim().strip_prefix("deb") else {
            continue;
        };
        if !rest.starts_with([' ', '\t', '[']) {
            continue; // deb-src
        }
        let rest = match rest.trim_start().strip_prefix('[') {
            Some(options) => options.split_once(']').map_or("", |(_, rest)| rest),
            None => rest,
        };
        let mut words = rest.split_whitespace();
        if let (Some(uri), Some(suite)) = (words.next(), words.next()) {
            entries.push(Entry {
                uri: uri.to_owned(),
                suite: suite.to_owned(),
            });
        }
    }
    entries
}

/// Stanzas of `Types: URIs: Suites:`, separated by empty lines.
fn parse_deb822(text: &str) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut stanza: Vec<(String, String)> = Vec::new();
    for line in text.lines().chain([""]) {
        if line.trim_start().starts_with('#') {
            continue;
        }
        if line.trim().is_empty() {
            entries.extend(from_stanza(&stanza));
            stanza.clear();
        } else if line.starts_with([' ', '\t']) {
            if let Some((_, value)) = stanza.last_mut() {
                value.push(' ');
                value.push_str(line.trim());
            }
        } else if let Some((key, value)) = line.split_once(':') {
            stanza.push((key.trim().to_ascii_lowercase(), value.trim().to_owned()));
        }
    }
    entries
}

fn from_stanza(stanza: &[(String, String)]) -> Vec<Entry> {
    let field = |name: &str| {
        stanza
            .iter()
            .find(|(key, _)| key == name)
            .map_or("", |(_, value)| value.as_str())
    };
    let binary = field("types").split_whitespace().any(|kind| kind == "deb");
    if !binary || field("enabled").eq_ignore_ascii_case("no") {
        return Vec::new();
    }
    let mut entries = Vec::new();
    for uri in field("uris").split_whitespace() {
        for suite in field("suites").split_whitespace() {
            entries.push(Entry {
                uri: uri.to_owned(),
                suite: suite.to_owned(),
            });
        }
    }
    entries
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEB822: &str = "\
Types: deb deb-src
# a remark
URIs: http://mirror.test/debian
Suites: bookworm
 bookworm-updates
Components: main

Enabled: no
Types: deb
URIs: http://off.test/debian-security
Suites: bookworm-security

Types: deb
URIs: http://mirror.test/security
Suites: bookworm-security
";

    #[test]
    fn deb822_stanzas_are_read() {
        let mirrors = Mirrors::choose(&parse_deb822(DEB822)).unwrap();
        assert_eq!(mirrors.main, "http://mirror.test/debian");
        assert_eq!(mirrors.security, "http://mirror.test/security");
        assert_eq!(mirrors.for_suite("bullseye-security"), mirrors.security);
        assert_eq!(mirrors.for_suite("sid"), mirrors.main);
    }

    #[test]
    fn one_line_sources_are_read() {
        let text = "deb-src http://src.test/debian trixie main\n\
                    # deb http://no.test/debian trixie main\n\
                    deb [arch=amd64 signed-by=/x] http://other.test/tools nodistro main\n\
                    deb\thttp://list.test/debian/ trixie main # main\n";
        let mirrors = Mirrors::choose(&parse_list(text)).unwrap();
        assert_eq!(mirrors.main, "http://list.test/debian/");
        assert_eq!(mirrors.security, "http://list.test/debian-security");
    }

    #[test]
    fn other_distributions_are_not_taken_for_debian() {
        let entries = parse_list("deb http://mirror.test/ubuntu noble main\n");
        assert_eq!(Mirrors::choose(&entries), None);
    }

    #[test]
    fn a_file_of_mirrors_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        let list = folder.path().join("debian.list");
        fs::write(&list, "# mirrors\nhttp://first.test/debian\n").unwrap();
        let mut uri = format!("mirror+file:{}", list.display());
        resolve_mirror_file(&mut uri);
        assert_eq!(uri, "http://first.test/debian");
    }
}

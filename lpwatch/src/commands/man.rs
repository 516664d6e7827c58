//! `lpwatch man`: the manual pages, generated from the help texts.

#[cfg(test)]
mod tests;

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use anyhow::Context;
use clap_mangen::Man;

use crate::exit::Exit;

/// Write the manual pages, one per command, to a directory.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// The directory. Default: write the main page to standard output.
    directory: Option<PathBuf>,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch man /usr/local/share/man/man1
  lpwatch man | man --local-file -    read the main page";

/// The parts of a help text that are sections of a page.
const SECTIONS: [(&str, &str); 5] = [
    ("Examples:", "EXAMPLES"),
    ("Exit codes:", "EXIT STATUS"),
    ("Exit codes of status and hosts:", "EXIT STATUS"),
    ("Columns:", "COLUMNS"),
    ("States of a host:", "STATES OF A HOST"),
];

const EXIT_STATUS: &str = "EXIT STATUS";

/// The variables that each command reads: name, meaning.
const ENVIRONMENT: [(&str, &str); 4] = [
    (
        "LPWATCH_LOG",
        "which messages go to standard error, for example debug",
    ),
    ("NO_COLOR", "if set and not empty, no colours"),
    ("COLUMNS", "the width of the table, if it is not a terminal"),
    (
        "LC_ALL, LC_CTYPE, LANG",
        "without UTF-8 in them the table is plain ASCII",
    ),
];
const PROMETHEUS: (&str, &str) = ("LPWATCH_PROMETHEUS", "the address of Prometheus");

const FILES: [(&str, &str); 3] = [
    (
        "/run/lpwatch/lpwatch.sock",
        "the socket of the daemon (--socket)",
    ),
    (
        "/sys/kernel/livepatch",
        "the patches and their state, written by the kernel",
    ),
    (
        "/etc/default/lpwatch",
        "the options of the daemon, if it was installed from the package",
    ),
];

pub fn run(args: &Args, command: clap::Command) -> anyhow::Result<Exit> {
    // There is no page about `help`.
    let mut command = command.disable_help_subcommand(true);
    command.build();
    if let Some(directory) = &args.directory {
        write_all(&command, &[], directory)
            .with_context(|| format!("cannot write manual pages to {}", directory.display()))?;
    } else {
        io::stdout().write_all(&page(&command, &[])?)?;
    }
    Ok(Exit::Success)
}

/// Writes the page of `command`, and those of its subcommands.
fn write_all(command: &clap::Command, parents: &[String], directory: &Path) -> io::Result<()> {
    let name = page_name(command);
    fs::write(directory.join(format!("{name}.1")), page(command, parents)?)?;
    let parents = [parents, &[name]].concat();
    for below in shown(command) {
        write_all(below, &parents, directory)?;
    }
    Ok(())
}

fn shown(command: &clap::Command) -> impl Iterator<Item = &clap::Command> {
    command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
}

/// `lpwatch-fleet-status`
fn page_name(command: &clap::Command) -> String {
    command
        .get_display_name()
        .unwrap_or_else(|| command.get_name())
        .to_owned()
}

fn page(command: &clap::Command, parents: &[String]) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone());
    let mut out = Vec::new();
    man.render_title(&mut out)?;
    man.render_name_section(&mut out)?;
    man.render_synopsis_section(&mut out)?;
    man.render_description_section(&mut out)?;
    man.render_options_section(&mut out)?;
    if shown(command).next().is_some() {
        man.render_subcommands_section(&mut out)?;
    }
    let help = command
        .get_after_help()
        .map(ToString::to_string)
        .unwrap_or_default();
    let sections = sections(&help);
    for (title, lines) in &sections {
        literal(&mut out, title, lines)?;
    }
    if !sections.iter().any(|(title, _)| *title == EXIT_STATUS) {
        writeln!(out, ".SH \"{EXIT_STATUS}\"\nSee \\fBlpwatch\\fR(1).")?;
    }
    let name = page_name(command);
    let is_fleet = name.starts_with("lpwatch-fleet");
    let variables = ENVIRONMENT.iter().chain(is_fleet.then_some(&PROMETHEUS));
    list(&mut out, "ENVIRONMENT", variables)?;
    list(&mut out, "FILES", FILES.iter())?;
    let below = shown(command).map(page_name);
    see_also(&mut out, parents.iter().cloned().chain(below))?;
    Ok(out)
}

/// The sections of a help text, with their lines as they are written.
fn sections(help: &str) -> Vec<(&'static str, Vec<&str>)> {
    let mut sections: Vec<(&'static str, Vec<&str>)> = Vec::new();
    for line in help.lines() {
        let title = SECTIONS.iter().find(|(heading, _)| *heading == line);
        match (title, sections.last_mut()) {
            (Some((_, title)), _) => sections.push((title, Vec::new())),
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => sections.push(("NOTES", vec![line])),
        }
    }
    sections
}

/// A section whose lines are not filled.
fn literal(out: &mut Vec<u8>, title: &str, lines: &[&str]) -> io::Result<()> {
    writeln!(out, ".SH \"{title}\"\n.nf")?;
    let end = lines
        .iter()
        .rposition(|line| !line.is_empty())
        .map_or(0, |last| last + 1);
    for line in &lines[..end] {
        writeln!(out, "{}", escaped(line))?;
    }
    writeln!(out, ".fi")
}

fn list<'a>(
    out: &mut Vec<u8>,
    title: &str,
    entries: impl Iterator<Item = &'a (&'a str, &'a str)>,
) -> io::Result<()> {
    writeln!(out, ".SH \"{title}\"")?;
    for (name, meaning) in entries {
        writeln!(out, ".TP\n\\fB{}\\fR\n{}", escaped(name), escaped(meaning))?;
    }
    Ok(())
}

fn see_also(out: &mut Vec<u8>, pages: impl Iterator<Item = String>) -> io::Result<()> {
    let others = ["kpatch", "modinfo", "insmod"];
    let sections = ["1", "8", "8"];
    let mut names: Vec<String> = pages
        .map(|page| format!("\\fB{}\\fR(1)", escaped(&page)))
        .collect();
    let others = others.iter().zip(sections);
    names.extend(others.map(|(name, section)| format!("\\fB{name}\\fR({section})")));
    writeln!(out, ".SH \"SEE ALSO\"\n{}", names.join(",\n"))
}

/// A line that roff shows as it is.
fn escaped(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) {
        format!("\\&{text}")
    } else {
        text
    }
}

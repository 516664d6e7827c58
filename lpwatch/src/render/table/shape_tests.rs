//! What holds for every table: width, colour, and no foreign control.

use super::status;
use super::tests::assert_table;
use crate::model::samples::{
    object, patch, progressing, refused, refusing, snapshot, stalled, task,
};
use crate::model::snapshot::Snapshot;
use crate::model::{Blocker, Cause, Culprit, Reason, Refusal};
use crate::render::style::Style;
use crate::text::cells;

/// Names meant to do harm, or only very long.
fn odd() -> Snapshot {
    let long = "kpatch_5_14_0_427_13_1_with_a_name_as_long_as_it_may_be";
    let mut snapshot = stalled();
    snapshot.head.host = "h\u{1b}]0;owned\u{7}ost".to_owned();
    snapshot.notes = vec!["a note\nof two lines".to_owned()];
    snapshot.events_lost = 1;
    snapshot.patches[0]
        .objects
        .push(object("mod\u{202e}ule", false, &["f"]));
    let stalled = &mut snapshot.patches[1];
    stalled.name = long.to_owned();
    let transition = stalled.transition.as_mut().unwrap();
    transition.tasks_remaining = Some(5);
    transition
        .next
        .push(format!("echo 0 > /sys/kernel/livepatch/{long}/enabled"));
    transition.blockers = vec![
        task(1, "\u{1b}[2J\u{1b}[Hroot#", false),
        task(22, "new\nline\tand\rmore", false),
        task(333, "数据库服务器进程", false),
        task(4_194_304, "kworker/u512:31-events_unbound_and_longer", true),
        Blocker {
            reason: Some(Reason::UnreliableStack),
            cause: Some(Cause::BpfTrampoline),
            program: Some(Culprit {
                id: Some(7),
                name: Some("falcon\u{9b}".to_owned()),
                kind: Some("fexit".to_owned()),
                tag: Some("a04f5eef06a7f555".to_owned()),
                attached_to: Some("do_sys_poll".to_owned()),
                owner_pid: Some(1201),
                owner_comm: Some("falcon-sensor".to_owned()),
                pinned: None,
            }),
            ..task(55, "nginx", false)
        },
    ];
    let mut past = refused();
    past.patch = Some(long.to_owned());
    past.refusal = Some(Refusal::because(Some(
        "livepatch: \u{1b}[31mred\n".to_owned(),
    )));
    snapshot.last_transitions = vec![past];
    snapshot
}

fn samples() -> Vec<Snapshot> {
    vec![
        snapshot(Vec::new()),
        snapshot(vec![patch("lp_easy")]),
        progressing(),
        stalled(),
        odd(),
    ]
}

fn styles() -> Vec<Style> {
    let mut styles = Vec::new();
    for width in [40, 41, 59, 60, 61, 80, 120, 250] {
        for unicode in [false, true] {
            styles.push(Style {
                color: false,
                unicode,
                width,
            });
        }
    }
    styles
}

/// A command stays whole, on a line of its own.
fn is_command(line: &str) -> bool {
    line.trim_start().starts_with("echo ")
}

#[test]
fn no_line_but_a_command_is_wider_than_the_terminal() {
    for style in styles() {
        for snapshot in samples() {
            for line in status(&snapshot, &style).lines() {
                assert!(
                    cells(line) <= style.width || is_command(line),
                    "{} > {}: {line}",
                    cells(line),
                    style.width
                );
                assert_eq!(line, line.trim_end(), "space at the end");
            }
        }
    }
}

#[test]
fn colour_adds_nothing_but_colour() {
    for style in styles() {
        for snapshot in samples() {
            let painted = status(
                &snapshot,
                &Style {
                    color: true,
                    ..style
                },
            );
            assert_eq!(stripped(&painted), status(&snapshot, &style));
        }
    }
}

#[test]
fn stalled_is_painted_as_an_alarm() {
    let style = Style {
        color: true,
        unicode: true,
        width: 80,
    };
    assert!(status(&stalled(), &style).contains("\u{1b}[1;31mstalled\u{1b}[0m"));
}

#[test]
fn foreign_names_do_not_reach_the_terminal() {
    for style in styles() {
        let table = status(&odd(), &style);
        assert!(
            !table
                .chars()
                .any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'),
            "{table:?}"
        );
        assert!(style.unicode || table.is_ascii(), "{table}");
    }
    let table = status(
        &odd(),
        &Style {
            color: false,
            unicode: true,
            width: 120,
        },
    );
    for shown in [
        "\\x1b[2J\\x1b[Hroot#",
        "new\\nline\\tand\\rmore",
        "数据库服务器进程",
        "a note\\nof",
    ] {
        assert!(table.contains(shown), "{shown} in {table}");
    }
    assert!(
        table.contains("fexit program falcon\\x9b (id 7)"),
        "{table}"
    );
}

/// A command can be copied from one line, however narrow the terminal.
#[test]
fn commands_are_neither_wrapped_nor_cut_short() {
    let name = odd().patches[1].name.clone();
    let command = format!("echo 0 > /sys/kernel/livepatch/{name}/enabled");
    for style in styles() {
        let table = status(&odd(), &style);
        assert!(
            table.lines().any(|line| line.trim_start() == command),
            "{table}"
        );
    }
}

/// `text` without the escape sequences that paint.
fn stripped(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\u{1b}[") {
        out.push_str(before);
        rest = after.split_once('m').unwrap().1;
    }
    out + rest
}

#[test]
fn a_refused_module_comes_with_its_cause_and_the_way_out() {
    let mut patch = patch("lp_two");
    patch.objects.push(refusing("nfsd"));
    assert_table(
        &snapshot(vec![patch]),
        "
● lp_two  enabled, 1 function in vmlinux
  The kernel refuses to load module nfsd, because lp_two does not fit it:
    symbol 'gone' not found in symbol table [EINVAL (22)]. It did so 2 times.
    → It loads once lp_two is disabled, or replaced by a patch that fits:
        echo 0 > /sys/kernel/livepatch/lp_two/enabled",
    );
}

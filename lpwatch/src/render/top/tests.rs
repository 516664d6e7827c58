//! Screens of each state in each size, and what the keys do.

use std::{fmt::Write as _, fs, path::Path, sync::Arc};

use jiff::{SignedDuration, Timestamp};
use ratatui::{Terminal, backend::TestBackend, buffer::Buffer};

use super::{AfterKey, App, Key, draw, svg};
use crate::model::snapshot::{Patch, Snapshot};
use crate::model::{
    Blocker, Outcome, Reason,
    samples::{self, past, patch, progressing, stalled, task},
};
use crate::render::style::Style;

mod states;

use states::{callback, calls, completed, rollout, states};

const SIZES: [(u16, u16); 3] = [(80, 24), (40, 10), (200, 50)];

const UNICODE: Style = Style {
    color: true,
    unicode: true,
    width: 80,
};

/// The state after these snapshots, on a screen of this size.
fn shown(snapshots: &[Arc<Snapshot>], style: Style, (width, height): (u16, u16)) -> App {
    let mut app = App::new(style);
    app.resize(width.into(), height.into());
    for snapshot in snapshots {
        app.take(snapshot.clone());
    }
    app
}

fn buffer(app: &mut App, (width, height): (u16, u16)) -> Buffer {
    app.resize(width.into(), height.into());
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(app, frame)).unwrap();
    terminal.backend().buffer().clone()
}

fn text(buffer: &Buffer) -> String {
    let width = usize::from(buffer.area.width);
    let mut text = String::new();
    for row in buffer.content.chunks(width) {
        let line: String = row.iter().map(ratatui::buffer::Cell::symbol).collect();
        writeln!(text, "{}", line.trim_end()).unwrap();
    }
    text
}

fn screen(app: &mut App, size: (u16, u16)) -> String {
    text(&buffer(app, size))
}

/// Compares with a file; with `LPWATCH_WRITE_DOCS=1` it is written instead.
fn same(path: &Path, now: &str) {
    if std::env::var_os("LPWATCH_WRITE_DOCS").is_some() {
        fs::write(path, now).unwrap();
    }
    let known = fs::read_to_string(path).unwrap_or_default();
    assert!(
        known == now,
        "{} is not what is drawn. To write it anew: LPWATCH_WRITE_DOCS=1 cargo test -p lpwatch \
         --lib render::top\n{now}",
        path.display()
    );
}

#[test]
fn each_state_in_each_size_is_as_recorded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render/top/screens");
    for (state, snapshots) in states() {
        for size in SIZES {
            for style in [Style::default(), UNICODE] {
                let mut app = shown(&snapshots, style, size);
                let screen = screen(&mut app, size);
                assert!(style.unicode || screen.is_ascii(), "{screen}");
                if style.unicode {
                    let name = format!("{state}-{}x{}.txt", size.0, size.1);
                    same(&folder.join(name), &screen);
                }
            }
        }
    }
}

#[test]
fn the_picture_of_the_readme_is_what_is_drawn() {
    let size = (96, 26);
    let mut app = shown(&rollout(), UNICODE, size);
    let picture = svg::of(&buffer(&mut app, size));
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/top.svg");
    same(&path, &picture);
}

#[test]
fn no_size_and_no_key_is_too_small_or_too_odd() {
    let keys = [
        Key::Up,
        Key::Down,
        Key::PageUp,
        Key::PageDown,
        Key::Home,
        Key::End,
        Key::Enter,
        Key::Tab,
        Key::BackTab,
        Key::Escape,
        Key::Char('s'),
        Key::Char('r'),
        Key::Char('d'),
        Key::Char('h'),
        Key::Char('2'),
        Key::Char('3'),
        Key::Char('4'),
        Key::Char('/'),
        Key::Char('x'),
        Key::Backspace,
        Key::Char('q'),
        Key::Enter,
        Key::Char('1'),
    ];
    let mut odd = stalled();
    odd.patches[1].name = "lp\u{1b}[2J".to_owned();
    odd.head.host = "h\u{1b}]0;owned\u{7}".to_owned();
    odd.patches[1].transition.as_mut().unwrap().blockers = vec![
        task(1, "\u{1b}[2J\u{1b}[Hroot#", false),
        task(2, "数据库服务器进程", false),
        task(3, "new\nline\tand\u{202e}", true),
    ];
    let mut all = states().to_vec();
    all.push(("odd", vec![Arc::new(odd)]));
    for (state, snapshots) in all {
        for style in [Style::default(), UNICODE] {
            let mut app = App::new(style);
            for size in [(1, 1), (20, 4), (39, 9), (130, 30)] {
                for key in keys {
                    app.press(key);
                    let screen = screen(&mut app, size);
                    let is_safe = |c: char| c == '\n' || !c.is_control() && c != '\u{202e}';
                    assert!(
                        screen.chars().all(is_safe),
                        "{state} {size:?} {key:?}: {screen:?}"
                    );
                    if !style.unicode {
                        assert!(screen.is_ascii(), "{state} {size:?} {key:?}: {screen}");
                    }
                }
                for snapshot in snapshots.iter().rev().take(2) {
                    app.take(snapshot.clone());
                }
            }
        }
    }
}

#[test]
fn without_colour_nothing_is_painted() {
    let style = Style {
        color: false,
        ..UNICODE
    };
    for (_, snapshots) in states() {
        let mut app = shown(&snapshots, style, (80, 24));
        let buffer = buffer(&mut app, (80, 24));
        let plain = ratatui::buffer::Cell::default();
        for cell in &buffer.content {
            assert_eq!((cell.fg, cell.bg), (plain.fg, plain.bg));
            assert!(cell.modifier.is_empty(), "{cell:?}");
        }
    }
}

/// Three tasks for different reasons.
fn three() -> Snapshot {
    let mut snapshot = stalled();
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    let waiting = |tid, comm: &str, since| Blocker {
        since_seconds: Some(since),
        reason: Some(Reason::WaitingForSignal),
        ..task(tid, comm, false)
    };
    transition.blockers.push(waiting(40, "nginx", 131.0));
    transition.blockers.push(waiting(7, "cron", 3.0));
    transition.tasks_remaining = Some(3);
    snapshot
}

/// The ids of the tasks in the order in which they are shown.
fn tids(app: &App) -> Vec<u32> {
    app.rows()
        .iter()
        .filter_map(super::rows::Row::tid)
        .collect()
}

#[test]
fn tasks_are_sorted_and_filtered() {
    let mut app = shown(&[Arc::new(three())], UNICODE, (80, 24));
    assert_eq!(tids(&app), [139, 40, 7]);
    for expected in [[40, 139, 7], [7, 139, 40], [7, 40, 139], [139, 40, 7]] {
        app.press(Key::Char('s'));
        assert_eq!(tids(&app), expected);
    }
    app.press(Key::Char('r'));
    assert_eq!(tids(&app), [7, 40, 139]);
    app.press(Key::Char('r'));
    for (words, expected) in [("SIGNAL", vec![40, 7]), ("cron", vec![7]), ("q", vec![])] {
        app.press(Key::Char('/'));
        for c in words.chars() {
            assert_eq!(app.press(Key::Char(c)), AfterKey::Stay);
        }
        app.press(Key::Enter);
        assert_eq!(tids(&app), expected, "{words}");
        let screen = screen(&mut app, (80, 24));
        assert!(
            screen.contains(&format!("filter \"{words}\": {}", expected.len())),
            "{screen}"
        );
        app.press(Key::Escape);
    }
    assert_eq!(tids(&app).len(), 3);
}

#[test]
fn the_choice_stays_with_its_task() {
    let mut app = shown(&[Arc::new(three())], Style::default(), (80, 24));
    app.press(Key::Down);
    assert!(screen(&mut app, (80, 24)).contains("\n>  40  nginx"));
    app.press(Key::Char('s'));
    assert!(screen(&mut app, (80, 24)).contains("\n>  40  nginx"));
    // Its place is taken by the next one when it has switched.
    let mut two = three();
    let transition = two.patches[1].transition.as_mut().unwrap();
    transition.blockers.retain(|blocker| blocker.tid != 40);
    app.take(Arc::new(two));
    let screen = screen(&mut app, (80, 24));
    assert!(screen.contains("\n> 139  lpwatch_target"), "{screen}");
}

#[test]
fn a_task_is_explained_and_its_end_is_noticed() {
    let mut app = shown(&[Arc::new(three())], Style::default(), (80, 24));
    app.press(Key::Enter);
    let explained = screen(&mut app, (80, 24));
    for words in [
        "lpwatch_target (kernel thread 139)",
        "It sleeps in target_main",
    ] {
        assert!(explained.contains(words), "{explained}");
    }
    app.take(Arc::new(completed()));
    let gone = screen(&mut app, (80, 24));
    assert!(
        gone.contains("no longer among the tasks left (03:12:45 UTC)")
            && gone.contains("It sleeps in target_main"),
        "{gone}"
    );
    app.press(Key::Escape);
    assert!(screen(&mut app, (80, 24)).contains("Nothing is in transition."));
    let mut app = shown(&[Arc::new(callback())], Style::default(), (80, 24));
    app.press(Key::Enter);
    let screen = screen(&mut app, (80, 24));
    assert!(
        screen.contains("post_patch callback of lp_easy (lp_easy_post)"),
        "{screen}"
    );
}

#[test]
fn a_long_command_is_shown_whole() {
    let mut snapshot = stalled();
    let command = format!("echo 0 > /sys/kernel/livepatch/{}/enabled", "x".repeat(60));
    let transition = snapshot.patches[1].transition.as_mut().unwrap();
    transition.blockers[0].advice = Some(format!("Disable it:\n{command}"));
    let mut app = shown(&[Arc::new(snapshot)], Style::default(), (40, 40));
    app.press(Key::Enter);
    let screen = screen(&mut app, (40, 40));
    let mut joined = String::new();
    for line in screen.lines() {
        write!(joined, "{line:40}").unwrap();
    }
    assert!(joined.contains(&command), "{screen}");
}

#[test]
fn texts_scroll_to_their_end_and_no_further() {
    let mut app = shown(&[Arc::new(stalled())], Style::default(), (40, 10));
    app.press(Key::Char('h'));
    let first = screen(&mut app, (40, 10));
    app.press(Key::Up);
    assert_eq!(screen(&mut app, (40, 10)), first);
    app.press(Key::End);
    let last = screen(&mut app, (40, 10));
    assert!(last.contains("  of them.\n"), "{last}");
    app.press(Key::Down);
    assert_eq!(screen(&mut app, (40, 10)), last);
    app.press(Key::Home);
    assert_eq!(screen(&mut app, (40, 10)), first);
    // A larger screen shows more of the end.
    app.press(Key::End);
    assert!(screen(&mut app, (200, 50)).contains("Keys"));
}

fn happened(app: &App) -> Vec<String> {
    let mut all: Vec<String> = app
        .changes
        .newest()
        .map(|change| change.text.clone())
        .collect();
    all.reverse();
    all
}

#[test]
fn what_happened_is_listed_once() {
    let mut begun = progressing();
    begun.patches[0]
        .transition
        .as_mut()
        .unwrap()
        .tasks_remaining = Some(98);
    let mut further = progressing();
    further.head.taken_at += SignedDuration::from_secs(1);
    further.patches[0]
        .transition
        .as_mut()
        .unwrap()
        .tasks_remaining = Some(40);
    let mut done = completed();
    done.head.taken_at += SignedDuration::from_secs(2);
    done.daemon = false;
    let nothing = samples::snapshot(Vec::new());
    let all = [
        nothing,
        begun,
        progressing(),
        further.clone(),
        further,
        done.clone(),
        done,
    ];
    let app = shown(&all.map(Arc::new), UNICODE, (80, 24));
    assert_eq!(
        happened(&app),
        [
            "lp_easy: loaded",
            "lp_easy: patching of 98 tasks began",
            "lp_easy: 58 tasks have switched, 40 tasks left",
            "lp_easy: patching completed after 1.2 s (98 tasks, 2 tries)",
            "The daemon has ended; lpwatch reads this host itself",
        ]
    );
}

#[test]
fn a_stall_and_a_reversal_are_listed() {
    let mut reversed = stalled();
    let transition = reversed.patches[1].transition.as_mut().unwrap();
    transition.direction = crate::model::Direction::Unpatching;
    transition.reversed = true;
    transition.phase = Some(crate::model::Phase::Progressing);
    let mut gone = completed();
    gone.last_transitions.insert(
        0,
        crate::model::snapshot::PastTransition {
            ended_at: samples::now(),
            ..past("lp_stall", Outcome::Reversed)
        },
    );
    let mut calm = stalled();
    let transition = calm.patches[1].transition.as_mut().unwrap();
    transition.phase = Some(crate::model::Phase::Progressing);
    transition.signals = Some(0);
    let all = [calm, stalled(), reversed, gone].map(Arc::new);
    let app = shown(&all, UNICODE, (80, 24));
    assert_eq!(
        happened(&app)[1..],
        [
            "lp_stall: patching of 98 tasks began",
            "lp_stall: the kernel has signalled the tasks left",
            "lp_stall: stalled, 1 task left",
            "lp_stall: reversed, now unpatching",
            "lp_stall: patching reversed after 1.2 s (98 tasks, 0 tries before the reversal and 2 \
             after)",
            "lp_stall: no longer loaded",
        ]
    );
}

#[test]
fn tab_chooses_the_patch() {
    let mut app = shown(&[Arc::new(stalled())], Style::default(), (80, 24));
    let chosen = |app: &App| app.patch().map(|patch: &Patch| patch.name.clone()).unwrap();
    assert_eq!(chosen(&app), "lp_stall");
    app.press(Key::Tab);
    assert_eq!(chosen(&app), "lp_easy");
    let screen = screen(&mut app, (80, 24));
    assert!(
        screen.contains("This patch is not in transition."),
        "{screen}"
    );
    app.press(Key::Tab);
    assert_eq!(chosen(&app), "lp_stall");
    app.press(Key::BackTab);
    assert_eq!(chosen(&app), "lp_easy");
    // It is unloaded.
    app.take(Arc::new(progressing()));
    app.take(Arc::new(samples::snapshot(vec![patch("lp_new")])));
    assert_eq!(chosen(&app), "lp_new");
}

#[test]
fn a_counter_that_starts_again_has_no_old_rates() {
    let at = |seconds: i64| -> Timestamp { samples::now() + SignedDuration::from_secs(seconds) };
    let with = |seconds, since, old| {
        let mut snapshot = completed();
        snapshot.head.taken_at = at(seconds);
        let mut counted = calls(old, 0, (0.0, 0.0));
        counted.counted_since = at(since);
        snapshot.patches[0].objects[0].functions[0].calls = Some(counted);
        Arc::new(snapshot)
    };
    let rates = |app: &App| -> Vec<f64> {
        let [(_, series)] = app.calls.shown(None)[..] else {
            panic!("one function");
        };
        series.rates.iter().map(|rates| rates.old).collect()
    };
    let app = shown(
        &[with(0, 0, 0), with(1, 0, 10), with(3, 0, 30)],
        UNICODE,
        (80, 24),
    );
    assert_eq!(rates(&app), [10.0, 10.0]);
    let app = shown(
        &[with(0, 0, 0), with(1, 0, 10), with(2, 2, 0)],
        UNICODE,
        (80, 24),
    );
    assert!(rates(&app).is_empty());
}

#[test]
fn keys_end_suspend_and_redraw() {
    let mut app = App::new(UNICODE);
    for (key, step) in [
        (Key::Char('q'), AfterKey::Quit),
        (Key::Interrupt, AfterKey::Quit),
        (Key::Suspend, AfterKey::Suspend),
        (Key::Redraw, AfterKey::Redraw),
        (Key::Enter, AfterKey::Stay),
    ] {
        assert_eq!(app.press(key), step);
    }
    // While a filter is typed, q is a letter.
    app.press(Key::Char('/'));
    assert_eq!(app.press(Key::Char('q')), AfterKey::Stay);
    assert_eq!(app.press(Key::Interrupt), AfterKey::Quit);
}

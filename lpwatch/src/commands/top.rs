//! `lpwatch top`: the rollout on the whole screen, live.

mod terminal;

use std::{
    io::{self, IsTerminal},
    time::Duration,
};

use anyhow::Context as _;
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::Instant,
};

use crate::{
    exit::Exit,
    render::top::{AfterKey, App},
};

use super::{
    args::{Globals, OutputForm, interval},
    output::Printer,
    snapshots::SnapshotStream,
};

use terminal::{Keys, Screen, TerminalInput};

/// Watch a rollout on the whole screen: the patches, how the number of tasks left
/// falls, which tasks are left and why, and how often old and new code is called.
///
/// If a daemon runs, the state comes from the daemon. Otherwise this command follows
/// this host and counts calls itself, until it ends.
///
/// lpwatch top changes nothing on this host. It prints commands that can help, and
/// runs none of them.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// Draw a new state at most once in this time. Keys are answered at once.
    #[arg(long, value_name = "TIME", value_parser = interval, default_value = "500ms")]
    interval: Duration,
}

const AFTER_HELP: &str = "\
Keys:
  Up Down, j k      choose a task, or scroll a text
  PgUp PgDn, Space  the same, a page
  Home End          the same, to the end
  Enter             explain the task, as `lpwatch explain TID` does
  d                 all details of the patch, as `lpwatch status PATCH`
  s, r              sort: worst, longest, by name, by tid; r reverses it
  /                 filter by name, tid or reason; Esc removes the filter
  Tab               the next patch, if several are loaded
  1                 everything
  2 or t            only the tasks left
  3 or c            only the calls of old and new code
  4 or e            only the events that lpwatch top has seen
  Esc               back
  h or ?            the same help, and how to read the screen
  Ctrl-L            draw the screen again
  Ctrl-Z            back to the shell; `fg` continues
  q or Ctrl-C       quit

Examples:
  lpwatch top
  lpwatch top --color never           characters only
  lpwatch top --stall-after 20s       a transition is stalled after 20 s

Exit codes:
  0 ended by a key or a signal   1 error, for example no terminal
  For scripts: lpwatch status --watch -o jsonl, and lpwatch wait";

pub async fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    if let Some(why) = why_not(globals) {
        anyhow::bail!(
            "{why}. Without a screen:\n    lpwatch status --watch\n    lpwatch status --watch -o \
             jsonl"
        );
    }
    let style = Printer::new(globals).style;
    let mut app = App::new(style);
    let mut signals = Signals::new()?;
    let mut screen = Screen::open(style.color)?;
    // The hooks take a moment to attach.
    screen.draw(&mut app)?;
    let watched = watch(globals, args, &mut app, &mut screen, &mut signals).await;
    screen.close();
    watched.map(|()| Exit::Success)
}

/// Why nothing can be drawn here.
fn why_not(globals: &Globals) -> Option<&'static str> {
    if globals.output != OutputForm::Table {
        return Some("lpwatch top draws on a screen and has no other output, so it takes no -o");
    }
    if !io::stdout().is_terminal() {
        return Some("lpwatch top needs a terminal, and standard output is none");
    }
    let term = std::env::var_os("TERM");
    term.is_none_or(|term| term.is_empty() || term == "dumb")
        .then_some("lpwatch top needs a terminal that can place the cursor, and $TERM says none")
}

/// Until a key or a signal ends it.
async fn watch(
    globals: &Globals,
    args: &Args,
    app: &mut App,
    screen: &mut Screen,
    signals: &mut Signals,
) -> anyhow::Result<()> {
    let mut keys = Keys::start()?;
    let mut stream = SnapshotStream::counting(globals).await?;
    let mut is_due = false;
    let mut drawn_at: Option<Instant> = None;
    loop {
        let at = drawn_at.map_or_else(Instant::now, |at| at + args.interval);
        let step = tokio::select! {
            biased;
            step = signals.next() => step,
            input = keys.next() => match input? {
                TerminalInput::Key(key) => app.press(key),
                TerminalInput::Resized => AfterKey::Stay,
            },
            () = tokio::time::sleep_until(at), if is_due => AfterKey::Stay,
            snapshot = stream.next() => {
                app.take(snapshot?);
                is_due = true;
                continue;
            }
        };
        match step {
            AfterKey::Quit => return Ok(()),
            AfterKey::Suspend => screen.suspend()?,
            AfterKey::Redraw => screen.clear()?,
            AfterKey::Stay => {}
        }
        screen.draw(app)?;
        is_due = false;
        drawn_at = Some(Instant::now());
    }
}

/// The signals that would otherwise leave the terminal as it is.
struct Signals {
    ending: [Signal; 4],
    suspend: Signal,
}

impl Signals {
    fn new() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen to signals");
        Ok(Self {
            ending: [
                listen(SignalKind::interrupt())?,
                listen(SignalKind::terminate())?,
                listen(SignalKind::hangup())?,
                listen(SignalKind::quit())?,
            ],
            suspend: listen(SignalKind::from_raw(libc::SIGTSTP))?,
        })
    }

    /// What the next of them asks for.
    async fn next(&mut self) -> AfterKey {
        let [interrupt, terminate, hangup, quit] = &mut self.ending;
        tokio::select! {
            _ = interrupt.recv() => AfterKey::Quit,
            _ = terminate.recv() => AfterKey::Quit,
            _ = hangup.recv() => AfterKey::Quit,
            _ = quit.recv() => AfterKey::Quit,
            _ = self.suspend.recv() => AfterKey::Suspend,
        }
    }
}

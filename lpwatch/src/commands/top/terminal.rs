//! The terminal: taken over, and given back whatever happens.

use std::{
    io::{self, Write as _},
    panic,
    sync::Once,
    thread,
};

use anyhow::Context as _;
use crossterm::{
    cursor,
    event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers},
    execute, style, terminal,
};
use ratatui::{Terminal, backend::CrosstermBackend, layout::Rect};
use rustix::process::{Signal, getpid, kill_process};
use tokio::sync::mpsc;

use crate::render::top::{App, Key, draw};

/// The terminal while this program has it. It is given back when this is dropped, and
/// before the message of a panic.
pub struct Screen {
    terminal: Terminal<CrosstermBackend<io::Stdout>>,
    is_open: bool,
}

impl Screen {
    pub fn open(color: bool) -> anyhow::Result<Self> {
        give_back_on_panic();
        style::force_color_output(color);
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout()));
        let mut screen = Self {
            terminal: terminal.context("cannot use the terminal")?,
            is_open: false,
        };
        screen.take()?;
        Ok(screen)
    }

    fn take(&mut self) -> anyhow::Result<()> {
        // Also where the next line fails half way.
        self.is_open = true;
        terminal::enable_raw_mode().context("cannot read single keys from the terminal")?;
        execute!(io::stdout(), terminal::EnterAlternateScreen, cursor::Hide)
            .context("cannot write to the terminal")?;
        self.clear()
    }

    /// Gives the terminal back.
    pub fn close(&mut self) {
        if std::mem::take(&mut self.is_open) {
            give_back();
        }
    }

    /// Draws all of the next state. `Terminal::clear` would ask the terminal for the
    /// place of the cursor, and not every terminal answers.
    pub fn clear(&mut self) -> anyhow::Result<()> {
        let size = self.terminal.size().context("cannot use the terminal")?;
        self.terminal
            .resize(Rect::new(0, 0, size.width, size.height))
            .context("cannot write to the terminal")
    }

    pub fn draw(&mut self, app: &mut App) -> anyhow::Result<()> {
        let drawn = self.terminal.draw(|frame| {
            let area = frame.area();
            app.resize(area.width.into(), area.height.into());
            draw(app, frame);
        });
        drawn.map(drop).context("cannot write to the terminal")
    }

    /// Stops, as Ctrl-Z does, until the shell continues this program.
    pub fn suspend(&mut self) -> anyhow::Result<()> {
        self.close();
        kill_process(getpid(), Signal::STOP).context("cannot stop")?;
        self.take()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.close();
    }
}

/// The terminal as it was before. Each part is tried, even if another one fails.
fn give_back() {
    // There is nobody left to tell.
    let _ = execute!(io::stdout(), terminal::LeaveAlternateScreen);
    let _ = execute!(io::stdout(), cursor::Show);
    let _ = terminal::disable_raw_mode();
    let _ = io::stdout().flush();
}

/// The message of a panic is to be read after the program has ended.
fn give_back_on_panic() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            give_back();
            print(panic);
        }));
    });
}

/// What comes from the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalInput {
    Key(Key),
    Resized,
}

/// The keys, read by a thread of their own: a terminal cannot be awaited.
pub struct Keys {
    inputs: mpsc::Receiver<io::Result<TerminalInput>>,
}

impl Keys {
    pub fn start() -> anyhow::Result<Self> {
        let (sender, inputs) = mpsc::channel(64);
        thread::Builder::new()
            .name("lpwatch-keys".to_owned())
            .spawn(move || {
                loop {
                    let input = event::read().map(|event| input(&event)).transpose();
                    let Some(input) = input else { continue };
                    let has_failed = input.is_err();
                    if sender.blocking_send(input).is_err() || has_failed {
                        break;
                    }
                }
            })
            .context("cannot start a thread")?;
        Ok(Self { inputs })
    }

    pub async fn next(&mut self) -> anyhow::Result<TerminalInput> {
        let input = self
            .inputs
            .recv()
            .await
            .context("no key can be read any more")?;
        input.context("cannot read from the terminal")
    }
}

fn input(event: &Event) -> Option<TerminalInput> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => {
            self::key(key).map(TerminalInput::Key)
        }
        Event::Resize(..) => Some(TerminalInput::Resized),
        _ => None,
    }
}

fn key(event: &KeyEvent) -> Option<Key> {
    let has_control = event.modifiers.contains(KeyModifiers::CONTROL);
    Some(match event.code {
        KeyCode::Char('c') if has_control => Key::Interrupt,
        KeyCode::Char('z') if has_control => Key::Suspend,
        KeyCode::Char('l') if has_control => Key::Redraw,
        KeyCode::Char(_) if has_control => return None,
        KeyCode::Char(c) => Key::Char(c),
        KeyCode::Up => Key::Up,
        KeyCode::Down => Key::Down,
        KeyCode::PageUp => Key::PageUp,
        KeyCode::PageDown => Key::PageDown,
        KeyCode::Home => Key::Home,
        KeyCode::End => Key::End,
        KeyCode::Enter => Key::Enter,
        KeyCode::Esc => Key::Escape,
        KeyCode::Tab => Key::Tab,
        KeyCode::BackTab => Key::BackTab,
        KeyCode::Backspace => Key::Backspace,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;

//! What the screen shows: the latest snapshot, what was seen before it, and what the
//! keys have chosen.

use std::{collections::BTreeMap, sync::Arc};

use crate::model::snapshot::{Patch, Snapshot, Transition, TrendPoint};
use crate::render::{style::Style, table, words};

use super::{
    calls::CallHistory,
    changes::{Changes, changes},
    explained::Explained,
    help, look,
    patches::most_urgent_first,
    rows::{self, Choice, Order, Row},
};

/// A key, whatever terminal it comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Home,
    End,
    Enter,
    Escape,
    Tab,
    BackTab,
    Backspace,
    Char(char),
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-Z.
    Suspend,
    /// Ctrl-L.
    Redraw,
}

/// What to do after a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AfterKey {
    Stay,
    Quit,
    /// Give the terminal back to the shell for a while.
    Suspend,
    /// Draw everything again: something else has written to the terminal.
    Redraw,
}

/// The part of the state that fills the screen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum View {
    /// As much of everything as fits.
    #[default]
    All,
    Tasks,
    Calls,
    Events,
}

/// A text over the view.
#[derive(Debug)]
pub(super) enum Sheet {
    Help,
    /// The text of `lpwatch status PATCH`.
    Details,
    Explanation(Box<Explained>),
}

/// The state of the screen.
#[derive(Debug)]
pub struct App {
    pub(super) style: Style,
    /// Columns and lines of the terminal.
    size: (usize, usize),
    pub(super) snapshot: Option<Arc<Snapshot>>,
    pub(super) view: View,
    pub(super) sheet: Option<Sheet>,
    /// The patch chosen with Tab; the most urgent one if none was.
    chosen: Option<String>,
    pub(super) order: Order,
    pub(super) filter: String,
    /// Whether keys go to the filter.
    pub(super) is_typing: bool,
    pub(super) choice: Choice,
    scroll: usize,
    pub(super) changes: Changes,
    pub(super) calls: CallHistory,
    /// The last trend of each patch, also after its transition.
    trends: BTreeMap<String, Vec<TrendPoint>>,
}

impl App {
    #[must_use]
    pub fn new(style: Style) -> Self {
        Self {
            style,
            size: (Style::DEFAULT_WIDTH, 24),
            snapshot: None,
            view: View::default(),
            sheet: None,
            chosen: None,
            order: Order::default(),
            filter: String::new(),
            is_typing: false,
            choice: Choice::default(),
            scroll: 0,
            changes: Changes::default(),
            calls: CallHistory::default(),
            trends: BTreeMap::new(),
        }
    }

    /// Takes the size of the terminal, in columns and lines.
    pub fn resize(&mut self, columns: usize, lines: usize) {
        self.size = (columns, lines);
        self.style.width = columns.max(1);
        self.scroll_by(0);
    }

    /// Takes the next state of the host.
    pub fn take(&mut self, snapshot: Arc<Snapshot>) {
        let news = changes(self.snapshot.as_deref(), &snapshot, &self.style);
        self.changes.extend(news);
        self.calls.take(&snapshot);
        for patch in &snapshot.patches {
            if let Some(transition) = &patch.transition
                && !transition.trend.is_empty()
            {
                self.trends
                    .insert(patch.name.clone(), transition.trend.clone());
            }
        }
        self.trends.retain(|name, _| {
            snapshot.patch(name).is_some() || snapshot.last_transition(name).is_some()
        });
        if let Some(Sheet::Explanation(explained)) = &mut self.sheet {
            explained.take(&snapshot, &self.style);
        }
        self.snapshot = Some(snapshot);
        self.keep_choice();
        self.scroll_by(0);
    }

    /// Takes a key.
    pub fn press(&mut self, key: Key) -> AfterKey {
        match key {
            Key::Interrupt => return AfterKey::Quit,
            Key::Suspend => return AfterKey::Suspend,
            Key::Redraw => return AfterKey::Redraw,
            _ => {}
        }
        if self.is_typing {
            self.type_filter(key);
        } else if self.moves(key) {
        } else if key == Key::Char('q') {
            return AfterKey::Quit;
        } else {
            self.choose(key);
        }
        AfterKey::Stay
    }

    fn type_filter(&mut self, key: Key) {
        match key {
            Key::Enter | Key::Tab | Key::BackTab => self.is_typing = false,
            Key::Escape => {
                self.is_typing = false;
                self.filter.clear();
            }
            Key::Backspace => {
                self.filter.pop();
            }
            Key::Char(c) if !c.is_control() => self.filter.push(c),
            _ => {
                self.moves(key);
            }
        }
        self.keep_choice();
    }

    /// Moves the choice or the text; `false` for other keys.
    fn moves(&mut self, key: Key) -> bool {
        let page = isize::try_from(self.page()).unwrap_or(isize::MAX);
        let by = match key {
            Key::Up => -1,
            Key::Down => 1,
            Key::Char('k') if !self.is_typing => -1,
            Key::Char('j') if !self.is_typing => 1,
            Key::PageUp => -page,
            Key::PageDown => page,
            Key::Char(' ') if !self.is_typing => page,
            Key::Home => isize::MIN,
            Key::End => isize::MAX,
            _ => return false,
        };
        if self.sheet.is_some() || matches!(self.view, View::Calls | View::Events) {
            self.scroll_by(by);
        } else {
            let rows = self.rows();
            let at = self.choice.place(&rows).saturating_add_signed(by);
            self.choice = Choice::of(&rows, at.min(rows.len().saturating_sub(1)));
        }
        true
    }

    fn choose(&mut self, key: Key) {
        match key {
            Key::Escape => self.back(),
            Key::Char('?' | 'h') => self.open(Sheet::Help),
            Key::Char('d') => self.open(Sheet::Details),
            Key::Char('1') => self.show(View::All),
            Key::Char('2' | 't') => self.show(View::Tasks),
            Key::Char('3' | 'c') => self.show(View::Calls),
            Key::Char('4' | 'e') => self.show(View::Events),
            Key::Char('s') => {
                self.order.next();
                self.keep_choice();
            }
            Key::Char('r') => {
                self.order.reverse();
                self.keep_choice();
            }
            Key::Char('/') => {
                self.sheet = None;
                if matches!(self.view, View::Calls | View::Events) {
                    self.show(View::Tasks);
                }
                self.is_typing = true;
            }
            Key::Tab => self.next_patch(1),
            Key::BackTab => self.next_patch(-1),
            Key::Enter => self.explain(),
            _ => {}
        }
    }

    /// Back to what was before: from a text, from the filter, from a view.
    fn back(&mut self) {
        if self.sheet.take().is_some() {
        } else if !self.filter.is_empty() {
            self.filter.clear();
            self.keep_choice();
        } else {
            self.view = View::All;
        }
        self.scroll = 0;
    }

    fn open(&mut self, sheet: Sheet) {
        self.sheet = Some(sheet);
        self.scroll = 0;
    }

    fn show(&mut self, view: View) {
        self.sheet = None;
        self.view = view;
        self.scroll = 0;
    }

    fn explain(&mut self) {
        if self.sheet.is_some() || matches!(self.view, View::Calls | View::Events) {
            return;
        }
        let (Some(snapshot), Some(patch)) = (self.snapshot.clone(), self.patch()) else {
            return;
        };
        let rows = self.rows();
        let explained = rows
            .get(self.choice.place(&rows))
            .map(|row| Explained::new(&snapshot, &patch.name, row.tid(), &self.style));
        if let Some(explained) = explained {
            self.open(Sheet::Explanation(Box::new(explained)));
        }
    }

    fn next_patch(&mut self, by: isize) {
        let Some(snapshot) = self.snapshot.clone() else {
            return;
        };
        let patches = most_urgent_first(&snapshot);
        let at = self
            .patch()
            .and_then(|shown| patches.iter().position(|patch| patch.name == shown.name))
            .unwrap_or(0);
        let next = match (by.is_negative(), at) {
            (true, 0) => patches.len().saturating_sub(1),
            (true, at) => at - 1,
            (false, at) if at + 1 < patches.len() => at + 1,
            (false, _) => 0,
        };
        self.chosen = patches.get(next).map(|patch| patch.name.clone());
        self.keep_choice();
    }

    /// The patch whose tasks are shown.
    pub(super) fn patch(&self) -> Option<&Patch> {
        let snapshot = self.snapshot.as_deref()?;
        let chosen = self.chosen.as_deref();
        chosen
            .and_then(|name| snapshot.patch(name))
            .or_else(|| most_urgent_first(snapshot).first().copied())
    }

    pub(super) fn transition(&self) -> Option<&Transition> {
        self.patch()?.transition.as_ref()
    }

    pub(super) fn trend(&self, patch: &str) -> &[TrendPoint] {
        self.trends.get(patch).map_or(&[], Vec::as_slice)
    }

    /// What the shown transition waits for, in the chosen order.
    pub(super) fn rows(&self) -> Vec<Row<'_>> {
        self.transition().map_or_else(Vec::new, |transition| {
            rows::rows(transition, self.order, &self.filter, &self.style)
        })
    }

    /// Keeps a choice: the one of before, or what is in its place now.
    fn keep_choice(&mut self) {
        let rows = self.rows();
        self.choice = Choice::of(&rows, self.choice.place(&rows));
    }

    /// Lines of a page of text: without the line above and the one below.
    pub(super) fn page(&self) -> usize {
        self.size.1.saturating_sub(3).max(1)
    }

    pub(super) fn scroll(&self) -> usize {
        self.scroll
    }

    /// Scrolls within what there is.
    fn scroll_by(&mut self, by: isize) {
        let lines = match (&self.sheet, self.view) {
            (None, View::Calls) => self.calls.len(),
            (None, View::Events) => self.changes.len(),
            (None, View::All | View::Tasks) => return,
            (Some(sheet), _) => self.text(sheet).len(),
        };
        let last = lines.saturating_sub(self.page());
        self.scroll = self.scroll.saturating_add_signed(by).min(last);
    }

    /// The lines of a text, none wider than the terminal.
    pub(super) fn text(&self, sheet: &Sheet) -> Vec<String> {
        let style = Style {
            color: false,
            width: self.style.width.max(Style::MIN_WIDTH),
            ..self.style
        };
        let text = match sheet {
            Sheet::Help => help::text(&style),
            Sheet::Details => self.details(&style),
            Sheet::Explanation(explained) => explained.text(&style),
        };
        look::folded(&text, self.style.width)
    }

    fn details(&self, style: &Style) -> String {
        let Some(snapshot) = &self.snapshot else {
            return "The state of this host has not been read yet.".to_owned();
        };
        match self.patch() {
            Some(patch) if snapshot.patches.len() > 1 => {
                let mut only = Snapshot::clone(snapshot);
                only.patches.retain(|other| other.name == patch.name);
                only.last_transitions
                    .retain(|past| past.patch.as_ref() == Some(&patch.name));
                table::status_of(&patch.name, &only, style)
            }
            _ => table::status(snapshot, style),
        }
    }

    /// The time of the state that is shown.
    pub(super) fn clock(&self) -> Option<String> {
        let taken_at = self.snapshot.as_ref()?.head.taken_at;
        Some(words::clock(taken_at, taken_at))
    }
}

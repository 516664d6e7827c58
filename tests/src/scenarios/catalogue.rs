//! What there is to run, in groups: `cargo xtask test --list` prints it.

mod surroundings;
mod transitions;

use anyhow::Result;

use crate::trial::Trial;

/// What may run beside a scenario's guest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    Ordinary,
    /// The kernel gives it a time, such as the 15 s before it signals user tasks:
    /// its guest must not be slow.
    Paced,
    /// It measures time, so that other guests beside it would be measured, too.
    Timed,
}

pub struct Scenario {
    pub name: &'static str,
    pub group: &'static str,
    /// One line for the list.
    pub about: &'static str,
    /// It leaves its guest in a state that nothing can mend.
    pub own_boot: bool,
    pub pace: Pace,
    /// The kernel does not decide its outcome: one kernel is enough.
    pub once: bool,
    /// It takes minutes: its guest should start early.
    pub long: bool,
    pub run: fn(&mut Trial) -> Result<()>,
}

impl Scenario {
    const fn own_boot(mut self) -> Self {
        self.own_boot = true;
        self
    }

    const fn paced(mut self) -> Self {
        self.pace = Pace::Paced;
        self
    }

    const fn timed(mut self) -> Self {
        self.pace = Pace::Timed;
        self
    }

    const fn once(mut self) -> Self {
        self.once = true;
        self
    }

    const fn long(mut self) -> Self {
        self.long = true;
        self
    }

    /// The words that xtask's planner goes by.
    pub fn marks(&self) -> String {
        let marks = [
            (self.own_boot, "boot=own"),
            (self.pace == Pace::Paced, "paced"),
            (self.pace == Pace::Timed, "timed"),
            (self.once, "once"),
            (self.long, "long"),
        ];
        let set = marks.iter().filter(|(is_set, _)| *is_set);
        set.map(|(_, mark)| *mark).collect::<Vec<_>>().join(",")
    }
}

const fn scenario(
    group: &'static str,
    name: &'static str,
    about: &'static str,
    run: fn(&mut Trial) -> Result<()>,
) -> Scenario {
    Scenario {
        name,
        group,
        about,
        own_boot: false,
        pace: Pace::Ordinary,
        once: false,
        long: false,
        run,
    }
}

/// All of them, the simplest of a group first: what fails early explains what
/// fails later.
pub fn all() -> impl Iterator<Item = &'static Scenario> {
    transitions::ALL.iter().chain(surroundings::ALL)
}

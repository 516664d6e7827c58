//! What a host offers, in sentences: what each thing is good for, what is lost
//! without it, and the remedy.

use crate::{
    kernel::offers::{Offers, Reading},
    model::doctor::{Availability, Offer},
    probe::{self, FRAMES_MARKER, SHARING_MARKER},
};

mod bpf;
mod livepatch;
mod rights;
#[cfg(test)]
pub(super) mod samples;
#[cfg(test)]
mod tests;

/// Symbols of a kernel's own that tell what it can do.
pub(super) mod marker {
    /// It can tell whether a stack is reliable.
    pub const RELIABLE: &str = "arch_stack_walk_reliable";
    /// The same, before processors shared that code.
    pub const RELIABLE_BEFORE: &str = "save_stack_trace_tsk_reliable";
    /// The unwinder by which x86 can.
    pub const ORC: [&str; 2] = ["__orc_find", "orc_find"];
    /// It charges BPF maps to what a process may lock (until 5.11).
    pub const CHARGES_MAPS: &str = "bpf_map_charge_init";
}

/// The symbols to look for.
pub(super) fn symbols() -> Vec<&'static str> {
    let mut names: Vec<&str> = probe::hooked_functions().collect();
    names.extend(marker::ORC);
    names.extend([
        SHARING_MARKER,
        FRAMES_MARKER,
        marker::RELIABLE,
        marker::RELIABLE_BEFORE,
        marker::CHARGES_MAPS,
    ]);
    names
}

/// All offers, the weightiest first; `processor` as Rust names it.
pub(super) fn all(host: &Offers, is_built: bool, processor: &str) -> Vec<Offer> {
    let mut offers = livepatch::all(host, processor);
    offers.extend(bpf::all(host, is_built, processor));
    offers.extend(rights::all(host));
    offers
}

/// An offer in the making.
struct Draft {
    id: &'static str,
    name: &'static str,
    why: &'static str,
}

impl Draft {
    fn available(&self, value: impl Into<String>) -> Offer {
        self.offer(Availability::Available, Some(value.into()))
    }

    fn missing(&self, value: impl Into<String>, lost: &str, remedy: impl Into<String>) -> Offer {
        Offer {
            lost: Some(lost.to_owned()),
            remedy: Some(remedy.into()),
            ..self.offer(Availability::Missing, Some(value.into()))
        }
    }

    /// `remedy` is how to find out.
    fn unknown(&self, value: impl Into<String>, remedy: &str) -> Offer {
        Offer {
            remedy: Some(remedy.to_owned()),
            ..self.offer(Availability::Unknown, Some(value.into()))
        }
    }

    fn offer(&self, state: Availability, value: Option<String>) -> Offer {
        let Self { id, name, why } = self;
        Offer {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            state,
            value,
            why: (*why).to_owned(),
            lost: None,
            remedy: None,
        }
    }

    /// Of something that could not be read, for another reason than that it is
    /// not there.
    fn unread<T>(&self, what: &str, reading: &Reading<T>) -> Offer {
        match reading {
            Reading::Forbidden => self.unknown(
                format!("{what}: no permission"),
                "Run `lpwatch doctor` as root to know.",
            ),
            Reading::NotRecorded => self.unknown(
                "not part of a recorded tree",
                "Run `lpwatch doctor` on the host itself to know.",
            ),
            Reading::Failed(error) => {
                self.unknown(format!("{what}: {error}"), "Run `lpwatch doctor -v`.")
            }
            Reading::Absent | Reading::Found(_) => self.unknown(
                format!("{what} does not tell"),
                "Nothing: this kernel does not tell.",
            ),
        }
    }
}

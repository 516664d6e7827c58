//! Descriptions of what a host offers: the use of each feature, what is lost
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

/// Kernel symbols that show what the kernel supports.
pub(super) mod marker {
    /// It can determine whether a stack is reliable.
    pub const RELIABLE: &str = "arch_stack_walk_reliable";
    /// The same, before the processors shared that code.
    pub const RELIABLE_BEFORE: &str = "save_stack_trace_tsk_reliable";
    /// The unwinder that x86 needs for it.
    pub const ORC: [&str; 2] = ["__orc_find", "orc_find"];
    /// It counts BPF maps against `RLIMIT_MEMLOCK` (until 5.11).
    pub const CHARGES_MAPS: &str = "bpf_map_charge_init";
}

/// The symbols to search for.
pub(super) fn symbols() -> Vec<&'static str> {
    let mut names: Vec<&str> = probe::hooked_functions().collect();
    names.extend(probe::stop_functions());
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

/// All offers, the most important first; `processor` is Rust's name.
pub(super) fn all(host: &Offers, is_built: bool, processor: &str) -> Vec<Offer> {
    let mut offers = livepatch::all(host, processor);
    offers.extend(bpf::all(host, is_built, processor));
    offers.extend(rights::all(host));
    offers
}

/// An unfinished offer.
struct OfferDraft {
    id: &'static str,
    name: &'static str,
    why: &'static str,
}

impl OfferDraft {
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

    /// `remedy` says how to find out.
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

    /// For something that exists but could not be read.
    fn unread<T>(&self, what: &str, reading: &Reading<T>) -> Offer {
        match reading {
            Reading::Forbidden => self.unknown(
                format!("{what}: no permission"),
                "Run this as root: lpwatch doctor",
            ),
            Reading::NotRecorded => self.unknown(
                "not part of a recorded tree",
                "Run this on the host itself: lpwatch doctor",
            ),
            Reading::Failed(error) => {
                self.unknown(format!("{what}: {error}"), "For details: lpwatch doctor -v")
            }
            Reading::Absent | Reading::Found(_) => self.unknown(
                format!("{what} does not show it"),
                "None: this kernel does not show it.",
            ),
        }
    }
}

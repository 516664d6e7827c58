//! Hosts that Prometheus knew a moment ago.
//!
//! A Prometheus that lost its data, or whose list of targets is incomplete,
//! knows fewer hosts, and the share on new code would rise. A wait therefore
//! remembers hosts.

use std::{collections::HashMap, time::Duration};

use super::FleetFacts;

/// When each host was last known to Prometheus.
#[derive(Debug, Default)]
pub struct Memory {
    last: HashMap<String, Duration>,
}

impl Memory {
    /// Adds the hosts that were known within `known_for` before `now` and are
    /// missing in `facts`, as not reporting. `now` is the time since any fixed
    /// moment.
    pub fn keep_known(&mut self, facts: &mut FleetFacts, now: Duration, known_for: Duration) {
        for host in facts.names() {
            match self.last.get_mut(host) {
                Some(last) => *last = now,
                None => drop(self.last.insert(host.to_owned(), now)),
            }
        }
        self.last
            .retain(|_, last| now.saturating_sub(*last) <= known_for);
        for (host, last) in &self.last {
            if *last != now {
                facts.note_gone(host);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts(hosts: &[&str]) -> FleetFacts {
        let mut facts = FleetFacts::default();
        for host in hosts {
            facts.note_gone(host);
        }
        facts
    }

    #[test]
    fn a_host_is_remembered_for_as_long_as_it_counts_as_known() {
        let (mut memory, minute) = (Memory::default(), Duration::from_mins(1));
        memory.keep_known(&mut facts(&["a", "b"]), Duration::ZERO, minute);
        let mut later = facts(&["a"]);
        memory.keep_known(&mut later, minute, minute);
        assert_eq!(later.names().collect::<Vec<_>>(), ["a", "b"]);
        let mut later = facts(&["a"]);
        memory.keep_known(&mut later, Duration::from_secs(61), minute);
        assert_eq!(later.names().collect::<Vec<_>>(), ["a"]);
    }
}

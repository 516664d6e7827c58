//! Hosts that were there a moment ago.
//!
//! A Prometheus that lost its data, or whose list of targets came up short, knows
//! of fewer hosts; the share on new code would rise. Whoever waits remembers.

use std::{collections::HashMap, time::Duration};

use super::Facts;

/// When each host was last known to Prometheus.
#[derive(Debug, Default)]
pub struct Memory {
    last: HashMap<String, Duration>,
}

impl Memory {
    /// Adds those hosts that were known within `known_for` before `now` and are
    /// missing in `facts`; they do not report. `now` is since any fixed moment.
    pub fn mend(&mut self, facts: &mut Facts, now: Duration, known_for: Duration) {
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

    fn facts(hosts: &[&str]) -> Facts {
        let mut facts = Facts::default();
        for host in hosts {
            facts.note_gone(host);
        }
        facts
    }

    #[test]
    fn a_host_is_remembered_for_as_long_as_it_counts_as_known() {
        let (mut memory, minute) = (Memory::default(), Duration::from_mins(1));
        memory.mend(&mut facts(&["a", "b"]), Duration::ZERO, minute);
        let mut later = facts(&["a"]);
        memory.mend(&mut later, minute, minute);
        assert_eq!(later.names().collect::<Vec<_>>(), ["a", "b"]);
        let mut later = facts(&["a"]);
        memory.mend(&mut later, Duration::from_secs(61), minute);
        assert_eq!(later.names().collect::<Vec<_>>(), ["a"]);
    }
}

//! A transition from its beginning to its end, as the kernel tells it.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::guest;
use crate::oracle::{self, Oracle, Said};
use crate::patch;

/// The kernel signals tasks after fifteen tries: what needs that has stalled.
pub const STALLED: usize = 10;

/// A module that lpwatch does not hold is gone sooner, however slow the guest.
pub const HELD: Duration = Duration::from_secs(10);

/// One transition as the kernel tells it.
#[derive(Debug)]
pub struct Told {
    pub tries: usize,
    pub took: Duration,
    pub unreliable: BTreeSet<i32>,
}

/// A transition while it is under way.
pub struct Progress<'a> {
    pub since: Duration,
    /// What the kernel has said about tasks left.
    pub said: &'a [Said],
}

/// Begins a transition of that patch and follows it to its end.
pub fn follow<T>(
    oracle: &mut Oracle,
    patch: &str,
    begin: impl FnOnce() -> Result<T>,
    mut look: impl FnMut(&Progress<'_>) -> Result<()>,
) -> Result<(T, Told)> {
    let mark = oracle.mark()?;
    let started = Instant::now();
    let begun = begin()?;
    guest::wait_until("the transition ends", || {
        if patch::transition(patch)? != Some(true) {
            return Ok(true);
        }
        let said = oracle.since(mark)?;
        let since = started.elapsed();
        look(&Progress { since, said })?;
        Ok(false)
    })?;
    let took = started.elapsed();
    let said = oracle.since(mark)?;
    let told = Told {
        tries: oracle::tries(said) + 1,
        took,
        unreliable: oracle::unreliable(said),
    };
    Ok((begun, told))
}

/// The middle one, the upper of two; nothing at all of none.
pub fn middle<T: Ord + Copy + Default>(values: impl IntoIterator<Item = T>) -> T {
    let mut sorted: Vec<T> = values.into_iter().collect();
    sorted.sort_unstable();
    sorted.get(sorted.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_is_the_median() {
        assert_eq!(middle([3, 1, 2]), 2);
        assert_eq!(middle([4, 1, 3, 2]), 3);
        assert_eq!(middle::<u32>([]), 0);
    }
}

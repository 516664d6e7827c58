//! Waiting for something to become true, for a while and no longer.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::interrupt;

const PAUSE: Duration = Duration::from_millis(200);

/// Asks until there is an answer; what `ask` says last is why there is none.
pub fn until<T>(
    what: &str,
    limit: Duration,
    mut ask: impl FnMut() -> Result<Result<T, String>>,
) -> Result<T> {
    let started = Instant::now();
    loop {
        let why = match ask()? {
            Ok(answer) => return Ok(answer),
            Err(why) => why,
        };
        if interrupt::asked() {
            bail!("interrupted");
        }
        if started.elapsed() > limit {
            bail!("{what}: not within {} s; {why}", limit.as_secs());
        }
        thread::sleep(PAUSE);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_reason_is_told() {
        let never = until("the end", Duration::ZERO, || {
            Ok(Err::<(), _>("not yet".to_owned()))
        });
        let error = never.unwrap_err().to_string();
        assert_eq!(error, "the end: not within 0 s; not yet");
        let mut asked = 0;
        let soon = until("it", Duration::from_secs(9), || {
            asked += 1;
            Ok(if asked == 2 {
                Ok(asked)
            } else {
                Err("no".to_owned())
            })
        });
        assert_eq!(soon.unwrap(), 2);
    }
}

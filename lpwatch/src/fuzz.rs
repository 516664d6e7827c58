//! Damaged inputs for every reader of what others write: seeds that are changed at
//! random, without a fuzzer's instrumentation, so that it runs on any compiler and in
//! each run of the unit tests.
//!
//! `LPWATCH_FUZZ_SECONDS=60 cargo test -p lpwatch --lib fuzz` runs each target for a
//! minute, from another start each time. An input that fails is kept in
//! `target/fuzz`.

mod answers;
mod store;
mod texts;
mod tree;

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

/// For each target in a run of the unit tests.
const BRIEF: Duration = Duration::from_millis(200);

/// Even a debug build on a busy machine needs a fraction of it for one input.
const LONG: Duration = Duration::from_secs(20);

/// No input grows beyond this.
const LARGEST: usize = 1 << 16;

/// Numbers and signs at which readers of text and of binary files stumble.
const TEXTS: [&str; 22] = [
    "0",
    "-1",
    "1",
    "255",
    "4294967295",
    "4294967296",
    "18446744073709551615",
    "18446744073709551616",
    "0x",
    "ffffffffffffffff",
    "1e999",
    "NaN",
    "null",
    "[",
    "]",
    "{}",
    "\"",
    "\n",
    "\t",
    " ",
    "\u{e9}",
    "\u{202e}",
];

/// xorshift64* (Marsaglia, Vigna): good enough, and the same everywhere.
pub(crate) struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// A number below `end`; 0 if that is 0.
    fn below(&mut self, end: usize) -> usize {
        let end = u64::try_from(end.max(1)).unwrap();
        usize::try_from((self.next() >> 16) % end).unwrap()
    }

    fn byte(&mut self) -> u8 {
        u8::try_from(self.below(256)).unwrap()
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A place in `bytes`, and a length from there on.
    fn range(&mut self, bytes: &[u8]) -> std::ops::Range<usize> {
        let start = self.below(bytes.len() + 1);
        let most = (bytes.len() - start).min(1 << self.below(10));
        start..start + self.below(most + 1)
    }

    /// Changes `bytes` in one place.
    fn damage(&mut self, bytes: &mut Vec<u8>, seeds: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        match self.below(9) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => bytes[at] = self.byte(),
            2 => bytes.truncate(at),
            3 => {
                let range = self.range(bytes);
                bytes.drain(range);
            }
            4 => {
                let copy = bytes[self.range(bytes)].to_vec();
                bytes.splice(at..at, copy);
            }
            5 => {
                let text = self.pick(&TEXTS).bytes();
                bytes.splice(at..at, text);
            }
            6 => self.replace_number(bytes),
            7 => {
                let sizes = [0, 1, 7, 0x7fff_ffff, 0x8000_0000, 0xffff_fff0, u64::MAX];
                let number = self.pick(&sizes).to_le_bytes();
                let width = *self.pick(&[1, 2, 4, 8]);
                for (byte, new) in bytes[at..].iter_mut().zip(&number[..width]) {
                    *byte = *new;
                }
            }
            _ => {
                let other = self.pick(seeds).as_slice();
                let part = other[self.range(other)].to_vec();
                let range = self.range(bytes);
                bytes.splice(range, part);
            }
        }
        bytes.truncate(LARGEST);
    }

    /// Puts another number in the place of one.
    fn replace_number(&mut self, bytes: &mut Vec<u8>) {
        let from = self.below(bytes.len());
        let digits = |byte: &u8| byte.is_ascii_digit();
        let Some(start) = bytes[from..].iter().position(digits) else {
            return;
        };
        let start = from + start;
        let length = bytes[start..].iter().take_while(|byte| digits(byte));
        let end = start + length.count();
        let number = self.pick(&TEXTS[..11]).bytes();
        bytes.splice(start..end, number);
    }
}

fn seconds() -> Option<Duration> {
    let seconds = std::env::var("LPWATCH_FUZZ_SECONDS").ok()?;
    Some(Duration::from_secs(seconds.parse().unwrap()))
}

/// Runs `read` on each of the seeds and on damaged ones, each with the number of the
/// seed. A panic and an input that takes long fail the test.
pub(crate) fn hammer(name: &str, seeds: &[Vec<u8>], mut read: impl FnMut(usize, &[u8])) {
    assert!(!seeds.is_empty(), "{name} has no seed");
    let by_hand = seconds();
    let start = by_hand.map_or(0, |_| {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        u64::try_from(now.unwrap().as_nanos() & u128::from(u64::MAX)).unwrap()
    });
    let mut dice = Dice(start | 0x9e37_79b9_7f4a_7c15);
    let deadline = Instant::now() + by_hand.unwrap_or(BRIEF);
    let mut runs = 0_u64;
    let mut longest = Duration::ZERO;
    while runs < seeds.len() as u64 || Instant::now() < deadline {
        let seed = usize::try_from(runs).unwrap() % seeds.len();
        let mut input = seeds[seed].clone();
        if runs >= seeds.len() as u64 {
            for _ in 0..=dice.below(4) {
                dice.damage(&mut input, seeds);
            }
        }
        let begun = Instant::now();
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| read(seed, &input))) {
            let kept = keep(name, &input);
            eprintln!("{name}: seed {seed}, input {}", kept.display());
            resume_unwind(panic);
        }
        let took = begun.elapsed();
        if took > LONG {
            let kept = keep(name, &input);
            panic!("{name}: {took:?} for seed {seed}, input {}", kept.display());
        }
        longest = longest.max(took);
        runs += 1;
    }
    println!("{name}: {runs} inputs, the longest took {longest:?}");
}

fn keep(name: &str, input: &[u8]) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/fuzz");
    fs::create_dir_all(&folder).unwrap();
    let path = folder.join(name);
    fs::write(&path, input).unwrap();
    path
}

//! What will become of each host, drawn from the seed; and how it stands at any
//! simulated second.

use lpwatch::model::{Outcome, Reason};

use super::Args;

/// The rollout comes in so many waves, so many simulated seconds apart.
const WAVES: u32 = 4;
const BETWEEN_WAVES: f64 = 60.0;
/// So long it takes from the first host of a wave to its last.
const SPREAD: f64 = 30.0;
/// A stalled host's tasks fall for so long, and then no more.
const FALL: f64 = 8.0;
/// After that it counts as stalled, as lpwatch does without being told otherwise.
const STALLED_AFTER: f64 = 60.0;
/// A reversed transition is reversed after so long.
const REVERSED_AFTER: f64 = 45.0;
/// From being healed to having completed.
const HEALS_IN: f64 = 2.0;
/// No transition of a host that completes takes longer: it would count as stalled.
const LONGEST: f64 = 50.0;

/// All hosts.
pub struct Fleet {
    pub hosts: Vec<Plan>,
}

/// What will become of a host.
pub struct Plan {
    pub name: String,
    pub kernel: String,
    pub fate: Fate,
    /// When the patch comes to it.
    pub start: f64,
    /// How long patching takes where nothing is in its way.
    pub takes: f64,
    pub tasks: u32,
    /// How far its clock is off, in seconds.
    pub skew: f64,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fate {
    Completes,
    /// So many tasks stay, for this reason.
    Stalls(Reason, u32),
    Fails(Outcome),
    /// It stops answering then.
    Dies(f64),
}

/// When the stalled hosts were healed, and when all were, if they were.
#[derive(Clone, Copy, Debug)]
pub struct Heal {
    pub at: f64,
    pub all_at: Option<f64>,
}

/// How a host stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Standing {
    Silent,
    NotPatched,
    Moving {
        since: f64,
        left: u32,
        /// For how long no task has switched.
        idle: f64,
        reason: Reason,
    },
    Done {
        since: f64,
        took: f64,
    },
    Failed {
        outcome: Outcome,
        at: f64,
        /// `None` where it never began.
        took: Option<f64>,
    },
}

impl Standing {
    /// Whether it is in transition and counts as stalled.
    pub fn is_stalled(self) -> bool {
        matches!(self, Self::Moving { idle, .. } if idle >= STALLED_AFTER)
    }
}

impl Fleet {
    pub fn new(args: &Args) -> Self {
        let mut random = fastrand::Rng::with_seed(args.seed);
        let mut numbers: Vec<u32> = (1..=args.hosts).collect();
        random.shuffle(&mut numbers);
        let mut fates = fates(args, &mut random);
        fates.resize(numbers.len(), (Fate::Completes, 0.0));
        let mut hosts: Vec<(u32, Plan)> = numbers
            .into_iter()
            .zip(fates)
            .map(|(number, (fate, skew))| {
                (number, Plan::new(number, fate, skew, args, &mut random))
            })
            .collect();
        hosts.sort_by_key(|(number, _)| *number);
        Self {
            hosts: hosts.into_iter().map(|(_, plan)| plan).collect(),
        }
    }
}

/// The fates of the troubled hosts, and how far their clocks are off.
fn fates(args: &Args, random: &mut fastrand::Rng) -> Vec<(Fate, f64)> {
    let reasons = [
        Reason::SleepingOnFunction,
        Reason::UnreliableStack,
        Reason::Running,
        Reason::Uninterruptible,
        Reason::KvmVcpu,
    ];
    let outcomes = [Outcome::Reversed, Outcome::Refused, Outcome::Cancelled];
    let stalled = reasons.into_iter().cycle().zip(0..args.stalled);
    let failed = outcomes.into_iter().cycle().zip(0..args.failed);
    let mut fates: Vec<(Fate, f64)> = Vec::new();
    fates.extend(stalled.map(|(reason, _)| (Fate::Stalls(reason, random.u32(1..=3)), 0.0)));
    fates.extend(failed.map(|(outcome, _)| (Fate::Fails(outcome), 0.0)));
    let dies = |_| {
        let at = f64::from(args.lead) + random.f64() * BETWEEN_WAVES * f64::from(WAVES);
        (Fate::Dies(at), 0.0)
    };
    fates.extend((0..args.dead).map(dies));
    // Hours ahead, and days behind.
    let skews = [3.0 * 3600.0, -2.0 * 86_400.0].into_iter().cycle();
    fates.extend(
        (0..args.skewed)
            .zip(skews)
            .map(|(_, skew)| (Fate::Completes, skew)),
    );
    fates
}

impl Plan {
    fn new(number: u32, fate: Fate, skew: f64, args: &Args, random: &mut fastrand::Rng) -> Self {
        let kernel = random.u32(0..args.kernels);
        let wave = random.u32(0..WAVES);
        let waits = f64::from(wave) * BETWEEN_WAVES + random.f64() * SPREAD;
        // Mostly fast, now and then slow, and some wait for the kernel's signal.
        let usual = 1.5 / f64::from(kernel + 1) * (2.0 * random.f64()).exp();
        let takes = if random.f64() < 0.03 {
            15.0 + 5.0 * random.f64()
        } else {
            usual
        };
        Self {
            name: format!("host-{number:04}"),
            kernel: release(kernel),
            fate,
            start: f64::from(args.lead) + waits,
            takes: takes.clamp(0.1, LONGEST),
            tasks: random.u32(80..600),
            skew,
        }
    }

    /// How it stands at second `now`.
    pub fn at(&self, now: f64, heal: Option<Heal>) -> Standing {
        let healed_at = heal.and_then(|heal| heal.all_at);
        match self.fate {
            Fate::Dies(at) if now >= at && healed_at.is_none() => Standing::Silent,
            _ if now < self.start => Standing::NotPatched,
            Fate::Completes | Fate::Dies(_) => self.completing(self.start, now),
            Fate::Stalls(reason, left) => self.stalling(reason, left, now, heal),
            Fate::Fails(outcome) => match healed_at {
                Some(again) => self.completing(again.max(self.start), now),
                None => self.failing(outcome, now),
            },
        }
    }

    /// By when nothing happens to it any more unless it is healed again.
    pub fn settled_at(&self, heal: Option<Heal>) -> f64 {
        let rests = match self.fate {
            Fate::Completes => self.start + self.takes,
            Fate::Dies(at) => at.max(self.start + self.takes),
            Fate::Stalls(..) => self.start + FALL + STALLED_AFTER,
            Fate::Fails(_) => self.start + REVERSED_AFTER,
        };
        heal.map_or(rests, |heal| {
            let last = heal.all_at.unwrap_or(heal.at);
            let again = last.max(self.start) + self.takes.max(FALL + HEALS_IN);
            rests.max(again)
        })
    }

    fn completing(&self, since: f64, now: f64) -> Standing {
        let age = now - since;
        if age >= self.takes {
            return Standing::Done {
                since,
                took: self.takes,
            };
        }
        Standing::Moving {
            since,
            left: falling(self.tasks, 1, age / self.takes),
            idle: (age / 10.0).min(1.0),
            reason: Reason::Pending,
        }
    }

    fn stalling(&self, reason: Reason, stay: u32, now: f64, heal: Option<Heal>) -> Standing {
        let since = self.start;
        if let Some(heal) = heal {
            let end = heal.at.max(since + FALL) + HEALS_IN;
            if now >= end {
                let took = end - since;
                return Standing::Done { since, took };
            }
        }
        Standing::Moving {
            since,
            left: falling(self.tasks, stay, (now - since) / FALL),
            idle: (now - since - FALL).max(0.0),
            reason,
        }
    }

    fn failing(&self, outcome: Outcome, now: f64) -> Standing {
        let since = self.start;
        let took = match outcome {
            Outcome::Reversed => Some(REVERSED_AFTER),
            Outcome::Cancelled => Some(0.5),
            _ => None,
        };
        let at = since + took.unwrap_or_default();
        if now >= at {
            return Standing::Failed { outcome, at, took };
        }
        Standing::Moving {
            since,
            left: falling(self.tasks, 2, (now - since) / FALL),
            idle: (now - since - FALL).max(0.0),
            reason: Reason::SleepingOnFunction,
        }
    }
}

/// Tasks left at a share of the time: fast at first, `stay` at the end.
fn falling(tasks: u32, stay: u32, share: f64) -> u32 {
    let rest = f64::from(tasks) * (1.0 - share.clamp(0.0, 1.0)).powi(3);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is between 0 and the number of tasks"
    )]
    let left = rest as u32;
    left.max(stay)
}

/// A kernel's release.
fn release(number: u32) -> String {
    match number {
        0 => "6.1.0-40-amd64".to_owned(),
        1 => "6.12.43+deb13-amd64".to_owned(),
        2 => "5.10.0-36-amd64".to_owned(),
        other => format!("7.{other}.0-1-amd64"),
    }
}

//! One look at the fleet after another.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use crate::{
    error::Error,
    fleet::{
        Facts, Memory,
        prometheus::{Options, Prometheus},
        queries::{Fact, Scope},
    },
};

/// So many queries are under way at once: Prometheus runs 20 at most.
const AT_ONCE: usize = 4;

/// Where looks come from.
pub struct Source {
    prometheus: Prometheus,
    pub scope: Scope,
    facts: &'static [Fact],
    started: Instant,
    /// Where earlier looks count: for those who wait.
    memory: Option<Memory>,
    /// Why Prometheus last gave no answer, while that lasts.
    trouble: Option<String>,
}

/// What was seen of the fleet.
#[derive(Debug)]
pub struct Look {
    /// When, by Prometheus's clock.
    pub at: Timestamp,
    pub facts: Facts,
    /// What must be said of this look: warnings of Prometheus and our own.
    pub warnings: Vec<String>,
    pub notes: Vec<String>,
}

impl Source {
    /// # Errors
    /// The options name a file that cannot be used, or no trusted certificates.
    pub fn new(options: Options, scope: Scope, facts: &'static [Fact]) -> Result<Self, Error> {
        let prometheus = Prometheus::new(options)?;
        if prometheus.tells_secrets() {
            eprintln!(
                "lpwatch: warning: the password or token goes to {} unencrypted; use https",
                prometheus.url()
            );
        }
        Ok(Self {
            prometheus,
            scope,
            facts,
            started: Instant::now(),
            memory: None,
            trouble: None,
        })
    }

    /// The same, with hosts remembered from look to look.
    #[must_use]
    pub fn remembering(mut self) -> Self {
        self.memory = Some(Memory::default());
        self
    }

    /// The URL, for people and documents.
    pub fn url(&self) -> String {
        self.prometheus.url().to_string()
    }

    /// Since this source was made.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// How the fleet stands now. All queries are evaluated at one moment.
    ///
    /// # Errors
    /// [`Error::Fleet`] where Prometheus gives no answer, and
    /// [`Error::NoHosts`] where it knows of no host.
    pub async fn look(&mut self) -> Result<Look, Error> {
        let at = self.prometheus.now().await?;
        let mut facts = Facts::default();
        let mut warnings: Vec<String> = Vec::new();
        {
            let (prometheus, scope) = (&self.prometheus, &self.scope);
            let mut answers = stream::iter(self.facts)
                .map(|&fact| async move {
                    let query = fact.query(scope);
                    (fact, prometheus.query(&query, at).await)
                })
                .buffered(AT_ONCE);
            while let Some((fact, answer)) = answers.next().await {
                let answer = answer?;
                facts.take(fact, &answer.samples, &scope.host_label);
                warnings.extend(answer.warnings);
            }
        }
        warnings.sort();
        warnings.dedup();
        if facts.names().next().is_none() {
            return Err(Error::NoHosts {
                url: self.url(),
                hosts: self.scope.selector.matchers(),
            });
        }
        let now = self.now();
        if let Some(memory) = &mut self.memory {
            memory.mend(&mut facts, now, self.scope.known_for);
        }
        Ok(Look {
            at: timestamp(at),
            notes: facts.notes(),
            facts,
            warnings,
        })
    }

    /// The next look. What may pass by itself is waited for, and told once on
    /// stderr; `None` is a look that could not be had.
    ///
    /// # Errors
    /// What [`Self::look`] fails with, if it does not pass by itself.
    pub async fn next_look(&mut self) -> Result<Option<Look>, Error> {
        match self.look().await {
            Ok(look) => {
                if self.trouble.take().is_some() {
                    eprintln!("lpwatch: Prometheus answers again");
                }
                Ok(Some(look))
            }
            Err(error) if may_pass(&error) => {
                if self.trouble.is_none() {
                    eprintln!("lpwatch: {error}; waiting on");
                }
                self.trouble = Some(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Why there is no answer at the moment.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

fn may_pass(error: &Error) -> bool {
    match error {
        Error::Fleet(error) => error.may_pass(),
        // As after a restart without its data, until it has scraped.
        Error::NoHosts { .. } => true,
        _ => false,
    }
}

fn timestamp(seconds: f64) -> Timestamp {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|since| jiff::SignedDuration::try_from(since).ok())
        .and_then(|since| Timestamp::from_duration(since).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

//! Repeated readings of the fleet.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use jiff::Timestamp;

use crate::fleet::{
    FleetFacts, Memory,
    prometheus::{Prometheus, PrometheusError, PrometheusOptions},
    queries::{FleetQuery, Scope},
};

/// Queries sent at a time: Prometheus evaluates 20 at most.
const AT_ONCE: usize = 4;

/// Reads the fleet, once or again and again.
pub struct FleetSource {
    prometheus: Prometheus,
    pub scope: Scope,
    facts: &'static [FleetQuery],
    started: Instant,
    /// The hosts of earlier readings, for a wait.
    memory: Option<Memory>,
    /// Why Prometheus last gave no result, while that lasts.
    trouble: Option<String>,
}

/// One reading of the fleet.
#[derive(Debug)]
pub struct FleetReading {
    /// The time of the reading, by Prometheus's clock.
    pub at: Timestamp,
    pub facts: FleetFacts,
    /// Warnings of Prometheus, and our own notes.
    pub warnings: Vec<String>,
    pub notes: Vec<String>,
}

impl FleetSource {
    /// # Errors
    /// The options name a file that cannot be used, or no trusted certificates.
    pub fn new(
        options: PrometheusOptions,
        scope: Scope,
        facts: &'static [FleetQuery],
    ) -> Result<Self, PrometheusError> {
        let prometheus = Prometheus::new(options)?;
        if prometheus.sends_secrets_unencrypted() {
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

    /// Makes the source remember hosts from reading to reading.
    #[must_use]
    pub fn remembering(mut self) -> Self {
        self.memory = Some(Memory::default());
        self
    }

    /// The URL, for people and documents.
    pub fn url(&self) -> String {
        self.prometheus.url().to_string()
    }

    /// The time since this source was made.
    pub fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Reads the present state of the fleet. All queries are evaluated at one
    /// moment.
    ///
    /// # Errors
    /// Prometheus gives no result, or knows no host.
    pub async fn look(&mut self) -> Result<FleetReading, PrometheusError> {
        let at = self.prometheus.now().await?;
        let mut facts = FleetFacts::default();
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
            return Err(PrometheusError::NoHosts {
                url: self.url(),
                hosts: self.scope.selector.matchers(),
            });
        }
        let now = self.now();
        if let Some(memory) = &mut self.memory {
            memory.keep_known(&mut facts, now, self.scope.known_for);
        }
        Ok(FleetReading {
            at: timestamp(at),
            notes: facts.notes(),
            facts,
            warnings,
        })
    }

    /// The next reading. An error that may pass by itself is reported once on
    /// stderr, and the reading is `None`.
    ///
    /// # Errors
    /// Those of [`Self::look`] that do not pass by themselves.
    pub async fn next_look(&mut self) -> Result<Option<FleetReading>, PrometheusError> {
        match self.look().await {
            Ok(look) => {
                if self.trouble.take().is_some() {
                    eprintln!("lpwatch: Prometheus answers again");
                }
                Ok(Some(look))
            }
            Err(error) if error.is_transient() => {
                if self.trouble.is_none() {
                    eprintln!("lpwatch: {error}; trying again");
                }
                self.trouble = Some(error.to_string());
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Why there is no result at the moment.
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }
}

fn timestamp(seconds: f64) -> Timestamp {
    Duration::try_from_secs_f64(seconds)
        .ok()
        .and_then(|since| jiff::SignedDuration::try_from(since).ok())
        .and_then(|since| Timestamp::from_duration(since).ok())
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

//! How a patch stands, asked in every way there is: they must all say the same.

use anyhow::{Context, Result, ensure};

use crate::lpwatch::{self, code};
use crate::scrape::Scrape;

/// What is to be told of a patch.
pub struct Stand<'a> {
    pub patch: &'a str,
    pub engine: &'a str,
    pub enabled: bool,
    /// Which way it goes, if it does.
    pub direction: Option<&'a str>,
    pub stalled: bool,
    /// Its system gave it up.
    pub refused: bool,
}

impl Stand<'_> {
    /// Asks `status`, `tasks`, `wait` and the metrics of a daemon that runs.
    pub fn check(&self) -> Result<Scrape> {
        let step = || format!("{} is to be {}", self.patch, self.words());
        self.status().with_context(step)?;
        self.exits(&["tasks", self.patch], self.code())
            .with_context(step)?;
        self.wait().with_context(step)?;
        self.metrics().with_context(step)
    }

    fn words(&self) -> String {
        let Self {
            patch: _,
            engine,
            enabled,
            direction,
            stalled,
            refused,
        } = self;
        format!(
            "of {engine}, enabled {enabled}, {direction:?}, stalled {stalled}, refused {refused}"
        )
    }

    /// As `status` and `tasks` of this patch are to exit.
    fn code(&self) -> i32 {
        match self.direction {
            Some(_) if self.stalled => code::STALLED,
            Some(_) => code::IN_TRANSITION,
            None if self.refused && !self.enabled => code::REVERSED,
            None => code::WELL,
        }
    }

    fn status(&self) -> Result<()> {
        let document = lpwatch::status(&[&[self.patch]], &[self.code()])?;
        let patch = document.patch(self.patch)?;
        ensure!(patch.engine == self.engine, "{patch:?}");
        ensure!(patch.enabled == Some(self.enabled), "{patch:?}");
        ensure!(patch.refusal.is_some() == self.refused, "{patch:?}");
        let direction = patch.transition.as_ref().map(|one| one.direction.as_str());
        ensure!(direction == self.direction, "{patch:?}");
        Ok(())
    }

    fn wait(&self) -> Result<()> {
        let expected = match self.direction {
            Some(_) => code::TIMED_OUT,
            None => self.code(),
        };
        self.exits(&["wait", self.patch, "--timeout", "2s"], expected)
    }

    fn exits(&self, arguments: &[&str], expected: i32) -> Result<()> {
        let ended = lpwatch::run(&[arguments])?;
        ended.expect(&[expected])?;
        ensure!(ended.all_text().contains(self.patch), "{ended:?}");
        Ok(())
    }

    fn metrics(&self) -> Result<Scrape> {
        let Self { patch, engine, .. } = self;
        let scrape = Scrape::now()?;
        let info = format!("lpwatch_patch_info{{engine=\"{engine}\",patch=\"{patch}\"");
        ensure!(scrape.0.contains(&info), "no {info}:\n{}", scrape.0);
        let number = |is: bool| f64::from(u8::from(is));
        let enabled = format!("lpwatch_patch_enabled{{patch=\"{patch}\"}}");
        scrape.expect(&enabled, number(self.enabled))?;
        for direction in ["patching", "unpatching"] {
            let series = format!(
                "lpwatch_transition_in_progress{{direction=\"{direction}\",patch=\"{patch}\"}}"
            );
            if self.direction == Some(direction) {
                scrape.expect(&series, 1.0)?;
            } else {
                scrape.has_no(&series)?;
            }
        }
        let stalled = format!("lpwatch_transition_stalled{{patch=\"{patch}\"}}");
        match self.direction {
            Some(_) => scrape.expect(&stalled, number(self.stalled))?,
            None => scrape.has_no(&stalled)?,
        }
        Ok(scrape)
    }
}

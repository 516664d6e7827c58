//! A running loop, as others see it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot, watch};

use crate::model::{Snapshot, check::CheckReport, totals::Totals};

/// A running loop, as others see it.
#[derive(Clone, Debug)]
pub struct Followed {
    /// The latest snapshot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What ended since the loop began.
    pub totals: watch::Receiver<Totals>,
    pub(super) asks: mpsc::Sender<Ask>,
}

/// What others want of the loop.
#[derive(Debug)]
pub(super) enum Ask {
    /// A snapshot made now.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// To keep what came of checking a patch.
    Check(Box<CheckReport>),
}

impl Followed {
    /// A handle on states that are made by hand, without a kernel: for tests
    /// and simulations. The latest one is also the answer to [`Self::ask`].
    #[must_use]
    pub fn by_hand(
        snapshots: watch::Receiver<Arc<Snapshot>>,
        totals: watch::Receiver<Totals>,
    ) -> Self {
        // Nobody takes what is asked.
        let (asks, _) = mpsc::channel(1);
        Self {
            snapshots,
            totals,
            asks,
        }
    }

    /// A snapshot made now; the latest one if the loop has ended.
    pub async fn ask(&self) -> Arc<Snapshot> {
        let (answer, answered) = oneshot::channel();
        if self.asks.send(Ask::Snapshot(answer)).await.is_ok()
            && let Ok(snapshot) = answered.await
        {
            return snapshot;
        }
        self.snapshots.borrow().clone()
    }

    /// Hands over what came of checking a patch, to be shown beside it.
    pub async fn note_check(&self, report: CheckReport) {
        // A loop that has ended shows nothing any more.
        let _ = self.asks.send(Ask::Check(Box::new(report))).await;
    }
}

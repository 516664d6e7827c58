//! The handle of a running loop.

use std::sync::{Arc, Weak};

use tokio::sync::{mpsc, oneshot, watch};

use crate::{
    kernel::Roots,
    model::{Snapshot, check::CheckReport, totals::Totals},
};

/// The handle of a running loop: its snapshots, and requests to it.
#[derive(Clone, Debug)]
pub struct FollowHandle {
    /// The latest snapshot.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// What ended since the loop began.
    pub totals: watch::Receiver<Totals>,
    /// Where the host is read.
    pub(crate) roots: Arc<Roots>,
    pub(super) asks: mpsc::Sender<Request>,
    pub(super) viewers: Weak<()>,
}

/// Held by a reader of every snapshot: while there is one, a stall is read every
/// second as well.
#[derive(Clone, Debug)]
pub struct Viewer {
    _held: Option<Arc<()>>,
}

/// A request to the loop.
#[derive(Debug)]
pub(super) enum Request {
    /// A snapshot made now.
    Snapshot(oneshot::Sender<Arc<Snapshot>>),
    /// To keep the result of a check of a patch.
    Check(Box<CheckReport>),
    /// To show this note about the history, or none.
    HistoryNote(Option<String>),
}

impl FollowHandle {
    /// A handle with states made by hand, without a kernel, for tests and
    /// simulations. [`Self::request`] returns the latest one.
    #[must_use]
    pub fn by_hand(
        snapshots: watch::Receiver<Arc<Snapshot>>,
        totals: watch::Receiver<Totals>,
    ) -> Self {
        // No loop takes the requests.
        let (asks, _) = mpsc::channel(1);
        Self {
            snapshots,
            totals,
            roots: Arc::default(),
            asks,
            viewers: Weak::new(),
        }
    }

    /// Makes the loop read the tasks of a stall every second, for as long as the
    /// value is held.
    #[must_use]
    pub fn view(&self) -> Viewer {
        Viewer {
            _held: self.viewers.upgrade(),
        }
    }

    /// Requests a new snapshot; returns the latest one if the loop has ended.
    pub async fn request(&self) -> Arc<Snapshot> {
        let (answer, answered) = oneshot::channel();
        if self.asks.send(Request::Snapshot(answer)).await.is_ok()
            && let Ok(snapshot) = answered.await
        {
            return snapshot;
        }
        self.snapshots.borrow().clone()
    }

    /// Passes on the result of a check of a patch, to be shown beside it.
    pub async fn note_check(&self, report: CheckReport) {
        // A loop that has ended shows nothing any more.
        let _ = self.asks.send(Request::Check(Box::new(report))).await;
    }

    /// Shows this note about the history, or none.
    pub async fn note_history(&self, note: Option<String>) {
        // As above.
        let _ = self.asks.send(Request::HistoryNote(note)).await;
    }
}

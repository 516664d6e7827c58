//! The places for connections on one socket. A connection without a request (idle,
//! half open, in its handshake) makes room for a new one: the longest idle goes.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use axum::body::Body;
use hyper::body::{Bytes, Frame, SizeHint};
use tokio::{sync::Notify, time::Instant};

/// So many connections at a time.
pub(super) struct Places {
    most: usize,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    next: u64,
    connections: HashMap<u64, Connection>,
}

struct Connection {
    /// `None` while a request is served.
    idle_since: Option<Instant>,
    close: Arc<Notify>,
}

impl Places {
    pub fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            most,
            held: Mutex::default(),
        })
    }

    /// A place for one more connection, if need be that of the longest idle one;
    /// `None` if all of them serve requests.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let mut held = self.held();
        if held.connections.len() >= self.most {
            let idle = held
                .connections
                .iter()
                .filter_map(|(number, connection)| Some((connection.idle_since?, *number)));
            let (_, longest) = idle.min()?;
            if let Some(closed) = held.connections.remove(&longest) {
                tracing::debug!("an idle connection makes room for a new one");
                closed.close.notify_one();
            }
        }
        let number = held.next;
        held.next += 1;
        let close = Arc::new(Notify::new());
        let connection = Connection {
            idle_since: Some(Instant::now()),
            close: close.clone(),
        };
        held.connections.insert(number, connection);
        Some(Place(Arc::new(Taken {
            places: self.clone(),
            number,
            close,
        })))
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn set_idle(&self, number: u64, since: Option<Instant>) {
        if let Some(connection) = self.held().connections.get_mut(&number) {
            connection.idle_since = since;
        }
    }
}

/// The place of one connection, free again when the last copy is dropped.
#[derive(Clone)]
pub(super) struct Place(Arc<Taken>);

struct Taken {
    places: Arc<Places>,
    number: u64,
    close: Arc<Notify>,
}

impl Place {
    /// Completes when the place is given to another connection.
    pub async fn given_away(&self) {
        self.0.close.notified().await;
    }

    /// Notes that a request is served, until the value returned is dropped.
    pub fn serves(&self) -> Serving {
        self.0.places.set_idle(self.0.number, None);
        Serving(self.clone())
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.places.held().connections.remove(&self.number);
    }
}

/// A request is served.
pub(super) struct Serving(Place);

impl Drop for Serving {
    fn drop(&mut self) {
        let taken = &self.0.0;
        taken.places.set_idle(taken.number, Some(Instant::now()));
    }
}

/// The body of a response: its request is served until all of it was sent.
pub(super) struct ServedBody {
    pub body: Body,
    pub _serving: Serving,
}

impl hyper::body::Body for ServedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    async fn is_given_away(place: &Place) -> bool {
        let soon = tokio::time::timeout(Duration::from_millis(1), place.given_away());
        soon.await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn the_longest_idle_connection_makes_room() {
        let places = Places::new(3);
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(places.take().unwrap());
            tokio::time::advance(Duration::from_secs(1)).await;
        }
        // The oldest was idle only since its last request.
        drop(held[0].serves());
        let fourth = places.take().unwrap();
        let mut gone = Vec::new();
        for place in &held {
            gone.push(is_given_away(place).await);
        }
        assert_eq!(gone, [false, true, false]);
        assert!(!is_given_away(&fourth).await);
        // A place that was given away frees nothing when its connection ends.
        held.remove(1);
        assert_eq!(places.held().connections.len(), 3);
        drop(fourth);
        assert_eq!(places.held().connections.len(), 2);
    }

    #[tokio::test]
    async fn a_request_keeps_its_place() {
        let places = Places::new(1);
        let place = places.take().unwrap();
        let serving = place.serves();
        assert!(places.take().is_none());
        drop(serving);
        assert!(places.take().is_some());
        assert!(is_given_away(&place).await);
    }
}

//! What the sources of a follower have: events of the hooks, lines of the kernel log, stops
//! of the machine, and patches on disk that have changed.

use super::Follower;

impl Follower {
    /// Applies the events of hooks and log; returns whether the hooks reported
    /// any.
    pub(super) fn drain(&mut self) -> bool {
        // The stops first: a transition that ends below takes them as its own.
        self.drain_stops();
        let Some(ring) = &mut self.ring else {
            return self.read_kernel_log();
        };
        let events = ring.file.drain();
        let lost = ring.file.lost();
        let from_hooks = !events.is_empty();
        // The log has the kernel's words for what the hooks report.
        let from_log = self.read_kernel_log();
        self.observer.take(events, lost);
        from_hooks || from_log
    }

    pub(super) fn drain_stops(&mut self) {
        if let Some(stops) = &mut self.stops {
            let (spans, lost) = (stops.file.drain(), stops.file.lost());
            self.observer.take_stops(&spans, lost);
        }
    }

    pub(super) fn read_kernel_log(&mut self) -> bool {
        let Some(log) = &mut self.kernel_log else {
            return false;
        };
        match self.observer.read_log(&mut log.file) {
            Ok(changed) => changed.is_some(),
            Err(error) => {
                tracing::warn!(%error, "the kernel log can no longer be read");
                self.observer
                    .lose_log(&format!("The kernel log is no longer read: {error}."));
                self.kernel_log = None;
                false
            }
        }
    }

    /// The patches on disk have changed, and so may what is counted.
    pub(super) fn read_watched_files(&mut self) {
        let Self {
            observer,
            watched_files,
            ..
        } = self;
        if let Some(files) = watched_files
            && files.file.drain()
        {
            observer.rewatch_files(&files.file);
            observer.rewatch();
            observer.count();
        }
    }
}

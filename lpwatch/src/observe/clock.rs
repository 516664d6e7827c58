//! Now, as the model takes it.

use crate::{kernel::host::Clocks, model::Moment};

/// This moment on both clocks.
#[must_use]
pub fn now() -> Moment {
    moment(&Clocks::now())
}

/// The moment at which `clocks` were read.
pub(super) fn moment(clocks: &Clocks) -> Moment {
    Moment {
        boot: clocks.boot,
        wall: clocks.wall,
    }
}

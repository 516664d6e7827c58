//! Converts what procfs shows of a remaining task to the terms of the model.

use crate::{
    kernel::{Roots, kallsyms::Location, task_detail},
    model::evidence::{Evidence, Frame},
};

/// A task's kernel stack and its ids, as far as they may be read.
pub(super) fn evidence(roots: &Roots, tgid: u32, tid: u32) -> Evidence {
    let stack = task_detail::stack(roots, tgid, tid);
    let (ns_tid, ns_tgid) = task_detail::namespace_ids(roots, tgid, tid).unzip();
    Evidence {
        looked: stack.is_some(),
        ns_tid,
        ns_tgid,
        stack: stack.into_iter().flatten().map(frame).collect(),
        ..Evidence::default()
    }
}

/// A stack frame as procfs shows it.
pub(crate) fn frame(location: Location) -> Frame {
    let Location {
        symbol,
        offset,
        module,
    } = location;
    Frame {
        symbol,
        offset,
        module,
    }
}

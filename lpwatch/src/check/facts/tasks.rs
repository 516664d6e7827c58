//! What all tasks do, in several looks.

/// Facts for the rules `will_block` and `wont_switch`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TaskFacts {}

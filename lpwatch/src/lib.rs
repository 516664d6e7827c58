//! lpwatch

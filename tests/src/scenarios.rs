//! The scenarios, one file per concern. Each cleans up after itself through
//! guards, also when it fails half-way.

pub mod catalogue;

mod callback_blocks;
mod calls_effect;
mod calls_exact;
mod calls_faults;
mod calls_lifecycle;
mod calls_unwatched;
mod check_predictions;
mod check_rules;
mod check_rules_files;
mod check_rules_kernel;
mod check_rules_names;
mod check_rules_overlap;
mod check_rules_rates;
mod check_rules_tracing;
mod clean_end;
mod cpu_held;
mod degraded;
mod doctor;
mod easy;
mod engines;
mod exporter;
mod forced;
mod forced_removal;
mod forged_log;
mod harm;
mod harmless;
mod idle;
mod killed_daemon;
mod many_threads;
mod objects;
mod odd_names;
mod overflow;
mod reason_asleep;
mod reason_foreign;
mod reason_kernel;
mod reason_restless;
mod reason_unwind;
mod reason_worker;
mod refused;
mod replace;
mod sleepers;
mod stall;
mod stall_daemon;
mod stop_time;
mod two_daemons;
mod vanish;
mod wait;
mod wait_delay;

pub use catalogue::{Scenario, all};

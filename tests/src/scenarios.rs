//! The scenarios, one file per concern. Each cleans up after itself through
//! guards, also when it fails half-way.

mod calls_effect;
mod calls_exact;
mod calls_faults;
mod calls_lifecycle;
mod calls_unwatched;
mod check_predictions;
mod check_rules;
mod check_rules_files;
mod check_rules_kernel;
mod check_rules_overlap;
mod check_rules_rates;
mod check_rules_tracing;
mod clean_end;
mod degraded;
mod doctor;
mod easy;
mod engines;
mod exporter;
mod forced;
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

use anyhow::Result;

use crate::trial::Trial;

pub struct Scenario {
    pub name: &'static str,
    /// It leaves its guest in a state that nothing can mend.
    pub own_boot: bool,
    pub run: fn(&mut Trial) -> Result<()>,
}

const fn scenario(name: &'static str, run: fn(&mut Trial) -> Result<()>) -> Scenario {
    Scenario {
        name,
        own_boot: false,
        run,
    }
}

/// All of them, the simplest first: what fails early explains what fails later.
pub const ALL: &[Scenario] = &[
    scenario("easy", easy::run),
    scenario("two_patches", easy::two_patches),
    scenario("stall", stall::run),
    scenario("stall_daemon", stall_daemon::run),
    scenario("exporter", exporter::run),
    scenario("wait", wait::run),
    scenario("wait_no_daemon", wait::without_daemon),
    scenario("wait_delay", wait_delay::run),
    scenario("killed_daemon", killed_daemon::run),
    scenario("two_daemons", two_daemons::run),
    scenario("refused", refused::run),
    scenario("two_objects", objects::run),
    scenario("replace", replace::run),
    scenario("sleepers", sleepers::run),
    scenario("unpatching_stall", sleepers::unpatching),
    scenario("overflow", overflow::run),
    scenario("vanish", vanish::run),
    scenario("odd_names", odd_names::run),
    scenario("no_root", degraded::no_root),
    scenario("no_capabilities", degraded::no_capabilities),
    scenario("no_btf", degraded::no_btf),
    scenario("no_livepatch", degraded::no_livepatch),
    scenario("clean_end", clean_end::run),
    scenario("idle", idle::run),
    scenario("reason_kthread", reason_asleep::kthread),
    scenario("reason_sleepers", reason_asleep::sleepers),
    scenario("reason_stopped", reason_asleep::stopped),
    scenario("reason_many", reason_asleep::many),
    scenario("reason_odd_comm", reason_asleep::odd_comm),
    scenario("reason_reversal", reason_asleep::reversal),
    scenario("reason_busy_kthread", reason_kernel::busy),
    scenario("reason_uninterruptible", reason_kernel::uninterruptible),
    scenario("reason_fexit", reason_foreign::fexit),
    scenario("reason_kretprobe", reason_foreign::kretprobe),
    scenario("reason_forking", reason_restless::forking),
    scenario("reason_hidden_symbols", reason_restless::hidden_symbols),
    scenario("calls_exact", calls_exact::run),
    scenario("calls_exact_turns", calls_exact::turns),
    scenario("calls_crowded", calls_exact::crowded),
    scenario("calls_unwatched", calls_unwatched::run),
    scenario("calls_unloading", calls_lifecycle::unloading),
    scenario("calls_target", calls_lifecycle::target),
    scenario("calls_replace", calls_lifecycle::replace),
    scenario("calls_on_top", calls_lifecycle::on_top),
    scenario("calls_daemon", calls_lifecycle::daemon),
    scenario("calls_redirected", calls_effect::redirected),
    scenario("calls_redirected_watched", calls_effect::redirected_watched),
    scenario("calls_post_handler", calls_effect::post_handler),
    scenario("calls_ftrace", calls_effect::ftrace),
    scenario("calls_ftrace_off_first", calls_effect::ftrace_off_first),
    scenario("calls_names", calls_faults::names),
    scenario("calls_foreign", calls_faults::foreign),
    scenario("check_predictions", check_predictions::run),
    scenario("check_verdicts", check_rules::verdicts),
    scenario("check_busy", check_rules::busy),
    scenario("check_foreign", check_rules::foreign),
    scenario("check_beside", check_rules::beside),
    scenario("check_unreadable", check_rules_files::unreadable),
    scenario("check_read", check_rules_files::read),
    scenario("check_elsewhere", check_rules_files::elsewhere),
    scenario("check_ftrace", check_rules_kernel::ftrace),
    scenario("check_builds", check_rules_kernel::builds),
    scenario("check_rates", check_rules_rates::run),
    scenario("check_overlap", check_rules_overlap::loaded),
    scenario("check_on_top", check_rules_overlap::on_top),
    scenario("check_entry", check_rules_tracing::entry),
    scenario("check_held", check_rules_tracing::held),
    scenario("check_fexit", check_rules_tracing::fexit),
    scenario("check_kretprobe", check_rules_tracing::kretprobe),
    scenario("check_blind", check_rules_tracing::blind),
    scenario("engines_at_once", engines::at_once),
    scenario("engine_kgraft", engines::kgraft),
    scenario("engine_ksplice", engines::ksplice),
    scenario("engine_kpatch", engines::kpatch),
    scenario("engine_kernelcare", engines::kernelcare),
    scenario("engine_openeuler", engines::openeuler),
    scenario("engine_faults", engines::faults),
    scenario("stop_time", stop_time::run),
    scenario("harmless", harmless::run),
    scenario("harmless_check", harmless::beside_check),
    scenario("harm", harm::run),
    scenario("many_threads", many_threads::run),
    scenario("doctor", doctor::run),
    Scenario {
        name: "calls_many",
        own_boot: true,
        run: calls_faults::many,
    },
    Scenario {
        name: "check_signature",
        own_boot: true,
        run: check_rules_kernel::signature,
    },
    Scenario {
        name: "forced",
        own_boot: true,
        run: forced::run,
    },
];

//! Runs of a program that the kernel skipped, by the kernel's count.
//!
//! The kernel runs a program for one task at a time on each CPU: while one task
//! is preempted in it, it is skipped for the others (`__bpf_prog_enter_recur`,
//! kernel/bpf/trampoline.c, 5.12 on). A kprobe's program is skipped while a
//! system call copies from a map on its CPU (`trace_call_bpf` in
//! `kernel/trace/bpf_trace.c`; counted from 6.7 on).

use std::{
    fs,
    os::fd::{AsFd, AsRawFd},
};

const KEY: &str = "recursion_misses:";

/// How often this program was skipped; `None` where the kernel does not report
/// it.
pub(super) fn runs_missed(program: impl AsFd) -> Option<u64> {
    let file = program.as_fd().as_raw_fd();
    let text = fs::read_to_string(format!("/proc/self/fdinfo/{file}")).ok()?;
    parse(&text)
}

fn parse(fdinfo: &str) -> Option<u64> {
    let line = fdinfo.lines().find_map(|line| line.strip_prefix(KEY))?;
    line.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn the_kernel_tells_misses_from_5_12_on() {
        let of_6_12 = "pos:\t0\nflags:\t02000002\nprog_type:\t26\nrun_cnt:\t0\n\
            recursion_misses:\t70\nverified_insns:\t41\n";
        assert_eq!(parse(of_6_12), Some(70));
        assert_eq!(parse("pos:\t0\nprog_type:\t2\nrun_cnt:\t0\n"), None);
        assert_eq!(parse("recursion_misses:\tmany\n"), None);
        assert_eq!(parse(""), None);
    }
}

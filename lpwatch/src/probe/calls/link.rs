//! Links with a cookie, which aya does not make: the program reads it and so knows the
//! slot of the function.

#![expect(
    unsafe_code,
    reason = "system calls that neither aya nor rustix offers"
)]

use std::{
    ffi::{CStr, c_long},
    fs, io,
    os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd},
};

use aya_obj::generated::{
    bpf_attach_type::{BPF_PERF_EVENT, BPF_TRACE_FENTRY, BPF_TRACE_KPROBE_MULTI},
    bpf_cmd::{BPF_LINK_CREATE, BPF_PROG_LOAD},
    bpf_insn,
    bpf_prog_type::BPF_PROG_TYPE_KPROBE,
};

/// `PERF_FLAG_FD_CLOEXEC` (`include/uapi/linux/perf_event.h`).
const CLOSE_ON_EXEC: c_long = 1 << 3;

/// Where the kernel shows the type of its probes' events.
const KPROBE_TYPE: &str = "/sys/bus/event_source/devices/kprobe/type";

/// What `BPF_LINK_CREATE` reads, and behind it what the kind of link needs
/// (`union bpf_attr`, include/uapi/linux/bpf.h).
#[repr(C)]
struct LinkCreate<T> {
    program: RawFd,
    target: RawFd,
    attach_type: u32,
    flags: u32,
    kind: T,
}

#[repr(C)]
struct Tracing {
    target_type: u32,
    padding: u32,
    cookie: u64,
}

#[repr(C)]
struct Multi {
    flags: u32,
    count: u32,
    symbols: u64,
    addresses: u64,
    cookies: u64,
}

/// What `BPF_PROG_LOAD` reads.
#[repr(C)]
struct ProgramLoad {
    kind: u32,
    instructions: u32,
    first_instruction: u64,
    license: u64,
    log: [u32; 4],
    kernel_version: u32,
    flags: u32,
    name: [u8; 16],
    interface: u32,
    attach_type: u32,
}

/// What `perf_event_open(2)` reads, in its oldest form but one.
#[repr(C)]
#[derive(Default)]
struct PerfEvent {
    kind: u32,
    size: u32,
    config: u64,
    period: u64,
    sample: u64,
    read_format: u64,
    flags: u64,
    wakeup: u32,
    breakpoint: u32,
    function: u64,
    offset: u64,
}

/// Attaches an fentry program to the function that it was loaded for.
pub(super) fn fentry(program: BorrowedFd<'_>, cookie: u32) -> io::Result<OwnedFd> {
    let kind = Tracing {
        target_type: 0,
        padding: 0,
        cookie: cookie.into(),
    };
    create(program, 0, BPF_TRACE_FENTRY as u32, kind)
}

/// Attaches a program to the entry of a function by kprobe; `symbol` as a kprobe expects
/// it.
pub(super) fn kprobe(program: BorrowedFd<'_>, symbol: &CStr, cookie: u32) -> io::Result<OwnedFd> {
    let event = probe_event(symbol)?;
    // The link holds the event.
    create(
        program,
        event.as_raw_fd(),
        BPF_PERF_EVENT as u32,
        u64::from(cookie),
    )
}

/// Attaches a program to the functions at these addresses. Either all or none.
pub(super) fn multi(
    program: BorrowedFd<'_>,
    addresses: &[u64],
    cookies: &[u64],
) -> io::Result<OwnedFd> {
    debug_assert_eq!(addresses.len(), cookies.len(), "a cookie for each");
    let count = u32::try_from(addresses.len().min(cookies.len()))
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let kind = Multi {
        flags: 0,
        count,
        symbols: 0,
        addresses: addresses.as_ptr() as u64,
        cookies: cookies.as_ptr() as u64,
    };
    create(program, 0, BPF_TRACE_KPROBE_MULTI as u32, kind)
}

/// Loads a program for [`multi`].
pub(super) fn load_multi(
    name: &str,
    instructions: &[bpf_insn],
    license: &CStr,
) -> io::Result<OwnedFd> {
    let mut load = ProgramLoad {
        kind: BPF_PROG_TYPE_KPROBE as u32,
        instructions: u32::try_from(instructions.len())
            .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?,
        first_instruction: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        log: [0; 4],
        kernel_version: 0,
        flags: 0,
        name: [0; 16],
        interface: 0,
        attach_type: BPF_TRACE_KPROBE_MULTI as u32,
    };
    // The last byte stays 0.
    for (to, from) in load.name.iter_mut().take(15).zip(name.bytes()) {
        *to = from;
    }
    // SAFETY: the addresses are those of borrowed slices with these lengths.
    unsafe { bpf(BPF_PROG_LOAD as c_long, &load) }
}

fn create<T>(
    program: BorrowedFd<'_>,
    target: RawFd,
    attach_type: u32,
    kind: T,
) -> io::Result<OwnedFd> {
    let link = LinkCreate {
        program: program.as_raw_fd(),
        target,
        attach_type,
        flags: 0,
        kind,
    };
    // SAFETY: the addresses in it, if any, are those of slices that the caller borrows.
    unsafe { bpf(BPF_LINK_CREATE as c_long, &link) }
}

/// An event at the entry of a function.
fn probe_event(symbol: &CStr) -> io::Result<OwnedFd> {
    let kind = fs::read_to_string(KPROBE_TYPE)?;
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let event = PerfEvent {
        kind: kind.trim().parse().map_err(|_| invalid())?,
        size: u32::try_from(size_of::<PerfEvent>()).map_err(|_| invalid())?,
        function: symbol.as_ptr() as u64,
        ..PerfEvent::default()
    };
    // Of any task, on the first processor: the program runs on all (`kprobe_perf_func`,
    // kernel/trace/trace_kprobe.c).
    let (any_task, cpu, no_group): (c_long, c_long, c_long) = (-1, 0, -1);
    // SAFETY: the event is borrowed, as is the name in it, and has the size it states.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const event,
            any_task,
            cpu,
            no_group,
            CLOSE_ON_EXEC,
        )
    };
    owned(fd)
}

/// bpf(2) with a command that returns a file.
///
/// # Safety
/// `attributes` must be what the command reads, and the addresses in it valid.
unsafe fn bpf<T>(command: c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: see above. The kernel takes what lies beyond for 0.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            size_of::<T>(),
        )
    };
    owned(fd)
}

fn owned(fd: c_long) -> io::Result<OwnedFd> {
    match RawFd::try_from(fd) {
        // SAFETY: the kernel has just opened it, for nobody else.
        Ok(fd) if fd >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        _ => Err(io::Error::last_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_finds_each_field() {
        use std::mem::offset_of;
        assert_eq!(offset_of!(LinkCreate<u64>, kind), 16);
        assert_eq!(offset_of!(LinkCreate<Tracing>, kind.cookie), 24);
        assert_eq!(offset_of!(LinkCreate<Multi>, kind.cookies), 40);
        assert_eq!(offset_of!(ProgramLoad, attach_type), 68);
        assert_eq!(offset_of!(PerfEvent, function), 56);
        assert_eq!(size_of::<PerfEvent>(), 72);
    }
}

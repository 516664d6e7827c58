//! The users of the function tracer on a function: live patches, kprobes, BPF
//! trampolines and others.
//!
//! Source: `enabled_functions` of tracefs (`t_show`, kernel/trace/ftrace.c;
//! 5.10 to 7.2 were read). It has a line for each traced function, followed by
//! one for what is called directly:
//!
//! ```text
//! name [module] (2) R I D   M  ->arch_ftrace_ops_list_func+0x0/0x1d0
//!     direct-->bpf_trampoline_6442474735+0x0/0xe8
//! ```
//!
//! A handler is named only if it is the only one on its function.

use std::{
    fs::File,
    io::{self, BufReader},
};

use super::{ReadError, Roots};

const REMEDY: &str = "only root can read tracefs; run as root";

/// Functions that call many handlers, or another's handler; none is a handler
/// itself.
const NO_HANDLER: [&str; 5] = [
    "ftrace_ops_list_func",
    "arch_ftrace_ops_list_func",
    "ftrace_ops_assist_func",
    "call_direct_funcs",
    "ERROR!",
];

/// A traced function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FtraceUsers {
    pub function: String,
    /// The module the function is in; `None` for vmlinux.
    pub module: Option<String>,
    /// One of its users may redirect calls (flag `I`, IPMODIFY). The kernel
    /// accepts one such user per function.
    pub redirected: bool,
    /// Something is called directly (flag `D`), as BPF trampolines are.
    pub direct: bool,
    /// The symbol that is called directly.
    pub direct_to: Option<String>,
    /// The handlers that are named, e.g. `klp_ftrace_handler`.
    pub handlers: Vec<String>,
    /// The line as the kernel wrote it.
    pub line: String,
}

/// The traced functions among those that are `wanted`, in the kernel's order.
///
/// # Errors
/// tracefs is not mounted, or this user may not read it: the error is that of
/// its usual place.
pub fn read(roots: &Roots, wanted: impl Fn(&str) -> bool) -> Result<Vec<FtraceUsers>, ReadError> {
    let path = roots.sysfs.join("kernel/tracing/enabled_functions");
    let file = File::open(&path).or_else(|error| {
        let older = roots.sysfs.join("kernel/debug/tracing/enabled_functions");
        File::open(older).map_err(|_| error)
    });
    let error = |error| ReadError::from_io(&path, error, REMEDY);
    parse(BufReader::new(file.map_err(error)?), wanted).map_err(error)
}

fn parse(
    mut lines: impl io::BufRead,
    wanted: impl Fn(&str) -> bool,
) -> io::Result<Vec<FtraceUsers>> {
    let mut users: Vec<FtraceUsers> = Vec::new();
    // Lines below a function are its own.
    let mut is_wanted = false;
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        if lines.read_until(b'\n', &mut bytes)? == 0 {
            return Ok(users);
        }
        let line = String::from_utf8_lossy(&bytes);
        if line.starts_with(char::is_whitespace) {
            if let Some(last) = users.last_mut().filter(|_| is_wanted) {
                last.add(line.trim());
            }
            continue;
        }
        let name = line.split_ascii_whitespace().next().unwrap_or_default();
        is_wanted = wanted(name);
        if is_wanted && let Some(found) = FtraceUsers::of_line(&line) {
            users.push(found);
        }
    }
}

impl FtraceUsers {
    fn of_line(line: &str) -> Option<Self> {
        let line = line.trim_end();
        // After the name and the module comes the number of users.
        let (place, rest) = line.split_once(" (")?;
        let (_, rest) = rest.split_once(')')?;
        let (function, module) = match place.split_once(' ') {
            Some((function, module)) => {
                let module = module.trim().strip_prefix('[')?.strip_suffix(']')?;
                (function, Some(module.to_owned()))
            }
            None => (place, None),
        };
        // The flags end where the handlers begin.
        let end = rest.find(['\t', '-']).unwrap_or(rest.len());
        let (flags, handlers) = rest.split_at(end);
        let has = |flag: &str| flags.split_ascii_whitespace().any(|one| one == flag);
        let mut users = Self {
            function: function.to_owned(),
            module,
            redirected: has("I"),
            direct: has("D"),
            direct_to: None,
            handlers: Vec::new(),
            line: line.split_whitespace().collect::<Vec<_>>().join(" "),
        };
        users.add(handlers);
        Some(users)
    }

    /// Reads the handlers in a line: `tramp: ADDRESS (HANDLER+0x0/0x1d0)
    /// ->HANDLER+0x0/0x1d0`, `direct-->SYMBOL+0x0/0xe8`.
    fn add(&mut self, words: &str) {
        for word in words.split_ascii_whitespace() {
            // `direct-->`, or in 7.2 `direct(jmp)-->`.
            if let Some((how, target)) = word.split_once("-->") {
                if how.starts_with("direct") {
                    self.direct_to = Some(symbol(target).to_owned());
                }
                continue;
            }
            let handler = word.strip_prefix("->").or_else(|| word.strip_prefix('('));
            let Some(handler) = handler.map(symbol) else {
                continue;
            };
            let known = self.handlers.iter().any(|known| known == handler);
            if !known && !handler.is_empty() && !NO_HANDLER.contains(&handler) {
                self.handlers.push(handler.to_owned());
            }
        }
    }
}

/// The symbol of `symbol+0x0/0x1d0)`.
fn symbol(word: &str) -> &str {
    let end = word.find(['+', ')']).unwrap_or(word.len());
    word.split_at(end).0
}

#[cfg(test)]
mod tests;

//! What lpwatch knows where the kernel or the administrator denies it something: held
//! against the table in `docs/environments.md`, and the true cause of whatever is missing.

use std::fs;

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};

use crate::knowledge::{self, Stand};
use crate::trial::{Skipped, Trial};

const DOCS: &str = include_str!("../../../docs/environments.md");
const SECURITYFS: &str = "/sys/kernel/security";
/// What must be said where something is missing, and what would be wrong.
struct Cause {
    says: &'static str,
    never: &'static [&'static str],
}

struct Environment {
    /// As in the table.
    name: &'static str,
    /// Of the command: another user, fewer capabilities.
    rights: &'static [&'static str],
    options: &'static [&'static str],
    cause: Option<Cause>,
}

const fn environment(name: &'static str, cause: Option<Cause>) -> Environment {
    Environment {
        name,
        rights: &[],
        options: &[],
        cause,
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "an environment need not have a cause"
)]
const fn because(says: &'static str) -> Option<Cause> {
    Some(Cause {
        says,
        never: &["Invalid argument"],
    })
}

const AS_USER: &[&str] = &["--uid", "65534"];

pub fn run(trial: &mut Trial) -> Result<()> {
    let lockdown = format!("{SECURITYFS}/lockdown");
    if fs::read_to_string(&lockdown).is_err() {
        return Err(Skipped("this kernel has no lockdown".to_owned()).into());
    }
    let mut stand = Stand::new()?;
    let mut rows = Vec::new();
    let mut look = |environment: &Environment| -> Result<()> {
        let Environment {
            name,
            rights,
            options,
            cause,
        } = environment;
        let (row, said) = knowledge::row(trial, &mut stand, name, rights, options)?;
        rows.push(row);
        let Some(cause) = cause else { return Ok(()) };
        check(&said, cause).with_context(|| (*name).to_owned())
    };
    look(&environment("root", None))?;
    look(&Environment {
        options: &["--no-bpf"],
        ..environment("root, `--no-bpf`", because("--no-bpf"))
    })?;
    look(&Environment {
        rights: &["--hide", "/sys/kernel/btf"],
        ..environment("no BTF", because("BTF"))
    })?;
    set("kernel/kptr_restrict", "2")?;
    look(&environment(
        "`kernel.kptr_restrict=2`",
        because("kptr_restrict"),
    ))?;
    set("kernel/kptr_restrict", "0")?;
    set("kernel/perf_event_paranoid", "3")?;
    look(&Environment {
        rights: &["--drop", "CAP_SYS_ADMIN"],
        ..environment(
            "`kernel.perf_event_paranoid=3`, no `CAP_SYS_ADMIN`",
            because("perf_event_paranoid"),
        )
    })?;
    look(&Environment {
        rights: AS_USER,
        ..environment("ordinary user", because("CAP_BPF"))
    })?;
    hide_tasks("hidepid=2")?;
    look(&Environment {
        rights: &["--drop", "CAP_SYS_PTRACE"],
        ..environment("`hidepid=2`, no `CAP_SYS_PTRACE`", None)
    })?;
    look(&Environment {
        rights: &["--drop", "CAP_SYS_PTRACE"],
        options: &["--no-bpf"],
        ..environment(
            "`hidepid=2`, no `CAP_SYS_PTRACE`, `--no-bpf`",
            because("CAP_SYS_PTRACE"),
        )
    })?;
    hide_tasks("hidepid=0")?;
    fs::write(&lockdown, "integrity").context("locking down")?;
    look(&environment("`lockdown=integrity`", None))?;
    fs::write(&lockdown, "confidentiality").context("locking down")?;
    look(&environment(
        "`lockdown=confidentiality`",
        Some(Cause {
            says: "lockdown (confidentiality)",
            never: &["Invalid argument", "run as root", "Run as root", "mount -t"],
        }),
    ))?;
    knowledge::compare(DOCS, &rows)
}

fn set(name: &str, value: &str) -> Result<()> {
    fs::write(format!("/proc/sys/{name}"), value).with_context(|| format!("setting {name}"))
}

fn hide_tasks(option: &str) -> Result<()> {
    let none = None::<&str>;
    mount(none, "/proc", none, MsFlags::MS_REMOUNT, Some(option)).context("mounting /proc again")
}

fn check(said: &[String], cause: &Cause) -> Result<()> {
    ensure!(
        said.iter().any(|text| text.contains(cause.says)),
        "nothing says {:?}: {said:#?}",
        cause.says
    );
    for never in cause.never {
        ensure!(
            !said.iter().any(|text| text.contains(never)),
            "{never:?} is not the cause: {said:#?}"
        );
    }
    Ok(())
}

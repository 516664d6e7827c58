//! `cargo xtask setup`: finds or installs what the other commands need.
//!
//! Each part is also done on its own by the command that needs it, and is
//! quick where everything is there already.

mod bpf;
mod cargo_deb;
mod linker;
mod packages;
pub mod prometheus;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Result, bail};
use rustix::process::geteuid;

use crate::archive::apt::KEYRING;
use crate::process::which;
use crate::{build, ui};
use packages::Need;

/// Runs `cargo xtask setup`.
pub fn run(again: bool) -> Result<ExitCode> {
    for_fleet()?;
    packages::ensure(MODULES)?;
    ui::note(prometheus::ensure()?.version);
    let toolchain = bpf::ensure_toolchain(again)?;
    ui::note(format!(
        "BPF programs are compiled by {}",
        toolchain.rustc.display()
    ));
    ui::note(format!("and linked by {}", toolchain.linker.display()));
    ui::note("all is set up; next: cargo xtask demo, or cargo xtask test");
    Ok(ExitCode::SUCCESS)
}

/// What the whole of `cargo xtask test` takes of packages, in one go: apt does not
/// run twice at once.
pub fn for_tests() -> Result<()> {
    let all = [GUESTS, FLEET, MODULES, PAGES, PACKAGES, RECIPES];
    packages::ensure(&all.concat())
}

/// What booting a guest takes.
pub fn for_guests() -> Result<()> {
    if std::env::consts::ARCH != "x86_64" {
        bail!(
            "the test kernels are x86-64's, and so must this machine be: lpwatch is built for \
             the machine it is built on (this one is {})",
            std::env::consts::ARCH,
        );
    }
    packages::ensure(GUESTS)
}

/// What a guest with a network takes.
pub fn for_fleet() -> Result<()> {
    for_guests()?;
    packages::ensure(FLEET)
}

/// What building the test modules takes.
pub fn for_modules() -> Result<()> {
    packages::ensure(MODULES)?;
    if !geteuid().is_root() {
        bail!(
            "building the test modules takes root, for the chroots: run this as root once. \
             Modules already built, or a folder given by `vm --modules`, need no root."
        );
    }
    Ok(())
}

/// What building lpwatch with its BPF programs takes.
pub fn for_build() -> Result<()> {
    packages::ensure(BUILD)?;
    bpf::ensure_toolchain(false)?;
    Ok(())
}

/// What looking at the status page takes.
pub fn for_pages() -> Result<()> {
    packages::ensure(PAGES)
}

/// What trying the recipes takes.
pub fn for_recipes() -> Result<()> {
    packages::ensure(RECIPES)
}

/// What packing takes; the program that makes Debian packages.
pub fn for_packages() -> Result<PathBuf> {
    packages::ensure(PACKAGES)?;
    cargo_deb::ensure()
}

/// What trying the package takes: small systems to install it in.
pub fn for_systems() -> Result<()> {
    packages::ensure(MODULES)?;
    if !geteuid().is_root() {
        bail!(
            "trying the package takes root, for the chroots it is installed in: run this as root"
        );
    }
    Ok(())
}

const GUESTS: &[Need] = &[
    Need {
        what: "QEMU, to boot kernels",
        package: "qemu-system-x86",
        is_there: || which("qemu-system-x86_64").is_some(),
    },
    Need {
        what: "a static busybox, the guests' userland",
        package: "busybox-static",
        is_there: || crate::vm::guest::busybox().is_ok(),
    },
    Need {
        what: "apt and dpkg, to fetch kernels",
        package: "apt",
        is_there: || {
            ["apt-get", "apt-cache", "dpkg-deb"]
                .iter()
                .all(|tool| which(tool).is_some())
        },
    },
    Need {
        what: "Debian's keys, to check what is fetched",
        package: "debian-archive-keyring",
        is_there: || Path::new(KEYRING).is_file(),
    },
];

const FLEET: &[Need] = &[Need {
    what: "xz, to unpack a kernel's network driver",
    package: "xz-utils",
    is_there: || which("xz").is_some(),
}];

const MODULES: &[Need] = &[
    Need {
        what: "mmdebstrap, to build modules in their own suite",
        package: "mmdebstrap",
        is_there: || which("mmdebstrap").is_some(),
    },
    Need {
        what: "unshare, to keep the chroots' mounts apart",
        package: "util-linux",
        is_there: || which("unshare").is_some(),
    },
];

const PAGES: &[Need] = &[
    Need {
        what: "Chromium, to look at the status page",
        package: "chromium",
        is_there: || which("chromium").is_some(),
    },
    Need {
        what: "Node.js, which drives it",
        package: "nodejs",
        is_there: || which("node").is_some(),
    },
    Need {
        what: "npm, to get the driver and axe",
        package: "npm",
        is_there: || which("npm").is_some(),
    },
];

const BUILD: &[Need] = &[
    Need {
        what: "a C compiler, which Rust links with",
        package: "gcc",
        is_there: || which("cc").is_some(),
    },
    Need {
        what: "the C library, for a static lpwatch",
        package: "libc6-dev",
        is_there: build::has_static_libc,
    },
];

const RECIPES: &[Need] = &[Need {
    what: "Python's venv, to install Ansible in",
    package: "python3-venv",
    is_there: || {
        let mut python = Command::new("python3");
        crate::process::ask(python.args(["-c", "import ensurepip, venv"])).is_some()
    },
}];

const PACKAGES: &[Need] = &[Need {
    what: "strip, to leave symbols out of what is packed",
    package: "binutils",
    is_there: || which("strip").is_some(),
}];

//! `lpwatch patches`: what is patched on this host, by any engine.

use crate::{
    exit::Exit,
    inventory::{InventoryRequest, gather},
    model::document::DocumentLine,
    render,
};

use super::{args::Globals, output::Printer};

/// List what is patched: by which system, the vendor, since when, which functions,
/// which patch wins if several change a function, and whether the files on disk
/// match the running kernel.
///
/// All patching systems are read: livepatch (and with it the patches of kpatch,
/// Canonical, Red Hat, Amazon and SUSE), kpatch's own core module, kGraft, Ksplice,
/// `KernelCare` and openEuler. What a system does not show is left out, and
/// `-o json` contains the reason.
///
/// If they are installed, lpwatch runs `kcarectl --status` for the state of
/// `KernelCare`, and `kcarectl --uname` and `uptrack-uname -r` for the effective
/// kernel version, for at most five seconds each. A tool that does not answer is
/// not run again.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// List the fixed CVEs, as far as the patching systems and the descriptions and
    /// names of patches contain them.
    #[arg(long)]
    cve: bool,

    /// Do not run the tools of vendors.
    #[arg(long)]
    no_tools: bool,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch patches                              what is patched
  lpwatch patches --cve                        also the fixed CVEs
  lpwatch patches -o json | jq '.patches[] | {name, engine, vendor}'
  lpwatch patches -o jsonl                     one JSON document per patch

Exit codes:
  0 the list was printed, even if empty   4 this kernel has no patching system";

/// Prints the inventory. The exit code does not depend on the patches: see `status`.
pub fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Printer::new(globals);
    let wanted = InventoryRequest {
        cves: args.cve,
        tools: !args.no_tools,
    };
    let inventory = gather(&globals.roots(), wanted)?;
    if output.is_lines() {
        for patch in &inventory.patches {
            output.json(&DocumentLine::new(&inventory.head, patch))?;
        }
    } else if output.is_json() {
        output.json(&inventory)?;
    } else {
        Printer::text(&render::patches::patches(&inventory, &output.style))?;
    }
    Ok(Exit::Success)
}

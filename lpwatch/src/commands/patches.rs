//! `lpwatch patches`: what is patched on this host, by all systems.

use crate::{
    exit::Exit,
    inventory::{InventoryRequest, gather},
    render,
};

use super::{args::Globals, output::Output};

/// List what is patched: by which system, whose patch, since when, which
/// functions, which patch has a function that several change, and whether disk
/// and running kernel agree.
///
/// All patching systems are read: livepatch (and with it the patches of kpatch,
/// Canonical, Red Hat, Amazon and SUSE), kpatch's own core module, kGraft,
/// Ksplice, `KernelCare` and openEuler's. What a system does not show is left
/// out, and -o json says why.
///
/// Where they are installed, `kcarectl --status` is asked how `KernelCare`
/// stands, and `kcarectl --uname` and `uptrack-uname -r` for the kernel in force:
/// for at most five seconds each, and one that does not answer is not asked
/// again.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub struct Args {
    /// List the CVEs that are fixed, as far as systems, descriptions and names
    /// of patches tell.
    #[arg(long)]
    cve: bool,

    /// Run no vendor's tool.
    #[arg(long)]
    no_tools: bool,
}

const AFTER_HELP: &str = "\
Examples:
  lpwatch patches                              what is patched
  lpwatch patches --cve                        and which CVEs that fixes
  lpwatch patches -o json | jq '.patches[] | {name, engine, vendor}'
  lpwatch patches -o jsonl                     one JSON document for each patch

Exit codes:
  0 listed, be there patches or not   4 no patching system here";

/// Prints the inventory; how its patches fare is `status`'s to say.
pub fn run(globals: &Globals, args: &Args) -> anyhow::Result<Exit> {
    let output = Output::new(globals);
    let wanted = InventoryRequest {
        cves: args.cve,
        tools: !args.no_tools,
    };
    let inventory = gather(&globals.roots(), wanted)?;
    if output.is_lines() {
        for patch in &inventory.patches {
            output.json(patch)?;
        }
    } else if output.is_json() {
        output.json(&inventory)?;
    } else {
        Output::text(&render::patches::patches(&inventory, &output.style))?;
    }
    Ok(Exit::Well)
}

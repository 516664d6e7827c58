//! Tells the programs which processor's registers they read.

fn main() -> anyhow::Result<()> {
    aya_build::emit_bpf_target_arch_cfg()
}

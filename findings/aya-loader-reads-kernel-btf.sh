#!/usr/bin/env bash
# aya 0.14.0, with Rust 1.85 or newer, on Linux.
#
# Documented: EbpfLoader::btf() replaces the BTF that the loader uses, and None
# switches BTF relocations off.
# Seen: EbpfLoader::new() reads and parses /sys/kernel/btf/vmlinux all the same,
# before btf() can say otherwise. A program that gives it the parsed file reads and
# parses it twice.
#
# Prints what it sees, and fails once the loader no longer opens the file.
set -euo pipefail

command -v strace >/dev/null || { echo "this needs strace" >&2; exit 2; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "loader"
version = "0.0.0"
edition = "2024"

[dependencies]
aya = "=0.14.0"
TOML
cat >src/main.rs <<'RUST'
fn main() {
    let mut loader = aya::EbpfLoader::new();
    loader.btf(None);
    println!("a loader without BTF was made");
}
RUST
cargo build --quiet
strace -f -e trace=openat -o opened target/debug/loader
opens=$(grep -c '"/sys/kernel/btf/vmlinux"' opened || true)
echo "opens of /sys/kernel/btf/vmlinux by a loader without BTF: $opens"
[ "$opens" -ge 1 ]

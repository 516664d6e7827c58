//! Hosts made by hand.

use std::path::PathBuf;

use strum::VariantArray as _;

use crate::kernel::{
    config::KernelConfig,
    host::Host,
    offers::{Capability, Memlock, OfferedSymbols, Offers, Reading, Rights, Settings},
};

fn found(text: &str) -> Reading {
    Reading::Found(text.to_owned())
}

/// A 7.x kernel with all features, as root sees it.
pub(in crate::doctor) fn whole() -> Offers {
    let markers = super::symbols().into_iter().map(str::to_owned);
    Offers {
        host: Host {
            node: "web-17".to_owned(),
            release: "7.2.0".to_owned(),
        },
        config: None,
        livepatch: true,
        btf: Reading::Found(5 << 20),
        symbols: Reading::Found(OfferedSymbols {
            found: markers
                .filter(|name| name != super::marker::CHARGES_MAPS)
                .collect(),
            ..OfferedSymbols::default()
        }),
        settings: Settings {
            ftrace_enabled: found("1"),
            kptr_restrict: found("0"),
            dmesg_restrict: found("1"),
            perf_event_paranoid: found("3"),
            unprivileged_bpf_disabled: found("2"),
            bpf_jit_enable: found("1"),
            lockdown: found("none"),
        },
        kprobe_events: true,
        kprobes_armed: found("1"),
        tracefs: found(""),
        log: Reading::Found(()),
        patch_state: found("-1"),
        cpus: Some(4),
        rights: Some(Rights {
            root: true,
            capabilities: Some(Capability::VARIANTS.to_vec()),
            memlock: Memlock::Bytes(8 << 20),
        }),
    }
}

/// The same without these symbols.
pub(in crate::doctor) fn without_symbols(names: &[&str]) -> Offers {
    let mut host = whole();
    if let Reading::Found(symbols) = &mut host.symbols {
        symbols.found.retain(|name| !names.contains(&name.as_str()));
    }
    host
}

/// A kernel without livepatch that shows its configuration.
pub(in crate::doctor) fn no_livepatch(config: &str) -> Offers {
    let path = PathBuf::from("/proc/config.gz");
    Offers {
        livepatch: false,
        config: KernelConfig::parse(config.as_bytes(), path),
        patch_state: Reading::Absent,
        ..whole()
    }
}

/// A host as a user without privileges sees it.
pub(in crate::doctor) fn unprivileged() -> Offers {
    let mut host = whole();
    if let Reading::Found(symbols) = &mut host.symbols {
        symbols.hidden = true;
    }
    host.settings.bpf_jit_enable = Reading::Forbidden;
    Offers {
        tracefs: Reading::Forbidden,
        kprobes_armed: Reading::Forbidden,
        log: Reading::Forbidden,
        patch_state: Reading::Forbidden,
        rights: Some(Rights {
            root: false,
            capabilities: Some(Vec::new()),
            memlock: Memlock::Bytes(8 << 20),
        }),
        ..host
    }
}

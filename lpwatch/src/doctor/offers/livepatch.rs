//! What live patching itself needs.

use crate::{
    kernel::offers::{Offers, Reading},
    model::doctor::Offer,
    probe,
};

use super::{OfferDraft, marker};

/// What `CONFIG_LIVEPATCH` depends on, or one of each (kernel/livepatch/Kconfig).
const NEEDS: [&[&str]; 5] = [
    &["HAVE_LIVEPATCH"],
    &["MODULES"],
    &["SYSFS"],
    &["KALLSYMS_ALL"],
    &["DYNAMIC_FTRACE_WITH_REGS", "DYNAMIC_FTRACE_WITH_ARGS"],
];

pub(super) fn all(host: &Offers, processor: &str) -> Vec<Offer> {
    let mut offers = vec![livepatch(host), ftrace(host)];
    offers.push(reliable_stacks(host, processor));
    if host.livepatch {
        offers.push(functions(host));
    }
    offers
}

fn livepatch(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "livepatch",
        name: "live patching",
        why: "Patches and their transitions are in /sys/kernel/livepatch.",
    };
    if host.livepatch {
        return draft.available("/sys/kernel/livepatch");
    }
    let lost = "No live patch can be loaded, so there is nothing to watch.";
    let Some(config) = &host.config else {
        return draft.missing(
            "/sys/kernel/livepatch does not exist",
            lost,
            "Boot a kernel built with CONFIG_LIVEPATCH=y, and mount sysfs on /sys.",
        );
    };
    let path = config.path.display();
    if config.has("LIVEPATCH") {
        return draft.missing(
            format!("CONFIG_LIVEPATCH=y ({path}), but no /sys/kernel/livepatch"),
            lost,
            "Mount sysfs on /sys: mount -t sysfs sysfs /sys",
        );
    }
    let unmet: Vec<String> = NEEDS
        .iter()
        .filter(|options| !options.iter().any(|option| config.has(option)))
        .map(|options| {
            let names = options.iter().map(|option| format!("CONFIG_{option}"));
            names.collect::<Vec<_>>().join(" or ")
        })
        .collect();
    let with = if unmet.is_empty() {
        String::new()
    } else {
        format!(
            ", and with the options that it needs and this kernel lacks: {}",
            unmet.join(", ")
        )
    };
    draft.missing(
        format!("CONFIG_LIVEPATCH is not set ({path})"),
        lost,
        format!("Boot a kernel built with CONFIG_LIVEPATCH=y{with}."),
    )
}

fn ftrace(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "ftrace",
        name: "ftrace",
        why: "It redirects the calls of a patched function to the new code and calls most hooks.",
    };
    match &host.settings.ftrace_enabled {
        Reading::Found(value) if value == "0" => draft.missing(
            "kernel.ftrace_enabled=0: switched off",
            "Live patches and counters have no effect: calls run the original code, new patches \
             are refused (EBUSY), and hooks on functions do not fire.",
            "sysctl -w kernel.ftrace_enabled=1",
        ),
        Reading::Found(value) => draft.available(format!("kernel.ftrace_enabled={value}")),
        Reading::Absent => draft.missing(
            "kernel.ftrace_enabled does not exist",
            "Neither live patches nor fentry hooks are possible.",
            "Boot a kernel built with CONFIG_FUNCTION_TRACER=y and CONFIG_DYNAMIC_FTRACE=y.",
        ),
        other => draft.unread("kernel.ftrace_enabled", other),
    }
}

fn reliable_stacks(host: &Offers, processor: &str) -> Offer {
    let draft = OfferDraft {
        id: "reliable_stacks",
        name: "reliable stacks",
        why: "The kernel inspects the stack of a sleeping task to decide whether it may switch.",
    };
    let has = |name| host.has_symbol(name);
    let walks = has(marker::RELIABLE)
        .zip(has(marker::RELIABLE_BEFORE))
        .map(|(now, before)| now || before);
    let orc = host.symbols.found().map(|symbols| {
        let names = marker::ORC.iter();
        names.into_iter().any(|name| symbols.found.contains(*name))
    });
    let configured = host.is_configured("HAVE_RELIABLE_STACKTRACE");
    match (configured, walks, orc) {
        (Some(true), ..) => draft.available(unwinder(host)),
        (Some(false), ..) | (None, Some(false), _) => draft.missing(
            "this kernel has none",
            "Tasks switch only on their way to user space, kernel threads never: most \
             transitions stall until they are forced.",
            "Boot a kernel built with CONFIG_HAVE_RELIABLE_STACKTRACE=y (on x86 that takes \
             CONFIG_UNWINDER_ORC=y).",
        ),
        // On x86 the function exists with every unwinder.
        (None, Some(true), Some(true)) => draft.available("the ORC unwinder exists"),
        (None, Some(true), _) if processor != "x86_64" => {
            draft.available(format!("{} exists", marker::RELIABLE))
        }
        _ => draft.unknown(
            "neither the configuration nor the symbols show it",
            "Check the kernel's configuration for CONFIG_HAVE_RELIABLE_STACKTRACE=y.",
        ),
    }
}

fn unwinder(host: &Offers) -> String {
    let set = |option| host.is_configured(option) == Some(true);
    if set("UNWINDER_ORC") {
        "CONFIG_UNWINDER_ORC=y".to_owned()
    } else {
        "CONFIG_HAVE_RELIABLE_STACKTRACE=y".to_owned()
    }
}

fn functions(host: &Offers) -> Offer {
    let draft = OfferDraft {
        id: "livepatch_functions",
        name: "livepatch's functions",
        why: "Hooks at their entries report transitions; a compiler may have inlined some.",
    };
    let Some(symbols) = host.symbols.found() else {
        return draft.unread("/proc/kallsyms", &host.symbols);
    };
    let wanted: Vec<&str> = probe::hooked_functions().collect();
    let absent: Vec<&str> = wanted
        .iter()
        .copied()
        .filter(|name| !symbols.found.contains(*name))
        .collect();
    let there = wanted.len() - absent.len();
    if absent.is_empty() {
        return draft.available(format!("all {there} that hooks use"));
    }
    draft.missing(
        format!(
            "{there} of {}; missing: {}",
            wanted.len(),
            absent.join(", ")
        ),
        "Their facts come from a fallback or are unavailable: see the facts below.",
        "None on this kernel: its version lacks the function, or its compiler inlined it.",
    )
}

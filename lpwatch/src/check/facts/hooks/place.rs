//! Determines whether a kprobe is in a function, and where.

use crate::{
    check::facts::objects::Extent,
    kernel::{kallsyms::VMLINUX, kprobes::Kprobe},
    model::calls::FunctionId,
};

use super::KprobePlace;

/// Where in the function the probe is; `None` if it is in another one.
///
/// Compares addresses if both are known, and names otherwise.
pub(super) fn of(probe: &Kprobe, function: &FunctionId, extents: &[Extent]) -> Option<KprobePlace> {
    if probe.module.as_deref().unwrap_or(VMLINUX) != function.object {
        return None;
    }
    if is_part(&probe.function, &function.name) {
        return Some(KprobePlace::Part(probe.function.clone()));
    }
    let known = extents.iter().filter(|extent| extent.begin != 0);
    let offset = if probe.address == 0 || known.clone().next().is_none() {
        (probe.function == function.name).then_some(probe.offset)
    } else {
        known
            .filter(|extent| (extent.begin..extent.end).contains(&probe.address))
            .map(|extent| probe.address - extent.begin)
            .next()
    };
    offset.map(|offset| {
        if probe.on_ftrace {
            KprobePlace::Entry
        } else {
            KprobePlace::Offset(offset)
        }
    })
}

/// Whether this is a name that compilers give to a part of the function that is
/// only jumped to:
/// GCC's `f.cold` and `f.cold.0`, clang's `f.cold.1`.
fn is_part(symbol: &str, function: &str) -> bool {
    let rest = symbol.strip_prefix(function);
    rest.is_some_and(|rest| rest == ".cold" || rest.starts_with(".cold."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: u64 = 0xffff_ffff_8fd0_9640;

    fn probe(function: &str, offset: u64, on_ftrace: bool) -> Kprobe {
        Kprobe {
            address: BEGIN + offset,
            is_return: false,
            function: function.to_owned(),
            offset,
            module: None,
            on_ftrace,
            name: None,
        }
    }

    fn function(object: &str, name: &str) -> FunctionId {
        FunctionId {
            object: object.to_owned(),
            name: name.to_owned(),
            sympos: 1,
        }
    }

    fn extent(begin: u64) -> Extent {
        Extent {
            begin,
            end: begin + 0x40,
        }
    }

    #[test]
    fn a_probe_is_found_by_its_address_whatever_its_symbol() {
        let alias = function(VMLINUX, "an_alias");
        let probe = probe("cmdline_proc_show", 9, false);
        let inside = Some(KprobePlace::Offset(9));
        assert_eq!(of(&probe, &alias, &[extent(BEGIN)]), inside);
        assert_eq!(of(&probe, &alias, &[extent(BEGIN - 0x40)]), None);
        assert_eq!(of(&probe, &alias, &[]), None);
        // Another function of the same name.
        let same = function(VMLINUX, "cmdline_proc_show");
        assert_eq!(of(&probe, &same, &[extent(BEGIN + 0x1000)]), None);
    }

    #[test]
    fn where_addresses_are_hidden_the_name_counts() {
        let shown = function(VMLINUX, "cmdline_proc_show");
        let hidden = Kprobe {
            address: 0,
            ..probe("cmdline_proc_show", 9, false)
        };
        let inside = Some(KprobePlace::Offset(9));
        assert_eq!(of(&hidden, &shown, &[extent(0)]), inside);
        assert_eq!(of(&hidden, &function(VMLINUX, "gcd"), &[extent(0)]), None);
        let known = probe("cmdline_proc_show", 9, false);
        assert_eq!(of(&known, &shown, &[extent(0)]), inside);
    }

    #[test]
    fn a_probe_where_the_function_tracer_is_called_is_at_the_entry() {
        let shown = function(VMLINUX, "cmdline_proc_show");
        let entry = probe("cmdline_proc_show", 4, true);
        assert_eq!(
            of(&entry, &shown, &[extent(BEGIN)]),
            Some(KprobePlace::Entry)
        );
    }

    #[test]
    fn moved_parts_belong_to_their_function_and_modules_are_told_apart() {
        let shown = function(VMLINUX, "show");
        for part in ["show.cold", "show.cold.0"] {
            let place = Some(KprobePlace::Part(part.to_owned()));
            assert_eq!(of(&probe(part, 2, false), &shown, &[extent(1)]), place);
        }
        for other in ["show.colder", "show.part.0", "show.isra.0", "shown"] {
            assert_eq!(of(&probe(other, 2, false), &shown, &[]), None, "{other}");
        }
        let of_module = function("nfs", "show");
        assert_eq!(of(&probe("show", 2, false), &of_module, &[]), None);
        let in_module = Kprobe {
            module: Some("nfs".to_owned()),
            ..probe("show", 2, false)
        };
        assert_eq!(
            of(&in_module, &of_module, &[]),
            Some(KprobePlace::Offset(2))
        );
        assert_eq!(of(&in_module, &shown, &[]), None);
    }
}

//! The vendor of a patch, from the names that vendors document.

use serde::Serialize;
use strum::IntoStaticStr;

use crate::model::EngineKind;

/// A vendor of patches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, IntoStaticStr)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Vendor {
    /// Amazon Linux.
    Amazon,
    /// Canonical's Livepatch, for Ubuntu.
    Canonical,
    /// openEuler.
    #[strum(serialize = "openEuler")]
    Openeuler,
    /// Oracle's Ksplice.
    Oracle,
    /// Red Hat.
    #[strum(serialize = "Red Hat")]
    RedHat,
    /// SUSE.
    #[strum(serialize = "SUSE")]
    Suse,
    /// `TuxCare`'s KernelCare.
    #[strum(serialize = "TuxCare")]
    Tuxcare,
}

impl Vendor {
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The vendor of a patch module for the kernel `release`; `None` if the names do
    /// not show it.
    ///
    /// - Canonical: `lkp_Ubuntu_<kernel>_<flavour>_<number>`
    ///   (`module_name_regex` of its security notices);
    /// - Amazon: kpatch modules for a kernel `….amzn2…` or `….amzn2023…`;
    /// - Red Hat: `kpatch_<kernel>_…` for a kernel `….el8…` (`kpatch list` in its
    ///   documentation);
    /// - SUSE: `livepatch_<number>_…` for a kernel `…-default` or another of its
    ///   flavours (`klp -v patches` in its documentation), and all of kGraft;
    /// - Ksplice is Oracle's, `KernelCare` `TuxCare`'s.
    #[must_use]
    pub fn of(engine: EngineKind, module: &str, release: &str) -> Option<Self> {
        match engine {
            EngineKind::Kgraft => Some(Self::Suse),
            EngineKind::Ksplice => Some(Self::Oracle),
            EngineKind::Kernelcare => Some(Self::Tuxcare),
            EngineKind::Openeuler => Some(Self::Openeuler),
            EngineKind::Livepatch | EngineKind::Kpatch => Self::of_names(module, release),
        }
    }

    fn of_names(module: &str, release: &str) -> Option<Self> {
        const SUSE_FLAVOURS: [&str; 4] = ["-default", "-rt", "-azure", "-64kb"];
        let number_follows = |rest: &str| rest.starts_with(|letter: char| letter.is_ascii_digit());
        let kpatch = module.strip_prefix("kpatch_");
        let livepatch = module.strip_prefix("livepatch_");
        if module.starts_with("lkp_Ubuntu_") {
            Some(Self::Canonical)
        } else if release.contains(".amzn") && (kpatch.is_some() || livepatch.is_some()) {
            Some(Self::Amazon)
        } else if release.contains(".el") && kpatch.is_some_and(number_follows) {
            Some(Self::RedHat)
        } else if livepatch.is_some_and(number_follows)
            && SUSE_FLAVOURS
                .iter()
                .any(|flavour| release.ends_with(flavour))
        {
            Some(Self::Suse)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documented_names_are_recognised_and_others_are_not() {
        for (module, release, vendor) in [
            (
                "lkp_Ubuntu_6_8_0_1047_50_aws_121",
                "6.8.0-1047-aws",
                Some(Vendor::Canonical),
            ),
            (
                "kpatch_4_18_0_94_1_1",
                "4.18.0-94.el8.x86_64",
                Some(Vendor::RedHat),
            ),
            (
                "livepatch_CVE_2022_36946",
                "5.10.130-118.517.amzn2.x86_64",
                Some(Vendor::Amazon),
            ),
            (
                "livepatch_6_150400_2_2",
                "5.14.21-150400.24.33-default",
                Some(Vendor::Suse),
            ),
            ("livepatch_sample", "5.14.21-150400.24.33-default", None),
            ("kpatch_meminfo", "4.18.0-94.el8.x86_64", None),
            ("lp_stall", "6.12.1", None),
            ("", "", None),
        ] {
            assert_eq!(
                Vendor::of(EngineKind::Livepatch, module, release),
                vendor,
                "{module}"
            );
        }
        let vendor = Vendor::of(EngineKind::Ksplice, "dfvn0zq8", "");
        assert_eq!(vendor.map(Vendor::name), Some("Oracle"));
    }
}

//! The processors whose kernels have live patching, and how their modules
//! write a 64-bit address.

use object::elf;
use strum::IntoStaticStr;

/// The processor a module is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "lowercase")]
pub enum Machine {
    X86_64,
    Aarch64,
    S390x,
    /// Big endian.
    Ppc64,
    /// Little endian.
    Ppc64le,
    Riscv64,
    Loongarch64,
}

impl Machine {
    /// The machine of an ELF header; `None` for one without live patching, or
    /// in the byte order no kernel of it has.
    pub(super) fn of(e_machine: u16, little_endian: bool) -> Option<Self> {
        match (e_machine, little_endian) {
            (elf::EM_X86_64, true) => Some(Self::X86_64),
            (elf::EM_AARCH64, true) => Some(Self::Aarch64),
            (elf::EM_S390, false) => Some(Self::S390x),
            (elf::EM_PPC64, false) => Some(Self::Ppc64),
            (elf::EM_PPC64, true) => Some(Self::Ppc64le),
            (elf::EM_RISCV, true) => Some(Self::Riscv64),
            (elf::EM_LOONGARCH, true) => Some(Self::Loongarch64),
            _ => None,
        }
    }

    /// The processor that this program was built for; `None` for one without
    /// live patching.
    #[must_use]
    pub fn of_this_host() -> Option<Self> {
        let little_endian = cfg!(target_endian = "little");
        match (std::env::consts::ARCH, little_endian) {
            ("x86_64", true) => Some(Self::X86_64),
            ("aarch64", true) => Some(Self::Aarch64),
            ("s390x", false) => Some(Self::S390x),
            ("powerpc64", false) => Some(Self::Ppc64),
            ("powerpc64", true) => Some(Self::Ppc64le),
            ("riscv64", true) => Some(Self::Riscv64),
            ("loongarch64", true) => Some(Self::Loongarch64),
            _ => None,
        }
    }

    /// As `uname -m` says it.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// The relocation type that stores a 64-bit address.
    pub(super) fn address_relocation(self) -> u32 {
        match self {
            Self::X86_64 => elf::R_X86_64_64,
            Self::Aarch64 => elf::R_AARCH64_ABS64,
            Self::S390x => elf::R_390_64,
            Self::Ppc64 | Self::Ppc64le => elf::R_PPC64_ADDR64,
            Self::Riscv64 => elf::R_RISCV_64,
            Self::Loongarch64 => elf::R_LARCH_64,
        }
    }
}

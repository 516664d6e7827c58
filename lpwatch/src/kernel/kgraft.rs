//! Patches of kGraft: `<sysfs>/kernel/kgraft`.
//!
//! - `in_progress` (0/1): a patch is being applied or reverted; later kernels
//!   take a written 0 as an order to force it. `force_load_module` (0/1).
//! - `<patch>/state`: a table, a line for each function. Its columns changed:
//!   `Function Fatal State`, `Function Weak State`, `Function Object State` and
//!   `Function Object Sympos State`; the head names them.
//! - `<patch>/refs`: how many patches must be reverted before this one.
//! - `<patch>/replace_all` (0/1); `<patch>/revert` is write-only.
//! - `<patch>/owner`: a link to its module.
//!
//! Source: `kernel/kgraft_files.c` and `include/linux/kgraft.h` of Jiri Slaby's
//! Source: `kernel/kgraft_files.c` and `include/linux/kgraft.h` of Jiri Slaby's
//! kgraft branches and of SUSE's SLE 12 kernels (3.12, 4.4).
//! [`super::kgraft_tasks`] reads which tasks are left.

use std::path::Path;

use super::files::{FileReader, folders, list_system};
use super::{ReadError, Roots};

const REMEDY: &str = "sysfs must be readable; all users can read kGraft's files";

/// sysfs cuts an attribute off here, in mid-line.
const PAGE: usize = 4096;

/// All that kGraft shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Graft {
    /// A patch is being applied or reverted; `None` if unknown.
    pub in_progress: Option<bool>,
    /// Modules are loaded although their patching fails.
    pub force_load_module: Option<bool>,
    /// By name.
    pub patches: Vec<GraftPatch>,
    /// What could not be read, one sentence each.
    pub notes: Vec<String>,
}

/// One patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraftPatch {
    pub name: String,
    /// In the patch's order; `None` where the table cannot be read.
    pub functions: Option<Vec<GraftFunction>>,
    pub refs: Option<u32>,
    pub replace_all: Option<bool>,
    /// Its module.
    pub owner: Option<String>,
}

/// One line of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GraftFunction {
    pub name: String,
    /// `vmlinux` or a module, where the table has that column.
    pub object: Option<String>,
    /// As written: 0 means "the only one of that name".
    pub sympos: Option<u32>,
    /// `None` for a number that no known kernel has.
    pub state: Option<FunctionState>,
}

/// `enum kgr_patch_state` of `include/linux/kgraft.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionState {
    /// 0: nothing was done yet.
    Init,
    /// 1: being applied; each task has the code that is its own.
    Slow,
    /// 2: all tasks run the new code.
    Applied,
    /// 3: being reverted.
    RevertSlow,
    /// 4: reverted, or replaced by a newer patch.
    Reverted,
    /// 5: its object is not loaded.
    Skipped,
    /// 6: applied, and not yet finished (SLE 12 only).
    AppliedNotFinal,
}

impl FunctionState {
    fn of(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Init,
            1 => Self::Slow,
            2 => Self::Applied,
            3 => Self::RevertSlow,
            4 => Self::Reverted,
            5 => Self::Skipped,
            6 => Self::AppliedNotFinal,
            _ => return None,
        })
    }
}

impl GraftPatch {
    /// Whether a function is in this state.
    #[must_use]
    pub fn has(&self, state: FunctionState) -> bool {
        let mut functions = self.functions.iter().flatten();
        functions.any(|function| function.state == Some(state))
    }

    /// The direction or state of the patch; `None` if no function shows it.
    #[must_use]
    pub fn enabled(&self) -> Option<bool> {
        use FunctionState::{Applied, AppliedNotFinal, Init, RevertSlow, Reverted, Slow};
        if [Slow, Applied, AppliedNotFinal]
            .iter()
            .any(|&state| self.has(state))
        {
            // When a patch is replaced, some of its functions are replaced at
            // once and others are reverted.
            Some(!self.has(RevertSlow))
        } else if [Init, RevertSlow, Reverted]
            .iter()
            .any(|&state| self.has(state))
        {
            Some(false)
        } else {
            None
        }
    }
}

/// Reads everything; `None` where this kernel has no kGraft.
///
/// # Errors
/// The directory exists and cannot be listed, or the root does not exist.
pub fn read(roots: &Roots) -> Result<Option<Graft>, ReadError> {
    let directory = roots.sysfs.join("kernel/kgraft");
    let mut graft = Graft::default();
    let mut reader = FileReader {
        remedy: REMEDY,
        notes: &mut graft.notes,
    };
    // Read first: a patch that ends meanwhile is then shown as in transition,
    // and the next reading corrects that.
    graft.in_progress = reader.flag(&directory.join("in_progress"));
    graft.force_load_module = reader.flag(&directory.join("force_load_module"));
    let Some(entries) = list_system(&roots.sysfs, &directory, REMEDY)? else {
        return Ok(None);
    };
    for name in folders(entries) {
        let folder = directory.join(&name);
        let patch = GraftPatch {
            name: name.to_string_lossy().into_owned(),
            functions: table(&mut reader, &folder.join("state")),
            refs: reader.number(&folder.join("refs")),
            replace_all: reader.flag(&folder.join("replace_all")),
            owner: owner(&folder),
        };
        if folder.is_dir() {
            graft.patches.push(patch);
        }
    }
    Ok(Some(graft))
}

/// The name of the module that the link leads to.
fn owner(folder: &Path) -> Option<String> {
    let target = std::fs::read_link(folder.join("owner")).ok()?;
    Some(target.file_name()?.to_string_lossy().into_owned())
}

fn table(reader: &mut FileReader<'_>, file: &Path) -> Option<Vec<GraftFunction>> {
    let text = reader.text(file)?;
    let mut lines = text.split_inclusive('\n');
    let Some(columns) = lines.next().and_then(Columns::of) else {
        reader.note(format!(
            "{} has a header that lpwatch does not know: its functions were left out.",
            file.display()
        ));
        return None;
    };
    let mut functions = Vec::new();
    for line in lines {
        let whole = line.ends_with('\n');
        match columns.function(line).filter(|_| whole) {
            Some(function) => functions.push(function),
            None if line.trim().is_empty() => {}
            None => {
                let how = if text.len() >= PAGE - 1 || !whole {
                    "is cut off: more functions may follow"
                } else {
                    "has a line that was left out"
                };
                reader.note(format!("{} {how}.", file.display()));
            }
        }
    }
    Some(functions)
}

/// The positions of the table's columns, from 0.
struct Columns {
    object: Option<usize>,
    sympos: Option<usize>,
    state: usize,
}

impl Columns {
    fn of(head: &str) -> Option<Self> {
        let heads: Vec<&str> = head.split_ascii_whitespace().collect();
        let at = |name: &str| {
            heads
                .iter()
                .position(|head| head.eq_ignore_ascii_case(name))
        };
        if at("Function") != Some(0) {
            return None;
        }
        Some(Self {
            object: at("Object"),
            sympos: at("Sympos"),
            state: at("State")?,
        })
    }

    fn function(&self, line: &str) -> Option<GraftFunction> {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        let word = |column: Option<usize>| words.get(column?).copied();
        let state: u32 = word(Some(self.state))?.parse().ok()?;
        Some(GraftFunction {
            name: (*words.first()?).to_owned(),
            object: word(self.object).map(str::to_owned),
            sympos: word(self.sympos).and_then(|number| number.parse().ok()),
            state: FunctionState::of(state),
        })
    }
}

#[cfg(test)]
mod tests;

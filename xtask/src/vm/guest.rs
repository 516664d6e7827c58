//! What goes into a guest: programs, modules, files, and what to run.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use object::read::elf::{ElfFile64, ProgramHeader};

use super::initramfs::Initramfs;
use crate::{paths, process};

/// What the guest is to do.
#[derive(Debug, Clone)]
pub enum Task {
    /// An interactive shell; the terminal's size for stty.
    Shell { size: Option<String> },
    /// A script, by its contents.
    Script(Vec<u8>),
    /// One word is a shell's command line, several are a program and arguments.
    Command(Vec<String>),
}

/// The contents of a guest.
#[derive(Debug, Clone)]
pub struct Contents {
    /// For `LPWATCH_KERNEL_SERIES`.
    pub series: String,
    pub task: Task,
    /// Programs for /bin: the name there, and the file here.
    pub programs: Vec<(&'static str, PathBuf)>,
    /// A folder of modules for /modules.
    pub modules: Option<PathBuf>,
    /// Files and folders for /root.
    pub added: Vec<PathBuf>,
    /// Folders whose contents go to the same places below /.
    pub trees: Vec<PathBuf>,
}

impl Contents {
    /// Writes the guest's initramfs.
    pub fn write(&self, to: &Path) -> Result<()> {
        let mut archive = Initramfs::create(to)?;
        let init = paths::workspace().join("xtask/guest/init");
        archive.copy("init", 0o755, &init)?;
        archive.copy("bin/busybox", 0o755, &busybox()?)?;
        archive.file("etc/guest.env", 0o644, self.environment().as_bytes())?;
        archive.file("etc/passwd", 0o644, b"root::0:0:root:/root:/bin/sh\n")?;
        archive.file("etc/group", 0o644, b"root:x:0:\n")?;
        if let Some(script) = self.script()? {
            archive.file("etc/guest.script", 0o755, &script)?;
        }
        for (name, program) in &self.programs {
            archive.copy(&format!("bin/{name}"), 0o755, program)?;
        }
        if let Some(modules) = &self.modules {
            archive.copy_all("modules", modules)?;
        }
        for file in &self.added {
            let name = file
                .file_name()
                .with_context(|| format!("{} has no name to give it", file.display()))?;
            archive.copy_all(&format!("root/{}", name.to_string_lossy()), file)?;
        }
        for tree in &self.trees {
            archive.copy_contents("", tree)?;
        }
        archive.finish()?;
        Ok(())
    }

    fn environment(&self) -> String {
        let mode = match &self.task {
            Task::Shell { size } => {
                format!(
                    "GUEST_MODE=shell\nGUEST_SIZE='{}'",
                    size.as_deref().unwrap_or_default()
                )
            }
            Task::Script(_) | Task::Command(_) => "GUEST_MODE=script".to_owned(),
        };
        let series = &self.series;
        let passed_on: String = PASSED_ON
            .iter()
            .filter_map(|name| passed_on(name))
            .collect();
        format!("export LPWATCH_KERNEL_SERIES={series}\n{passed_on}{mode}\n")
    }

    fn script(&self) -> Result<Option<Vec<u8>>> {
        match &self.task {
            Task::Shell { .. } => Ok(None),
            Task::Script(contents) if contents.starts_with(b"#!") => Ok(Some(contents.clone())),
            Task::Script(contents) => Ok(Some([b"#!/bin/sh\n".as_slice(), contents].concat())),
            Task::Command(words) => {
                let line = match words.as_slice() {
                    [line] => line.clone(),
                    words => shlex::try_join(words.iter().map(String::as_str))
                        .context("the command has a zero byte in it")?,
                };
                Ok(Some(format!("#!/bin/sh\n{line}\n").into_bytes()))
            }
        }
    }
}

/// Variables of ours that the guest has, too: the first lets a scenario fail, to
/// show that it can; the second is for how many seconds predictions are put to
/// the test; the third has done in every kernel what is otherwise left to one; then how
/// often a daemon is killed, and for how many seconds one is stopped.
const PASSED_ON: [&str; 5] = [
    "LPWATCH_STALL_PATCH",
    "LPWATCH_CHECK_SECONDS",
    "LPWATCH_WHOLE",
    "LPWATCH_KILLS",
    "LPWATCH_STOP_SECONDS",
];

fn passed_on(name: &str) -> Option<String> {
    let value = std::env::var(name).ok()?;
    let quoted = shlex::try_quote(&value).ok()?;
    Some(format!("export {name}={quoted}\n"))
}

/// The machine's busybox, which has to be a static one.
pub fn busybox() -> Result<PathBuf> {
    let Some(found) = process::which("busybox") else {
        bail!("busybox is missing; `cargo xtask setup` installs it");
    };
    if !is_static(&found)? {
        bail!(
            "{} needs shared libraries, which a guest does not have; install busybox-static",
            found.display(),
        );
    }
    Ok(found)
}

/// Whether a program runs where there are no shared libraries.
pub fn is_static(program: &Path) -> Result<bool> {
    let data = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let elf = ElfFile64::<object::Endianness>::parse(&*data)
        .with_context(|| format!("{} is no 64-bit ELF program", program.display()))?;
    let endian = elf.endian();
    let interpreter = elf
        .elf_program_headers()
        .iter()
        .any(|h| h.p_type(endian) == object::elf::PT_INTERP);
    Ok(!interpreter)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn script_of(task: Task) -> String {
        let contents = Contents {
            series: "6.12".into(),
            task,
            programs: vec![],
            modules: None,
            added: vec![],
            trees: vec![],
        };
        String::from_utf8(contents.script().unwrap().unwrap()).unwrap()
    }

    #[test]
    fn one_word_is_a_command_line() {
        let script = script_of(Task::Command(vec!["ls /; id".into()]));
        assert_eq!(script, "#!/bin/sh\nls /; id\n");
    }

    #[test]
    fn several_words_stay_as_they_are() {
        let script = script_of(Task::Command(vec![
            "echo".into(),
            "a  b".into(),
            "$x".into(),
        ]));
        assert_eq!(script, "#!/bin/sh\necho 'a  b' '$x'\n");
    }

    #[test]
    fn a_script_keeps_its_own_interpreter() {
        assert!(script_of(Task::Script(b"#!/bin/ash\nx".to_vec())).starts_with("#!/bin/ash"));
        assert_eq!(script_of(Task::Script(b"x".to_vec())), "#!/bin/sh\nx");
    }

    #[test]
    fn this_test_is_dynamic() {
        assert!(!is_static(&std::env::current_exe().unwrap()).unwrap());
    }
}

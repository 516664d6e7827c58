//! Writes the initramfs: a cpio archive of what the guest has.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use cpio::newc::{self, Builder, ModeFileType};

/// Folders that `init` mounts something on, or that programs expect.
const FOLDERS: &[&str] = &[
    "bin", "sbin", "dev", "etc", "modules", "proc", "root", "run", "sys", "tmp", "usr", "var",
];

/// An archive being written.
pub struct Initramfs<W: Write> {
    output: Option<W>,
    entries: u32,
    folders: BTreeSet<String>,
}

impl Initramfs<BufWriter<fs::File>> {
    /// Starts an archive in `file`.
    pub fn create(file: &Path) -> Result<Self> {
        let output = fs::File::create(file)
            .with_context(|| format!("cannot write the initramfs {}", file.display()))?;
        Self::new(BufWriter::new(output))
    }
}

impl<W: Write> Initramfs<W> {
    /// Starts an archive with the folders every guest has.
    pub fn new(output: W) -> Result<Self> {
        let mut archive = Self {
            output: Some(output),
            entries: 0,
            folders: BTreeSet::new(),
        };
        for folder in FOLDERS {
            archive.folder(folder)?;
        }
        // Without it the kernel starts init with nowhere to complain to.
        let console = Builder::new("dev/console").rdev_major(5).rdev_minor(1);
        archive.entry(console, ModeFileType::Char, 0o600, &[])?;
        Ok(archive)
    }

    /// Adds a file with these contents, and the folders above it.
    pub fn file(&mut self, name: &str, mode: u32, contents: &[u8]) -> Result<()> {
        let name = name.trim_start_matches('/');
        for (at, _) in name.match_indices('/') {
            self.folder(&name[..at])?;
        }
        self.entry(Builder::new(name), ModeFileType::Regular, mode, contents)
    }

    /// Adds a copy of a file of this machine.
    pub fn copy(&mut self, name: &str, mode: u32, from: &Path) -> Result<()> {
        let contents = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
        self.file(name, mode, &contents)
    }

    /// Adds a file, or a folder with everything in it, under `name`.
    pub fn copy_all(&mut self, name: &str, from: &Path) -> Result<()> {
        let about =
            fs::metadata(from).with_context(|| format!("cannot read {}", from.display()))?;
        if !about.is_dir() {
            let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions()) & 0o777;
            return self.copy(name, mode, from);
        }
        self.copy_contents(&format!("{name}/"), from)
    }

    /// Adds everything in a folder, each under its name behind `prefix`.
    pub fn copy_contents(&mut self, prefix: &str, from: &Path) -> Result<()> {
        let inside = fs::read_dir(from).with_context(|| format!("cannot read {}", from.display()));
        let mut inside: Vec<_> = inside?.collect::<io::Result<_>>()?;
        inside.sort_by_key(fs::DirEntry::file_name);
        for entry in inside {
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            self.copy_all(&name, &entry.path())?;
        }
        Ok(())
    }

    /// Ends the archive.
    pub fn finish(mut self) -> Result<W> {
        let mut output = newc::trailer(self.take()?)?;
        output.flush()?;
        Ok(output)
    }

    fn folder(&mut self, name: &str) -> Result<()> {
        if !self.folders.insert(name.to_owned()) {
            return Ok(());
        }
        self.entry(
            Builder::new(name).nlink(2),
            ModeFileType::Directory,
            0o755,
            &[],
        )
    }

    fn entry(
        &mut self,
        builder: Builder,
        kind: ModeFileType,
        mode: u32,
        contents: &[u8],
    ) -> Result<()> {
        self.entries += 1;
        let size = u32::try_from(contents.len())
            .context("a file for the guest is larger than the archive format can say")?;
        let output = self.take()?;
        let mut writer = builder
            .ino(self.entries)
            .mode(mode)
            .set_mode_file_type(kind)
            .write(output, size);
        writer.write_all(contents)?;
        self.output = Some(writer.finish()?);
        Ok(())
    }

    /// The cpio crate takes the writer and gives it back.
    fn take(&mut self) -> Result<W> {
        self.output
            .take()
            .context("the initramfs could not be written to its end")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn names_and_contents(archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut rest = archive;
        let mut found = Vec::new();
        loop {
            let mut reader = newc::Reader::new(rest).unwrap();
            if reader.entry().is_trailer() {
                return found;
            }
            let mut contents = Vec::new();
            reader.read_to_end(&mut contents).unwrap();
            found.push((
                reader.entry().name().to_owned(),
                reader.entry().mode(),
                contents,
            ));
            rest = reader.finish().unwrap();
        }
    }

    #[test]
    fn what_goes_in_is_in_there() {
        let mut archive = Initramfs::new(Vec::new()).unwrap();
        archive.file("/init", 0o755, b"#!/bin/sh\n").unwrap();
        archive.file("usr/share/x/data", 0o644, b"odd").unwrap();
        archive.file("usr/share/x/more", 0o644, b"").unwrap();
        let found = names_and_contents(&archive.finish().unwrap());

        let of = |name: &str| {
            found
                .iter()
                .filter(|entry| entry.0 == name)
                .collect::<Vec<_>>()
        };
        assert_eq!(of("init")[0].1, 0o100_755);
        assert_eq!(of("init")[0].2, b"#!/bin/sh\n");
        assert_eq!(of("usr/share/x/data")[0].2, b"odd");
        assert_eq!(of("usr/share/x").len(), 1, "each folder once");
        assert_eq!(of("usr/share/x")[0].1, 0o040_755);
        assert_eq!(of("dev/console")[0].1, 0o020_600);
    }

    #[test]
    fn a_folder_is_copied_whole() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join("sub/file"), "x").unwrap();
        let mut archive = Initramfs::new(Vec::new()).unwrap();
        archive.copy_all("root/tree", folder.path()).unwrap();
        let found = names_and_contents(&archive.finish().unwrap());
        assert!(
            found
                .iter()
                .any(|entry| entry.0 == "root/tree/sub/file" && entry.2 == b"x")
        );
    }
}

//! The container image, as an OCI archive: what an engine would make of
//! deploy/container/Containerfile, made without one.
//!
//! <https://github.com/opencontainers/image-spec>, version 1.0.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::epoch::Epoch;

/// What the image runs, unless it is told otherwise; as in the Containerfile.
pub const ENTRYPOINT: [&str; 1] = ["/usr/bin/lpwatch"];
pub const COMMAND: [&str; 3] = ["daemon", "--web.listen-address", ":9417"];

/// Folders of the image: the program's own, and those that things are mounted on.
const FOLDERS: [(&str, u32); 8] = [
    ("dev", 0o755),
    ("proc", 0o555),
    ("run", 0o755),
    ("run/lpwatch", 0o750),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
];

/// A part of the image, named by its checksum.
struct Blob {
    digest: String,
    contents: Vec<u8>,
}

impl Blob {
    fn new(contents: Vec<u8>) -> Self {
        Self {
            digest: digest(&contents),
            contents,
        }
    }

    fn of(value: &Value) -> Result<Self> {
        Ok(Self::new(serde_json::to_vec(value)?))
    }

    fn descriptor(&self, kind: &str) -> Value {
        let media = format!("application/vnd.oci.image.{kind}");
        json!({"mediaType": media, "digest": format!("sha256:{}", self.digest),
            "size": self.contents.len()})
    }
}

/// Writes the image with `program` in it.
pub fn write(program: &Path, to: &Path, epoch: Epoch) -> Result<()> {
    let program =
        fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let output = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    let mut output = BufWriter::new(output);
    image(&program, &mut output, epoch)?;
    output.flush()?;
    Ok(())
}

fn image(program: &[u8], output: impl Write, epoch: Epoch) -> Result<()> {
    let tree = tree(program, epoch)?;
    let configuration = Blob::of(&configuration(&digest(&tree), epoch)?)?;
    // The header of a gzip file has a time in it; zero here, by default.
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    packed.write_all(&tree)?;
    let layer = Blob::new(packed.finish()?);
    let manifest = Blob::of(&json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": configuration.descriptor("config.v1+json"),
        "layers": [layer.descriptor("layer.v1.tar+gzip")],
    }))?;
    let mut named = manifest.descriptor("manifest.v1+json");
    named["annotations"] = json!({"org.opencontainers.image.ref.name": env!("CARGO_PKG_VERSION")});
    let index = json!({"schemaVersion": 2, "manifests": [named]});

    let mut archive = Tar::new(output, epoch);
    archive.file("oci-layout", 0o644, br#"{"imageLayoutVersion":"1.0.0"}"#)?;
    archive.file("index.json", 0o644, &serde_json::to_vec(&index)?)?;
    archive.folder("blobs", 0o755)?;
    archive.folder("blobs/sha256", 0o755)?;
    for Blob { digest, contents } in [&manifest, &configuration, &layer] {
        archive.file(&format!("blobs/sha256/{digest}"), 0o644, contents)?;
    }
    archive.finish()?;
    Ok(())
}

/// The files of the image: one program, which needs no other.
fn tree(program: &[u8], epoch: Epoch) -> Result<Vec<u8>> {
    let mut archive = Tar::new(Vec::new(), epoch);
    for (folder, mode) in FOLDERS {
        archive.folder(folder, mode)?;
    }
    archive.file("usr/bin/lpwatch", 0o755, program)?;
    archive.finish()
}

fn configuration(tree: &str, epoch: Epoch) -> Result<Value> {
    let created = jiff::Timestamp::from_second(i64::try_from(epoch.0)?)?.to_string();
    Ok(json!({
        "created": created,
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "User": "0:0",
            "Env": ["PATH=/usr/bin"],
            "Entrypoint": ENTRYPOINT,
            "Cmd": COMMAND,
            "ExposedPorts": {"9417/tcp": {}},
            "Labels": {
                "org.opencontainers.image.title": "lpwatch",
                "org.opencontainers.image.version": env!("CARGO_PKG_VERSION"),
                "org.opencontainers.image.licenses": "MIT OR Apache-2.0",
            },
        },
        "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{tree}")]},
        "history": [{"created": created, "created_by": "cargo xtask dist"}],
    }))
}

fn digest(contents: &[u8]) -> String {
    format!("{:x}", Sha256::digest(contents))
}

/// A tar archive in which everything is root's and of one time.
struct Tar<W: Write> {
    builder: tar::Builder<W>,
    epoch: Epoch,
}

impl<W: Write> Tar<W> {
    fn new(output: W, epoch: Epoch) -> Self {
        Self {
            builder: tar::Builder::new(output),
            epoch,
        }
    }

    fn folder(&mut self, name: &str, mode: u32) -> Result<()> {
        self.entry(&format!("{name}/"), tar::EntryType::Directory, mode, &[])
    }

    fn file(&mut self, name: &str, mode: u32, contents: &[u8]) -> Result<()> {
        self.entry(name, tar::EntryType::Regular, mode, contents)
    }

    fn entry(
        &mut self,
        name: &str,
        kind: tar::EntryType,
        mode: u32,
        contents: &[u8],
    ) -> Result<()> {
        let mut header = tar::Header::new_ustar();
        header.set_entry_type(kind);
        header.set_mode(mode);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(self.epoch.0);
        header.set_size(contents.len() as u64);
        self.builder
            .append_data(&mut header, name, contents)
            .with_context(|| format!("cannot pack {name}"))
    }

    fn finish(self) -> Result<W> {
        Ok(self.builder.into_inner()?)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io::Read;

    use flate2::read::GzDecoder;

    use super::*;
    use crate::paths;

    fn unpacked(archive: &[u8]) -> HashMap<String, (u32, Vec<u8>)> {
        let mut found = HashMap::new();
        for entry in tar::Archive::new(archive).entries().unwrap() {
            let mut entry = entry.unwrap();
            assert_eq!(entry.header().mtime().unwrap(), 1000);
            let mut contents = Vec::new();
            entry.read_to_end(&mut contents).unwrap();
            let name = entry.path().unwrap().display().to_string();
            found.insert(name, (entry.header().mode().unwrap(), contents));
        }
        found
    }

    fn of(name: &str, descriptor: &Value, files: &HashMap<String, (u32, Vec<u8>)>) -> Vec<u8> {
        let digest = descriptor["digest"].as_str().unwrap();
        let (_, hex) = digest.split_once(':').unwrap();
        let contents = &files[&format!("blobs/sha256/{hex}")].1;
        assert_eq!(super::digest(contents), hex, "{name}");
        assert_eq!(descriptor["size"], contents.len(), "{name}");
        contents.clone()
    }

    #[test]
    fn every_part_is_found_by_its_checksum() {
        let mut archive = Vec::new();
        image(b"program", &mut archive, Epoch(1000)).unwrap();
        let files = unpacked(&archive);
        let read = |contents: &[u8]| serde_json::from_slice::<Value>(contents).unwrap();
        let index = read(&files["index.json"].1);
        let manifest = read(&of("manifest", &index["manifests"][0], &files));
        let configuration = read(&of("config", &manifest["config"], &files));
        let layer = of("layer", &manifest["layers"][0], &files);
        let mut tree = Vec::new();
        GzDecoder::new(&*layer).read_to_end(&mut tree).unwrap();
        let expected = format!("sha256:{}", digest(&tree));
        assert_eq!(configuration["rootfs"]["diff_ids"], json!([expected]));
        assert_eq!(configuration["created"], "1970-01-01T00:16:40Z");
        let inside = unpacked(&tree);
        assert_eq!(inside["usr/bin/lpwatch"], (0o755, b"program".to_vec()));
        assert_eq!(inside["run/lpwatch/"].0, 0o750);
    }

    #[test]
    fn the_same_program_gives_the_same_image() {
        let made = || {
            let mut archive = Vec::new();
            image(b"program", &mut archive, Epoch(1000)).unwrap();
            archive
        };
        assert_eq!(made(), made());
    }

    /// An engine and this file must make the same of it.
    #[test]
    fn the_containerfile_says_the_same() {
        let file = paths::workspace().join("deploy/container/Containerfile");
        let text = fs::read_to_string(file).unwrap();
        let instruction = |name: &str| {
            let found = text.lines().find_map(|line| line.strip_prefix(name));
            found
                .unwrap_or_else(|| panic!("no {name}"))
                .trim()
                .to_owned()
        };
        assert_eq!(instruction("FROM"), "scratch");
        let list = |name| serde_json::from_str::<Vec<String>>(&instruction(name)).unwrap();
        assert_eq!(list("ENTRYPOINT"), ENTRYPOINT);
        assert_eq!(list("CMD"), COMMAND);
        assert_eq!(instruction("USER"), "0:0");
        assert_eq!(instruction("EXPOSE"), "9417/tcp");
        assert!(instruction("COPY").ends_with("/usr/bin/lpwatch"));
    }
}

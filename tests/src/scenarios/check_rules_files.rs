//! `lpwatch check` of files that are no patch, or do not say what they patch, and
//! of a function that nobody should patch; its exit codes.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::guest;
use crate::lpwatch::{self, code};
use crate::predictions::{Report, SHORT, check, put_to_the_test};
use crate::trial::Trial;

/// Whatever is in a file, lpwatch answers long before this.
const ANSWERED: Duration = Duration::from_secs(30);

/// More than any module has.
const HUGE: u64 = 2 << 30;

/// Files that cannot be read, each with the words that say why.
pub fn unreadable(trial: &mut Trial) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let whole = fs::read(guest::module_file("lp_cmdline"))?;
    let mut hostile = whole.clone();
    // ELF's e_shoff: the sections would lie beyond the end of everything.
    hostile[40..48].copy_from_slice(&(u64::MAX - 64).to_le_bytes());
    let mut endless = whole.clone();
    // e_shnum: more sections than the file has room for.
    endless[60..62].copy_from_slice(&0xfeff_u16.to_le_bytes());
    let cases: [(&str, &[u8], &str); 6] = [
        ("empty.ko", &[], "empty"),
        ("text.ko", b"This is no module.\n", "not an ELF file"),
        ("packed.ko.xz", b"\xfd7zXZ\0cut short", "damaged"),
        ("half.ko", &whole[..whole.len() / 2], "cut off"),
        ("hostile.ko", &hostile, "hostile.ko"),
        ("endless.ko", &endless, "endless.ko"),
    ];
    for (name, bytes, why) in cases {
        let path = folder.path().join(name);
        fs::write(&path, bytes)?;
        refused(trial, &path, why)?;
    }
    let sparse = folder.path().join("sparse.ko");
    File::create(&sparse)?.set_len(HUGE)?;
    refused(trial, &sparse, "more than")?;
    let around = folder.path().join("loop.ko");
    symlink(&around, &around)?;
    refused(trial, &around, "loop.ko")?;
    refused(trial, Path::new("/dev/zero"), "not a file")?;

    // In a folder what can be read is checked all the same.
    fs::write(folder.path().join("whole.ko"), &whole)?;
    let all = folder.path().to_string_lossy().into_owned();
    let ended = lpwatch::run(&[&["check", "--all", &all], SHORT])?;
    ended.expect(&[code::ERROR])?;
    ensure!(ended.text().contains("lp_cmdline"), "{}", ended.all_text());
    Ok(())
}

fn refused(trial: &Trial, path: &Path, why: &str) -> Result<()> {
    let started = Instant::now();
    let ended = lpwatch::run(&[&["check", &path.to_string_lossy()], SHORT])?;
    ended.expect(&[code::ERROR])?;
    trial.say(ended.stderr.trim());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    ensure!(
        ended.stderr.contains(why) && ended.stderr.contains(&*name),
        "not {why}: {}",
        ended.stderr
    );
    ensure!(started.elapsed() < ANSWERED, "{name}: that took too long");
    Ok(())
}

/// A module that is no patch, a patch that does not say what it patches, and
/// one of a function that nobody should patch.
pub fn read(trial: &mut Trial) -> Result<()> {
    for rule in ["readable", "risky"] {
        check("lp_cmdline", SHORT)?.silent(rule)?;
    }
    let file = guest::module_file("lpwatch_target");
    let file = file.to_str().context("a path that is not text")?;
    let module = lpwatch::run(&[&["check", file], SHORT])?;
    module.expect(&[code::ERROR])?;
    for words in ["is not a live patch", "no klp_patch"] {
        ensure!(module.stderr.contains(words), "{}", module.stderr);
    }

    let dynamic = check("lp_dynamic", SHORT)?;
    let words = ["its changes are unknown", "no klp_patch"];
    trial.say(&dynamic.finding("readable", "warning", &words)?.text);
    ensure!(dynamic.verdict == "warning", "{dynamic:?}");
    check("lp_dynamic", &[SHORT, &["--strict"]].concat())?;
    put_to_the_test("lp_dynamic", &dynamic)?;

    let exit = check("lp_exit", SHORT)?;
    let words = ["do_exit", "does not return"];
    trial.say(&exit.finding("risky", "danger", &words)?.text);
    ensure!(exit.verdict == "danger", "{exit:?}");
    Ok(())
}

/// A kernel without live patching: the file is read all the same, and what
/// cannot be known is said.
pub fn elsewhere(trial: &mut Trial) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let root = folder.path().to_string_lossy().into_owned();
    let roots = ["--sysfs-root", &root, "--procfs-root", &root];
    let line: &[&[&str]] = &[&["check", "/modules/lp_exit.ko"], &roots];
    let ended = lpwatch::run(line)?;
    ended.expect(&[code::KERNEL_CANNOT])?;
    trial.say(&ended.text());
    ensure!(ended.text().contains("do_exit"), "{}", ended.all_text());
    let ended = lpwatch::run(&[line, &[&["-o", "json"]]].concat())?;
    ended.expect(&[code::KERNEL_CANNOT])?;
    let report: Report = serde_json::from_slice(&ended.stdout)?;
    report.finding("kernel", "danger", &["does not support live patching"])?;
    report.finding("symbol", "warning", &["unknown"])?;
    let said = report
        .notes
        .iter()
        .any(|note| note.contains("not inspected"));
    ensure!(said, "{report:?}");
    Ok(())
}

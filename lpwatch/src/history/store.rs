//! The file: opened, checked, brought to the present schema.

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};

use super::{HistoryError, Limits, file, schema};

/// How long another process may hold the file.
const BUSY: Duration = Duration::from_secs(2);

/// An open history.
#[derive(Debug)]
pub struct Store {
    pub(super) db: Connection,
    pub(super) path: PathBuf,
    pub(super) limits: Limits,
    /// Device and inode of the file.
    identity: (u64, u64),
}

/// A history opened for writing.
#[derive(Debug)]
pub struct Opened {
    pub store: Store,
    /// What happened to a file that could not be used, in a sentence.
    pub note: Option<String>,
}

impl Store {
    /// Opens the history in `folder` for writing; creates what is missing. A damaged
    /// file is set aside.
    ///
    /// # Errors
    /// [`HistoryError`] if the folder cannot be written, or a newer lpwatch wrote the
    /// file.
    pub fn open(folder: &Path, limits: Limits) -> Result<Opened, HistoryError> {
        let path = file(folder);
        match Self::open_file(folder, &path, limits) {
            Err(error) if error.is_corrupt() => {
                let aside = set_aside(&path)?;
                let note = format!(
                    "The history was damaged ({error}). It is now {}, and lpwatch began a new one.",
                    aside.display()
                );
                let store = Self::open_file(folder, &path, limits)?;
                Ok(Opened {
                    store,
                    note: Some(note),
                })
            }
            opened => Ok(Opened {
                store: opened?,
                note: None,
            }),
        }
    }

    fn open_file(folder: &Path, path: &Path, limits: Limits) -> Result<Self, HistoryError> {
        let failed = |action| {
            let path = path.to_owned();
            move |source| HistoryError::File {
                action,
                path,
                source,
            }
        };
        let made = DirBuilder::new().mode(0o750).recursive(true).create(folder);
        made.map_err(failed("create the folder of"))?;
        let created = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o640)
            .open(path);
        created.map_err(failed("write"))?;
        let mut store = Self::connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE, limits)?;
        store.prepare().map_err(|error| store.error(error))?;
        let (version, application) =
            schema::found(&store.db).map_err(|error| store.error(error))?;
        let is_new = (version, application) == (0, 0) && store.is_empty()?;
        if !is_new {
            store.check(version, application)?;
            store.check_contents()?;
        }
        if version < schema::VERSION {
            let migrated = schema::migrate(&mut store.db, version);
            migrated.map_err(|error| store.error(error))?;
        }
        Ok(store)
    }

    /// Opens the history in `folder` for reading.
    ///
    /// # Errors
    /// [`HistoryError`] if there is none, or it cannot be read.
    pub fn read(folder: &Path) -> Result<Self, HistoryError> {
        let path = file(folder);
        let looked = fs::File::open(&path);
        looked.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => HistoryError::Missing { path: path.clone() },
            _ => HistoryError::File {
                action: "read",
                path: path.clone(),
                source,
            },
        })?;
        let found = |store: &Self| schema::found(&store.db).map_err(|error| store.error(error));
        let mut store = Self::connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY, Limits::default())?;
        let looked = match found(&store) {
            // A writer was killed while it wrote: its last step must be undone first.
            Err(error) if !error.is_corrupt() => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
                store = Self::connect(&path, flags, Limits::default())?;
                found(&store)
            }
            looked => looked,
        };
        let (version, application) = looked?;
        store.check(version, application)?;
        Ok(store)
    }

    fn connect(path: &Path, access: OpenFlags, limits: Limits) -> Result<Self, HistoryError> {
        let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let failed = |source| HistoryError::Store {
            path: path.to_owned(),
            source,
        };
        let db = Connection::open_with_flags(path, flags).map_err(failed)?;
        db.busy_timeout(BUSY).map_err(failed)?;
        Ok(Self {
            db,
            path: path.to_owned(),
            limits,
            identity: identity(path).unwrap_or_default(),
        })
    }

    /// A commit is on the disk when it returns, also after a power loss. The cache is
    /// small: the daemon writes a few rows at a time.
    fn prepare(&self) -> rusqlite::Result<()> {
        self.db.pragma_update(None, "auto_vacuum", "INCREMENTAL")?;
        self.db.pragma_update(None, "synchronous", "EXTRA")?;
        self.db.pragma_update(None, "cache_size", -256)
    }

    fn is_empty(&self) -> Result<bool, HistoryError> {
        let tables = "SELECT count(*) FROM sqlite_schema";
        let number = self.db.query_row(tables, [], |row| row.get::<_, i64>(0));
        Ok(number.map_err(|error| self.error(error))? == 0)
    }

    fn check(&self, version: u32, application: u32) -> Result<(), HistoryError> {
        let path = self.path.clone();
        if application != schema::APPLICATION_ID {
            return Err(HistoryError::Foreign { path });
        }
        if version > schema::VERSION {
            return Err(HistoryError::Newer {
                path,
                found: version,
                known: schema::VERSION,
            });
        }
        Ok(())
    }

    fn check_contents(&self) -> Result<(), HistoryError> {
        let checked = self
            .db
            .pragma_query_value(None, "quick_check", |row| row.get::<_, String>(0));
        match checked {
            Ok(answer) if answer == "ok" => Ok(()),
            Ok(_) => Err(HistoryError::Foreign {
                path: self.path.clone(),
            }),
            Err(error) => Err(self.error(error)),
        }
    }

    /// Whether the file that is open is still the one at its path.
    pub(super) fn is_in_place(&self) -> bool {
        identity(&self.path).is_ok_and(|identity| identity == self.identity)
    }

    pub(super) fn error(&self, source: rusqlite::Error) -> HistoryError {
        HistoryError::Store {
            path: self.path.clone(),
            source,
        }
    }

    pub(super) fn json_error(&self, source: serde_json::Error) -> HistoryError {
        HistoryError::Json {
            path: self.path.clone(),
            source,
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|found| (found.dev(), found.ino()))
}

/// Renames a damaged file; returns its new name.
fn set_aside(path: &Path) -> Result<PathBuf, HistoryError> {
    let suffix = format!(".damaged-{}", Timestamp::now().as_second());
    let renamed = |path: &Path| {
        let mut name = path.as_os_str().to_owned();
        name.push(&suffix);
        PathBuf::from(name)
    };
    let aside = renamed(path);
    fs::rename(path, &aside).map_err(|source| HistoryError::File {
        action: "rename",
        path: path.to_owned(),
        source,
    })?;
    // Its journal belongs to it, and must not be applied to the new file.
    let mut journal = path.as_os_str().to_owned();
    journal.push("-journal");
    let journal = PathBuf::from(journal);
    if journal.exists() {
        let mut moved = aside.as_os_str().to_owned();
        moved.push("-journal");
        fs::rename(&journal, PathBuf::from(moved)).map_err(|source| HistoryError::File {
            action: "rename",
            path: journal.clone(),
            source,
        })?;
    }
    Ok(aside)
}

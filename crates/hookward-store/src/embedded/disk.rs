//! All that the log asks of a disk: seven methods, so that a test can be the disk.

use std::{
    collections::HashMap,
    fmt,
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, ErrorKind},
    ops::Range,
    os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use super::OpenError;

/// One directory of files.
///
/// What was written survives a power cut once [`sync`](Self::sync) of that file returned, and may or may not before,
/// in any part and order. After a sync that failed it may be read back and yet never survive, whatever is synced later:
/// only writing it again helps. [`rename`](Self::rename) and [`remove`](Self::remove) are atomic, and survive once they return.
pub trait Disk: fmt::Debug + Send + Sync + 'static {
    /// The names and sizes of all files.
    fn files(&self) -> io::Result<Vec<(String, u64)>>;

    /// Fills `buf` from a place in a file. Returns fewer bytes only at the file's end.
    fn read(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize>;

    /// Writes all bytes at a place in a file, which is made or grows as needed.
    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes durable what was written to a file, and the file itself.
    fn sync(&self, name: &str) -> io::Result<()>;

    /// Writes zeros over a part of a file, durably, so that later syncs of that part need not make the file grow. In strokes,
    /// with a pause between two, so that the sync of another file never waits behind all of it.
    fn zero(&self, name: &str, part: Range<u64>, pause: Duration) -> io::Result<()> {
        zero_through_cache(self, name, part, pause)
    }

    /// Gives a file another name; replaces what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file and gives its space back.
    fn remove(&self, name: &str) -> io::Result<()>;
}

/// Writes a file as a whole, or not at all: under another name first, durably.
pub(super) fn write_whole(disk: &dyn Disk, name: &str, bytes: &[u8]) -> io::Result<()> {
    let temporary = format!("{name}.tmp");
    let written = remove_if_there(disk, &temporary)
        .and_then(|()| disk.write(&temporary, 0, bytes))
        .and_then(|()| disk.sync(&temporary))
        .and_then(|()| disk.rename(&temporary, name));
    if written.is_err()
        && let Err(error) = remove_if_there(disk, &temporary)
    {
        tracing::debug!(error = %error, name = temporary, "what was not finished is still there");
    }
    written
}

/// Removes a file that may have gone already.
pub(super) fn remove_if_there(disk: &dyn Disk, name: &str) -> io::Result<()> {
    match disk.remove(name) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Zeros written at a stroke: a sync of the log waits for one at most, about a millisecond.
const ZEROS_BYTES: usize = 256 * 1024;

/// How long the disk is left to the log between two strokes, while there is a log that is written.
pub(super) const ZEROS_PAUSE: Duration = Duration::from_millis(1);

/// What the page cache keeps a file in, and no device writes less than a part of.
pub(super) const PAGE_BYTES: u64 = 4096;

/// Goes over a part of a file: `write` is told where a stroke begins and how long it is.
fn in_strokes(
    part: Range<u64>,
    pause: Duration,
    mut write: impl FnMut(u64, usize) -> io::Result<()>,
) -> io::Result<()> {
    let mut at = part.start;
    while at < part.end {
        let len = usize::try_from(part.end - at).map_or(ZEROS_BYTES, |rest| rest.min(ZEROS_BYTES));
        write(at, len)?;
        at += len as u64;
        if at < part.end && !pause.is_zero() {
            thread::sleep(pause);
        }
    }
    Ok(())
}

fn zero_through_cache<D: Disk + ?Sized>(
    disk: &D,
    name: &str,
    part: Range<u64>,
    pause: Duration,
) -> io::Result<()> {
    let zeros = vec![0; ZEROS_BYTES];
    in_strokes(part, pause, |at, len| {
        disk.write(name, at, zeros.get(..len).unwrap_or(&zeros))?;
        disk.sync(name)
    })
}

/// The file whose lock says that a process owns the directory.
const LOCK: &str = "LOCK";

/// Bodies hold what a sender tells the application alone: nobody else on the machine reads them.
const FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o700;

/// Makes the directory if there is none. One that is there stays as its owner made it.
fn make_directory(path: &Path) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    match DirBuilder::new().mode(DIRECTORY_MODE).create(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let mode = fs::metadata(path)?.permissions().mode() & 0o777;
            if is_open_to_others(mode) {
                tracing::warn!(
                    path = %path.display(),
                    mode = format!("{mode:o}"),
                    "others on this machine can read the store's directory: chmod 700 keeps them out"
                );
            }
            Ok(())
        }
        made => made,
    }
}

const fn is_open_to_others(mode: u32) -> bool {
    mode & 0o077 != 0
}

/// Makes the directory if there is none and takes its lock, which lasts until the file is dropped.
pub(super) fn lock(path: &Path) -> Result<File, OpenError> {
    let failed = |source| OpenError::Directory { path: path.into(), source };
    make_directory(path).map_err(failed)?;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path.join(LOCK))
        .map_err(failed)?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse { path: path.into() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// A directory of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    path: PathBuf,
    directory: File,
    open: Mutex<HashMap<String, OpenFile>>,
}

#[derive(Clone, Debug)]
struct OpenFile {
    file: Arc<File>,
    /// The directory does not durably know it yet.
    new: bool,
}

/// Open files kept at hand; beyond that one is closed: far below the usual limit of 1,024.
const OPEN_FILES_MAX: usize = 128;

impl RealDisk {
    /// A directory that exists, and that no other process changes.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Directory { path: path.into(), source };
        let directory = File::open(path).map_err(failed)?;
        // An earlier process may have ended between a rename and the sync that makes it last.
        directory.sync_all().map_err(failed)?;
        Ok(Self { path: path.into(), directory, open: Mutex::default() })
    }

    fn opened(&self) -> MutexGuard<'_, HashMap<String, OpenFile>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn file(&self, name: &str, create: bool) -> io::Result<OpenFile> {
        let mut open = self.opened();
        if let Some(file) = open.get(name) {
            return Ok(file.clone());
        }
        let path = self.path.join(name);
        let existing = OpenOptions::new().read(true).write(true).open(&path);
        let opened = match existing {
            Err(error) if error.kind() == ErrorKind::NotFound && create => {
                let made = OpenOptions::new()
                    .read(true)
                    .write(true)
                    .create(true)
                    .truncate(false)
                    .mode(FILE_MODE)
                    .open(&path)?;
                OpenFile { file: Arc::new(made), new: true }
            }
            other => OpenFile { file: Arc::new(other?), new: false },
        };
        if open.len() >= OPEN_FILES_MAX
            && let Some(spare) =
                open.iter().find(|(_, file)| !file.new).map(|(name, _)| name.clone())
        {
            open.remove(&spare);
        }
        open.insert(name.to_owned(), opened.clone());
        Ok(opened)
    }
}

impl RealDisk {
    /// Not every file system and system can; one that cannot says so before anything is written.
    #[cfg(target_os = "linux")]
    fn zero_directly(&self, name: &str, part: Range<u64>, pause: Duration) -> io::Result<()> {
        let path = self.path.join(name);
        let file = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path)?;
        // The memory has to be aligned as the place in the file is.
        let align = usize::try_from(PAGE_BYTES).map_err(io::Error::other)?;
        let zeros = vec![0; ZEROS_BYTES + align];
        let start = zeros.as_ptr().align_offset(align);
        let zeros = zeros.get(start..).and_then(|zeros| zeros.get(..ZEROS_BYTES));
        let zeros = zeros.ok_or(ErrorKind::Unsupported)?;
        in_strokes(part, pause, |at, len| file.write_all_at(zeros.get(..len).unwrap_or(zeros), at))
    }

    #[cfg(not(target_os = "linux"))]
    #[expect(clippy::unused_self, reason = "as on Linux")]
    fn zero_directly(&self, _name: &str, _part: Range<u64>, _pause: Duration) -> io::Result<()> {
        Err(ErrorKind::Unsupported.into())
    }
}

impl Disk for RealDisk {
    fn files(&self) -> io::Result<Vec<(String, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            match entry.metadata() {
                Ok(metadata) if metadata.is_file() && name != LOCK => {
                    files.push((name, metadata.len()));
                }
                Ok(_) => {}
                // Removed since the directory was read.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        Ok(files)
    }

    fn read(&self, name: &str, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let file = self.file(name, false)?.file;
        let mut filled = 0;
        while let Some(rest) = buf.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match file.read_at(rest, offset + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(filled)
    }

    fn write(&self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file(name, true)?.file.write_all_at(bytes, offset)
    }

    fn sync(&self, name: &str) -> io::Result<()> {
        let OpenFile { file, new } = self.file(name, false)?;
        file.sync_data()?;
        if new {
            self.directory.sync_all()?;
            if let Some(file) = self.opened().get_mut(name) {
                file.new = false;
            }
        }
        Ok(())
    }

    /// Past the page cache where the system can do that: copying zeros into it took a twelfth of the gateway's CPU time.
    fn zero(&self, name: &str, part: Range<u64>, pause: Duration) -> io::Result<()> {
        let aligned = part.start.next_multiple_of(PAGE_BYTES)..part.end / PAGE_BYTES * PAGE_BYTES;
        if aligned.is_empty() || self.zero_directly(name, aligned.clone(), pause).is_err() {
            return zero_through_cache(self, name, part, pause);
        }
        zero_through_cache(self, name, part.start..aligned.start, pause)?;
        zero_through_cache(self, name, aligned.end..part.end, pause)?;
        self.sync(name)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        {
            let mut open = self.opened();
            fs::rename(self.path.join(from), self.path.join(to))?;
            open.remove(to);
            if let Some(file) = open.remove(from) {
                open.insert(to.to_owned(), file);
            }
        }
        self.directory.sync_all()?;
        if let Some(file) = self.opened().get_mut(to) {
            file.new = false;
        }
        Ok(())
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.opened().remove(name);
        fs::remove_file(self.path.join(name))?;
        self.directory.sync_all()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_open_to_others_when_any_of_them_may_do_anything() {
        let open = [0o755, 0o750, 0o701, 0o770, 0o704].map(is_open_to_others);
        assert_eq!(open, [true; 5]);
        assert!(!is_open_to_others(0o700));
    }
}

//! The files of the scenario log and the thread that writes them.
//!
//! The thread takes buffers over a bounded channel and gives them back. It writes in the order of the calls, without
//! `fsync`: a killed process loses what was not handed over yet, a lost machine what the system had not written.
//! Files are readable by their owner alone. How the bytes reach the disk is in [`super::append`].

use super::append::Append;
use crate::log::{Job, Key, Sink};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::JoinHandle;

/// Buffers on their way to the thread: 8 MB of a quarter each. When all are, the log is behind.
const BUFFERS: usize = 32;
/// Complete segments that stay.
const KEPT: usize = 8;
/// Bytes that complete segments may have together; the newest one stays in any case.
const KEPT_BYTES: u64 = 2 << 30;

/// Where segments are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogPlace {
    /// `segment-000001.slog` and so on in this directory, going on after the last one that is there.
    Directory(PathBuf),
    /// This file, then the same name with `.1`, `.2` and so on.
    File(PathBuf),
}

impl LogPlace {
    fn path(&self, number: u64) -> PathBuf {
        match self {
            LogPlace::Directory(directory) => directory.join(format!("segment-{number:06}.slog")),
            LogPlace::File(file) if number == 0 => file.clone(),
            LogPlace::File(file) => {
                let mut name = file.clone().into_os_string();
                name.push(format!(".{number}"));
                name.into()
            }
        }
    }

    /// The number of the first segment of this run.
    fn first(&self) -> io::Result<u64> {
        let LogPlace::Directory(directory) = self else { return Ok(0) };
        make_directory(directory)?;
        Ok(self.segments()?.last_key_value().map_or(1, |(last, _)| last + 1))
    }

    /// The segments that are there, by number, with their sizes.
    fn segments(&self) -> io::Result<BTreeMap<u64, u64>> {
        let directory = match self {
            LogPlace::Directory(directory) => directory.as_path(),
            LogPlace::File(file) => {
                file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
            }
        };
        let mut segments = BTreeMap::new();
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if let Some(number) = self.number(&entry.file_name()) {
                segments.insert(number, entry.metadata()?.len());
            }
        }
        Ok(segments)
    }

    /// The number of the segment of this name.
    fn number(&self, name: &OsStr) -> Option<u64> {
        let name = name.to_str()?;
        match self {
            LogPlace::Directory(_) => name.strip_prefix("segment-")?.strip_suffix(".slog")?.parse().ok(),
            LogPlace::File(file) => match name.strip_prefix(file.file_name()?.to_str()?)? {
                "" => Some(0),
                further => further.strip_prefix('.')?.parse().ok(),
            },
        }
    }

    /// Removes complete segments before the newest [`KEPT`], and those before the newest [`KEPT_BYTES`].
    fn prune(&self, open: u64) -> io::Result<()> {
        let mut bytes = 0;
        let complete = self.segments()?.into_iter().filter(|(number, _)| *number < open).rev();
        for (newer, (number, size)) in complete.enumerate() {
            bytes += size;
            if newer >= KEPT || (newer > 0 && bytes > KEPT_BYTES) {
                fs::remove_file(self.path(number))?;
            }
        }
        Ok(())
    }
}

/// The core's end of the thread.
pub(super) struct LogFile {
    jobs: SyncSender<Job>,
    empties: Receiver<Vec<u8>>,
    failure: Arc<Mutex<Option<io::Error>>>,
    thread: JoinHandle<()>,
}

impl LogFile {
    /// Starts the thread. The first segment is opened when it is asked for.
    pub(super) fn start(place: LogPlace) -> io::Result<LogFile> {
        let next = place.first()?;
        let (jobs, their_jobs) = sync_channel(BUFFERS);
        let (their_empties, empties) = sync_channel(BUFFERS);
        let failure = Arc::new(Mutex::new(None));
        let writer =
            Writer { place, next, open: None, empties: their_empties, failure: Arc::clone(&failure) };
        let run = move || writer.run(&their_jobs);
        let thread = std::thread::Builder::new().name("scenario-log".to_owned()).spawn(run)?;
        Ok(LogFile { jobs, empties, failure, thread })
    }

    /// Waits until everything is written, and tells why it was not.
    pub(super) fn close(self) -> Option<io::Error> {
        drop(self.jobs);
        let panicked = self.thread.join().is_err();
        let failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        if panicked {
            failure.or_else(|| Some(io::Error::other("the writer of the log panicked")))
        } else {
            failure
        }
    }
}

impl Sink for LogFile {
    fn offer(&mut self, job: Job) -> bool {
        self.jobs.try_send(job).is_ok()
    }

    fn recycled(&mut self) -> Option<Vec<u8>> {
        self.empties.try_recv().ok()
    }

    fn poll_failure(&mut self) -> Option<io::Error> {
        // Whoever holds it, the next wake sees it.
        self.failure.try_lock().ok()?.take()
    }
}

struct Writer {
    place: LogPlace,
    next: u64,
    open: Option<Append>,
    empties: SyncSender<Vec<u8>>,
    failure: Arc<Mutex<Option<io::Error>>>,
}

impl Writer {
    fn run(mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let done = match job {
                Job::Begin => self.begin(),
                Job::Append(buffer) => self.append(buffer),
            };
            if let Err(error) = done {
                self.open = None;
                *self.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
        }
    }

    fn begin(&mut self) -> io::Result<()> {
        self.open = None;
        let number = self.next;
        let path = self.place.path(number);
        self.open = Some(Append::new(create(&path)?, &path));
        self.next += 1;
        self.place.prune(number)
    }

    fn append(&mut self, mut buffer: Vec<u8>) -> io::Result<()> {
        let written = match &mut self.open {
            Some(file) => file.append(&buffer),
            None => Ok(()),
        };
        buffer.clear();
        // When the core has enough of them, this one is freed.
        let _ = self.empties.try_send(buffer);
        written
    }
}

/// Makes the directory, for its owner alone when it is new.
fn make_directory(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path)
}

/// A new file that its owner alone may read; one that was there is emptied.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    private(&mut options);
    let file = options.open(path)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.set_permissions(fs::Permissions::from_mode(0o600))?;
    }
    Ok(file)
}

/// Makes what is created readable by its owner alone. Elsewhere than on Unix the directory of the user does that.
fn private(options: &mut OpenOptions) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    #[cfg(not(unix))]
    let _ = options;
}

/// The key that seals the scenario logs of an installation.
///
/// # Errors
/// The file is not there, cannot be read, or is not a key.
pub fn load_key(path: &Path) -> io::Result<Key> {
    let mut bytes = Vec::new();
    File::open(path)?.take(33).read_to_end(&mut bytes)?;
    let bytes = <[u8; 32]>::try_from(bytes)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "the file is not a key of 32 bytes"))?;
    Ok(Key::new(bytes))
}

/// As [`load_key`], but a key that is not there is made.
///
/// # Errors
/// The file cannot be read or made, is not a key, or the system has no randomness.
pub fn load_or_make_key(path: &Path) -> io::Result<Key> {
    match load_key(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        loaded => return loaded,
    }
    let bytes = super::random::bytes::<32>().map_err(io::Error::other)?;
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    private(&mut options);
    let mut file = options.open(path)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok(Key::new(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_go_on_after_the_last_one_and_the_newest_eight_stay() {
        let directory = tempfile::tempdir().unwrap();
        let place = LogPlace::Directory(directory.path().join("log"));
        for expected in [1, 13] {
            let mut log = LogFile::start(place.clone()).unwrap();
            assert_eq!(place.first().unwrap(), expected);
            for _ in 0..12 {
                while !log.offer(Job::Begin) {}
                while !log.offer(Job::Append(b"x".to_vec())) {}
            }
            assert!(log.close().is_none());
        }
        let numbers: Vec<u64> = place.segments().unwrap().into_keys().collect();
        assert_eq!(numbers, (16..=24).collect::<Vec<_>>(), "eight complete ones and the one that was open");
    }

    #[test]
    fn a_named_log_goes_on_beside_the_file_and_leaves_other_files_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("run.slog");
        for other in ["run.slog.txt", "run.slog2", "a"] {
            fs::write(directory.path().join(other), b"kept").unwrap();
        }
        let mut log = LogFile::start(LogPlace::File(file)).unwrap();
        for _ in 0..11 {
            while !log.offer(Job::Begin) {}
        }
        assert!(log.close().is_none());
        let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<_> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        let expected =
            ["a", "run.slog.10", "run.slog.2", "run.slog.3", "run.slog.4", "run.slog.5"].into_iter();
        let expected: Vec<_> = expected
            .chain(["run.slog.6", "run.slog.7", "run.slog.8", "run.slog.9", "run.slog.txt", "run.slog2"])
            .collect();
        assert_eq!(names, expected);
    }

    #[test]
    fn a_key_is_made_once_and_a_file_that_is_none_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("scenario.key");
        assert!(load_key(&path).is_err());
        load_or_make_key(&path).unwrap();
        let made = fs::read(&path).unwrap();
        load_or_make_key(&path).unwrap();
        assert_eq!((fs::read(&path).unwrap(), made.len()), (made, 32));
        fs::write(&path, [0; 33]).unwrap();
        assert!(load_or_make_key(&path).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn key_and_segments_are_readable_by_their_owner_alone() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let (key, segment) = (directory.path().join("scenario.key"), directory.path().join("one.slog"));
        fs::write(&segment, b"old").unwrap();
        fs::set_permissions(&segment, fs::Permissions::from_mode(0o644)).unwrap();
        load_or_make_key(&key).unwrap();
        let mut log = LogFile::start(LogPlace::File(segment.clone())).unwrap();
        assert!(log.offer(Job::Begin));
        assert!(log.close().is_none());
        for path in [key, segment] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{path:?}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_opened_is_told_and_the_next_segment_tries_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gone").join("one.slog");
        let mut log = LogFile::start(LogPlace::File(path.clone())).unwrap();
        assert!(log.offer(Job::Begin) && log.offer(Job::Append(b"lost".to_vec())));
        assert!(log.close().is_some());
        fs::create_dir(path.parent().unwrap()).unwrap();
        let mut log = LogFile::start(LogPlace::File(path.clone())).unwrap();
        assert!(log.offer(Job::Begin) && log.offer(Job::Append(b"kept".to_vec())));
        assert!(log.close().is_none());
        assert_eq!(fs::read(path).unwrap(), b"kept");
    }
}

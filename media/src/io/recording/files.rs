//! Where recordings are written: the one place that makes files.
//!
//! A file is made, never opened: what is there is left as it is. It is readable by its owner alone. Nothing is forced to the
//! disk (`fsync`): a killed process loses nothing that was written, a lost machine what the system had not written.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Seek, Write};
use std::path::Path;

/// A disk.
pub trait Files {
    /// A file on it.
    type File: Write + Seek;

    /// Makes a file that is not there, and the folder for it.
    ///
    /// # Errors
    /// What the system says; [`io::ErrorKind::AlreadyExists`] when there is one of this name.
    fn create(&mut self, path: &Path) -> io::Result<Self::File>;
}

/// The disk of this machine.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Files for Disk {
    type File = File;

    fn create(&mut self, path: &Path) -> io::Result<File> {
        let mut folder = DirBuilder::new();
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        {
            use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
            folder.mode(0o700);
            options.mode(0o600);
        }
        if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
            folder.recursive(true).create(parent)?;
        }
        options.open(path)
    }
}

//! Appending to a file that nobody reads soon, at the least cost of processor time.
//!
//! Small pieces are written as usual. Of a large one the whole blocks go past the page cache where the system can do
//! that (Linux, `O_DIRECT`): copying them there and finding fresh pages costs several times the rest of the log.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// A file that only grows.
#[derive(Debug)]
pub(super) struct Append {
    file: File,
    direct: direct::Direct,
    length: u64,
}

impl Append {
    /// Appends to `file`, which is empty and lies in `path`.
    pub(super) fn new(file: File, path: &Path) -> Append {
        Append { file, direct: direct::Direct::open(path), length: 0 }
    }

    /// Writes all of `bytes` at the end.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut rest = bytes;
        let (to_block, blocks) = direct::split(self.length, bytes.len());
        if blocks > 0
            && let Some((before, after)) = bytes.split_at_checked(to_block)
            && let Some((whole, tail)) = after.split_at_checked(blocks)
        {
            self.write(before)?;
            if self.direct.write(whole, self.length)? {
                self.length += whole.len() as u64;
                self.direct.skip(&mut self.file, self.length)?;
                rest = tail;
            } else {
                rest = after;
            }
        }
        self.write(rest)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all(bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

#[cfg(target_os = "linux")]
mod direct {
    use std::fs::{File, OpenOptions};
    use std::io::{self, Seek, SeekFrom};
    use std::os::unix::fs::{FileExt, OpenOptionsExt};
    use std::path::Path;

    /// Size and alignment that every disk accepts.
    const BLOCK: usize = 4_096;
    /// Pieces below this are not worth the extra calls.
    const WORTH: usize = 64 << 10;

    /// A second way to the same file, past the page cache; memory for it has to be aligned.
    #[derive(Debug)]
    pub(super) struct Direct {
        file: Option<File>,
        aligned: Vec<u8>,
    }

    /// Bytes up to the next block boundary, and bytes of the whole blocks after that; none when it is not worth it.
    pub(super) fn split(length: u64, bytes: usize) -> (usize, usize) {
        let to_block = (BLOCK - (length % BLOCK as u64) as usize) % BLOCK;
        let blocks = bytes.saturating_sub(to_block) / BLOCK * BLOCK;
        (to_block, if blocks < WORTH { 0 } else { blocks })
    }

    impl Direct {
        /// Not every file system offers it.
        pub(super) fn open(path: &Path) -> Direct {
            let file = OpenOptions::new().write(true).custom_flags(nix::libc::O_DIRECT).open(path).ok();
            Direct { file, aligned: Vec::new() }
        }

        /// Writes whole blocks at `offset`; `false` when the file system will not have it that way.
        pub(super) fn write(&mut self, blocks: &[u8], offset: u64) -> io::Result<bool> {
            let Some(file) = &self.file else { return Ok(false) };
            if self.aligned.len() < blocks.len() + BLOCK {
                self.aligned.resize(blocks.len() + BLOCK, 0);
            }
            let start = self.aligned.as_ptr().align_offset(BLOCK);
            let Some(place) = self.aligned.get_mut(start..).and_then(|from| from.get_mut(..blocks.len()))
            else {
                return Ok(false);
            };
            place.copy_from_slice(blocks);
            match file.write_all_at(place, offset) {
                Ok(()) => Ok(true),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                    self.file = None;
                    Ok(false)
                }
                Err(error) => Err(error),
            }
        }

        /// Moves the usual way on to where this one ended.
        pub(super) fn skip(&self, file: &mut File, length: u64) -> io::Result<()> {
            file.seek(SeekFrom::Start(length)).map(|_| ())
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod direct {
    use std::fs::File;
    use std::io;
    use std::path::Path;

    /// There is no such way here.
    #[derive(Debug)]
    pub(super) struct Direct;

    pub(super) fn split(_length: u64, _bytes: usize) -> (usize, usize) {
        (0, 0)
    }

    impl Direct {
        pub(super) fn open(_path: &Path) -> Direct {
            Direct
        }

        pub(super) fn write(&mut self, _blocks: &[u8], _offset: u64) -> io::Result<bool> {
            Ok(false)
        }

        pub(super) fn skip(&self, _file: &mut File, _length: u64) -> io::Result<()> {
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_of_any_size_stand_in_the_file_one_after_the_other() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut append = Append::new(File::create(&path).unwrap(), &path);
        let mut expected = Vec::new();
        let sizes = [1, 300_000, 0, 4_095, 70_000, 262_144, 262_145, 5, 69_632, 100_000, 8_192, 65_536];
        for (fill, size) in (1..).zip(sizes) {
            let piece: Vec<u8> = (0..size).map(|at: usize| fill ^ (at / 251) as u8).collect();
            append.append(&piece).unwrap();
            expected.extend(piece);
        }
        assert!(std::fs::read(&path).unwrap() == expected);
    }
}

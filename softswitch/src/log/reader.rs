//! Reads the records of a segment one by one.
//!
//! A process that was killed leaves a last record without its end: that is [`Item::Torn`], not an error. A length that
//! no record can have is damage.

use super::record::Kind;
use std::io::{self, Read};

/// The longest record that is believed. Slices and heads are smaller by orders of magnitude.
const LONGEST: u32 = 1 << 30;

/// The records of a segment, in order.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    payload: Vec<u8>,
    number: u64,
}

/// What came next.
#[derive(Debug, PartialEq, Eq)]
pub enum Item<'a> {
    /// A record.
    Record {
        /// Counted from 1.
        number: u64,
        /// What it is.
        kind: Kind,
        /// Without the kind.
        payload: &'a [u8],
    },
    /// The file ends within a record.
    Torn,
    /// The file ends after a record.
    EndOfFile,
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file cannot be read.
    #[error("the log cannot be read: {0}")]
    Io(#[from] io::Error),
    /// What stands there is no record.
    #[error("record {number} is damaged")]
    Damaged {
        /// Counted from 1.
        number: u64,
    },
}

impl<R: Read> Reader<R> {
    /// Reads from the start of a segment. `input` should be buffered.
    pub fn new(input: R) -> Reader<R> {
        Reader { input, payload: Vec::new(), number: 0 }
    }

    /// The next record.
    ///
    /// # Errors
    /// [`ReadError`] when the file cannot be read or holds something else.
    pub fn next_item(&mut self) -> Result<Item<'_>, ReadError> {
        let mut length = [0; 4];
        match read_up_to(&mut self.input, &mut length)? {
            0 => return Ok(Item::EndOfFile),
            4 => {}
            _ => return Ok(Item::Torn),
        }
        let length = u32::from_le_bytes(length);
        self.number += 1;
        let damaged = ReadError::Damaged { number: self.number };
        if length > LONGEST {
            return Err(damaged);
        }
        // Zeros are what a file system may put in place of what was never written.
        let Some(length) = length.checked_sub(1) else { return Ok(Item::Torn) };
        let mut kind = [0];
        if read_up_to(&mut self.input, &mut kind)? == 0 {
            return Ok(Item::Torn);
        }
        self.payload.clear();
        let read = self.input.by_ref().take(u64::from(length)).read_to_end(&mut self.payload)?;
        if read < length as usize {
            return Ok(Item::Torn);
        }
        let kind = Kind::from_byte(kind[0]).ok_or(damaged)?;
        Ok(Item::Record { number: self.number, kind, payload: &self.payload })
    }
}

/// Fills as much of `buffer` as the file has.
fn read_up_to(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

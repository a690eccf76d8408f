//! The records of a segment, as bytes: `length (u32, little endian) | kind (u8) | payload`.
//!
//! The length counts kind and payload. The payload of [`Kind::Input`] and [`Kind::Timeout`] begins with the time
//! (u64, little endian); what follows is the value in postcard's encoding. There is no checksum: a replay compares
//! every output byte for byte, which tells more.

use super::seal::{Sealer, SealerSpent};
use crate::core::{Input, Output};
use crate::store::StoreOp;
use serde::{Deserialize, Serialize};
use sip_stack::Time;

/// The version of this format.
pub const FORMAT: u16 = 11;

/// What every segment begins with, after length and kind.
pub const MAGIC: [u8; 8] = *b"SIPSCLOG";

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// [`Header`]; the first record of a segment.
    Header,
    /// Sealed: the head of the snapshot.
    Head,
    /// A slice of the snapshot.
    Slice,
    /// The snapshot has all its slices.
    SnapshotDone,
    /// An input, with the time at which it was taken.
    Input,
    /// As `Input`, sealed as a whole.
    SealedInput,
    /// [`crate::core::Switch::handle_timeout`] was called at this time.
    Timeout,
    /// What the last input or timeout led to, in its order.
    Output,
    /// As `Output`, sealed.
    SealedOutput,
    /// The segment was closed in order.
    End,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Header,
        Kind::Head,
        Kind::Slice,
        Kind::SnapshotDone,
        Kind::Input,
        Kind::SealedInput,
        Kind::Timeout,
        Kind::Output,
        Kind::SealedOutput,
        Kind::End,
    ];

    /// The byte that stands for it.
    pub const fn byte(self) -> u8 {
        self as u8 + 1
    }

    /// The kind a byte stands for.
    pub fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.get(usize::from(byte).checked_sub(1)?).copied()
    }
}

/// The first record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`MAGIC`].
    pub magic: [u8; 8],
    /// [`FORMAT`].
    pub format: u16,
    /// The version of the program: only the same one replays, as its outputs are the ones compared.
    pub program: Box<str>,
}

impl Header {
    /// The header of what this program writes.
    pub fn ours() -> Header {
        Header { magic: MAGIC, format: FORMAT, program: env!("CARGO_PKG_VERSION").into() }
    }
}

/// Appends one record whose payload `write` appends.
fn frame(buffer: &mut Vec<u8>, kind: Kind, write: impl FnOnce(&mut Vec<u8>)) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0, 0, 0, 0, kind.byte()]);
    write(buffer);
    let length = u32::try_from(buffer.len() - start - 4).expect("a record is far smaller than 4 GiB");
    if let Some(place) = buffer.get_mut(start..start + 4) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// Writes postcard into the buffer it is lent.
struct Append<'a>(&'a mut Vec<u8>);

impl postcard::ser_flavors::Flavor for Append<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

fn encode<T: Serialize>(buffer: &mut Vec<u8>, value: &T) {
    postcard::serialize_with_flavor(value, Append(buffer)).expect("a value of ours serialises into memory");
}

/// Appends the header.
pub fn write_header(buffer: &mut Vec<u8>) {
    frame(buffer, Kind::Header, |buffer| encode(buffer, &Header::ours()));
}

/// Appends the sealed head of a snapshot.
///
/// # Errors
/// [`SealerSpent`] when the key must not be used any more.
pub fn write_head(buffer: &mut Vec<u8>, sealer: &mut Sealer, head: &[u8]) -> Result<(), SealerSpent> {
    let sealed = sealer.seal(Kind::Head.byte(), head)?;
    frame(buffer, Kind::Head, |buffer| buffer.extend_from_slice(&sealed));
    Ok(())
}

/// Appends a slice of a snapshot.
pub fn write_slice(buffer: &mut Vec<u8>, part: &crate::core::SnapshotPart) {
    frame(buffer, Kind::Slice, |buffer| encode(buffer, part));
}

/// Appends a record without payload: [`Kind::SnapshotDone`] or [`Kind::End`].
pub fn write_mark(buffer: &mut Vec<u8>, kind: Kind) {
    frame(buffer, kind, |_| {});
}

/// Appends an input; one with keys in it is sealed.
///
/// # Errors
/// [`SealerSpent`] when the key must not be used any more.
pub fn write_input(
    buffer: &mut Vec<u8>,
    sealer: &mut Sealer,
    now: Time,
    input: &Input,
) -> Result<(), SealerSpent> {
    let plain = |buffer: &mut Vec<u8>| {
        buffer.extend_from_slice(&now.0.to_le_bytes());
        encode(buffer, input);
    };
    match input {
        Input::Configure(_) => {
            let mut payload = Vec::new();
            plain(&mut payload);
            let sealed = sealer.seal(Kind::SealedInput.byte(), &payload)?;
            frame(buffer, Kind::SealedInput, |buffer| buffer.extend_from_slice(&sealed));
        }
        Input::Received { .. }
        | Input::Unsent { .. }
        | Input::Disconnected { .. }
        | Input::Resolved { .. }
        | Input::Backlog { .. }
        | Input::Media(_)
        | Input::WallClock { .. }
        | Input::Interfaces(_)
        | Input::Restored(_)
        | Input::NotConfigured { .. }
        | Input::Command { .. }
        | Input::Profiles(_)
        | Input::Interrupted(_)
        | Input::Store(_)
        | Input::Shutdown => frame(buffer, Kind::Input, plain),
    }
    Ok(())
}

/// Appends the mark of a call of `handle_timeout`.
pub fn write_timeout(buffer: &mut Vec<u8>, now: Time) {
    frame(buffer, Kind::Timeout, |buffer| buffer.extend_from_slice(&now.0.to_le_bytes()));
}

/// Appends an output; one with keys in it is sealed.
///
/// # Errors
/// [`SealerSpent`] when the key must not be used any more.
pub fn write_output(buffer: &mut Vec<u8>, sealer: &mut Sealer, output: &Output) -> Result<(), SealerSpent> {
    if let Output::Store(StoreOp::PutUser(_)) = output {
        let sealed = sealer.seal(Kind::SealedOutput.byte(), &encode_output(output))?;
        frame(buffer, Kind::SealedOutput, |buffer| buffer.extend_from_slice(&sealed));
    } else {
        frame(buffer, Kind::Output, |buffer| encode(buffer, output));
    }
    Ok(())
}

/// The bytes by which outputs are compared.
pub(super) fn encode_output(output: &Output) -> Vec<u8> {
    let mut payload = Vec::new();
    encode(&mut payload, output);
    payload
}

/// Reads the time before the payload of an input or a timeout.
pub(super) fn split_time(payload: &[u8]) -> Option<(Time, &[u8])> {
    let (time, rest) = payload.split_first_chunk::<8>()?;
    Some((Time(u64::from_le_bytes(*time)), rest))
}

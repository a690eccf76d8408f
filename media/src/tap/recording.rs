//! What is recorded, in what form, and what becomes of it: plain values.

use serde::{Deserialize, Serialize};

use crate::dsp::SampleRate;
use crate::mix::MemberId;

/// Names a recording. The owner of the calls chooses it; it is unique for the life of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct RecordingId(pub u64);

/// What of a room is recorded. What nobody but a coached member hears (a whisper) is left out, unless the command says
/// otherwise; and what nobody hears at all, such as a muted member, is never recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Tapped {
    /// The mix that everybody hears who is not in it, mono.
    Mix,
    /// Two channels: on the left what one party says, on the right what everybody else does. Together they are the mix. A
    /// whisper is put into the channel of whoever it is for.
    Parties {
        /// The party on the left.
        left: MemberId,
    },
    /// What one member says, mono.
    Member(MemberId),
}

impl Tapped {
    /// Channels of its samples, 1 or 2.
    #[must_use]
    pub const fn channels(self) -> usize {
        match self {
            Tapped::Mix | Tapped::Member(_) => 1,
            Tapped::Parties { .. } => 2,
        }
    }
}

/// The form of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingFormat {
    /// Its kind.
    pub container: Container,
    /// Samples per second; what the room has is converted. Opus has no 32 and 44.1 kHz.
    pub rate: SampleRate,
}

/// Kinds of files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Container {
    /// RIFF WAVE with linear samples of 16 bits.
    Wav,
    /// Opus in Ogg (RFC 7845).
    OggOpus,
}

impl Container {
    /// The end of the names of such files, without a dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Container::Wav => "wav",
            Container::OggOpus => "opus",
        }
    }
}

/// What a recording has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingFigures {
    /// Files that were begun.
    pub files: u32,
    /// Their octets.
    pub octets: u64,
    /// Milliseconds in them, silence for lost ones included.
    pub recorded_ms: u64,
    /// Milliseconds whose sound is lost because the writer did not keep up, or the machine slept: silence in the files, or
    /// not in them at all beyond a minute at a time.
    pub lost_ms: u64,
}

/// Why there is no recording, or no more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecordingFault {
    /// There is no such room.
    NoRoom,
    /// A recording with this id is running.
    AlreadyRunning,
    /// There are too many recordings.
    TooMany,
    /// A file of this name is there; it was left as it is.
    FileExists,
    /// The disk, or what this user may have of it, is full.
    DiskFull,
    /// Files of this form cannot have this rate.
    Format,
    /// The system refused for another reason.
    Os {
        /// Its error number; zero when it gave none.
        errno: i32,
    },
}

//! What a shard tells the owner of the calls.

use std::net::SocketAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::rooms::RoomId;
use crate::dtmf::{Digit, Heard};
use crate::leg::{DigitWay, LegFigures, LegId};
use crate::mix::{MemberId, Talk};
use crate::source::SoundFault;
use crate::tap::{RecordingFault, RecordingFigures, RecordingId};

/// Opened legs, each with its RTP port; its RTCP port is the next one up (RFC 3550 §11).
pub type LegPorts = SmallVec<[(LegId, u16); 2]>;

/// News from a shard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Report {
    /// All legs of one [`Command::Open`](crate::Command::Open) have their ports.
    Opened {
        /// The legs in the order of the command, with their RTP ports.
        legs: LegPorts,
    },
    /// None of the legs of one [`Command::Open`](crate::Command::Open) has been opened.
    Refused {
        /// The legs in the order of the command.
        legs: SmallVec<[LegId; 2]>,
        /// Why.
        reason: RefusalReason,
    },
    /// The first packet was accepted from a source that media now follows.
    Latched {
        /// The leg.
        leg: LegId,
        /// The peer's transport address as seen here.
        source: SocketAddr,
    },
    /// A relayed leg whose peer may send has sent no RTP for the configured time. Once per silence.
    Silent {
        /// The leg.
        leg: LegId,
    },
    /// A leg that was reported silent sends again.
    Heard {
        /// The leg.
        leg: LegId,
    },
    /// The peer of a leg sends packets of a payload type for which nothing is agreed: a relay drops them, and a room does
    /// not hear them. Once for each type until the leg is relayed or joins a room anew.
    Unexpected {
        /// The leg.
        leg: LegId,
        /// The payload type.
        payload_type: u8,
    },
    /// A leg could not be put into a room, and is in none.
    NotJoined {
        /// The room.
        room: RoomId,
        /// The leg.
        leg: LegId,
    },
    /// A member of a room began or ceased to talk. Lost when the outbox is full.
    Talk {
        /// The room.
        room: RoomId,
        /// The member.
        member: MemberId,
        /// Which of the two.
        talk: Talk,
    },
    /// Somebody else is the one who speaks in a room now. Lost when the outbox is full.
    Speaker {
        /// The room.
        room: RoomId,
        /// The member; `None` when everybody is silent.
        member: Option<MemberId>,
    },
    /// The peer of a leg presses a key, or releases it. Told where it was asked for; lost when the outbox is full.
    Digit {
        /// The leg.
        leg: LegId,
        /// The key, and how long it was pressed once that is known.
        heard: Heard,
        /// How it was heard.
        way: DigitWay,
    },
    /// Keys of a [`Command::Dial`](crate::Command::Dial) cannot be sent in the media of a leg, or too many wait.
    NotDialled {
        /// The leg.
        leg: LegId,
        /// The keys.
        digits: SmallVec<[Digit; 2]>,
    },
    /// A source of a room has played all it had.
    Played {
        /// The room.
        room: RoomId,
        /// The member.
        member: MemberId,
    },
    /// A file of a source cannot be played and is left out.
    NotPlayed {
        /// The room.
        room: RoomId,
        /// The member.
        member: MemberId,
        /// The file.
        file: Arc<str>,
        /// Why.
        fault: SoundFault,
    },
    /// A recording has begun a file: its first one, or the next one because the last had its largest size.
    RecordingBegan {
        /// The recording.
        recording: RecordingId,
        /// The file.
        file: Arc<str>,
    },
    /// The writer did not keep up: part of a recording is silence.
    RecordingLost {
        /// The recording.
        recording: RecordingId,
        /// Milliseconds since the last such report.
        lost_ms: u64,
    },
    /// A recording has not begun, or has ended before its time. What was written of it can be played.
    RecordingFailed {
        /// The recording.
        recording: RecordingId,
        /// Why.
        fault: RecordingFault,
        /// What it has come to.
        figures: RecordingFigures,
    },
    /// A recording is complete.
    RecordingEnded {
        /// The recording.
        recording: RecordingId,
        /// What it has come to.
        figures: RecordingFigures,
    },
    /// The leg is closed; its ports are free.
    Closed {
        /// The leg.
        leg: LegId,
        /// What it counted.
        figures: Box<LegFigures>,
    },
}

/// Why legs were not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefusalReason {
    /// Every pair of the range is in use, or the search met too many ports that other programs hold.
    NoFreePort,
    /// This machine does not have the address.
    AddressNotLocal,
    /// A leg with this id is open, or the command names it twice: the caller's mistake.
    AlreadyOpen,
    /// No media thread has time for more.
    Overloaded,
    /// The operating system refused for another reason, such as too many open files.
    Os {
        /// Its error number; zero when it gave none.
        errno: i32,
    },
}

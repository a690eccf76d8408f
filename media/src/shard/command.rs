//! What the owner of the calls tells a shard.

use std::net::IpAddr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::rooms::RoomId;
use crate::dsp::Conditioning;
use crate::dtmf::Digit;
use crate::leg::{AudioFormat, LegId, PayloadMap, StreamParams};
use crate::mix::{Gain, MemberId, Role};
use crate::source::Source;
use crate::tap::{RecordingFormat, RecordingId, Tapped};

/// Legs to open, each with the local address to bind.
pub type LegAddresses = SmallVec<[(LegId, IpAddr); 2]>;

/// An order to a shard. Orders are obeyed in the order they are given.
///
/// One that names a leg which is not open changes nothing and is counted
/// ([`Shard::ignored_commands`](crate::Shard::ignored_commands)).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Command {
    /// Reserve a port pair for each leg, on its address: all or none. Answered by
    /// [`Report::Opened`](crate::Report::Opened) or [`Report::Refused`](crate::Report::Refused).
    Open {
        /// The legs, with the local address of each.
        legs: LegAddresses,
    },
    /// The negotiated parameters of one leg; may be repeated. Latching starts anew when the SDP address, the signalling
    /// address or the policy changes, and stays as it is otherwise (hold and resume).
    Configure {
        /// The leg.
        leg: LegId,
        /// Its parameters, whole.
        params: StreamParams,
    },
    /// Relay between the two, in both directions. A leg that had another partner leaves it.
    Relay {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
        /// Payload types from `a` to `b`.
        forward: PayloadMap,
        /// Payload types from `b` to `a`.
        backward: PayloadMap,
    },
    /// Pass whatever comes between the two as it is, in both directions: UDPTL (T.38), or anything else that is not RTP. Its
    /// source is judged as that of RTP is, but that a new mapping of a NAT is not followed: nothing shows that it is one. RTCP ends on both, without a
    /// farewell, and begins anew with the next parameters.
    Pass {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Stop relaying between the two; the legs stay open. Nothing happens when they are not partners.
    Part {
        /// One leg.
        a: LegId,
        /// The other.
        b: LegId,
    },
    /// Sends what the peer of a leg says back to it. A leg that had a partner or a room leaves it.
    Echo {
        /// The leg.
        leg: LegId,
        /// Payload types from the peer back to it.
        map: PayloadMap,
    },
    /// Open a room without members. One that is open stays as it is, and the command is counted as ignored.
    OpenRoom {
        /// The room.
        room: RoomId,
    },
    /// Put a leg into a room, as the member of its own number, which must be free there. It leaves its partner, or the room in
    /// which it was.
    Join {
        /// The room.
        room: RoomId,
        /// The leg.
        leg: LegId,
        /// How its peer speaks and is spoken to.
        format: AudioFormat,
        /// What it hears and who hears it.
        role: Role,
    },
    /// Let a source play into a room, as a member. When it has come to its end ([`Report::Played`](crate::Report::Played)) it
    /// stays, silent, until it leaves.
    Play {
        /// The room.
        room: RoomId,
        /// The number of the member, which must be free there.
        member: MemberId,
        /// What plays.
        source: Source,
        /// Who hears it.
        role: Role,
    },
    /// Add files to those that a source of files plays.
    Enqueue {
        /// The room.
        room: RoomId,
        /// The member.
        member: MemberId,
        /// The files, to be played after those that wait.
        files: Vec<Arc<str>>,
    },
    /// Give members of a room new roles, all at once. When one of them is not there, nothing changes.
    Assign {
        /// The room.
        room: RoomId,
        /// The members and their roles.
        roles: Vec<(MemberId, Role)>,
    },
    /// Amplify what a member of a room says.
    Amplify {
        /// The room.
        room: RoomId,
        /// The member.
        member: MemberId,
        /// By how much.
        gain: Gain,
    },
    /// What is done to the sound of a leg's peer wherever it is mixed, from now on.
    Condition {
        /// The leg.
        leg: LegId,
        /// What is done.
        conditioning: Conditioning,
    },
    /// Let a member leave a room; a leg stays open.
    Leave {
        /// The room.
        room: RoomId,
        /// The member.
        member: MemberId,
    },
    /// Record a room into a new file, from now until it is stopped or the room is closed. Answered by
    /// [`Report::RecordingBegan`](crate::Report::RecordingBegan) or
    /// [`Report::RecordingFailed`](crate::Report::RecordingFailed). Several recordings of a room are independent.
    Record {
        /// The recording.
        recording: RecordingId,
        /// The room.
        room: RoomId,
        /// What of it.
        what: Tapped,
        /// Whether whispers are recorded.
        whispers: bool,
        /// The file, which is never overwritten; its folder is made. Nothing in it comes from callers.
        file: Arc<str>,
        /// Its form.
        format: RecordingFormat,
    },
    /// Let the time of a recording stand still, or go on. What is said meanwhile is not in it.
    PauseRecording {
        /// The room.
        room: RoomId,
        /// The recording.
        recording: RecordingId,
        /// Whether it stands still.
        paused: bool,
    },
    /// End a recording. Answered by [`Report::RecordingEnded`](crate::Report::RecordingEnded).
    StopRecording {
        /// The room.
        room: RoomId,
        /// The recording.
        recording: RecordingId,
    },
    /// Close a room; its members leave it, and its recordings end.
    CloseRoom {
        /// The room.
        room: RoomId,
    },
    /// Press keys for the peer of a leg, one after the other: as its outlet says ([`DigitParams`](crate::DigitParams)). What
    /// cannot be sent in its media is answered by [`Report::NotDialled`](crate::Report::NotDialled).
    Dial {
        /// The leg.
        leg: LegId,
        /// The keys.
        digits: SmallVec<[Digit; 2]>,
    },
    /// Close the leg and give its ports back. Answered by [`Report::Closed`](crate::Report::Closed).
    Close {
        /// The leg.
        leg: LegId,
    },
}

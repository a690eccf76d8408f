//! The two media legs of a call, joined: relayed, or in a room of two where each is spoken to in a codec of its own. A call
//! passes from the one to the other without a gap: each leg keeps its stream.
//!
//! A party may send any codec that it has named and was answered with, not only the one it likes best (RFC 3264 §6.1). The
//! shard tells of one that does not reach the other side ([`media::Report::Unexpected`]); then the call is moved into a
//! room in which that codec is decoded.
//!
//! A call that is recorded (`recording`), or that somebody has joined (`join`), is in a room though it could be relayed.

use super::agreement::{Agreement, Path};
use super::call::{Call, Phase, Side};
use super::formats::{Formats, decoded};
use crate::core::Unrecorded;
use crate::core::environment::Environment;
use media::{AudioFormat, Command, DigitOutlet, RoomId};
use serde::{Deserialize, Serialize};

/// How the two legs are joined.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bridge {
    /// What the descriptions of the two come to; `None` while there is no sound between them. A relay may be a room all the
    /// same, because it is recorded.
    path: Option<Box<Path>>,
    /// The formats of both when they are in a room.
    mixed: Option<[AudioFormat; 2]>,
    /// The payload types that the caller and the callee of a recorded relay were heard to send, where that was not the first
    /// they have agreed to.
    spoken: [Option<u8>; 2],
    /// How often a codec that was not expected has changed it.
    followed: u8,
    /// The room was opened since that was asked last.
    opened: bool,
}

/// So often a call follows a party to another codec without being asked; beyond, somebody plays with us.
const FOLLOWED: u8 = 8;
/// Above the numbers of conferences (`serve`).
const FIRST_ROOM: u64 = 1 << 63;

impl Call {
    /// What we take the party on a side to speak.
    pub(super) fn agreed(&self, side: Side) -> Option<&Formats> {
        match (side, &self.phase) {
            (Side::Caller, _) => self.caller_leg.session.agreed.as_ref(),
            (Side::Callee, Phase::Talking { callee }) => callee.session.agreed.as_ref(),
            (
                Side::Callee,
                Phase::Locating
                | Phase::Reserving
                | Phase::Ringing(_)
                | Phase::Refusing { .. }
                | Phase::Served
                | Phase::Ended,
            ) => None,
        }
    }

    /// The room of this call alone.
    fn room(&self) -> RoomId {
        RoomId(FIRST_ROOM + self.number)
    }

    /// Tells the shard what it has to know of a leg.
    pub(super) fn configure(&mut self, env: &mut Environment, side: Side) {
        let leg = self.media(side).id;
        let wanted = self.leg_mut(side.other()).is_some_and(|other| other.session.wants_keys());
        // A conference is commanded by keys, which are nobody else's there.
        let confers = self.destination.service.as_ref().is_some_and(|served| served.attendance.is_some());
        if let Some(party) = self.leg_mut(side) {
            let mut params = party.session.params(&party.flow, &party.latching, wanted || confers);
            if confers {
                params.digits.outlet = DigitOutlet::Nowhere;
            }
            env.media(Command::Configure { leg, params });
        }
    }

    /// Joins the two legs as they have agreed.
    pub(super) fn join(&mut self, env: &mut Environment, path: Path) {
        self.bridge.path = Some(Box::new(path));
        self.connect(env);
    }

    /// Joins the two legs, or joins them anew because the call is to be recorded or no more.
    pub(super) fn connect(&mut self, env: &mut Environment) {
        let Some(path) = self.bridge.path.as_deref().cloned() else { return };
        let is_up = matches!(self.phase, Phase::Talking { .. });
        let is_recorded = self.recorded.is_wanted() && is_up;
        let is_mixed = is_up && self.must_be_mixed(env);
        match (path, is_mixed.then(|| self.decoded()).flatten()) {
            (Path::Room(formats), _) | (Path::Relay { .. }, Some(formats)) => self.mix(env, formats),
            (Path::Relay { forward, backward }, None) => {
                if is_recorded {
                    self.tell_unrecorded(env, Unrecorded::NotDecoded);
                }
                let [a, b] = [Side::Caller, Side::Callee].map(|side| self.media(side).id);
                env.media(Command::Relay { a, b, forward, backward });
                self.close_room(env);
            }
        }
    }

    /// Whether somebody else than the two has to be heard, or hears them.
    fn must_be_mixed(&self, env: &Environment) -> bool {
        let is_heard = self.speech.is_wanted() || self.wants_music(env);
        is_heard || self.recorded.is_wanted() || !self.guests.is_empty() || self.is_apart()
    }

    /// A relay is a room as long as it has to be.
    pub(super) fn attend_mixing(&mut self, env: &mut Environment) {
        let is_relay = matches!(self.bridge.path.as_deref(), Some(Path::Relay { .. }));
        if !is_relay || !matches!(self.phase, Phase::Talking { .. }) || self.ending.is_some() {
            return;
        }
        let must_be = self.must_be_mixed(env);
        if must_be != self.bridge.mixed.is_some() && (!must_be || self.decoded().is_some()) {
            self.connect(env);
        }
    }

    /// Both sides meet in the room of the call.
    fn mix(&mut self, env: &mut Environment, formats: [AudioFormat; 2]) {
        let legs = [Side::Caller, Side::Callee].map(|side| self.media(side).id);
        let room = self.room();
        if self.bridge.mixed.is_none() {
            env.media(Command::OpenRoom { room });
            self.bridge.opened = true;
        }
        let before = self.bridge.mixed.map_or([None; 2], |formats| formats.map(Some));
        let roles = [Side::Caller, Side::Callee].map(|side| self.role(side));
        for (((leg, format), before), role) in legs.into_iter().zip(formats).zip(before).zip(roles) {
            // Who is spoken to as before keeps its seat.
            if before != Some(format) {
                env.media(Command::Join { room, leg, format, role });
            }
        }
        self.bridge.mixed = Some(formats);
    }

    /// The caller alone, to whom something is said there.
    pub(super) fn mix_alone(&mut self, env: &mut Environment, format: AudioFormat) {
        let (room, leg) = (self.room(), self.media(Side::Caller).id);
        env.media(Command::OpenRoom { room });
        env.media(Command::Join { room, leg, format, role: self.role(Side::Caller) });
        self.bridge.mixed = Some([format; 2]);
    }

    /// Whether the room was opened since this was asked last.
    pub(super) const fn has_new_room(&mut self) -> bool {
        core::mem::replace(&mut self.bridge.opened, false)
    }

    /// The room that the two are in.
    pub(super) fn mixed_in(&self) -> Option<RoomId> {
        self.bridge.mixed.map(|_| self.room())
    }

    /// Whether there is sound between the two.
    pub(super) const fn is_joined(&self) -> bool {
        self.bridge.path.is_some()
    }

    /// Whether the sound of the two is decoded, or could be.
    pub(super) fn can_be_mixed(&self) -> bool {
        self.bridge.path.is_some() && (self.bridge.mixed.is_some() || self.decoded().is_some())
    }

    /// How the two of a relay are heard and spoken to in a room: in what each sends.
    fn decoded(&self) -> Option<[AudioFormat; 2]> {
        let formats = |side| {
            let agreed = self.agreed(side)?;
            let known = |number: u8| agreed.codecs.iter().find(|codec| codec.payload_type == number);
            let [caller, callee] = self.bridge.spoken;
            let spoken = if side == Side::Caller { caller } else { callee };
            let codec = spoken.and_then(known).or_else(|| agreed.first())?;
            decoded(codec).map(|_| agreed.narrowed_to(codec))
        };
        let wishes = [Side::Caller, Side::Callee].map(|side| self.wish(side));
        Agreement::decoded(&formats(Side::Caller)?, &formats(Side::Callee)?, wishes)
    }

    /// The two hear each other no more, as their sound is put off.
    pub(super) fn part(&mut self, env: &mut Environment) {
        let [a, b] = [Side::Caller, Side::Callee].map(|side| self.media(side).id);
        env.media(Command::Part { a, b });
        self.bridge.path = None;
        self.close_room(env);
    }

    /// A party of the call has another one in its place: the two are joined anew.
    pub(super) fn leave_bridge(&mut self, env: &mut Environment) {
        self.close_room(env);
        self.bridge = Bridge::default();
    }

    /// Nobody is in the room of this call any more.
    pub(super) fn close_room(&mut self, env: &mut Environment) {
        if self.bridge.mixed.take().is_some() {
            env.media(Command::CloseRoom { room: self.room() });
            self.music = None;
            self.recorded.handle_room_closed();
            self.speech.handle_room_closed();
        }
    }

    /// A party sends a codec that does not reach the other one.
    pub(super) fn handle_unexpected(&mut self, env: &mut Environment, side: Side, payload_type: u8) {
        if !matches!(self.phase, Phase::Talking { .. }) || self.bridge.followed >= FOLLOWED {
            return;
        }
        if self.follow_recorded(env, side, payload_type) || !transcodes(env) {
            return;
        }
        let Some(spoken) = self.leg_mut(side).and_then(|leg| {
            let known = Formats::from(leg.session.remote.as_ref()?);
            let codec = known.codecs.iter().find(|codec| codec.payload_type == payload_type)?;
            decoded(codec).map(|_| known.narrowed_to(codec))
        }) else {
            return;
        };
        let Some(other) = self.agreed(side.other()).cloned() else { return };
        let [caller, callee] = match side {
            Side::Caller => [&spoken, &other],
            Side::Callee => [&other, &spoken],
        };
        let wishes = [Side::Caller, Side::Callee].map(|side| self.wish(side));
        let Some(agreement) = Agreement::renewed(side, caller, callee, wishes, true) else { return };
        self.bridge.followed += 1;
        if let Some(leg) = self.leg_mut(side) {
            leg.session.agreed = Some(spoken);
        }
        self.configure(env, side);
        self.join(env, agreement.path);
    }
}

impl Call {
    /// A party of a recorded call sends another codec than it was taken to, which the relay would have passed on: it is heard
    /// in that one, or not recorded any more. Whether it was that.
    fn follow_recorded(&mut self, env: &mut Environment, side: Side, payload_type: u8) -> bool {
        let would_pass = match self.bridge.path.as_deref() {
            Some(path @ Path::Relay { .. }) => path.carries(side, payload_type),
            Some(Path::Room(_)) | None => false,
        };
        if !would_pass || self.bridge.mixed.is_none() {
            return false;
        }
        self.bridge.followed += 1;
        let codecs = self.agreed(side).map(|agreed| agreed.codecs.as_slice()).unwrap_or_default();
        let is_decoded =
            codecs.iter().any(|codec| codec.payload_type == payload_type && decoded(codec).is_some());
        if is_decoded && self.bridge.followed < FOLLOWED {
            let [caller, callee] = &mut self.bridge.spoken;
            *(if side == Side::Caller { caller } else { callee }) = Some(payload_type);
            self.connect(env);
        } else {
            self.give_up_recording(env, Unrecorded::NotDecoded);
        }
        true
    }
}

/// Whether parties without a common codec are brought together.
pub(super) fn transcodes(env: &Environment) -> bool {
    env.config.media.transcode
}

//! The two media legs of a call, joined: relayed, or in a room of two where each is spoken to in a codec of its own. A call
//! passes from the one to the other without a gap: each leg keeps its stream.
//!
//! A party may send any codec that it has named and was answered with, not only the one it likes best (RFC 3264 §6.1). The
//! shard tells of one that does not reach the other side ([`media::Report::Unexpected`]); then the call is moved into a
//! room in which that codec is decoded.

use super::agreement::{Agreement, Path};
use super::call::{Call, Phase, Side};
use super::formats::{Formats, decoded};
use crate::core::environment::Environment;
use media::mix::Role;
use media::{AudioFormat, Command, RoomId};
use serde::{Deserialize, Serialize};

/// How the two legs are joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Bridge {
    /// The formats of both when they are in a room.
    mixed: Option<[AudioFormat; 2]>,
    /// How often a codec that was not expected has changed it.
    followed: u8,
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
                Phase::Locating | Phase::Reserving | Phase::Ringing(_) | Phase::Served | Phase::Ended,
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
        if let Some(party) = self.leg_mut(side) {
            let params = party.session.params(&party.flow, &party.latching);
            env.media(Command::Configure { leg, params });
        }
    }

    /// Joins the two legs.
    pub(super) fn join(&mut self, env: &mut Environment, path: Path) {
        let [a, b] = [Side::Caller, Side::Callee].map(|side| self.media(side).id);
        let room = self.room();
        match path {
            Path::Relay { forward, backward } => {
                env.media(Command::Relay { a, b, forward, backward });
                self.close_room(env);
            }
            Path::Room(formats) => {
                if self.bridge.mixed.is_none() {
                    env.media(Command::OpenRoom { room });
                }
                let before = self.bridge.mixed.map_or([None; 2], |formats| formats.map(Some));
                for ((leg, format), before) in [a, b].into_iter().zip(formats).zip(before) {
                    // Who is spoken to as before keeps its seat.
                    if before != Some(format) {
                        env.media(Command::Join { room, leg, format, role: Role::Participant });
                    }
                }
                self.bridge.mixed = Some(formats);
            }
        }
    }

    /// The two hear each other no more, as their sound is put off.
    pub(super) fn part(&mut self, env: &mut Environment) {
        let [a, b] = [Side::Caller, Side::Callee].map(|side| self.media(side).id);
        env.media(Command::Part { a, b });
        self.close_room(env);
    }

    /// Nobody is in the room of this call any more.
    pub(super) fn close_room(&mut self, env: &mut Environment) {
        if self.bridge.mixed.take().is_some() {
            env.media(Command::CloseRoom { room: self.room() });
        }
    }

    /// A party sends a codec that does not reach the other one.
    pub(super) fn handle_unexpected(&mut self, env: &mut Environment, side: Side, payload_type: u8) {
        if !matches!(self.phase, Phase::Talking { .. })
            || self.bridge.followed >= FOLLOWED
            || !transcodes(env)
        {
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

/// Whether parties without a common codec are brought together.
pub(super) fn transcodes(env: &Environment) -> bool {
    env.config.media.transcode
}

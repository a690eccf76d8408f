//! Music on hold: who is held by the other party (RFC 3264 §8.4) hears the music of the switch, and the other party hears nothing of it.
//!
//! Who waits in a call because its partner has transferred it and gone hears it, too; who was rung first by a command hears the tone that
//! the other phone rings. Hold is a change of one leg (`midcall`); the party that is held is told nothing, so its session stays as it is. A call that could be
//! relayed is in a room as long as music plays, and a relay again when it is resumed. The music is decoded once for all who hear it
//! (`media/src/io/sounds`), and plays for each from the beginning.
//!
//! No music plays where the sound of the two is not decoded, where both hold, where somebody has joined the call, and with
//! `hold_music = false`: then who is held hears what it is sent, mostly nothing. Left out on purpose: telling the other side by a
//! re-INVITE of its own, for phones that have music of their own or show that they are held.

use super::agreement::Agreement;
use super::call::{Call, Phase, Side};
use super::formats::Formats;
use super::serve::PLAYER;
use crate::core::environment::Environment;
use media::Command;
use media::mix::{Audience, MemberId, Role};
use media::source::Source;

impl Call {
    /// The party that the other one holds.
    pub(super) fn held(&self) -> Option<Side> {
        // Who is about to be parked waits from now on.
        if let Some(leaving) = self.parking {
            return Some(leaving.side.other());
        }
        // So does the partner of who dials a number.
        if let Some(side) = self.dials() {
            return Some(side.other());
        }
        // So does that of who asks somebody.
        if let Some(side) = self.held_by_command().or(self.waits_for_asking()) {
            return Some(side);
        }
        let is_plain = matches!(self.phase, Phase::Talking { .. }) && self.ending.is_none();
        if !is_plain || !self.guests.is_empty() {
            return None;
        }
        let receives = |side| self.wish(side).is_some_and(|wish| wish.direction.receives());
        match [Side::Caller, Side::Callee].map(receives) {
            [true, false] => Some(Side::Caller),
            [false, true] => Some(Side::Callee),
            [true, true] | [false, false] => None,
        }
    }

    /// Who waits in a call for somebody to answer hears music, too.
    pub(super) fn attend_waiting(&mut self, env: &mut Environment) {
        let waits = self.has_waiting_caller() && self.ending.is_none() && self.music.is_none();
        let source = if self.program.is_originated() {
            self.ring_back(env)
        } else {
            Source::Files { files: env.music(), loops: true }
        };
        let is_silent = matches!(source, Source::Files { .. }) && !env.config.call_features.hold_music;
        if !waits || self.mixed_in().is_some() || is_silent {
            return;
        }
        let session = &self.caller_leg.session;
        let spoken =
            session.agreed.as_ref().and_then(|agreed| agreed.first()).map(|codec| codec.payload_type);
        let Some(mut remote) = session.remote.clone() else { return };
        remote.codecs.retain(|codec| Some(codec.payload_type) == spoken);
        let Some((_, format)) = Agreement::with_us(&Formats::from(&remote), Some(&remote)) else { return };
        self.music = Some(Side::Caller);
        self.mix_alone(env, format);
        let Some(room) = self.mixed_in() else { return };
        let role = Role::Announce { to: Audience::Held };
        env.media(Command::Play { room, member: PLAYER, source, role });
    }

    /// Whether one of the two is kept from the other by us, with music or without.
    pub(super) fn is_apart(&self) -> bool {
        self.program.holds().is_some() || self.waits_for_asking().is_some()
    }

    /// What a party hears and who hears it, as far as hold has a say in it.
    pub(super) fn role(&self, side: Side) -> Role {
        let music = self.music == Some(side);
        // Who waits so is heard by nobody, with music or without.
        let is_apart = self.held_by_command() == Some(side) || self.waits_for_asking() == Some(side);
        if music || is_apart { Role::Held { source: music.then_some(PLAYER) } } else { Role::Participant }
    }

    /// Whether one of the two is to hear music.
    pub(super) fn wants_music(&self, env: &Environment) -> bool {
        env.config.call_features.hold_music && self.held().is_some()
    }

    /// Begins or ends the music, when a party was held or resumed since.
    pub(super) fn attend_hold(&mut self, env: &mut Environment) {
        let (room, held) = (self.mixed_in(), self.held().filter(|_| env.config.call_features.hold_music));
        let to = held.filter(|_| room.is_some());
        // Who waits for an answer has its music from elsewhere.
        if to == self.music || self.has_waiting_caller() {
            return;
        }
        let before = core::mem::replace(&mut self.music, to);
        let Some(room) = room else { return };
        if before.is_some() {
            env.media(Command::Leave { room, member: PLAYER });
        }
        if to.is_some() {
            let source = Source::Files { files: env.music(), loops: true };
            let role = Role::Announce { to: Audience::Held };
            env.media(Command::Play { room, member: PLAYER, source, role });
        }
        self.assign_roles(env);
    }

    /// Tells the shard what the two hear, where they are in a room.
    pub(super) fn assign_roles(&self, env: &mut Environment) {
        let Some(room) = self.mixed_in() else { return };
        let roles =
            [Side::Caller, Side::Callee].map(|side| (MemberId(self.media(side).id.0), self.role(side)));
        env.media(Command::Assign { room, roles: roles.into() });
    }
}

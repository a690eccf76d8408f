//! News of the media shards: which call each concerns, and what that makes of it.
//!
//! Legs are found by their numbers, which hold that of their call: the two of its sound, and those of the streams beside it
//! (`streams`). Rooms in which something is played for one call are found in `serve`, recordings in `recording`.

use super::call::{Call, CallId, Phase, Side};
use super::calls::Calls;
use super::streams::Streams;
use crate::core::environment::Environment;
use crate::core::{Cut, Event};
use media::{Command, LegId, LegPorts, Report};
use sip_stack::message::Status;
use sip_stack::table::Id;

/// What a media leg is to its call.
#[derive(Clone, Copy)]
enum Part {
    Sound(Side),
    /// A stream beside the sound.
    Stream,
}

impl Calls {
    /// News from a media shard.
    pub(crate) fn handle_report(&mut self, env: &mut Environment, report: Report) {
        match report {
            Report::Opened { legs } => self.handle_opened(env, legs),
            Report::Refused { legs, .. } => self.handle_refused(env, &legs),
            Report::Closed { leg, figures } => self.with_call(env, leg, |_, call, part| match part {
                Part::Sound(side) => call.media_mut(side).figures = Some(figures),
                Part::Stream => {
                    if let Some(streams) = &mut call.streams {
                        streams.closed(leg, figures);
                    }
                }
            }),
            Report::Latched { leg, .. } | Report::Heard { leg } => self.handle_silence(env, leg, false),
            Report::Silent { leg } => self.handle_silence(env, leg, true),
            Report::NotJoined { leg, .. } => self.handle_not_joined(env, leg),
            Report::Unexpected { leg, payload_type } => {
                self.with_sound(env, leg, |env, call, side| call.handle_unexpected(env, side, payload_type));
            }
            Report::Digit { leg, heard, .. } => {
                self.with_sound(env, leg, |env, call, side| call.handle_digit(env, side, heard));
            }
            Report::NotDialled { leg, digits } => {
                self.with_sound(env, leg, |env, call, side| call.send_info(env, side, &digits));
            }
            Report::Talk { room, member, talk } => self.handle_talk(env, room, member, talk),
            Report::Speaker { room, member } => self.handle_speaker(env, room, member),
            Report::Played { room, member } => self.handle_played(env, room, member),
            Report::NotPlayed { member, file, fault, .. } => {
                self.handle_not_played(env, member, file, fault);
            }
            Report::RecordingBegan { recording, file } => self.handle_recording_began(env, recording, file),
            Report::RecordingLost { recording, lost_ms } => {
                if let Some(call) = self.recordings.number_of(recording) {
                    let (call, recording) = (env.call_ref(call), env.recording_ref(recording.0));
                    env.event(Event::RecordingLost { call, recording, lost_ms });
                }
            }
            Report::RecordingFailed { recording, fault, figures } => {
                self.handle_recording_failed(env, recording, fault, figures);
            }
            Report::RecordingEnded { recording, figures } => {
                if let Some(call) = self.recordings.end(recording) {
                    let (call, recording) = (env.call_ref(call), env.recording_ref(recording.0));
                    env.event(Event::RecordingEnded { call, recording, figures });
                }
            }
        }
    }

    /// The call that a leg belongs to, if it may be there, and what it is to it.
    fn owner(&self, leg: LegId) -> Option<(CallId, Part)> {
        let (id, part) = match Streams::call_of(leg) {
            Some(number) => (self.with_streams.get(&number).copied()?, Part::Stream),
            None if let Some((id, side)) = self.adopted.get(&leg) => (*id, Part::Sound(*side)),
            None => {
                let side = if leg.0.is_multiple_of(2) { Side::Caller } else { Side::Callee };
                (Id::from_u64(leg.0 / 2), Part::Sound(side))
            }
        };
        let is_its = |call: &Call| match part {
            Part::Sound(side) => call.media(side).id == leg,
            Part::Stream => true,
        };
        self.table.get(id).filter(|call| is_its(call)).map(|_| (id, part))
    }

    /// The call whose caller has this leg for its sound.
    pub(super) fn caller_of(&self, leg: LegId) -> Option<CallId> {
        match self.owner(leg)? {
            (id, Part::Sound(Side::Caller)) => Some(id),
            (_, Part::Sound(Side::Callee) | Part::Stream) => None,
        }
    }

    /// Has the call of a leg take news.
    fn with_call(
        &mut self,
        env: &mut Environment,
        leg: LegId,
        take: impl FnOnce(&mut Environment, &mut Call, Part),
    ) {
        let Some((id, part)) = self.owner(leg) else { return };
        if let Some(call) = self.table.get_mut(id) {
            take(env, call, part);
        }
        self.settle(env, Some(id));
    }

    /// The same of the sound of a call; nobody wants to know it of other streams.
    fn with_sound(
        &mut self,
        env: &mut Environment,
        leg: LegId,
        take: impl FnOnce(&mut Environment, &mut Call, Side),
    ) {
        self.with_call(env, leg, |env, call, part| match part {
            Part::Sound(side) => take(env, call, side),
            Part::Stream => {}
        });
    }

    /// Ports are there; those of a call that is not there any more are given back.
    fn handle_opened(&mut self, env: &mut Environment, legs: LegPorts) {
        let Some((id, part)) = legs.first().and_then(|(leg, _)| self.owner(*leg)) else {
            for (leg, _) in legs {
                env.media(Command::Close { leg });
            }
            return;
        };
        if let Some(call) = self.table.get_mut(id) {
            let first = legs.first().map(|(leg, _)| *leg);
            for (leg, port) in legs {
                call.handle_port(env, leg, port);
            }
            match part {
                Part::Sound(_) => call.handle_opened(env),
                Part::Stream => call.handle_streams_opened(env, first),
            }
        }
        self.settle(env, Some(id));
    }

    fn handle_refused(&mut self, env: &mut Environment, legs: &[LegId]) {
        let Some(leg) = legs.first() else { return };
        self.with_call(env, *leg, |env, call, part| match part {
            Part::Sound(_) => call.handle_refused_media(env),
            Part::Stream => call.refuse_passed(env, Status::SERVER_INTERNAL_ERROR),
        });
    }

    /// The party hears nothing, and nobody hears it.
    fn handle_not_joined(&mut self, env: &mut Environment, leg: LegId) {
        match self.owner(leg) {
            Some((id, Part::Sound(_))) => self.end(env, id, Status::SERVER_INTERNAL_ERROR),
            Some((_, Part::Stream)) | None => {}
        }
    }

    fn handle_silence(&mut self, env: &mut Environment, leg: LegId, silent: bool) {
        let Some((id, _)) = self.owner(leg) else { return };
        if self.table.get_mut(id).is_some_and(|call| call.handle_silence(leg, silent)) {
            return self.cut(env, id, Cut::Silent);
        }
        self.settle(env, Some(id));
    }
}

impl Call {
    /// A leg has a port.
    fn handle_port(&mut self, env: &mut Environment, leg: LegId, port: u16) {
        let sound = self.media.iter_mut().find(|sound| sound.id == leg);
        match (sound, &mut self.streams) {
            (Some(sound), _) => sound.port = port,
            (None, Some(streams)) => streams.opened(env, leg, port),
            (None, None) => env.media(Command::Close { leg }),
        }
    }

    /// The media ports are there.
    fn handle_opened(&mut self, env: &mut Environment) {
        match (&self.phase, self.ending) {
            // The calls see to it (`takeover`, `join`).
            (Phase::Reserving, None)
                if self.destination.replaces.is_some() || self.destination.joins.is_some() => {}
            (Phase::Reserving, None) if self.destination.service.is_some() => self.serve(env),
            (Phase::Reserving, None) if self.destination.refusal.is_some() => self.tell_refusal(env),
            (Phase::Reserving, None) => self.ring(env),
            // Given up meanwhile; the ports of its streams are closed as they come.
            (Phase::Reserving, Some(_)) => {
                self.phase = Phase::Ended;
                for leg in self.media.iter().filter(|leg| leg.port != 0) {
                    env.media(Command::Close { leg: leg.id });
                }
            }
            (
                Phase::Locating
                | Phase::Ringing(_)
                | Phase::Refusing { .. }
                | Phase::Talking { .. }
                | Phase::Served
                | Phase::Ended,
                _,
            ) => {}
        }
    }

    /// The ports of streams that a re-INVITE asks for are there, if it has not been given up meanwhile.
    fn handle_streams_opened(&mut self, env: &mut Environment, first: Option<LegId>) {
        let wanted = first.zip(self.streams.as_ref()).is_some_and(|(leg, streams)| streams.is_open(leg));
        if wanted && self.ending.is_none() {
            self.ask_other(env);
        }
    }
}

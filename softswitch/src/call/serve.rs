//! Calls that the switch answers itself: conferences, echo and test tone.
//!
//! Left out on purpose: who may enter a conference, its announcements and its moderator.

use super::agreement::{Agreement, Path};
use super::call::{Call, Phase, Side};
use super::formats::{Formats, PTIME_MS};
use crate::config::Service;
use crate::core::environment::Environment;
use crate::store::EndedBy;
use bytes::Bytes;
use media::mix::{Audience, MemberId, Role};
use media::source::Source;
use media::{AudioFormat, Command, PayloadMap, RoomId};
use serde::{Deserialize, Serialize};
use sip_stack::message::{Message, Status};
use sip_stack::sdp::AudioOffer;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The member that plays into a room; legs have the numbers of calls, which do not come so far.
const PLAYER: MemberId = MemberId(u64::MAX);

/// What a caller is given.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct Served {
    service: Service,
    /// Where it is mixed; an echo is not.
    room: Option<RoomId>,
    /// How it has joined.
    format: Option<AudioFormat>,
}

impl Served {
    /// Before the caller has entered anywhere.
    pub(super) const fn new(service: Service) -> Served {
        Served { service, room: None, format: None }
    }
}

/// The rooms that calls are in.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Rooms {
    /// So far.
    opened: u64,
    /// Conferences by domain and the number that was dialled. By the name of the domain, which outlives its number in the
    /// configuration.
    numbers: BTreeMap<(Arc<str>, Bytes), RoomId>,
    open: BTreeMap<RoomId, OpenRoom>,
}

#[derive(Debug, Serialize, Deserialize)]
struct OpenRoom {
    /// Calls that have entered and not left.
    calls: u64,
    number: Option<(Arc<str>, Bytes)>,
}

impl Rooms {
    /// Rooms that are open.
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    /// A call to `number` of a domain enters; a conference is opened by whoever comes first.
    pub(super) fn enter(
        &mut self,
        env: &mut Environment,
        domain: Arc<str>,
        number: Bytes,
        served: Served,
    ) -> Served {
        let room = match served.service {
            Service::Echo => None,
            Service::Milliwatt => {
                let room = self.open(env, None);
                let (source, role) = (Source::Milliwatt, Role::Announce { to: Audience::All });
                env.media(Command::Play { room, member: PLAYER, source, role });
                Some(room)
            }
            Service::Conference => {
                let number = (domain, number);
                let known = self.numbers.get(&number).copied();
                Some(known.unwrap_or_else(|| self.open(env, Some(number))))
            }
        };
        if let Some(open) = room.and_then(|room| self.open.get_mut(&room)) {
            open.calls += 1;
        }
        Served { room, ..served }
    }

    fn open(&mut self, env: &mut Environment, number: Option<(Arc<str>, Bytes)>) -> RoomId {
        self.opened += 1;
        let room = RoomId(self.opened);
        if let Some(number) = number.clone() {
            self.numbers.insert(number, room);
        }
        self.open.insert(room, OpenRoom { calls: 0, number });
        env.media(Command::OpenRoom { room });
        room
    }

    /// A call is over; the last one closes its room.
    pub(super) fn leave(&mut self, env: &mut Environment, served: Option<Served>) {
        let Some(room) = served.and_then(|served| served.room) else { return };
        let Some(open) = self.open.get_mut(&room) else { return };
        open.calls -= 1;
        if open.calls == 0 {
            if let Some(number) = self.open.remove(&room).and_then(|open| open.number) {
                self.numbers.remove(&number);
            }
            env.media(Command::CloseRoom { room });
        }
    }
}

impl Call {
    /// The port is there: the caller is answered.
    pub(super) fn serve(&mut self, env: &mut Environment) {
        self.caller_leg.session.port = self.media(Side::Caller).port;
        self.phase = Phase::Served;
        let message = self.invitation.request.message.clone();
        let offer = self.caller_leg.session.remote.take();
        match self.serve_anew(env, &message, offer) {
            Some(body) => self.send_answer(env, &body),
            None => self.refuse_caller(env, Status::NOT_ACCEPTABLE_HERE, EndedBy::Switch),
        }
    }

    /// Our description for the 2xx of an INVITE: the answer to its offer, or our offer when it makes none. `None` when
    /// there is no codec that we both know, and then everything stays as it was.
    pub(super) fn serve_anew(
        &mut self,
        env: &mut Environment,
        message: &Message,
        offer: Option<AudioOffer>,
    ) -> Option<Bytes> {
        let Some(offer) = offer else {
            self.caller_leg.awaiting_answer = true;
            let session = &self.caller_leg.session;
            // Whatever we decode can be served, and what is spoken already.
            let ours = Formats::telephone().offered_onward(true, &Formats::default());
            let offered = session.agreed.clone().unwrap_or(ours);
            return Some(self.caller_leg.session.offer(&offered, Some(PTIME_MS)));
        };
        let ptime_ms = offer.ptime_ms;
        let told = self.serve_with(env, offer)?;
        Some(self.caller_leg.session.answer(message, &told, ptime_ms))
    }

    /// The answer to an offer of ours. Whether there is a codec in it.
    pub(super) fn serve_offered(&mut self, env: &mut Environment, answer: AudioOffer) -> bool {
        self.serve_with(env, answer).is_some()
    }

    /// Takes a description of the caller and has it served; what it is told of codecs.
    fn serve_with(&mut self, env: &mut Environment, remote: AudioOffer) -> Option<Formats> {
        let Served { service, room, format: joined } = self.destination.service?;
        let known = Formats::from(&remote);
        let (told, way) = match room {
            None => {
                let echoed = Agreement::between(&known, &known, [None, None], false)?;
                (echoed.caller, Err(echoed.path))
            }
            Some(room) => {
                let (told, format) = Agreement::with_us(&known, Some(&remote))?;
                (told, Ok((room, format)))
            }
        };
        let leg = self.media(Side::Caller).id;
        self.media_mut(Side::Caller).silent = false;
        let session = &mut self.caller_leg.session;
        (session.remote, session.agreed) = (Some(remote), Some(told.clone()));
        self.configure(env, Side::Caller);
        match way {
            // It keeps its seat.
            Ok((_, format)) if joined == Some(format) => {}
            Ok((room, format)) => {
                env.media(Command::Join { room, leg, format, role: Role::Participant });
                self.destination.service = Some(Served { service, room: Some(room), format: Some(format) });
            }
            Err(path) => env.media(Command::Echo { leg, map: forward(path) }),
        }
        Some(told)
    }
}

/// What is sent back to whom it came from.
fn forward(path: Path) -> PayloadMap {
    match path {
        Path::Relay { forward, .. } => forward,
        Path::Room(_) => PayloadMap::default(),
    }
}

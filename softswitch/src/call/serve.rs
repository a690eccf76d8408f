//! Calls that the switch answers itself: conferences, echo and test tone.
//!
//! Left out on purpose: who may enter a conference, its announcements and its moderator.

use super::agreement::{Agreement, Proposal};
use super::call::{Call, Phase, Side};
use crate::config::Service;
use crate::core::environment::Environment;
use crate::store::EndedBy;
use bytes::Bytes;
use media::codec::Codec;
use media::mix::{Audience, MemberId, Role};
use media::source::Source;
use media::{AudioFormat, Command, RoomId};
use serde::{Deserialize, Serialize};
use sip_stack::message::{Message, Status};
use sip_stack::sdp::{AudioCodec, AudioOffer};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The member that plays into a room; legs have the numbers of calls, which do not come so far.
const PLAYER: MemberId = MemberId(u64::MAX);
/// The packets of whoever does not say how long it wants them.
const PTIME_MS: u16 = 20;

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
            let agreed = self.caller_leg.session.remote.as_ref().and_then(|remote| self.agreement(remote));
            let proposal = agreed.map_or_else(
                || Proposal::for_callee(None),
                |agreed| Proposal { codecs: agreed.codecs, events: agreed.events },
            );
            return Some(self.caller_leg.session.offer(&proposal, Some(PTIME_MS)));
        };
        let ptime_ms = offer.ptime_ms;
        let agreement = self.serve_with(env, offer)?;
        Some(self.caller_leg.session.answer(message, &agreement, ptime_ms))
    }

    /// The answer to an offer of ours. Whether there is a codec in it.
    pub(super) fn serve_offered(&mut self, env: &mut Environment, answer: AudioOffer) -> bool {
        self.serve_with(env, answer).is_some()
    }

    /// What the caller and we can say to each other.
    fn agreement(&self, remote: &AudioOffer) -> Option<Agreement> {
        match self.destination.service?.room {
            None => Agreement::between(remote, remote),
            Some(_) => Some(Agreement::with_us(remote, spoken(remote)?.0)),
        }
    }

    /// Takes a description of the caller and has it served.
    fn serve_with(&mut self, env: &mut Environment, remote: AudioOffer) -> Option<Agreement> {
        let Served { service, room, format: joined } = self.destination.service?;
        let agreement = self.agreement(&remote)?;
        let leg = self.media(Side::Caller).id;
        self.media_mut(Side::Caller).silent = false;
        let format = spoken(&remote).map(|(codec, decoded)| AudioFormat {
            codec: decoded,
            payload_type: codec.payload_type,
            ptime_ms: decoded.ptime_ms(remote.ptime_ms.unwrap_or(PTIME_MS).into()) as u8,
        });
        let party = &mut self.caller_leg;
        party.session.remote = Some(remote);
        let params = party.session.params(&party.flow, &party.latching, agreement.clock_rate);
        env.media(Command::Configure { leg, params });
        match (service, room, format) {
            // It keeps its seat.
            (Service::Conference | Service::Milliwatt, Some(_), _) if format == joined => {}
            (Service::Conference | Service::Milliwatt, Some(room), Some(format)) => {
                env.media(Command::Join { room, leg, format, role: Role::Participant });
                self.destination.service = Some(Served { service, room: Some(room), format: Some(format) });
            }
            (Service::Echo, _, _) => env.media(Command::Echo { leg, map: agreement.forward.clone() }),
            (Service::Conference | Service::Milliwatt, _, _) => {}
        }
        Some(agreement)
    }
}

/// The first codec of a party that is decoded here.
fn spoken(party: &AudioOffer) -> Option<(&AudioCodec, Codec)> {
    party.codecs.iter().find_map(|codec| {
        let name = core::str::from_utf8(codec.encoding.as_bytes()).ok()?;
        let decoded = Codec::from_rtpmap(name, codec.clock_rate, codec.channels)?;
        Some((codec, decoded))
    })
}

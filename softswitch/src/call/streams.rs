//! The streams of a call beside its sound: video and whatever else comes over RTP/AVP or RTP/AVPF, fax over UDPTL (ITU-T T.38), plain
//! UDP. Each has media legs of its own, and its lines are passed on (RFC 3264 §5, §6, §8); what one party refuses is
//! refused to the other.
//!
//! A call may have streams alone, if the callee takes them: its sound is put off from the beginning, and its ports wait for a
//! re-INVITE that brings some. The callee is offered the sound first, then the streams in the caller's order. Left out on purpose: streams over TCP, and
//! more than [`STREAMS`] of them, which are refused with port 0 as before.

use super::call::{Call, Leg, MediaLeg, Side};
use super::formats::Formats;
use super::session::Session;
use crate::config::Latching;
use crate::core::environment::Environment;
use bytes::Bytes;
use media::{
    Command, DigitParams, LegAddresses, LegFigures, LegId, PayloadMap, PayloadRule, RtcpPort, StreamParams,
};
use serde::{Deserialize, Serialize};
use sip_stack::message::Message;
use sip_stack::sdp::{Direction, MediaDescription, PassedMedia, RtcpAttributes, SessionDescription};
use sip_stack::transport::Flow;
use smallvec::SmallVec;
use std::net::{IpAddr, SocketAddr};

/// So many a call may have; each takes four ports more.
pub(super) const STREAMS: usize = 3;
/// So many it may have had before no further one is taken.
const EVER: usize = 16;
/// The legs of streams have numbers of their own: this bit, the number of the call, the stream, the side.
const OF_A_STREAM: u64 = 1 << 63;

/// The streams and what each line of a description stands for.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Streams {
    /// The lines of the caller's descriptions, and of the callee's.
    places: [SmallVec<[Place; 4]>; 2],
    list: Vec<Stream>,
    /// The sound has been put off.
    silenced: bool,
}

/// What the lines stood for before an offer that may yet be refused.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Lines {
    places: [SmallVec<[Place; 4]>; 2],
    silenced: bool,
    streams: usize,
}

/// What a line of a description is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Place {
    Sound,
    /// By its place in the list.
    Stream(usize),
    Refused,
}

/// One stream.
#[derive(Debug, Serialize, Deserialize)]
struct Stream {
    kind: Kind,
    legs: [MediaLeg; 2],
    /// The ports are given back, or about to be.
    closed: bool,
}

/// How its packets travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Kind {
    Rtp,
    Datagrams,
}

impl Kind {
    /// `None`: it is not passed on.
    fn of(media: &MediaDescription<'_>) -> Option<Kind> {
        let is = |name: &str| media.protocol.eq_ignore_ascii_case(name.as_bytes());
        if media.port == 0 {
            None
        } else if is("RTP/AVP") || is("RTP/AVPF") {
            Some(Kind::Rtp)
        } else if is("udptl") || is("UDP") {
            Some(Kind::Datagrams)
        } else {
            None
        }
    }
}

/// What a description of ours says in one line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said<'a> {
    Sound,
    Passed(PassedMedia<'a>),
    Refused,
}

/// Where a party is.
#[derive(Clone, Copy)]
struct Whereabouts<'a> {
    theirs: &'a Bytes,
    flow: &'a Flow,
    latching: &'a Latching,
}

impl Streams {
    /// What the first offer of a caller has beside its sound, which is in line `sound`, or in the place of sound; `None` when
    /// that is nothing.
    pub(super) fn find(offer: &SessionDescription<'_>, sound: Option<usize>, call: u64) -> Option<Streams> {
        let places = [SmallVec::new(), sound.iter().map(|_| Place::Sound).collect()];
        let mut streams = Streams { places, silenced: sound.is_none(), ..Streams::default() };
        for (index, media) in offer.media.iter().enumerate() {
            let kind = Kind::of(media).filter(|_| streams.list.len() < STREAMS);
            let place = match kind {
                _ if sound == Some(index) => Place::Sound,
                Some(kind) => streams.add(kind, call),
                None => Place::Refused,
            };
            streams.place_mut(Side::Caller).push(place);
            if let Place::Stream(_) = place {
                streams.place_mut(Side::Callee).push(place);
            }
        }
        (!streams.list.is_empty()).then_some(streams)
    }

    /// Of a call that has sound alone so far, in this line of the caller's.
    pub(super) fn none(sound: usize) -> Streams {
        let ours = core::iter::repeat_n(Place::Refused, sound).chain([Place::Sound]);
        Streams { places: [ours.collect(), smallvec::smallvec![Place::Sound]], ..Streams::default() }
    }

    /// Takes a later offer of a side (RFC 3264 §8): what its lines stand for from now on. `sound` is the line of its sound, if
    /// it has one. Whether that concerns the other side, and leaves anything of the call.
    pub(super) fn take(
        &mut self,
        side: Side,
        offer: &SessionDescription<'_>,
        sound: Option<usize>,
        call: u64,
    ) -> bool {
        let mut concerns = self.silenced == sound.is_some();
        self.silenced = sound.is_none();
        let mut is_any = sound.is_some();
        for (index, media) in offer.media.iter().enumerate() {
            let known = self.places(side).get(index).copied().unwrap_or(Place::Refused);
            let is_open = |place| match place {
                Place::Stream(number) => self.list.get(number).is_some_and(|stream| !stream.closed),
                Place::Sound | Place::Refused => false,
            };
            let open = self.list.iter().filter(|stream| !stream.closed).count();
            let kind = Kind::of(media).filter(|_| open < STREAMS && self.list.len() < EVER);
            let place = match (known, kind) {
                _ if sound == Some(index) => Place::Sound,
                (Place::Stream(_), _) if is_open(known) => {
                    concerns |= media.port == 0;
                    known
                }
                // Its sound has no other line.
                (Place::Sound, None) => Place::Sound,
                (Place::Sound | Place::Stream(_) | Place::Refused, Some(kind)) => {
                    concerns = true;
                    self.offer_to(side.other(), kind, call)
                }
                (Place::Stream(_) | Place::Refused, None) => Place::Refused,
            };
            is_any |= matches!(place, Place::Stream(_)) && media.port != 0;
            let places = self.place_mut(side);
            match places.get_mut(index) {
                Some(known) => *known = place,
                None => places.push(place),
            }
        }
        // A call that began without sound has no line for it yet.
        if sound.is_some() && !self.places(side.other()).contains(&Place::Sound) {
            self.place_mut(side.other()).push(Place::Sound);
        }
        // What has no sound is the other side's business alone.
        (concerns || sound.is_none()) && is_any
    }

    /// A new stream, in a line of the other side's whose stream is over, else in a further one.
    fn offer_to(&mut self, side: Side, kind: Kind, call: u64) -> Place {
        let over = |place: &Place| match place {
            Place::Stream(number) => self.list.get(*number).is_some_and(|stream| stream.closed),
            Place::Sound | Place::Refused => false,
        };
        let free = self.places(side).iter().position(over);
        let place = self.add(kind, call);
        let places = self.place_mut(side);
        match free.and_then(|free| places.get_mut(free)) {
            Some(free) => *free = place,
            None => places.push(place),
        }
        place
    }

    /// The sound is put off, as nobody wants it.
    pub(super) fn silence(&mut self) {
        self.silenced = true;
    }

    /// What the lines stand for, to go back to.
    pub(super) fn lines(&self) -> Lines {
        Lines { places: self.places.clone(), silenced: self.silenced, streams: self.list.len() }
    }

    /// As if the offer that was taken since had never come.
    pub(super) fn go_back(&mut self, env: &mut Environment, lines: Lines) {
        for stream in self.list.iter_mut().skip(lines.streams) {
            stream.close(env);
        }
        (self.places, self.silenced) = (lines.places, lines.silenced);
    }

    /// The legs of streams that have no ports yet.
    pub(super) fn unopened(&self, caller: IpAddr, callee: IpAddr) -> LegAddresses {
        let fresh =
            self.list.iter().filter(|stream| !stream.closed && stream.legs.iter().all(|leg| leg.port == 0));
        fresh.flat_map(|stream| stream.addresses(caller, callee)).collect()
    }

    fn add(&mut self, kind: Kind, call: u64) -> Place {
        let number = self.list.len() as u64;
        let leg = |side: u64| MediaLeg {
            id: LegId(OF_A_STREAM | call << 8 | number << 1 | side),
            port: 0,
            silent: false,
            figures: None,
        };
        self.list.push(Stream { kind, legs: [leg(0), leg(1)], closed: false });
        Place::Stream(self.list.len() - 1)
    }

    fn place_mut(&mut self, side: Side) -> &mut SmallVec<[Place; 4]> {
        let [caller, callee] = &mut self.places;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    fn places(&self, side: Side) -> &[Place] {
        let [caller, callee] = &self.places;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    /// The line of a stream in the descriptions of a side.
    fn line<'s, 'a>(
        &self,
        side: Side,
        stream: usize,
        session: &'s SessionDescription<'a>,
    ) -> Option<&'s MediaDescription<'a>> {
        let index = self.places(side).iter().position(|place| *place == Place::Stream(stream))?;
        session.media.get(index).filter(|media| media.port != 0)
    }

    /// The call that a leg of a stream belongs to, by its number.
    pub(super) const fn call_of(leg: LegId) -> Option<u64> {
        if leg.0 & OF_A_STREAM == 0 { None } else { Some((leg.0 & !OF_A_STREAM) >> 8) }
    }

    /// The legs to be opened, each on the address of ours that its side reaches.
    pub(super) fn addresses(&self, caller: IpAddr, callee: IpAddr) -> LegAddresses {
        self.list.iter().flat_map(|stream| stream.addresses(caller, callee)).collect()
    }

    /// A leg has a port; nobody wants it any more when its stream is closed.
    pub(super) fn opened(&mut self, env: &mut Environment, leg: LegId, port: u16) {
        let wanted = self.is_open(leg);
        if let Some(open) = self.leg_mut(leg) {
            open.port = port;
        }
        if !wanted {
            env.media(Command::Close { leg });
        }
    }

    /// Whether the stream of a leg is not closed.
    pub(super) fn is_open(&self, leg: LegId) -> bool {
        self.list.iter().any(|stream| !stream.closed && stream.legs.iter().any(|known| known.id == leg))
    }

    /// A leg heard nothing for the configured time, or something again.
    pub(super) fn hush(&mut self, leg: LegId, silent: bool) {
        if let Some(leg) = self.leg_mut(leg) {
            leg.silent = silent;
        }
    }

    /// Whether the sound is put off and there is something in its place.
    pub(super) fn replace_sound(&self) -> bool {
        self.silenced && self.list.iter().any(|stream| !stream.closed)
    }

    /// Whether no open stream has anything from either side.
    pub(super) fn are_silent(&self) -> bool {
        let open = self.list.iter().filter(|stream| !stream.closed);
        open.flat_map(|stream| &stream.legs).all(|leg| leg.silent)
    }

    /// A leg is closed.
    pub(super) fn closed(&mut self, leg: LegId, figures: Box<LegFigures>) {
        if let Some(open) = self.leg_mut(leg) {
            open.figures = Some(figures);
        }
    }

    fn leg_mut(&mut self, id: LegId) -> Option<&mut MediaLeg> {
        self.list.iter_mut().flat_map(|stream| &mut stream.legs).find(|leg| leg.id == id)
    }

    /// Whether every leg is closed.
    pub(super) fn are_over(&self) -> bool {
        let mut legs = self.list.iter().flat_map(|stream| &stream.legs);
        legs.all(|leg| leg.port == 0 || leg.figures.is_some())
    }

    /// Gives all ports back.
    pub(super) fn close(&mut self, env: &mut Environment) {
        self.list.iter_mut().for_each(|stream| stream.close(env));
    }

    /// What is said to a side about each of its lines, when `behind` is what the other side says.
    pub(super) fn said<'a>(
        &self,
        side: Side,
        address: IpAddr,
        behind: Option<&'a SessionDescription<'a>>,
    ) -> Vec<Said<'a>> {
        let passed = |number: usize| {
            let stream = self.list.get(number).filter(|stream| !stream.closed)?;
            let behind = behind?;
            let media = self.line(side.other(), number, behind)?;
            let direction = match stream.kind {
                Kind::Rtp => Some(behind.direction_of(media)),
                Kind::Datagrams => None,
            };
            let port = stream.leg(side).port;
            Some(PassedMedia { media, address, port, protocol: media.protocol, direction, attributes: None })
        };
        let said = |place: &Place| match place {
            Place::Sound if self.silenced => Said::Refused,
            Place::Sound => Said::Sound,
            Place::Stream(number) => passed(*number).map_or(Said::Refused, Said::Passed),
            Place::Refused => Said::Refused,
        };
        self.places(side).iter().map(said).collect()
    }

    /// Connects the streams that both sides have accepted.
    fn join(&self, env: &mut Environment, parties: [Whereabouts<'_>; 2]) {
        let [caller, callee] = parties;
        let (Ok(ours), Ok(theirs)) =
            (SessionDescription::parse(caller.theirs), SessionDescription::parse(callee.theirs))
        else {
            return;
        };
        for (number, stream) in self.list.iter().enumerate().filter(|(_, stream)| !stream.closed) {
            let lines = (self.line(Side::Caller, number, &ours), self.line(Side::Callee, number, &theirs));
            let (Some(our_line), Some(their_line)) = lines else { continue };
            let [a, b] = [Side::Caller, Side::Callee].map(|side| stream.leg(side).id);
            for (leg, session, line, party) in
                [(a, &ours, our_line, caller), (b, &theirs, their_line, callee)]
            {
                env.media(Command::Configure { leg, params: params(session, line, party) });
            }
            env.media(match stream.kind {
                Kind::Datagrams => Command::Pass { a, b },
                Kind::Rtp => {
                    let types = our_line.payload_types().chain(their_line.payload_types());
                    let rules: Vec<_> = types.map(|number| (number, PayloadRule::Pass(number))).collect();
                    let map = PayloadMap::new(&rules);
                    Command::Relay { a, b, forward: map.clone(), backward: map }
                }
            });
        }
    }

    /// Whether an offer is of streams alone that may be passed on: it has no sound, not even of a kind that we do not take.
    pub(super) fn are_all(message: &Message) -> bool {
        let Ok(offer) = SessionDescription::parse(message.body()) else { return false };
        let is_sound =
            |media: &MediaDescription<'_>| media.port != 0 && media.media.eq_ignore_ascii_case(b"audio");
        offer.media.iter().any(|media| Kind::of(media).is_some()) && !offer.media.iter().any(is_sound)
    }

    /// Gives the ports back of what a side does not want.
    fn drop_refused(&mut self, env: &mut Environment, side: Side, theirs: &Bytes) {
        let Ok(session) = SessionDescription::parse(theirs) else { return };
        for number in 0..self.list.len() {
            let refused = self.line(side, number, &session).is_none();
            if let Some(stream) = self.list.get_mut(number).filter(|_| refused) {
                stream.close(env);
            }
        }
    }
}

impl Stream {
    fn addresses(&self, caller: IpAddr, callee: IpAddr) -> [(LegId, IpAddr); 2] {
        let [ours, theirs] = &self.legs;
        [(ours.id, caller), (theirs.id, callee)]
    }

    const fn leg(&self, side: Side) -> &MediaLeg {
        let [caller, callee] = &self.legs;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    fn close(&mut self, env: &mut Environment) {
        if core::mem::replace(&mut self.closed, true) {
            return;
        }
        // Ports that are on their way are closed when they come.
        for leg in self.legs.iter().filter(|leg| leg.port != 0) {
            env.media(Command::Close { leg: leg.id });
        }
    }
}

/// What the shard needs to know of one side of a stream.
fn params(
    session: &SessionDescription<'_>,
    media: &MediaDescription<'_>,
    party: Whereabouts<'_>,
) -> StreamParams {
    let address = session.connection_of(media).and_then(|connection| connection.ip());
    let remote = address.filter(|ip| !ip.is_unspecified()).map(|ip| SocketAddr::new(ip, media.port));
    let direction = match Kind::of(media) {
        Some(Kind::Rtp) => session.direction_of(media),
        // Fax knows no direction.
        Some(Kind::Datagrams) | None => Direction::SendRecv,
    };
    let rtcp = RtcpAttributes::of(media);
    let elsewhere = remote.filter(|_| rtcp.port.is_some()).and_then(|rtp| rtcp.destination(rtp, false));
    let clock_rate = media.payload_types().next().and_then(|first| media.rtpmap(first));
    StreamParams {
        remote,
        signalling: party.flow.peer.ip().to_canonical(),
        latching: super::session::media_latching(party.latching),
        // Video: RFC 3551 §5.
        clock_rate: clock_rate.map_or(90_000, |map| map.clock_rate),
        send: direction.sends(),
        receive: direction.receives() && remote.is_some(),
        rtcp: elsewhere.map_or(RtcpPort::Above, RtcpPort::At),
        digits: DigitParams::default(),
    }
}

impl Call {
    /// Our first offer to a phone of the callee: the sound, and the streams that the caller has beside it.
    pub(super) fn offer_onward(
        &self,
        session: &mut Session,
        offered: &Formats,
        ptime_ms: Option<u16>,
    ) -> Bytes {
        let Some(streams) = &self.streams else { return session.offer(offered, ptime_ms) };
        let behind = SessionDescription::parse(&self.caller_leg.session.theirs).ok();
        let lines = streams.said(Side::Callee, session.address, behind.as_ref());
        session.offer_lines(offered, ptime_ms, &lines)
    }

    /// Whether the call has streams alone.
    pub(super) fn is_soundless(&self) -> bool {
        self.streams.as_ref().is_some_and(|streams| streams.replace_sound())
    }

    /// The callee of a call without sound has answered; what the caller is told of its streams. `None` when none is left.
    pub(super) fn accept_streams(
        &mut self,
        env: &mut Environment,
        theirs: &Bytes,
        flow: &Flow,
    ) -> Option<Bytes> {
        let behind = SessionDescription::parse(theirs).ok()?;
        let session = &mut self.caller_leg.session;
        let lines = self.streams.as_ref()?.said(Side::Caller, session.address, Some(&behind));
        let message = &self.invitation.request.message;
        let body = session.answer_lines(message, &Formats::default(), None, &lines);
        self.join_streams(env, theirs, flow);
        self.drop_refused_streams(env, Side::Callee);
        self.is_soundless().then_some(body)
    }

    /// Connects the streams that both sides have accepted; of the callee this is the description and the flow.
    pub(super) fn join_streams(&self, env: &mut Environment, theirs: &Bytes, flow: &Flow) {
        let Some(streams) = &self.streams else { return };
        let Leg { session, flow: caller_flow, latching, .. } = &self.caller_leg;
        let caller = Whereabouts { theirs: &session.theirs, flow: caller_flow, latching };
        streams.join(env, [caller, Whereabouts { theirs, flow, latching: &self.destination.latching }]);
    }

    /// Both have said something new about the streams.
    pub(super) fn rejoin_streams(&mut self, env: &mut Environment) {
        let callee = self.leg_mut(Side::Callee).map(|leg| (leg.session.theirs.clone(), leg.flow));
        if let Some((theirs, flow)) = callee {
            self.join_streams(env, &theirs, &flow);
        }
    }

    /// Our answer to a re-INVITE of a side in a call that has streams; `behind` is what the other side says of them.
    /// `told` of its sound, if it has any.
    pub(super) fn answer_with_streams(
        &mut self,
        side: Side,
        message: &Message,
        told: Option<&Formats>,
        behind: &Bytes,
    ) -> Bytes {
        let streams = self.streams.take();
        let behind = SessionDescription::parse(behind).ok();
        let body = self.leg_mut(side).map(|leg| {
            let session = &mut leg.session;
            let lines = streams
                .as_ref()
                .map_or_else(Vec::new, |streams| streams.said(side, session.address, behind.as_ref()));
            let spoken = told.or(session.agreed.as_ref()).cloned().unwrap_or_default();
            let ptime_ms = session.remote.as_ref().and_then(|remote| remote.ptime_ms);
            session.answer_lines(message, &spoken, ptime_ms, &lines)
        });
        self.streams = streams;
        body.unwrap_or_default()
    }

    /// A side has had its last word on the streams that it was offered.
    pub(super) fn drop_refused_streams(&mut self, env: &mut Environment, side: Side) {
        let Some(theirs) = self.leg_mut(side).map(|leg| leg.session.theirs.clone()) else { return };
        if let Some(streams) = &mut self.streams {
            streams.drop_refused(env, side, &theirs);
        }
    }
}

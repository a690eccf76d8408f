//! One party's half of a session: what we told it last and what it told us (RFC 3264 §8, RFC 8866 §5.2).
//!
//! RTP and RTCP share a port where the party offers it (RFC 5761 §5.1.1); we do not offer it by ourselves.

use super::agreement::TRANSPORTS;
use super::formats::Formats;
use super::streams::Said;
use crate::config::{self, Dtmf};
use bytes::Bytes;
use media::{Latching, RtcpPort, StreamParams};
use serde::{Deserialize, Serialize};
use sip_stack::decimal::Decimal;
use sip_stack::message::Message;
use sip_stack::sdp::{
    AudioOffer, Direction, LocalAudio, LocalMedia, LocalOrigin, LocalSession, MediaTransport,
    NegotiationError, RtcpAttributes, SessionDescription, TelephoneEvent, TransportAttributes,
    write_media_answer, write_media_offer,
};
use sip_stack::session::SessionTimer;
use sip_stack::transport::Flow;
use std::net::IpAddr;

/// The name in our `o=` lines.
const USERNAME: &[u8] = b"softswitch";

/// The content type of a description.
pub(super) const SDP: &[u8] = b"application/sdp";

/// A session with one party.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    /// Of our `o=` line; the same for the whole dialog.
    id: u64,
    /// Of our last `o=` line.
    version: u64,
    /// Where the party finds us.
    pub(super) address: IpAddr,
    /// Our RTP port.
    pub(super) port: u16,
    /// The party's last description.
    pub(super) remote: Option<AudioOffer>,
    /// What the party speaks since then, and is spoken to; what it prefers comes first.
    pub(super) agreed: Option<Formats>,
    /// The whole of it, where there are other streams beside the sound; else empty.
    pub(super) theirs: Bytes,
    /// Our last description.
    pub(super) local: Bytes,
    /// The telephone events in it.
    pub(super) events: Vec<TelephoneEvent>,
    /// Whether the party takes INFO.
    pub(super) takes_info: bool,
    /// The packages of INFO that the party takes, as it says (RFC 6086 §4.1); `None`: it has said nothing.
    pub(super) packages: Option<Bytes>,
    /// How long it lasts without a refresh.
    pub(super) timer: SessionTimer,
    /// How its keys travel, as the configuration has it.
    pub(super) dtmf: Dtmf,
}

impl<'a> Said<'a> {
    /// The line, with our sound where it belongs.
    const fn with(&self, audio: &LocalAudio<'a>, carried: &'a TransportAttributes) -> LocalMedia<'a> {
        match self {
            Said::Sound => LocalMedia::Audio(*audio, Some(carried)),
            Said::Passed(passed) => LocalMedia::Passed(*passed),
            Said::Refused => LocalMedia::Rejected,
        }
    }
}

/// Why a body is no use as an offer or answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SdpFault {
    /// It does not parse: 400.
    Malformed,
    /// It parses, but holds no audio that we can relay: 488.
    NotAcceptable(NegotiationError),
}

/// The audio stream described in the body of `message`; `None` when it has no body.
pub(super) fn read(message: &Message) -> Result<Option<AudioOffer>, SdpFault> {
    if message.body().is_empty() {
        return Ok(None);
    }
    let session = SessionDescription::parse(message.body()).map_err(|_| SdpFault::Malformed)?;
    AudioOffer::find(&session, TRANSPORTS).map(Some).map_err(SdpFault::NotAcceptable)
}

impl Session {
    pub(super) fn new(id: u64, address: IpAddr, dtmf: Dtmf, timer: SessionTimer) -> Session {
        Session {
            id: id >> 1,
            version: 0,
            address,
            port: 0,
            remote: None,
            agreed: None,
            theirs: Bytes::new(),
            local: Bytes::new(),
            events: Vec::new(),
            takes_info: false,
            packages: None,
            timer,
            dtmf,
        }
    }

    /// Keeps the party's description whole, when the call has more than its sound.
    pub(super) fn keep(&mut self, message: &Message, whole: bool) {
        if whole {
            self.theirs = Bytes::copy_from_slice(message.body());
        }
    }

    /// What we offered last was refused: it is as it was (RFC 3261 §14.1). Numbers of descriptions do not come again.
    pub(super) fn go_back(&mut self, before: Session) {
        *self = Session { version: self.version, ..before };
    }

    fn origin(&mut self) -> LocalOrigin<'static> {
        self.version += 1;
        LocalOrigin { username: USERNAME, session_id: self.id, version: self.version, address: self.address }
    }

    /// Writes an offer of ours.
    pub(super) fn offer(&mut self, offered: &Formats, ptime_ms: Option<u16>) -> Bytes {
        self.offer_lines(offered, ptime_ms, &[Said::Sound])
    }

    /// Writes an offer of ours with other streams beside the sound.
    pub(super) fn offer_lines(
        &mut self,
        offered: &Formats,
        ptime_ms: Option<u16>,
        lines: &[Said<'_>],
    ) -> Bytes {
        let session = LocalSession { origin: self.origin(), passed: None };
        let audio = self.audio(offered, Direction::SendRecv, ptime_ms);
        self.events.clone_from(&offered.events);
        let carried = self.carried();
        let media: Vec<LocalMedia<'_>> = lines.iter().map(|said| said.with(&audio, &carried)).collect();
        let mut text = Vec::with_capacity(384);
        let before = SessionDescription::parse(&self.theirs).ok();
        write_media_offer(&mut text, &session, before.as_ref(), &media);
        self.say(text)
    }

    /// Writes our answer to the offer in `message`, which was read into `remote` before: to its sound alone.
    pub(super) fn answer(&mut self, message: &Message, told: &Formats, ptime_ms: Option<u16>) -> Bytes {
        self.answer_lines(message, told, ptime_ms, &[])
    }

    /// The same with other streams beside the sound; `lines` are those of the offer, or none when it has sound alone.
    pub(super) fn answer_lines(
        &mut self,
        message: &Message,
        told: &Formats,
        ptime_ms: Option<u16>,
        lines: &[Said<'_>],
    ) -> Bytes {
        self.agreed = Some(told.clone());
        let session = LocalSession { origin: self.origin(), passed: None };
        let (index, direction) = self
            .remote
            .as_ref()
            .map_or((0, Direction::SendRecv), |remote| (remote.media_index, remote.direction));
        let audio = self.audio(told, direction.answer(Direction::SendRecv), ptime_ms);
        let mut text = Vec::with_capacity(384);
        if let Ok(offer) = SessionDescription::parse(message.body()) {
            self.events.clone_from(&told.events);
            let carried = self.carried();
            let said = |place: usize| match lines.get(place) {
                Some(said) => said.with(&audio, &carried),
                None if place == index => LocalMedia::Audio(audio, Some(&carried)),
                None => LocalMedia::Rejected,
            };
            let media: Vec<LocalMedia<'_>> = (0..offer.media.len()).map(said).collect();
            write_media_answer(&mut text, &session, &offer, &media);
        }
        self.say(text)
    }

    /// Keeps a description that we are about to send. One that says what was said before is that one: its version stays, which
    /// tells a refresh from a change (RFC 3264 §8, RFC 4028 §7.4).
    fn say(&mut self, text: Vec<u8>) -> Bytes {
        let is_old = || {
            // Number and version stand in the second line, behind a name without blanks.
            let (new, old) = (Decimal::of(self.version), Decimal::of(self.version.saturating_sub(1)));
            let (id, blank) = (Decimal::of(self.id), |octet: &u8| *octet == b' ');
            let at = text.iter().position(blank)? + 1 + id.as_bytes().len() + 1;
            let (head, tail) = text.split_at_checked(at)?;
            let rest = self.local.strip_prefix(head)?.strip_prefix(old.as_bytes())?;
            Some(rest == tail.strip_prefix(new.as_bytes())?)
        };
        if is_old() == Some(true) {
            self.version -= 1;
        } else {
            self.local = text.into();
        }
        self.local.clone()
    }

    /// How the stream is carried, as we say it: one port for both as soon as the party has said so.
    fn carried(&self) -> TransportAttributes {
        let rtcp = RtcpAttributes { mux: self.muxes(), ..RtcpAttributes::default() };
        TransportAttributes { rtcp, ..TransportAttributes::default() }
    }

    /// Whether the party has offered one port for RTP and RTCP, or agreed to it. Our descriptions say the same, so this
    /// is what both agree on.
    fn muxes(&self) -> bool {
        self.remote.as_ref().is_some_and(|remote| remote.rtcp.mux)
    }

    /// Where the party's RTCP is.
    fn rtcp(&self) -> RtcpPort {
        let Some(remote) = &self.remote else { return RtcpPort::Above };
        if self.muxes() {
            return RtcpPort::Muxed;
        }
        let elsewhere = remote.rtcp.port.is_some();
        let address = remote.destination().and_then(|rtp| remote.rtcp.destination(rtp, false));
        address.filter(|_| elsewhere).map_or(RtcpPort::Above, RtcpPort::At)
    }

    fn audio<'a>(&self, formats: &'a Formats, direction: Direction, ptime_ms: Option<u16>) -> LocalAudio<'a> {
        LocalAudio {
            address: self.address,
            port: self.port,
            transport: self.remote.as_ref().map_or(MediaTransport::RtpAvp, |remote| remote.transport),
            codecs: &formats.codecs,
            telephone_events: &formats.events,
            direction,
            ptime_ms,
        }
    }

    /// What the media shard needs to know of this party. `wanted`: whether the other side wants to know of its keys.
    pub(super) fn params(&self, flow: &Flow, latching: &config::Latching, wanted: bool) -> StreamParams {
        let direction = self.remote.as_ref().map_or(Direction::Inactive, |remote| remote.direction);
        StreamParams {
            remote: self.remote.as_ref().and_then(AudioOffer::destination),
            signalling: flow.peer.ip().to_canonical(),
            latching: media_latching(latching),
            clock_rate: self.agreed.as_ref().map_or(8_000, Formats::clock_rate),
            send: direction.sends(),
            receive: direction.receives(),
            rtcp: self.rtcp(),
            digits: self.digits(wanted),
        }
    }
}

pub(super) fn media_latching(latching: &config::Latching) -> Latching {
    match latching {
        config::Latching::Symmetric => Latching::Symmetric,
        config::Latching::SdpOnly => Latching::SdpOnly,
        config::Latching::AnyOf(networks) => {
            Latching::AnyOf(networks.iter().copied().map(media::Network::from).collect())
        }
    }
}

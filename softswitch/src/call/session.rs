//! One party's half of a session: what we told it last and what it told us (RFC 3264 §8, RFC 8866 §5.2).
//!
//! RTP and RTCP share a port where the party offers it (RFC 5761 §5.1.1); we do not offer it by ourselves.

use super::agreement::TRANSPORTS;
use super::formats::Formats;
use crate::config;
use bytes::Bytes;
use media::{Latching, RtcpPort, StreamParams};
use serde::{Deserialize, Serialize};
use sip_stack::message::Message;
use sip_stack::sdp::{
    AudioOffer, Direction, LocalAudio, LocalMedia, LocalOrigin, LocalSession, MediaTransport,
    NegotiationError, RtcpAttributes, SessionDescription, TransportAttributes, write_media_answer,
    write_media_offer,
};
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
    /// Our last description.
    pub(super) local: Bytes,
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
    pub(super) fn new(id: u64, address: IpAddr) -> Session {
        Session { id: id >> 1, version: 0, address, port: 0, remote: None, agreed: None, local: Bytes::new() }
    }

    fn origin(&mut self) -> LocalOrigin<'static> {
        self.version += 1;
        LocalOrigin { username: USERNAME, session_id: self.id, version: self.version, address: self.address }
    }

    /// Writes an offer of ours.
    pub(super) fn offer(&mut self, offered: &Formats, ptime_ms: Option<u16>) -> Bytes {
        let origin = self.origin();
        let audio = self.audio(offered, Direction::SendRecv, ptime_ms);
        let carried = self.carried();
        let session = LocalSession { origin, passed: None };
        let mut text = Vec::with_capacity(384);
        write_media_offer(&mut text, &session, None, &[LocalMedia::Audio(audio, Some(&carried))]);
        self.local = text.into();
        self.local.clone()
    }

    /// Writes our answer to the offer in `message`, which was read into `remote` before.
    pub(super) fn answer(&mut self, message: &Message, told: &Formats, ptime_ms: Option<u16>) -> Bytes {
        self.agreed = Some(told.clone());
        let origin = self.origin();
        let direction = self
            .remote
            .as_ref()
            .map_or(Direction::SendRecv, |remote| remote.direction.answer(Direction::SendRecv));
        let index = self.remote.as_ref().map_or(0, |remote| remote.media_index);
        let audio = self.audio(told, direction, ptime_ms);
        let mut text = Vec::with_capacity(384);
        if let Ok(offer) = SessionDescription::parse(message.body()) {
            let carried = self.carried();
            let mut media = vec![LocalMedia::Rejected; index];
            media.push(LocalMedia::Audio(audio, Some(&carried)));
            write_media_answer(&mut text, &LocalSession { origin, passed: None }, &offer, &media);
        }
        self.local = text.into();
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
            transport: MediaTransport::RtpAvp,
            codecs: &formats.codecs,
            telephone_events: &formats.events,
            direction,
            ptime_ms,
        }
    }

    /// What the media shard needs to know of this party.
    pub(super) fn params(&self, flow: &Flow, latching: &config::Latching) -> StreamParams {
        let direction = self.remote.as_ref().map_or(Direction::Inactive, |remote| remote.direction);
        StreamParams {
            remote: self.remote.as_ref().and_then(AudioOffer::destination),
            signalling: flow.peer.ip().to_canonical(),
            latching: media_latching(latching),
            clock_rate: self.agreed.as_ref().map_or(8_000, Formats::clock_rate),
            send: direction.sends(),
            receive: direction.receives(),
            rtcp: self.rtcp(),
        }
    }
}

fn media_latching(latching: &config::Latching) -> Latching {
    match latching {
        config::Latching::Symmetric => Latching::Symmetric,
        config::Latching::SdpOnly => Latching::SdpOnly,
        config::Latching::AnyOf(networks) => {
            Latching::AnyOf(networks.iter().copied().map(media::Network::from).collect())
        }
    }
}

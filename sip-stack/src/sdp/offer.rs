//! The audio stream of an offer or an answer, read for negotiation (RFC 3264 §5 and §6, RFC 3551 §6).
//!
//! Owned and serialisable: it is part of a call's state long after the message is gone. Left out on purpose: multicast
//! (RFC 3264 §6.2).

use super::attribute::{Attribute, Direction, RtpMap, split_format};
use super::codec::{AudioCodec, SdpText, TelephoneEvent};
use super::description::{MediaDescription, SessionDescription, milliseconds};
use super::fields::Connection;
use super::ice::IceAttributes;
use super::rtcp::{RtcpAttributes, RtcpLines};
use super::transport::MediaTransport;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};
use thiserror::Error;

/// One audio stream as its writer described it. An answer reads the same way as an offer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioOffer {
    /// Which `m=` line it is, from 0; the answer has it in the same place.
    pub media_index: usize,
    /// The RTP profile.
    pub transport: MediaTransport,
    /// Where its writer receives.
    pub address: MediaAddress,
    /// Where its writer receives; never 0.
    pub port: u16,
    /// The codecs in the writer's order of preference, without telephone events; unknown payload types are left out.
    pub codecs: Vec<AudioCodec>,
    /// The payload types of RFC 4733, one for each clock rate.
    pub telephone_events: Vec<TelephoneEvent>,
    /// As its writer sees it. The hold of RFC 2543, `c=0.0.0.0` without ICE, is already in it: nothing is
    /// received there.
    pub direction: Direction,
    /// Milliseconds in a packet that the writer would like to receive.
    pub ptime_ms: Option<u16>,
    /// The longest packet in milliseconds that the writer can receive.
    pub maxptime_ms: Option<u16>,
    /// Where its writer receives RTCP.
    pub rtcp: RtcpAttributes,
}

/// Where media are received.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaAddress {
    /// An address; 0.0.0.0 or `::` while on hold in the manner of RFC 2543.
    Ip(IpAddr),
    /// A host name (RFC 8866 §5.7), to be resolved by the caller.
    Name(SdpText),
}

/// Why there is no audio to negotiate. The answer to such an offer is 488 (RFC 3261 §13.3.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum NegotiationError {
    /// There is no audio stream, or none in that place.
    #[error("no audio stream")]
    NoAudio,
    /// The audio stream is rejected or closed: its port is 0.
    #[error("the audio stream has port 0")]
    Rejected,
    /// Unsupported: another profile than those asked for.
    #[error("unsupported RTP profile")]
    UnsupportedTransport,
    /// Malformed: neither the stream nor the session has a `c=` line.
    #[error("no connection address")]
    NoAddress,
    /// Unsupported: a multicast stream.
    #[error("a multicast stream")]
    Multicast,
    /// Unsupported: no payload type has a known encoding.
    #[error("no known codec")]
    NoCodec,
}

impl AudioOffer {
    /// The first audio stream of a description that can be used with one of `transports`.
    ///
    /// # Errors
    /// [`NegotiationError`]: what was wrong with the first audio stream, if there was one.
    pub fn find(
        session: &SessionDescription<'_>,
        transports: &[MediaTransport],
    ) -> Result<AudioOffer, NegotiationError> {
        let mut first = None;
        for index in 0..session.media.len() {
            match AudioOffer::at(session, index, transports) {
                Ok(offer) => return Ok(offer),
                Err(NegotiationError::NoAudio) => {}
                Err(error) => first = first.or(Some(error)),
            }
        }
        Err(first.unwrap_or(NegotiationError::NoAudio))
    }

    /// The audio stream in a known place: that of our own offer, when this is the answer.
    ///
    /// # Errors
    /// [`NegotiationError`]
    pub fn at(
        session: &SessionDescription<'_>,
        media_index: usize,
        transports: &[MediaTransport],
    ) -> Result<AudioOffer, NegotiationError> {
        let media = session.media.get(media_index).ok_or(NegotiationError::NoAudio)?;
        if !media.media.eq_ignore_ascii_case(b"audio") {
            return Err(NegotiationError::NoAudio);
        }
        if media.port == 0 {
            return Err(NegotiationError::Rejected);
        }
        let transport = MediaTransport::from_protocol(media.protocol)
            .filter(|transport| transports.contains(transport))
            .ok_or(NegotiationError::UnsupportedTransport)?;
        let connection = session.connection_of(media).ok_or(NegotiationError::NoAddress)?;
        let address = MediaAddress::read(&connection)?;
        let mut direction = session.direction_of(media);
        // With ICE the address is in the candidates, and this one a placeholder (RFC 8840 §4.1.1).
        if address.is_unspecified() && IceAttributes::of(session, media).is_none() {
            direction = direction.without_receiving();
        }
        let lines = AudioLines::of(media);
        let (codecs, telephone_events) = lines.formats(media);
        if !codecs.iter().any(|codec| !codec.is_comfort_noise()) {
            return Err(NegotiationError::NoCodec);
        }
        Ok(AudioOffer {
            media_index,
            transport,
            address,
            port: media.port,
            codecs,
            telephone_events,
            direction,
            ptime_ms: lines.ptime.and_then(milliseconds),
            maxptime_ms: lines.maxptime.and_then(milliseconds),
            rtcp: lines.rtcp.read(),
        })
    }

    /// Where to send: `None` for a host name that is not resolved yet, and for 0.0.0.0.
    pub fn destination(&self) -> Option<SocketAddr> {
        match &self.address {
            MediaAddress::Ip(ip) if !ip.is_unspecified() => Some(SocketAddr::new(*ip, self.port)),
            MediaAddress::Ip(_) | MediaAddress::Name(_) => None,
        }
    }
}

impl MediaAddress {
    fn read(connection: &Connection<'_>) -> Result<MediaAddress, NegotiationError> {
        match connection.ip() {
            Some(ip) if ip.is_multicast() => Err(NegotiationError::Multicast),
            Some(ip) => Ok(MediaAddress::Ip(ip)),
            None => Ok(MediaAddress::Name(connection.address.into())),
        }
    }

    fn is_unspecified(&self) -> bool {
        match self {
            MediaAddress::Ip(ip) => ip.is_unspecified(),
            MediaAddress::Name(_) => false,
        }
    }
}

/// What the `a=` lines of a stream say about its sound. One pass over the lines, however many a peer writes; of several
/// that should stand once the first counts.
struct AudioLines<'a> {
    /// By payload type.
    maps: [Option<RtpMap<'a>>; 128],
    /// The parameters by payload type.
    parameters: [Option<&'a [u8]>; 128],
    ptime: Option<&'a [u8]>,
    maxptime: Option<&'a [u8]>,
    rtcp: RtcpLines<'a>,
}

impl<'a> AudioLines<'a> {
    fn of(media: &MediaDescription<'a>) -> AudioLines<'a> {
        let mut lines = AudioLines {
            maps: [None; 128],
            parameters: [None; 128],
            ptime: None,
            maxptime: None,
            rtcp: RtcpLines::default(),
        };
        media.section.attributes().for_each(|attribute| lines.take(&attribute));
        lines
    }

    fn take(&mut self, attribute: &Attribute<'a>) {
        self.rtcp.take(attribute);
        let Attribute { name, value: Some(value) } = *attribute else { return };
        if name.eq_ignore_ascii_case(b"rtpmap") {
            let Some(map) = RtpMap::read(value) else { return };
            if let Some(entry) = self.maps.get_mut(usize::from(map.payload_type)) {
                entry.get_or_insert(map);
            }
        } else if name.eq_ignore_ascii_case(b"fmtp") {
            let Some((payload_type, parameters)) = split_format(value) else { return };
            if let Some(entry) = self.parameters.get_mut(usize::from(payload_type)) {
                entry.get_or_insert(parameters);
            }
        } else if name.eq_ignore_ascii_case(b"ptime") {
            self.ptime.get_or_insert(value);
        } else if name.eq_ignore_ascii_case(b"maxptime") {
            self.maxptime.get_or_insert(value);
        }
    }

    /// The payload types in their order: `a=rtpmap` where there is one, else the static table.
    fn formats(&self, media: &MediaDescription<'_>) -> (Vec<AudioCodec>, Vec<TelephoneEvent>) {
        let (mut codecs, mut telephone_events) = (Vec::new(), Vec::new());
        let mut seen = [false; 128];
        for payload_type in media.payload_types() {
            let index = usize::from(payload_type);
            if seen.get_mut(index).is_none_or(|seen| core::mem::replace(seen, true)) {
                continue;
            }
            let parameters = SdpText::from(self.parameters.get(index).copied().flatten().unwrap_or_default());
            match self.maps.get(index).copied().flatten() {
                Some(map) if map.encoding.eq_ignore_ascii_case(TelephoneEvent::ENCODING.as_bytes()) => {
                    let clock_rate = map.clock_rate;
                    telephone_events.push(TelephoneEvent { payload_type, clock_rate, events: parameters });
                }
                Some(map) => codecs.push(AudioCodec::from_rtpmap(&map, parameters)),
                None => codecs.extend(
                    AudioCodec::from_static(payload_type).map(|codec| AudioCodec { parameters, ..codec }),
                ),
            }
        }
        (codecs, telephone_events)
    }
}

//! What the tests of SDP share.

#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod bodies;

use sip_stack::sdp::{
    AudioCodec, AudioOffer, Direction, LocalAudio, LocalOrigin, SessionDescription, TelephoneEvent,
};
use std::net::{IpAddr, Ipv4Addr};

/// Our `o=` line.
pub(crate) const ORIGIN: LocalOrigin<'static> = LocalOrigin {
    username: b"",
    session_id: 1,
    version: 1,
    address: IpAddr::V4(Ipv4Addr::new(203, 0, 113, 9)),
};

/// A description that can be read.
pub(crate) fn parse(text: &str) -> SessionDescription<'_> {
    SessionDescription::parse(text.as_bytes()).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The text that `write` writes.
pub(crate) fn written(write: impl FnOnce(&mut Vec<u8>)) -> String {
    let mut out = Vec::new();
    write(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// What we answer to an audio stream.
pub(crate) fn audio_answer<'a>(
    offer: &AudioOffer,
    codecs: &'a [AudioCodec],
    telephone_events: &'a [TelephoneEvent],
) -> LocalAudio<'a> {
    LocalAudio {
        address: ORIGIN.address,
        port: 40_000,
        transport: offer.transport,
        codecs,
        telephone_events,
        direction: offer.direction.answer(Direction::SendRecv),
        ptime_ms: offer.ptime_ms.or(Some(20)),
    }
}

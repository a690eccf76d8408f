//! Audio codecs as SDP names them, and the static payload types (RFC 3551 §6, table 4).
//!
//! Names and rates alone: what a codec does is known to the media engine. For format parameters see
//! `format.rs`.

use super::attribute::RtpMap;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// A short text of a peer's, kept in place up to 24 bytes; printed escaped.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SdpText(SmallVec<[u8; 24]>);

impl SdpText {
    /// The bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl From<&[u8]> for SdpText {
    fn from(text: &[u8]) -> SdpText {
        SdpText(SmallVec::from_slice(text))
    }
}

impl From<&str> for SdpText {
    fn from(text: &str) -> SdpText {
        SdpText::from(text.as_bytes())
    }
}

impl fmt::Debug for SdpText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.escape_ascii())
    }
}

/// An audio encoding under the payload type of one side.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioCodec {
    /// 0 to 127.
    pub payload_type: u8,
    /// The name of RFC 3551 or of the codec's own RFC.
    pub encoding: SdpText,
    /// The RTP clock in Hz: 8000 for G.722 too (RFC 3551 §4.5.2).
    pub clock_rate: u32,
    /// Channels of the RTP stream.
    pub channels: u8,
    /// The text of `a=fmtp`; empty when there is none.
    pub parameters: SdpText,
}

impl AudioCodec {
    /// A codec with one channel and no parameters.
    pub fn new(payload_type: u8, encoding: &str, clock_rate: u32) -> AudioCodec {
        let parameters = SdpText::default();
        AudioCodec { payload_type, encoding: encoding.into(), clock_rate, channels: 1, parameters }
    }

    /// The codec that RFC 3551 §6 ties to a payload type.
    pub fn from_static(payload_type: u8) -> Option<AudioCodec> {
        let (_, encoding, clock_rate, channels) = STATIC.into_iter().find(|entry| entry.0 == payload_type)?;
        Some(AudioCodec { channels, ..AudioCodec::new(payload_type, encoding, clock_rate) })
    }

    /// The codec that `a=rtpmap` names.
    ///
    /// Deviation: G.722 at 16000 Hz, as its samples are, means the clock of 8000 Hz that RFC 3551 §4.5.2 has for it, and
    /// Opus without `/2` the two channels that RFC 7587 §7 always writes. Some phones write the one or the other.
    pub(super) fn from_rtpmap(map: &RtpMap<'_>, parameters: SdpText) -> AudioCodec {
        let RtpMap { payload_type, encoding, mut clock_rate, mut channels } = *map;
        if encoding.eq_ignore_ascii_case(b"G722") && clock_rate == 16_000 {
            clock_rate = 8_000;
        }
        if encoding.eq_ignore_ascii_case(b"opus") {
            channels = 2;
        }
        AudioCodec { payload_type, encoding: encoding.into(), clock_rate, channels, parameters }
    }

    /// Whether both are the same encoding, whatever their payload types and parameters.
    pub fn is_same_encoding(&self, other: &AudioCodec) -> bool {
        self.encoding.as_bytes().eq_ignore_ascii_case(other.encoding.as_bytes())
            && (self.clock_rate, self.channels) == (other.clock_rate, other.channels)
    }

    /// Whether this is comfort noise (RFC 3389), which accompanies a codec and is none by itself.
    pub fn is_comfort_noise(&self) -> bool {
        self.encoding.as_bytes().eq_ignore_ascii_case(b"CN")
    }

    /// As it stands in `a=rtpmap`.
    pub fn rtpmap(&self) -> RtpMap<'_> {
        RtpMap {
            payload_type: self.payload_type,
            encoding: self.encoding.as_bytes(),
            clock_rate: self.clock_rate,
            channels: self.channels,
        }
    }
}

/// Named telephone events (RFC 4733), which accompany the codecs of the same clock rate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TelephoneEvent {
    /// 0 to 127.
    pub payload_type: u8,
    /// The RTP clock in Hz.
    pub clock_rate: u32,
    /// The events, as `a=fmtp` lists them; empty stands for `0-15` (RFC 4733 §2.4.1).
    pub events: SdpText,
}

impl TelephoneEvent {
    /// The encoding's name.
    pub const ENCODING: &'static str = "telephone-event";

    /// As it stands in `a=rtpmap`.
    pub const fn rtpmap(&self) -> RtpMap<'static> {
        RtpMap {
            payload_type: self.payload_type,
            encoding: TelephoneEvent::ENCODING.as_bytes(),
            clock_rate: self.clock_rate,
            channels: 1,
        }
    }
}

/// RFC 3551 §6, table 4: payload type, encoding, clock rate, channels. MPA is left out: its channels vary.
const STATIC: [(u8, &str, u32, u8); 16] = [
    (0, "PCMU", 8_000, 1),
    (3, "GSM", 8_000, 1),
    (4, "G723", 8_000, 1),
    (5, "DVI4", 8_000, 1),
    (6, "DVI4", 16_000, 1),
    (7, "LPC", 8_000, 1),
    (8, "PCMA", 8_000, 1),
    (9, "G722", 8_000, 1),
    (10, "L16", 44_100, 2),
    (11, "L16", 44_100, 1),
    (12, "QCELP", 8_000, 1),
    (13, "CN", 8_000, 1),
    (15, "G728", 8_000, 1),
    (16, "DVI4", 11_025, 1),
    (17, "DVI4", 22_050, 1),
    (18, "G729", 8_000, 1),
];

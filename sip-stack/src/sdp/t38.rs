//! Fax over UDP: `m=image … udptl t38` and its attributes (ITU-T T.38 Annex D, RFC 3362).
//!
//! Left out on purpose: T.38 over RTP (`audio/t38`) and over TCP, which no gateway in the field uses, and
//! `T38VendorInfo`.

use super::description::MediaDescription;
use super::fields::number;
use super::writer::SdpWriter;
use bytes::BufMut;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What one side says about a fax stream. The default says nothing but version 0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct T38Attributes {
    /// `T38FaxVersion`: 0 to 3 are in use.
    pub version: u8,
    /// `T38MaxBitRate`: bits per second.
    pub max_bit_rate: Option<u32>,
    /// `T38FaxFillBitRemoval`
    pub fill_bit_removal: bool,
    /// `T38FaxTranscodingMMR`
    pub transcoding_mmr: bool,
    /// `T38FaxTranscodingJBIG`
    pub transcoding_jbig: bool,
    /// `T38FaxRateManagement`
    pub rate_management: Option<T38RateManagement>,
    /// `T38FaxMaxBuffer`: bytes that the writer can hold.
    pub max_buffer: Option<u32>,
    /// `T38FaxMaxDatagram`: bytes of the largest packet that the writer can receive.
    pub max_datagram: Option<u32>,
    /// `T38FaxUdpEC`
    pub error_correction: Option<T38ErrorCorrection>,
}

/// Who makes the training check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum T38RateManagement {
    /// Each gateway with its own fax machine: for TCP.
    LocalTcf,
    /// The fax machines with each other: for UDP.
    TransferredTcf,
}

/// How losses are mended. In the order of capability.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum T38ErrorCorrection {
    /// `t38UDPNoEC`: not at all.
    None,
    /// `t38UDPRedundancy`: earlier packets again in each.
    Redundancy,
    /// `t38UDPFEC`: parity.
    Fec,
}

/// A fax stream of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalFax {
    /// Where we receive.
    pub address: IpAddr,
    /// Where we receive.
    pub port: u16,
    /// What we say about it; for an answer see [`T38Attributes::answer`].
    pub attributes: T38Attributes,
}

impl T38RateManagement {
    const fn name(self) -> &'static str {
        match self {
            T38RateManagement::LocalTcf => "localTCF",
            T38RateManagement::TransferredTcf => "transferredTCF",
        }
    }

    fn from_name(name: &[u8]) -> Option<T38RateManagement> {
        [T38RateManagement::LocalTcf, T38RateManagement::TransferredTcf]
            .into_iter()
            .find(|known| known.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl T38ErrorCorrection {
    const fn name(self) -> &'static str {
        match self {
            T38ErrorCorrection::None => "t38UDPNoEC",
            T38ErrorCorrection::Redundancy => "t38UDPRedundancy",
            T38ErrorCorrection::Fec => "t38UDPFEC",
        }
    }

    fn from_name(name: &[u8]) -> Option<T38ErrorCorrection> {
        [T38ErrorCorrection::None, T38ErrorCorrection::Redundancy, T38ErrorCorrection::Fec]
            .into_iter()
            .find(|known| known.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl T38Attributes {
    /// The protocol and the format of the media line.
    pub(super) const PROTOCOL: &'static [u8] = b"udptl";
    pub(super) const FORMAT: &'static [u8] = b"t38";

    /// Reads a media line. `None` when it is not of T.38 over UDPTL; one with port 0 is read too.
    pub fn of(media: &MediaDescription<'_>) -> Option<T38Attributes> {
        let is_fax = media.media.eq_ignore_ascii_case(b"image")
            && media.protocol.eq_ignore_ascii_case(T38Attributes::PROTOCOL)
            && media.formats().any(|format| format.eq_ignore_ascii_case(T38Attributes::FORMAT));
        if !is_fax {
            return None;
        }
        let value = |name: &[u8]| media.section.value(name);
        let count = |name: &[u8]| value(name).and_then(number);
        let is_set = |name: &[u8]| {
            // By the book the name alone says yes; some write `:1` and `:0`.
            media.section.attribute(name).is_some_and(|found| found.value != Some(b"0"))
        };
        Some(T38Attributes {
            version: value(b"T38FaxVersion").and_then(number).unwrap_or(0),
            max_bit_rate: count(b"T38MaxBitRate"),
            fill_bit_removal: is_set(b"T38FaxFillBitRemoval"),
            transcoding_mmr: is_set(b"T38FaxTranscodingMMR"),
            transcoding_jbig: is_set(b"T38FaxTranscodingJBIG"),
            rate_management: value(b"T38FaxRateManagement").and_then(T38RateManagement::from_name),
            max_buffer: count(b"T38FaxMaxBuffer"),
            max_datagram: count(b"T38FaxMaxDatagram").or_else(|| count(b"T38MaxDatagram")),
            error_correction: value(b"T38FaxUdpEC").and_then(T38ErrorCorrection::from_name),
        })
    }

    /// What one who could do `ours` answers: the lower version, rate and correction; an option both have; the offerer's
    /// rate management; and what we can hold ourselves.
    pub fn answer(&self, ours: &T38Attributes) -> T38Attributes {
        let lower = |offered: Option<u32>, ours: Option<u32>| match (offered, ours) {
            (Some(offered), Some(ours)) => Some(offered.min(ours)),
            (either, None) | (None, either) => either,
        };
        T38Attributes {
            version: self.version.min(ours.version),
            max_bit_rate: lower(self.max_bit_rate, ours.max_bit_rate),
            fill_bit_removal: self.fill_bit_removal && ours.fill_bit_removal,
            transcoding_mmr: self.transcoding_mmr && ours.transcoding_mmr,
            transcoding_jbig: self.transcoding_jbig && ours.transcoding_jbig,
            rate_management: self.rate_management.or(ours.rate_management),
            max_buffer: ours.max_buffer,
            max_datagram: ours.max_datagram,
            error_correction: self
                .error_correction
                .zip(ours.error_correction)
                .map(|(offered, ours)| offered.min(ours)),
        }
    }

    /// Writes the lines of one media.
    pub fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        writer.number("T38FaxVersion", u32::from(self.version));
        if let Some(rate) = self.max_bit_rate {
            writer.number("T38MaxBitRate", rate);
        }
        for (is_set, line) in [
            (self.fill_bit_removal, &b"T38FaxFillBitRemoval"[..]),
            (self.transcoding_mmr, b"T38FaxTranscodingMMR"),
            (self.transcoding_jbig, b"T38FaxTranscodingJBIG"),
        ] {
            if is_set {
                writer.line(b'a', line);
            }
        }
        if let Some(management) = self.rate_management {
            writer.attribute("T38FaxRateManagement", management.name().as_bytes());
        }
        for (name, value) in [("T38FaxMaxBuffer", self.max_buffer), ("T38FaxMaxDatagram", self.max_datagram)]
        {
            if let Some(value) = value {
                writer.number(name, value);
            }
        }
        if let Some(correction) = self.error_correction {
            writer.attribute("T38FaxUdpEC", correction.name().as_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::SessionDescription;

    const FAX: &str = "m=image 4000 udptl t38\r\na=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\n\
        a=T38FaxFillBitRemoval\r\na=T38FaxTranscodingMMR\r\na=T38FaxRateManagement:transferredTCF\r\n\
        a=T38FaxMaxBuffer:1800\r\na=T38FaxMaxDatagram:400\r\na=T38FaxUdpEC:t38UDPRedundancy\r\n";

    fn fax(media: &str) -> Option<T38Attributes> {
        let text = format!("v=0\r\n{media}");
        T38Attributes::of(&SessionDescription::parse(text.as_bytes()).unwrap().media[0])
    }

    #[test]
    fn what_is_read_is_written_back_the_same() {
        let mut out = Vec::new();
        fax(FAX).unwrap().write(&mut SdpWriter::new(&mut out));
        let lines = FAX.split_once("\r\n").unwrap().1;
        assert_eq!(String::from_utf8(out).unwrap(), format!("v=0\r\n{lines}"));
    }

    #[test]
    fn upper_case_and_numbers_for_yes_and_no_are_understood() {
        let shouting =
            fax("m=IMAGE 0 UDPTL T38\na=T38FaxFillBitRemoval:0\na=T38FaxTranscodingJBIG:1\n").unwrap();
        assert!(!shouting.fill_bit_removal && shouting.transcoding_jbig && !shouting.transcoding_mmr);
        assert_eq!(fax("m=image 4000 tcp t38\n"), None);
        assert_eq!(fax("m=audio 4000 RTP/AVP 0\n"), None);
    }

    #[test]
    fn an_answer_says_no_more_than_the_offer_and_than_we_can() {
        let ours = T38Attributes {
            version: 3,
            max_bit_rate: Some(9_600),
            fill_bit_removal: true,
            transcoding_jbig: true,
            max_datagram: Some(1_400),
            error_correction: Some(T38ErrorCorrection::Fec),
            ..T38Attributes::default()
        };
        let answer = fax(FAX).unwrap().answer(&ours);
        assert_eq!((answer.version, answer.max_bit_rate), (0, Some(9_600)));
        assert_eq!(
            (answer.fill_bit_removal, answer.transcoding_mmr, answer.transcoding_jbig),
            (true, false, false)
        );
        assert_eq!(answer.rate_management, Some(T38RateManagement::TransferredTcf));
        assert_eq!(answer.error_correction, Some(T38ErrorCorrection::Redundancy));
        assert_eq!((answer.max_buffer, answer.max_datagram), (None, Some(1_400)));
    }
}

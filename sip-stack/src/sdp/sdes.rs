//! SDES: the keys of SRTP in the description (RFC 4568; suites of §6.2, RFC 6188, RFC 7714).
//!
//! Left out on purpose: the suites with AES in f8 mode, and FEC (§6.3.4, §6.3.5): lines with them are left out like all
//! that cannot be used, so that another line of the offer is chosen (§7.1.2).

use super::description::MediaDescription;
use super::fields::{number, words};
use super::writer::SdpWriter;
use base64::Engine as _;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};
use base64::engine::{DecodePaddingMode, general_purpose::STANDARD};
use bytes::BufMut;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::fmt;

/// How many `a=crypto` lines of one media, and keys of one line, are read; those beyond are left out.
const MAX_LINES: usize = 16;
const MAX_KEYS: usize = 8;

/// Some phones leave the padding off.
const LENIENT: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// One `a=crypto` line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crypto {
    /// What an answer refers to it by: up to nine digits.
    pub tag: u32,
    /// Cipher, authentication and their lengths.
    pub suite: CryptoSuite,
    /// The keys its writer sends with: one, or several that differ in their MKI. At most 8 are read.
    pub keys: Vec<InlineKey>,
    /// What follows the keys.
    pub session: CryptoSession,
}

/// A suite of ciphers for SRTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CryptoSuite {
    /// `AES_CM_128_HMAC_SHA1_80` (RFC 4568 §6.2.1), the one that everybody has.
    AesCm128HmacSha1_80,
    /// `AES_CM_128_HMAC_SHA1_32` (RFC 4568 §6.2.2)
    AesCm128HmacSha1_32,
    /// `AES_192_CM_HMAC_SHA1_80` (RFC 6188)
    Aes192CmHmacSha1_80,
    /// `AES_192_CM_HMAC_SHA1_32` (RFC 6188)
    Aes192CmHmacSha1_32,
    /// `AES_256_CM_HMAC_SHA1_80` (RFC 6188)
    Aes256CmHmacSha1_80,
    /// `AES_256_CM_HMAC_SHA1_32` (RFC 6188)
    Aes256CmHmacSha1_32,
    /// `AEAD_AES_128_GCM` (RFC 7714)
    AeadAes128Gcm,
    /// `AEAD_AES_256_GCM` (RFC 7714)
    AeadAes256Gcm,
}

/// A master key with its salt. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InlineKey {
    /// The key and then the salt: as many bytes as the suite wants ([`CryptoSuite::key_bytes`]).
    pub key_and_salt: SmallVec<[u8; 46]>,
    /// Packets of SRTP or SRTCP the key is good for; `None`: as many as the suite allows.
    pub lifetime: Option<u64>,
    /// The identifier that packets of this key carry.
    pub mki: Option<Mki>,
}

/// A master key identifier (RFC 3711 §3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mki {
    /// As it stands in packets, most significant byte first.
    pub value: u128,
    /// Its bytes in each packet: 1 to 128.
    pub bytes: u8,
}

/// The session parameters (§6.3). The default is what every SRTP does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CryptoSession {
    /// `KDR`: a new session key every 2 to the power of this many packets; 0 for never.
    pub key_derivation_rate: u8,
    /// `UNENCRYPTED_SRTP`
    pub unencrypted_srtp: bool,
    /// `UNENCRYPTED_SRTCP`
    pub unencrypted_srtcp: bool,
    /// `UNAUTHENTICATED_SRTP`
    pub unauthenticated_srtp: bool,
    /// `WSH`: packets in the replay window, 64 or more. A hint.
    pub window_size: Option<u32>,
}

impl CryptoSuite {
    const ALL: [CryptoSuite; 8] = [
        CryptoSuite::AesCm128HmacSha1_80,
        CryptoSuite::AesCm128HmacSha1_32,
        CryptoSuite::Aes192CmHmacSha1_80,
        CryptoSuite::Aes192CmHmacSha1_32,
        CryptoSuite::Aes256CmHmacSha1_80,
        CryptoSuite::Aes256CmHmacSha1_32,
        CryptoSuite::AeadAes128Gcm,
        CryptoSuite::AeadAes256Gcm,
    ];

    /// As it stands in `a=crypto`.
    pub const fn name(self) -> &'static str {
        match self {
            CryptoSuite::AesCm128HmacSha1_80 => "AES_CM_128_HMAC_SHA1_80",
            CryptoSuite::AesCm128HmacSha1_32 => "AES_CM_128_HMAC_SHA1_32",
            CryptoSuite::Aes192CmHmacSha1_80 => "AES_192_CM_HMAC_SHA1_80",
            CryptoSuite::Aes192CmHmacSha1_32 => "AES_192_CM_HMAC_SHA1_32",
            CryptoSuite::Aes256CmHmacSha1_80 => "AES_256_CM_HMAC_SHA1_80",
            CryptoSuite::Aes256CmHmacSha1_32 => "AES_256_CM_HMAC_SHA1_32",
            CryptoSuite::AeadAes128Gcm => "AEAD_AES_128_GCM",
            CryptoSuite::AeadAes256Gcm => "AEAD_AES_256_GCM",
        }
    }

    /// Bytes of the master key.
    pub const fn key_bytes(self) -> usize {
        match self {
            CryptoSuite::AesCm128HmacSha1_80
            | CryptoSuite::AesCm128HmacSha1_32
            | CryptoSuite::AeadAes128Gcm => 16,
            CryptoSuite::Aes192CmHmacSha1_80 | CryptoSuite::Aes192CmHmacSha1_32 => 24,
            CryptoSuite::Aes256CmHmacSha1_80
            | CryptoSuite::Aes256CmHmacSha1_32
            | CryptoSuite::AeadAes256Gcm => 32,
        }
    }

    /// Bytes of the master salt.
    pub const fn salt_bytes(self) -> usize {
        match self {
            CryptoSuite::AesCm128HmacSha1_80
            | CryptoSuite::AesCm128HmacSha1_32
            | CryptoSuite::Aes192CmHmacSha1_80
            | CryptoSuite::Aes192CmHmacSha1_32
            | CryptoSuite::Aes256CmHmacSha1_80
            | CryptoSuite::Aes256CmHmacSha1_32 => 14,
            CryptoSuite::AeadAes128Gcm | CryptoSuite::AeadAes256Gcm => 12,
        }
    }

    fn from_name(name: &[u8]) -> Option<CryptoSuite> {
        CryptoSuite::ALL.into_iter().find(|suite| suite.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

impl CryptoSession {
    /// Whether packets are as well protected, and their keys derived, as without any parameter.
    pub const fn is_plain(&self) -> bool {
        self.key_derivation_rate == 0
            && !self.unencrypted_srtp
            && !self.unencrypted_srtcp
            && !self.unauthenticated_srtp
    }

    /// §6.3.7: a parameter that is not known makes the line invalid, unless it begins with a dash.
    fn read<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<CryptoSession> {
        let mut session = CryptoSession::default();
        for parameter in parameters {
            let mut parts = parameter.splitn(2, |byte| *byte == b'=');
            match (parts.next().unwrap_or_default(), parts.next()) {
                (b"KDR", Some(rate)) => {
                    session.key_derivation_rate = number(rate).filter(|rate| *rate <= 24)?;
                }
                (b"UNENCRYPTED_SRTP", None) => session.unencrypted_srtp = true,
                (b"UNENCRYPTED_SRTCP", None) => session.unencrypted_srtcp = true,
                (b"UNAUTHENTICATED_SRTP", None) => session.unauthenticated_srtp = true,
                (b"WSH", Some(size)) => session.window_size = Some(number(size).filter(|size| *size >= 64)?),
                ([b'-', ..], _) => {}
                (_, _) => return None,
            }
        }
        Some(session)
    }

    fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        if self.key_derivation_rate != 0 {
            writer.display(format_args!(" KDR={}", self.key_derivation_rate));
        }
        for (is_set, name) in [
            (self.unencrypted_srtp, " UNENCRYPTED_SRTP"),
            (self.unencrypted_srtcp, " UNENCRYPTED_SRTCP"),
            (self.unauthenticated_srtp, " UNAUTHENTICATED_SRTP"),
        ] {
            writer.display(if is_set { name } else { "" });
        }
        if let Some(size) = self.window_size {
            writer.display(format_args!(" WSH={size}"));
        }
    }
}

impl InlineKey {
    /// A key for one stream, without limits of its own.
    pub fn new(key_and_salt: &[u8]) -> InlineKey {
        InlineKey { key_and_salt: SmallVec::from_slice(key_and_salt), lifetime: None, mki: None }
    }

    /// Reads `inline:key‖salt|lifetime|MKI:length`, the last two optional (§6.1).
    fn read(text: &[u8], suite: CryptoSuite) -> Option<InlineKey> {
        let method = text.get(..7).filter(|method| method.eq_ignore_ascii_case(b"inline:"))?;
        let mut parts = text.get(method.len()..)?.split(|byte| *byte == b'|');
        let key_and_salt = LENIENT.decode(parts.next()?).ok()?;
        if key_and_salt.len() != suite.key_bytes() + suite.salt_bytes() {
            return None;
        }
        let mut key = InlineKey::new(&key_and_salt);
        for part in parts {
            match part.iter().position(|byte| *byte == b':') {
                Some(colon) if key.mki.is_none() => key.mki = Some(Mki::read(part, colon)?),
                None if key.lifetime.is_none() && key.mki.is_none() => key.lifetime = Some(lifetime(part)?),
                Some(_) | None => return None,
            }
        }
        Some(key)
    }

    fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        writer.display(format_args!("inline:{}", STANDARD.encode(&self.key_and_salt)));
        match self.lifetime {
            Some(packets) if packets.is_power_of_two() => {
                writer.display(format_args!("|2^{}", packets.trailing_zeros()));
            }
            Some(packets) => writer.display(format_args!("|{packets}")),
            None => {}
        }
        if let Some(Mki { value, bytes }) = self.mki {
            writer.display(format_args!("|{value}:{bytes}"));
        }
    }
}

impl fmt::Debug for InlineKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InlineKey")
            .field("lifetime", &self.lifetime)
            .field("mki", &self.mki)
            .finish_non_exhaustive()
    }
}

/// A decimal number of up to 128 bits.
fn wide(text: &[u8]) -> Option<u128> {
    let digits = text.iter().all(u8::is_ascii_digit).then_some(text)?;
    core::str::from_utf8(digits).ok()?.parse().ok()
}

impl Mki {
    fn read(text: &[u8], colon: usize) -> Option<Mki> {
        let value = wide(text.get(..colon)?)?;
        let bytes = number(text.get(colon + 1..)?).filter(|bytes| (1..=128).contains(bytes))?;
        let fits = bytes >= 16 || value < 1_u128 << (u32::from(bytes) * 8);
        fits.then_some(Mki { value, bytes })
    }
}

impl Crypto {
    /// The lines of a media that can be used, in their order, which is the writer's order of preference.
    pub fn of(media: &MediaDescription<'_>) -> Vec<Crypto> {
        media.section.values(b"crypto").filter_map(Crypto::read).take(MAX_LINES).collect()
    }

    /// Reads the value of `a=crypto`. `None` for what is malformed or of an unknown suite or kind.
    pub fn read(value: &[u8]) -> Option<Crypto> {
        let mut words = words(value);
        let tag = words.next().filter(|tag| tag.len() <= 9).and_then(number)?;
        let suite = CryptoSuite::from_name(words.next()?)?;
        let keys = words.next()?.split(|byte| *byte == b';').filter(|text| !text.is_empty());
        let keys: Option<Vec<InlineKey>> =
            keys.take(MAX_KEYS).map(|text| InlineKey::read(text, suite)).collect();
        let keys = keys.filter(|keys| !keys.is_empty())?;
        // §6.1: several keys are told apart by their MKI, whose length is the same for all.
        let mki_bytes = |key: &InlineKey| key.mki.map(|mki| mki.bytes);
        let length = keys.first().and_then(mki_bytes);
        if keys.iter().any(|key| mki_bytes(key) != length) || (keys.len() > 1 && length.is_none()) {
            return None;
        }
        Some(Crypto { tag, suite, keys, session: CryptoSession::read(words)? })
    }

    /// The line to accept of an offer: the offerer's first whose suite we support (§7.1.2). A line that would weaken the
    /// protection, or that derives its keys anew ([`CryptoSession::is_plain`]), is passed over.
    pub fn choose<'a>(offered: &'a [Crypto], supported: &[CryptoSuite]) -> Option<&'a Crypto> {
        offered.iter().find(|crypto| supported.contains(&crypto.suite) && crypto.session.is_plain())
    }

    /// The line that accepts this one: its tag and suite, and our own key (§7.1.2).
    pub fn answer(&self, key: InlineKey) -> Crypto {
        let session = CryptoSession { window_size: None, ..self.session };
        Crypto { tag: self.tag, suite: self.suite, keys: vec![key], session }
    }

    /// The line of our offer that this answer accepts; `None` when it accepts none, which ends the stream (§7.1.3).
    pub fn accepted_of<'a>(&self, offered: &'a [Crypto]) -> Option<&'a Crypto> {
        offered.iter().find(|offer| (offer.tag, offer.suite) == (self.tag, self.suite))
    }

    /// Writes `a=crypto`.
    pub fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        writer.start_attribute("crypto");
        writer.display(format_args!("{} {} ", self.tag, self.suite.name()));
        for (index, key) in self.keys.iter().enumerate() {
            writer.display(if index == 0 { "" } else { ";" });
            key.write(writer);
        }
        self.session.write(writer);
        writer.end();
    }
}

/// A number of packets, `2^` before its exponent or not: at most 2^48 (RFC 3711 §9.2).
fn lifetime(text: &[u8]) -> Option<u64> {
    let packets = match text.strip_prefix(b"2^") {
        Some(exponent) => 1_u64.checked_shl(number(exponent)?)?,
        None => number(text)?,
    };
    (1..=1 << 48).contains(&packets).then_some(packets)
}

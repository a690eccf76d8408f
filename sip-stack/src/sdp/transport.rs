//! How a stream is carried: the attributes of the mux category TRANSPORT (RFC 8859) and the RTP profiles.
//!
//! They hold between two neighbours and no further: who passes a stream on replaces them by its own.

use super::description::SessionDescription;
use super::dtls::DtlsAttributes;
use super::ice::IceAttributes;
use super::rtcp::RtcpAttributes;
use super::sdes::Crypto;
use super::writer::SdpWriter;
use bytes::BufMut;
use serde::{Deserialize, Serialize};

/// The RTP profiles that a stream may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MediaTransport {
    /// `RTP/AVP` (RFC 3551)
    RtpAvp,
    /// `RTP/AVPF` (RFC 4585)
    RtpAvpf,
    /// `RTP/SAVP` (RFC 3711)
    RtpSavp,
    /// `RTP/SAVPF` (RFC 5124)
    RtpSavpf,
    /// `UDP/TLS/RTP/SAVP` (RFC 5764)
    UdpTlsRtpSavp,
    /// `UDP/TLS/RTP/SAVPF` (RFC 5764)
    UdpTlsRtpSavpf,
}

/// Where the keys of a stream come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Keying {
    /// There are none: RTP.
    Plain,
    /// The description itself: SRTP by RFC 4568.
    Sdes,
    /// A handshake on the media path: SRTP by RFC 5763.
    Dtls,
}

/// What one side says about the carrying of one stream. The default says nothing: plain RTP, RTCP on the port above.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransportAttributes {
    /// `None`: the side does not use ICE for the stream.
    pub ice: Option<IceAttributes>,
    /// `None`: no handshake can be made.
    pub dtls: Option<DtlsAttributes>,
    /// The `a=crypto` lines that can be used, at most 16.
    pub crypto: Vec<Crypto>,
    /// Where RTCP goes.
    pub rtcp: RtcpAttributes,
}

impl MediaTransport {
    const ALL: [MediaTransport; 6] = [
        MediaTransport::RtpAvp,
        MediaTransport::RtpAvpf,
        MediaTransport::RtpSavp,
        MediaTransport::RtpSavpf,
        MediaTransport::UdpTlsRtpSavp,
        MediaTransport::UdpTlsRtpSavpf,
    ];

    /// As it stands in `m=`.
    pub const fn protocol(self) -> &'static str {
        match self {
            MediaTransport::RtpAvp => "RTP/AVP",
            MediaTransport::RtpAvpf => "RTP/AVPF",
            MediaTransport::RtpSavp => "RTP/SAVP",
            MediaTransport::RtpSavpf => "RTP/SAVPF",
            MediaTransport::UdpTlsRtpSavp => "UDP/TLS/RTP/SAVP",
            MediaTransport::UdpTlsRtpSavpf => "UDP/TLS/RTP/SAVPF",
        }
    }

    /// The profile of this name.
    pub fn from_protocol(protocol: &[u8]) -> Option<MediaTransport> {
        MediaTransport::ALL
            .into_iter()
            .find(|known| known.protocol().as_bytes().eq_ignore_ascii_case(protocol))
    }

    /// Whether the packets are SRTP.
    pub const fn is_secure(self) -> bool {
        match self {
            MediaTransport::RtpAvp | MediaTransport::RtpAvpf => false,
            MediaTransport::RtpSavp
            | MediaTransport::RtpSavpf
            | MediaTransport::UdpTlsRtpSavp
            | MediaTransport::UdpTlsRtpSavpf => true,
        }
    }

    /// Whether feedback may be sent early, and `a=rtcp-fb` counts (RFC 4585 §4.2).
    pub const fn has_feedback(self) -> bool {
        match self {
            MediaTransport::RtpAvpf | MediaTransport::RtpSavpf | MediaTransport::UdpTlsRtpSavpf => true,
            MediaTransport::RtpAvp | MediaTransport::RtpSavp | MediaTransport::UdpTlsRtpSavp => false,
        }
    }

    /// The same profile without early feedback.
    pub const fn without_feedback(self) -> MediaTransport {
        match self {
            MediaTransport::RtpAvp | MediaTransport::RtpAvpf => MediaTransport::RtpAvp,
            MediaTransport::RtpSavp | MediaTransport::RtpSavpf => MediaTransport::RtpSavp,
            MediaTransport::UdpTlsRtpSavp | MediaTransport::UdpTlsRtpSavpf => MediaTransport::UdpTlsRtpSavp,
        }
    }
}

impl TransportAttributes {
    /// Those of the media at `media_index`: its own lines, and those of the session that hold for it. For a member of a
    /// bundle ask for [`SessionDescription::transport_index`]. `None` when there is no such media.
    pub fn of(session: &SessionDescription<'_>, media_index: usize) -> Option<TransportAttributes> {
        let media = session.media.get(media_index)?;
        Some(TransportAttributes {
            ice: IceAttributes::of(session, media),
            dtls: DtlsAttributes::of(session, media),
            crypto: Crypto::of(media),
            rtcp: RtcpAttributes::of(media),
        })
    }

    /// Where the keys come from under this profile. `None`: SRTP is asked for, and nothing here can key it.
    ///
    /// `RTP/SAVP(F)` is of SDES, or of DTLS where there are fingerprints alone, as early browsers wrote it. Left out on
    /// purpose: keys offered under a plain profile (RFC 8643); such a stream is plain.
    pub fn keying(&self, profile: MediaTransport) -> Option<Keying> {
        let dtls = self.dtls.as_ref().map(|_| Keying::Dtls);
        match profile {
            MediaTransport::RtpAvp | MediaTransport::RtpAvpf => Some(Keying::Plain),
            MediaTransport::RtpSavp | MediaTransport::RtpSavpf if !self.crypto.is_empty() => {
                Some(Keying::Sdes)
            }
            MediaTransport::RtpSavp
            | MediaTransport::RtpSavpf
            | MediaTransport::UdpTlsRtpSavp
            | MediaTransport::UdpTlsRtpSavpf => dtls,
        }
    }

    /// Writes the lines of one media.
    pub fn write<B: BufMut>(&self, writer: &mut SdpWriter<'_, B>) {
        self.rtcp.write(writer);
        for crypto in &self.crypto {
            crypto.write(writer);
        }
        if let Some(dtls) = &self.dtls {
            dtls.write(writer);
        }
        if let Some(ice) = &self.ice {
            ice.write(writer);
        }
    }

    /// Whether an attribute is one of these, or names a stream or its neighbours: not to be passed on.
    pub(super) fn is_one(name: &[u8]) -> bool {
        HOP_BY_HOP.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether the side is an ICE lite agent, which is said once for the whole session.
    pub(super) fn is_lite(&self) -> bool {
        self.ice.as_ref().is_some_and(|ice| ice.lite)
    }
}

/// RFC 8859's TRANSPORT, `setup`'s companions of RFC 4145, and what depends on the other lines of one description:
/// `mid`, `group` and `bundle-only`.
const HOP_BY_HOP: [&str; 23] = [
    "candidate",
    "remote-candidates",
    "end-of-candidates",
    "ice-ufrag",
    "ice-pwd",
    "ice-options",
    "ice-lite",
    "ice-mismatch",
    "ice-pacing",
    "fingerprint",
    "setup",
    "connection",
    "tls-id",
    "identity",
    "crypto",
    "key-mgmt",
    "rtcp",
    "rtcp-mux",
    "rtcp-mux-only",
    "rtcp-rsize",
    "mid",
    "group",
    "bundle-only",
];

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj\n";

    fn keying(profile: MediaTransport, lines: &str) -> Option<Keying> {
        let text = format!("v=0\nm=audio 4000 {} 0\n{lines}", profile.protocol());
        let session = SessionDescription::parse(text.as_bytes()).unwrap();
        TransportAttributes::of(&session, 0).unwrap().keying(profile)
    }

    #[test]
    fn keys_come_from_where_the_profile_and_the_lines_say() {
        use MediaTransport::{RtpAvp, RtpAvpf, RtpSavp, RtpSavpf, UdpTlsRtpSavp, UdpTlsRtpSavpf};
        let print = format!("a=fingerprint:sha-1 {}\n", ["AB"; 20].join(":"));
        let both = format!("{KEY}{print}");
        for profile in [RtpAvp, RtpAvpf] {
            assert_eq!(keying(profile, &both), Some(Keying::Plain));
            assert!(!profile.is_secure());
        }
        for profile in [RtpSavp, RtpSavpf] {
            assert_eq!(keying(profile, &both), Some(Keying::Sdes));
            assert_eq!(keying(profile, &print), Some(Keying::Dtls));
            assert_eq!(keying(profile, "a=crypto:1 UNKNOWN inline:AAAA\n"), None);
        }
        for profile in [UdpTlsRtpSavp, UdpTlsRtpSavpf] {
            assert_eq!(keying(profile, &both), Some(Keying::Dtls));
            assert_eq!(keying(profile, KEY), None);
            assert!(profile.is_secure());
        }
    }

    #[test]
    fn each_profile_is_known_by_its_name_in_any_case() {
        for profile in MediaTransport::ALL {
            let name = profile.protocol();
            assert_eq!(MediaTransport::from_protocol(name.to_lowercase().as_bytes()), Some(profile));
            assert_eq!(profile.has_feedback(), name.ends_with('F'));
        }
        assert_eq!(MediaTransport::from_protocol(b"RTP/XYZ"), None);
    }
}

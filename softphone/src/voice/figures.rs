//! What is known of a voice.

use crate::phone::Codec;
use media::jitter::JitterFigures;
use media::mix::Loudness;
use media::rtcp::RtcpFigures;

/// Figures of one call's sound, since it began.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct VoiceFigures {
    /// What is sent.
    pub sending: Option<Codec>,
    /// What is heard.
    pub hearing: Option<Codec>,
    /// RTP packets sent.
    pub packets_out: u64,
    /// RTP packets of the peer.
    pub packets_in: u64,
    /// Datagrams that were not the peer's, or no RTP of the call.
    pub dropped: u64,
    /// The jitter buffer, since the codec that is heard now was first heard.
    pub jitter: JitterFigures,
    /// RTCP of both sides.
    pub rtcp: Option<RtcpFigures>,
    /// How loud the last frame of the microphone was; `None` for nothing at all.
    pub spoken: Option<Loudness>,
    /// How loud the last frame that was heard was.
    pub heard: Option<Loudness>,
}

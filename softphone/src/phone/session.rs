//! The audio session of a call: our offers and answers, and what both sides agreed on (RFC 3264, RFC 3261 §13.2.1).
//!
//! Two codecs, PCMU and PCMA, and telephone events (RFC 4733). Left out on purpose: holding from our side, and streams
//! other than the first audio stream, which are rejected.

use super::Reason;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::sdp::{
    AudioCodec, AudioOffer, Direction, LocalAudio, LocalDescription, LocalOrigin, MediaTransport,
    SessionDescription, TelephoneEvent, intersect, intersect_events, write_answer, write_offer,
};
use std::net::SocketAddr;

/// The payload type under which we offer telephone events.
pub const TELEPHONE_EVENT: u8 = 101;

const TRANSPORTS: &[MediaTransport] = &[MediaTransport::RtpAvp];
/// DTMF digits and flash (RFC 4733 §3.2).
const EVENTS: &str = "0-16";
const PTIME_MS: u16 = 20;

/// What the samples are packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// G.711 µ-law
    Pcmu,
    /// G.711 A-law
    Pcma,
}

impl Codec {
    const ALL: [Codec; 2] = [Codec::Pcmu, Codec::Pcma];

    fn audio_codec(self) -> AudioCodec {
        match self {
            Codec::Pcmu => AudioCodec::new(0, "PCMU", 8_000),
            Codec::Pcma => AudioCodec::new(8, "PCMA", 8_000),
        }
    }

    fn of(codec: &AudioCodec) -> Option<Codec> {
        Codec::ALL.into_iter().find(|known| known.audio_codec().is_same_encoding(codec))
    }
}

/// What both sides agreed on: all that a sound card and an RTP socket need to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Where to send; `None` when the peer named no usable address.
    pub remote: Option<SocketAddr>,
    /// What to send.
    pub codec: Codec,
    /// Under which payload type to send it.
    pub payload_type: u8,
    /// The payload type to send telephone events with; `None`: the peer does not take them.
    pub telephone_event: Option<u8>,
    /// What may be received, by payload type.
    pub receives: Vec<(u8, Codec)>,
    /// The payload type that telephone events are received with.
    pub receives_telephone_event: Option<u8>,
    /// Milliseconds in a packet we send.
    pub ptime_ms: u16,
    /// Whether we may send.
    pub send: bool,
    /// Whether we may expect something.
    pub receive: bool,
}

/// One side of the offer/answer exchange of a dialog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    local: SocketAddr,
    /// Our last description.
    ours: LocalDescription,
    /// The peer's last description.
    theirs: Bytes,
    /// Whether our last description is an offer without its answer.
    offering: bool,
    stream: Option<Stream>,
}

impl Session {
    /// A session whose RTP is received at `local`. `id` is random.
    pub(super) fn new(id: u64, local: SocketAddr) -> Session {
        let ours = LocalDescription::new(id);
        Session { local, ours, theirs: Bytes::new(), offering: false, stream: None }
    }

    /// What was agreed on.
    pub(super) fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    /// Whether an offer of ours waits for its answer.
    pub(super) fn is_offering(&self) -> bool {
        self.offering
    }

    /// An offer of everything we know (RFC 3264 §5, §8).
    pub(super) fn offer(&mut self) -> Bytes {
        let codecs = Codec::ALL.map(Codec::audio_codec);
        let events =
            [TelephoneEvent { payload_type: TELEPHONE_EVENT, clock_rate: 8_000, events: EVENTS.into() }];
        self.offering = true;
        let theirs = self.theirs.clone();
        let earlier = SessionDescription::parse(&theirs).ok().and_then(|session| {
            let audio = AudioOffer::find(&session, TRANSPORTS).ok()?;
            Some((session, audio.media_index))
        });
        self.write(|origin, local, out| {
            let audio = local_audio(local, &codecs, &events, Direction::SendRecv);
            match &earlier {
                Some((session, index)) => write_answer(out, origin, session, Some((*index, &audio))),
                None => write_offer(out, origin, &audio),
            }
        })
    }

    /// Our answer to an offer; the agreement changes (RFC 3264 §6).
    ///
    /// # Errors
    /// [`Reason::Nonsense`] when the offer does not parse, [`Reason::NoCommonFormat`] when nothing in it can be taken:
    /// the agreement stays as it was.
    pub(super) fn answer(&mut self, offer: &Bytes) -> Result<Bytes, Reason> {
        let description = SessionDescription::parse(offer).map_err(|_| Reason::Nonsense)?;
        let (audio, codecs, events) = Session::common(&description)?;
        let direction = audio.direction.answer(Direction::SendRecv);
        let answer = self.write(|origin, local, out| {
            let ours = local_audio(local, &codecs, &events, direction);
            write_answer(out, origin, &description, Some((audio.media_index, &ours)));
        });
        self.theirs = offer.clone();
        self.stream = agreed(&codecs, &audio, events.first().map(|event| event.payload_type));
        Ok(answer)
    }

    /// Whether an offer could be answered.
    ///
    /// # Errors
    /// As [`Session::answer`].
    pub(super) fn check_offer(offer: &[u8]) -> Result<(), Reason> {
        let description = SessionDescription::parse(offer).map_err(|_| Reason::Nonsense)?;
        Session::common(&description).map(|_| ())
    }

    fn common(
        offer: &SessionDescription<'_>,
    ) -> Result<(AudioOffer, Vec<AudioCodec>, Vec<TelephoneEvent>), Reason> {
        let audio = AudioOffer::find(offer, TRANSPORTS).map_err(|_| Reason::NoCommonFormat)?;
        let codecs = intersect(&audio.codecs, &Codec::ALL.map(Codec::audio_codec));
        if codecs.is_empty() {
            return Err(Reason::NoCommonFormat);
        }
        let events = intersect_events(&audio.telephone_events, &codecs, EVENTS);
        Ok((audio, codecs, events))
    }

    /// Reads the answer to our offer; the agreement changes. `settled` is false for the answer in an unreliable
    /// provisional response, which the one in the final response repeats (RFC 3261 §13.2.1).
    ///
    /// # Errors
    /// As [`Session::answer`]; [`Reason::NoCommonFormat`] also when the stream was rejected.
    pub(super) fn accept_answer(&mut self, answer: &Bytes, settled: bool) -> Result<(), Reason> {
        let description = SessionDescription::parse(answer).map_err(|_| Reason::Nonsense)?;
        let (audio, codecs, _) = Session::common(&description)?;
        let stream = agreed(&codecs, &audio, Some(TELEPHONE_EVENT)).map(|stream| Stream {
            receives: Codec::ALL.map(|codec| (codec.audio_codec().payload_type, codec)).to_vec(),
            ..stream
        });
        self.theirs = answer.clone();
        self.stream = stream;
        self.offering = !settled;
        Ok(())
    }

    /// Writes a description of ours.
    fn write(&mut self, body: impl Fn(&LocalOrigin<'_>, SocketAddr, &mut Vec<u8>)) -> Bytes {
        let local = self.local;
        self.ours.write(b"", local.ip(), |origin, out| body(origin, local, out))
    }
}

/// The description in a message, if it has one.
///
/// # Errors
/// The Content-Type of a body that is none (415, RFC 3261 §21.4.13).
pub(super) fn description(message: &Message) -> Result<Option<Bytes>, Reason> {
    if message.body().is_empty() {
        return Ok(None);
    }
    match message.content_type() {
        Ok(Some(kind)) if kind.is("application", "sdp") => Ok(Some(message.body_bytes())),
        Ok(Some(_) | None) | Err(_) => Err(Reason::NoCommonFormat),
    }
}

/// The Content-Type of what [`Session`] writes.
pub(super) const SDP: &[u8] = b"application/sdp";

/// What Accept says (RFC 3261 §20.1).
pub(super) fn write_accept(writer: &mut sip_stack::message::Writer) {
    writer.header(HeaderName::Accept, SDP);
}

fn local_audio<'a>(
    local: SocketAddr,
    codecs: &'a [AudioCodec],
    telephone_events: &'a [TelephoneEvent],
    direction: Direction,
) -> LocalAudio<'a> {
    LocalAudio {
        address: local.ip(),
        port: local.port(),
        transport: MediaTransport::RtpAvp,
        codecs,
        telephone_events,
        direction,
        ptime_ms: Some(PTIME_MS),
    }
}

/// The stream that follows from what both sides know, in the peer's order and numbers.
fn agreed(codecs: &[AudioCodec], theirs: &AudioOffer, our_events: Option<u8>) -> Option<Stream> {
    let (codec, payload_type) =
        codecs.iter().find_map(|codec| Some((Codec::of(codec)?, codec.payload_type)))?;
    let longest = theirs.maxptime_ms.unwrap_or(u16::MAX);
    let telephone_event = theirs.telephone_events.iter().find(|event| event.clock_rate == 8_000);
    Some(Stream {
        remote: theirs.destination(),
        codec,
        payload_type,
        telephone_event: telephone_event.map(|event| event.payload_type),
        receives: codecs.iter().filter_map(|codec| Some((codec.payload_type, Codec::of(codec)?))).collect(),
        receives_telephone_event: our_events,
        // RFC 3551 §4.2: ten to two hundred; no more than the peer can take.
        ptime_ms: theirs.ptime_ms.unwrap_or(PTIME_MS).clamp(10, 60).min(longest.max(10)),
        send: theirs.direction.receives(),
        receive: theirs.direction.sends(),
    })
}

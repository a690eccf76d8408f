//! The audio session of a call: our offers and answers, and what both sides agreed on (RFC 3264, RFC 3261 §13.2.1).
//!
//! Holding is `a=sendonly` from our side (RFC 3264 §8.4): the other side then sends nothing, and neither do we send what the
//! microphone hears. Left out on purpose: streams other than the first audio stream, which are rejected; comfort noise.

use super::Reason;
use super::codecs::{Codec, EVENTS, EventFormat, Numbers};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::header::HeaderName;
use sip_stack::message::Message;
use sip_stack::sdp::{
    AudioCodec, AudioOffer, Direction, LocalAudio, LocalDescription, LocalOrigin, MediaTransport,
    SessionDescription, TelephoneEvent, intersect, intersect_events, write_answer, write_offer,
};
use std::net::SocketAddr;

/// With feedback (RFC 4585) a stream is taken as without: we ask for none, and the profile is the offer's.
const TRANSPORTS: &[MediaTransport] = &[MediaTransport::RtpAvp, MediaTransport::RtpAvpf];
const PTIME_MS: u16 = 20;

/// What both sides agreed on: all that a sound card and an RTP socket need to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Where to send; `None` when the peer named no usable address.
    pub remote: Option<SocketAddr>,
    /// Where to send RTCP: what the peer says (RFC 3605), else the port above.
    pub remote_rtcp: Option<SocketAddr>,
    /// What to send.
    pub codec: Codec,
    /// Under which payload type to send it.
    pub payload_type: u8,
    /// What to send telephone events with; `None`: the peer does not take them.
    pub telephone_event: Option<EventFormat>,
    /// What may be received, by payload type.
    pub receives: Vec<(u8, Codec)>,
    /// What telephone events are received with.
    pub receives_telephone_events: Vec<EventFormat>,
    /// Milliseconds in a packet we send.
    pub ptime_ms: u16,
    /// Whether we may send.
    pub send: bool,
    /// Whether we may expect something.
    pub receive: bool,
    /// Whether the other side has us on hold: it does not want to hear us.
    pub held: bool,
}

/// One side of the offer/answer exchange of a dialog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Session {
    local: SocketAddr,
    /// What we offer and take.
    codecs: Vec<Codec>,
    /// The payload types of this dialog (RFC 3264 §8.3.2: a number keeps its meaning).
    numbers: Numbers,
    /// Our last description.
    ours: LocalDescription,
    /// The peer's last description.
    theirs: Bytes,
    /// Whether our last description is an offer without its answer.
    offering: bool,
    /// Whether we hold the other side, as we said last.
    holding: bool,
    stream: Option<Stream>,
}

impl Session {
    /// A session whose RTP is received at `local`. `id` is random.
    pub(super) fn new(id: u64, local: SocketAddr, codecs: Vec<Codec>) -> Session {
        Session {
            local,
            codecs,
            numbers: Numbers::default(),
            ours: LocalDescription::new(id),
            theirs: Bytes::new(),
            offering: false,
            holding: false,
            stream: None,
        }
    }

    /// What was agreed on.
    pub(super) fn stream(&self) -> Option<&Stream> {
        self.stream.as_ref()
    }

    /// Whether an offer of ours waits for its answer.
    pub(super) fn is_offering(&self) -> bool {
        self.offering
    }

    /// Whether we hold the other side.
    pub(super) fn is_holding(&self) -> bool {
        self.holding
    }

    /// An offer of everything we know (RFC 3264 §5, §8).
    pub(super) fn offer(&mut self) -> Bytes {
        let codecs = self.numbers.number(&self.codecs);
        let events = self.numbers.number_events(&self.codecs);
        let direction = self.direction();
        self.offering = true;
        let theirs = self.theirs.clone();
        let earlier = SessionDescription::parse(&theirs).ok().and_then(|session| {
            let audio = AudioOffer::find(&session, TRANSPORTS).ok()?;
            Some((session, audio.media_index, audio.transport))
        });
        let transport = earlier.as_ref().map_or(MediaTransport::RtpAvp, |(_, _, transport)| *transport);
        self.write(|origin, local, out| {
            let audio = local_audio(local, transport, (&codecs, &events), direction);
            match &earlier {
                Some((session, index, _)) => write_answer(out, origin, session, Some((*index, &audio))),
                None => write_offer(out, origin, &audio),
            }
        })
    }

    /// An offer that holds the other side, or no longer does (RFC 3264 §8.4).
    pub(super) fn offer_hold(&mut self, holding: bool) -> Bytes {
        self.holding = holding;
        self.offer()
    }

    /// Our offer was refused: what was agreed before stays.
    pub(super) fn withdraw(&mut self, holding: bool) {
        (self.offering, self.holding) = (false, holding);
    }

    /// Our answer to an offer; the agreement changes (RFC 3264 §6).
    ///
    /// # Errors
    /// [`Reason::Nonsense`] when the offer does not parse, [`Reason::NoCommonFormat`] when nothing in it can be taken:
    /// the agreement stays as it was.
    pub(super) fn answer(&mut self, offer: &Bytes) -> Result<Bytes, Reason> {
        let description = SessionDescription::parse(offer).map_err(|_| Reason::Nonsense)?;
        let (audio, codecs, events) = common(&description, &self.codecs)?;
        self.numbers.learn(&codecs, &events);
        let direction = audio.direction.answer(self.direction());
        let answer = self.write(|origin, local, out| {
            let ours = local_audio(local, audio.transport, (&codecs, &events), direction);
            write_answer(out, origin, &description, Some((audio.media_index, &ours)));
        });
        self.theirs = offer.clone();
        self.stream = self.agreed(&codecs, &audio).map(|stream| Stream {
            receives: codecs.iter().filter_map(numbered).collect(),
            receives_telephone_events: events.iter().map(EventFormat::of).collect(),
            ..stream
        });
        Ok(answer)
    }

    /// Whether an offer could be answered with these codecs.
    ///
    /// # Errors
    /// As [`Session::answer`].
    pub(super) fn check_offer(offer: &[u8], codecs: &[Codec]) -> Result<(), Reason> {
        let description = SessionDescription::parse(offer).map_err(|_| Reason::Nonsense)?;
        common(&description, codecs).map(|_| ())
    }

    /// Reads the answer to our offer; the agreement changes. `settled` is false for the answer in an unreliable
    /// provisional response, which the one in the final response repeats (RFC 3261 §13.2.1).
    ///
    /// # Errors
    /// As [`Session::answer`]; [`Reason::NoCommonFormat`] also when the stream was rejected.
    pub(super) fn accept_answer(&mut self, answer: &Bytes, settled: bool) -> Result<(), Reason> {
        let description = SessionDescription::parse(answer).map_err(|_| Reason::Nonsense)?;
        let (audio, codecs, _) = common(&description, &self.codecs)?;
        let offered = self.numbers.number(&self.codecs);
        let events = self.numbers.number_events(&self.codecs);
        self.stream = self.agreed(&codecs, &audio).map(|stream| Stream {
            receives: offered.iter().filter_map(numbered).collect(),
            receives_telephone_events: events.iter().map(EventFormat::of).collect(),
            ..stream
        });
        self.theirs = answer.clone();
        self.offering = !settled;
        Ok(())
    }

    fn direction(&self) -> Direction {
        if self.holding { Direction::SendOnly } else { Direction::SendRecv }
    }

    /// The stream that follows from what both sides know, in the peer's order and numbers; what is received is the
    /// caller's to fill in.
    fn agreed(&self, codecs: &[AudioCodec], theirs: &AudioOffer) -> Option<Stream> {
        let (payload_type, codec) = codecs.iter().find_map(numbered)?;
        let longest = theirs.maxptime_ms.unwrap_or(u16::MAX);
        let remote = theirs.destination();
        Some(Stream {
            remote,
            remote_rtcp: remote.and_then(|remote| theirs.rtcp.destination(remote, false)),
            codec,
            payload_type,
            telephone_event: EventFormat::choose(&theirs.telephone_events, codec),
            receives: Vec::new(),
            receives_telephone_events: Vec::new(),
            // RFC 3551 §4.2: ten to two hundred; no more than the peer can take.
            ptime_ms: theirs.ptime_ms.unwrap_or(PTIME_MS).clamp(10, 60).min(longest.max(10)),
            send: theirs.direction.receives() && !self.holding,
            receive: theirs.direction.sends() && !self.holding,
            held: !theirs.direction.receives() && !self.holding,
        })
    }

    /// Writes a description of ours.
    fn write(&mut self, body: impl Fn(&LocalOrigin<'_>, SocketAddr, &mut Vec<u8>)) -> Bytes {
        let local = self.local;
        self.ours.write(b"", local.ip(), |origin, out| body(origin, local, out))
    }
}

/// The audio stream of an offer, with what of it we know.
fn common(
    offer: &SessionDescription<'_>,
    codecs: &[Codec],
) -> Result<(AudioOffer, Vec<AudioCodec>, Vec<TelephoneEvent>), Reason> {
    let audio = AudioOffer::find(offer, TRANSPORTS).map_err(|_| Reason::NoCommonFormat)?;
    let ours: Vec<AudioCodec> = codecs.iter().map(|codec| codec.audio_codec()).collect();
    let codecs = intersect(&audio.codecs, &ours);
    if codecs.is_empty() {
        return Err(Reason::NoCommonFormat);
    }
    let events = intersect_events(&audio.telephone_events, &codecs, EVENTS);
    Ok((audio, codecs, events))
}

fn numbered(codec: &AudioCodec) -> Option<(u8, Codec)> {
    Some((codec.payload_type, Codec::of(codec)?))
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
    transport: MediaTransport,
    (codecs, telephone_events): (&'a [AudioCodec], &'a [TelephoneEvent]),
    direction: Direction,
) -> LocalAudio<'a> {
    LocalAudio {
        address: local.ip(),
        port: local.port(),
        transport,
        codecs,
        telephone_events,
        direction,
        ptime_ms: Some(PTIME_MS),
    }
}

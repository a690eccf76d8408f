//! A leg in a room: what its peer sends becomes one frame for each tick, what it hears becomes packets of its own.
//!
//! The peer's packets wait in the jitter buffer until the tick asks for them. Frames leave in packets of the negotiated
//! duration, whatever the tick; the sequence goes on where a relay has left it (`egress`), and the other way round.
//!
//! Left out on purpose: who hears whom (`mix`), and sockets.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::egress::Feed;
use super::ingress::Arrival;
use super::leg::Leg;
use crate::codec::{Codec, CreateError, Decoder, Encoder, comfort_noise, opus};
use crate::dsp::{Conditioner, Conditioning, Resampler, SampleRate};
use crate::jitter::{Decode, JitterBuffer, JitterConfig, JitterFigures, Packet, PayloadKind};
use crate::rtcp::PlayoutFigures;
use crate::rtp::FIXED_HEADER;
use crate::shard::{CodecKind, RoomId, TICK_MS};
use crate::time::Time;

/// The longest frame: 20 ms at 48 kHz.
pub(crate) const MAX_FRAME: usize = 960;

/// The most that gathers of packets of so many milliseconds, with the frame of a tick that fills one.
const fn most_pending(ptime_ms: u32, tick_ms: u32) -> u32 {
    // What is left waits in steps of the greatest common divisor, and is less than a packet.
    let (mut grain, mut rest) = (ptime_ms, tick_ms);
    while rest > 0 {
        (grain, rest) = (rest, grain % rest);
    }
    ptime_ms - grain + tick_ms
}

/// How a mixed leg's peer speaks and is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AudioFormat {
    /// The codec, in both directions.
    pub codec: Codec,
    /// Its payload type.
    pub payload_type: u8,
    /// The duration of the packets that we send, in milliseconds; see [`Codec::ptime_ms`].
    pub ptime_ms: u8,
}

/// Why a leg cannot be mixed in a format.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FormatError {
    /// The codec does not take these settings.
    #[error(transparent)]
    Codec(#[from] CreateError),
    /// Packets of no duration, or of more than 60 ms.
    #[error("packets of {0} ms; they last 10 to 60 ms")]
    Ptime(u8),
}

/// The state of a leg in a room.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Mixed {
    pub(crate) room: RoomId,
    format: AudioFormat,
    buffer: JitterBuffer,
    listener: Listener,
    encoder: Encoder,
    /// Where the room has another rate.
    converters: Option<Converters>,
    /// Where something is done to what it says.
    conditioner: Option<Box<Conditioner>>,
    /// What was heard and has not left yet, less than a packet, at the codec's rate.
    pending: Vec<i16>,
    /// Tells this stay in a room from others.
    run: u32,
    /// Packets made in it so far, and their clock ticks.
    packets: u64,
    clock: u32,
}

/// Between the rates of a leg and its room.
#[derive(Debug, Serialize, Deserialize)]
struct Converters {
    to_room: Resampler,
    to_peer: Resampler,
}

/// The decoder and what it is for.
#[derive(Debug, Serialize, Deserialize)]
struct Listener {
    format: AudioFormat,
    decoder: Decoder,
    /// Once the peer has described its background (RFC 3389).
    background: Option<comfort_noise::Generator>,
}

/// The static payload type of comfort noise (RFC 3551 §6), for codecs of 8 kHz.
const COMFORT_NOISE: u8 = 13;

impl Listener {
    /// Whether packets of this type are sound or tell of it; others, such as events (RFC 4733), take their turn unheard.
    fn listens_to(&self, payload_type: u8) -> bool {
        payload_type == self.format.payload_type || self.is_noise(payload_type)
    }

    fn is_noise(&self, payload_type: u8) -> bool {
        payload_type == COMFORT_NOISE && self.format.codec.clock_rate() == 8_000
    }
}

impl Decode for Listener {
    fn kind(&self, payload_type: u8, payload: &[u8]) -> PayloadKind {
        if self.is_noise(payload_type) {
            return if payload.is_empty() { PayloadKind::Nothing } else { PayloadKind::Noise };
        }
        let ours = payload_type == self.format.payload_type;
        let samples = self.format.codec.samples_in(payload).filter(|samples| ours && *samples > 0);
        samples.map_or(PayloadKind::Nothing, PayloadKind::Audio)
    }

    fn decode(&mut self, _payload_type: u8, payload: &[u8], out: &mut [i16]) -> usize {
        self.decoder.decode(payload, out).unwrap_or(0)
    }

    fn conceal(&mut self, out: &mut [i16]) -> bool {
        self.decoder.conceal(out)
    }

    fn recover(&mut self, _payload_type: u8, payload: &[u8], out: &mut [i16]) -> bool {
        self.decoder.decode_fec(payload, out).is_some()
    }

    fn describe_noise(&mut self, _payload_type: u8, payload: &[u8]) {
        if let Some(description) = comfort_noise::Description::parse(payload) {
            self.background.get_or_insert_with(|| comfort_noise::Generator::new(0)).describe(&description);
        }
    }

    fn noise(&mut self, out: &mut [i16]) -> bool {
        self.background.as_mut().is_some_and(|background| {
            background.generate(out);
            true
        })
    }
}

impl Mixed {
    /// A leg that has just come into a room. Allocates.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub(crate) fn new(room: RoomId, format: AudioFormat, run: u32) -> Result<Self, FormatError> {
        let AudioFormat { codec, ptime_ms, .. } = format;
        if !(10..=60).contains(&ptime_ms) {
            return Err(FormatError::Ptime(ptime_ms));
        }
        let rate = codec.sample_rate();
        Ok(Self {
            room,
            format,
            buffer: JitterBuffer::new(JitterConfig::of(codec)),
            listener: Listener { format, decoder: Decoder::new(codec)?, background: None },
            encoder: Encoder::new(codec, opus::Settings::default())?,
            converters: None,
            conditioner: None,
            pending: Vec::with_capacity(rate.samples(most_pending(ptime_ms.into(), TICK_MS))),
            run,
            packets: 0,
            clock: 0,
        })
    }

    /// Goes on in another room. Packets of ours begin anew there, as its ticks are at other times.
    pub(crate) const fn enter(&mut self, room: RoomId, run: u32) {
        (self.room, self.run, self.packets) = (room, run, 0);
    }

    /// The rate of what it says and hears.
    pub(crate) const fn rate(&self) -> SampleRate {
        self.format.codec.sample_rate()
    }

    /// From now on the room has `rate`. Allocates when that differs from the leg's own.
    pub(crate) fn tune(&mut self, rate: SampleRate) {
        let own = self.rate();
        if self.converters.as_ref().map_or(own, |converters| converters.to_room.to()) != rate {
            let between =
                || Converters { to_room: Resampler::new(own, rate), to_peer: Resampler::new(rate, own) };
            self.converters = (own != rate).then(between);
        }
    }

    /// Which codec it has, as far as that matters for what it costs.
    pub(crate) fn kind(&self) -> CodecKind {
        self.format.codec.into()
    }

    pub(crate) const fn format(&self) -> AudioFormat {
        self.format
    }

    /// Whether packets of this type are heard here.
    pub(crate) fn listens_to(&self, payload_type: u8) -> bool {
        self.listener.listens_to(payload_type)
    }

    pub(crate) fn figures(&self) -> JitterFigures {
        self.buffer.figures()
    }

    /// What the jitter buffer did, as RTCP tells it.
    pub(crate) fn playout(&self) -> PlayoutFigures {
        let (figures, per_ms) = (self.buffer.figures(), u64::from(self.rate().hertz() / 1_000));
        PlayoutFigures {
            discarded: figures.late + figures.discarded,
            played_ms: figures.played / per_ms,
            concealed_ms: figures.concealed / per_ms,
            delay: Duration::from_micros(figures.delay_us.into()),
            delay_max: Duration::from_micros(figures.max_delay_us.into()),
            delay_limit: Duration::from_millis(self.buffer.max_delay_ms().into()),
        }
    }

    /// Packets that one tick of `tick_ms` may make, and their octets together.
    pub(crate) fn at_most(&self, tick_ms: u32) -> (usize, usize) {
        let ptime_ms = u32::from(self.format.ptime_ms);
        // Less than a packet waits at the beginning of a tick.
        let packets = tick_ms.div_ceil(ptime_ms) as usize;
        (packets, packets * (FIXED_HEADER + self.format.codec.max_payload(ptime_ms)))
    }

    /// Takes a packet of the peer; it is heard in its turn.
    #[inline]
    pub(crate) fn handle_packet(&mut self, now: Time, arrival: &Arrival, datagram: &[u8]) {
        let sounds = self.listener.listens_to(arrival.payload_type);
        let payload = datagram.get(arrival.payload.clone()).filter(|_| sounds).unwrap_or_default();
        self.buffer.insert(
            now,
            &Packet {
                stream: arrival.stream,
                sequence: arrival.sequence,
                timestamp: arrival.timestamp,
                marker: arrival.marker,
                payload_type: arrival.payload_type,
                payload,
            },
        );
    }

    /// From now on this is done to what it says. Allocates where that is anything.
    pub(crate) fn condition(&mut self, conditioning: Conditioning) {
        self.conditioner = Conditioner::new(conditioning).map(Box::new);
    }

    /// What the peer says in this tick, a frame of the room; whether there is any sound in it. `scratch` has room for a
    /// frame at any rate.
    pub(crate) fn say(&mut self, now: Time, frame: &mut [i16], scratch: &mut [i16]) -> bool {
        let sounds = self.play(now, frame, scratch);
        match &mut self.conditioner {
            None => sounds,
            Some(conditioner) if sounds => conditioner.process(frame),
            Some(conditioner) => {
                conditioner.pass_silence();
                false
            }
        }
    }

    fn play(&mut self, now: Time, frame: &mut [i16], scratch: &mut [i16]) -> bool {
        let Some(Converters { to_room, .. }) = &mut self.converters else {
            let played = self.buffer.play(now, &mut self.listener, frame);
            return self.listener.background.is_some() || (played.paused as usize) < frame.len();
        };
        let own = frame.len() * to_room.from().hertz() as usize / to_room.to().hertz() as usize;
        let Some(said) = scratch.get_mut(..own) else { return false };
        let played = self.buffer.play(now, &mut self.listener, said);
        let sounds = self.listener.background.is_some() || (played.paused as usize) < own;
        if sounds {
            to_room.resample(said, frame);
        } else {
            to_room.reset();
        }
        sounds
    }

    /// Whether what it hears can be encoded for all that hear the same: one packet for each tick, by a codec without a
    /// past, at the rate of the room.
    pub(crate) fn shares(&self, tick_ms: u32) -> bool {
        let stateless = matches!(self.format.codec, Codec::Pcmu | Codec::Pcma | Codec::L16 { .. });
        let whole = u32::from(self.format.ptime_ms) == tick_ms && self.pending.is_empty();
        stateless && whole && self.converters.is_none()
    }

    /// Lets the time of our stream go on by so many milliseconds without a packet.
    pub(crate) fn leave_out(&mut self, ms: u32) {
        let ticks = u64::from(self.format.codec.clock_rate()) * u64::from(ms) / 1_000;
        self.clock = self.clock.wrapping_add(ticks as u32);
    }

    /// Encodes one whole packet, without regard to what waits.
    pub(crate) fn encode(&mut self, samples: &[i16], payload: &mut [u8]) -> usize {
        self.encoder.encode(samples, payload).unwrap_or(0)
    }

    /// Takes what the leg hears in this tick, a frame of the room, until it fills a packet. `scratch` has room for a frame at
    /// any rate.
    pub(crate) fn hear(&mut self, frame: &[i16], scratch: &mut [i16]) {
        let heard = match &mut self.converters {
            Some(Converters { to_peer, .. }) => {
                let length = to_peer.resample(frame, scratch);
                scratch.get(..length).unwrap_or_default()
            }
            None => frame,
        };
        // Room for what is left of a packet and a frame was made at the beginning.
        if self.pending.capacity() - self.pending.len() >= heard.len() {
            self.pending.extend_from_slice(heard);
        }
    }

    /// Forgets the sound that waits for a packet to be full; its time passes.
    pub(crate) fn drop_pending(&mut self) {
        let ms = self.pending.len() as u64 * 1_000 / u64::from(self.rate().hertz());
        self.leave_out(ms as u32);
        self.pending.clear();
    }

    /// The last milliseconds of what it has been given to hear.
    pub(crate) fn last_heard(&mut self, ms: u32) -> &mut [i16] {
        let begin = self.pending.len().saturating_sub(self.rate().samples(ms));
        self.pending.get_mut(begin..).unwrap_or_default()
    }

    /// Encodes the next packet, if it is full; how long its payload is.
    pub(crate) fn encode_pending(&mut self, payload: &mut [u8]) -> Option<usize> {
        let length = self.format.codec.sample_rate().samples(u32::from(self.format.ptime_ms));
        let octets = self.encoder.encode(self.pending.get(..length)?, payload).unwrap_or(0);
        self.pending.drain(..length);
        Some(octets)
    }
}

/// The place of a packet of ours, and where it goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Departure {
    pub(crate) destination: SocketAddr,
    pub(crate) header: [u8; FIXED_HEADER],
}

impl Leg {
    /// The header of the next packet of a mixed leg, with `octets` of payload. `None` when the peer may not receive, or
    /// when nothing says where it is; then the packet is not sent, and its time passes all the same.
    pub(crate) fn depart(&mut self, now: Time, octets: usize) -> Option<Departure> {
        let mixed = self.mixed.as_mut()?;
        let format = mixed.format;
        let timestamp = mixed.clock;
        mixed.leave_out(format.ptime_ms.into());
        let params = self.params.as_ref().filter(|params| params.receive)?;
        let destination = *self.ingress.destination(params)?;
        // A number is for a packet that is sent: what was kept back on hold must not look like loss.
        let sequence = mixed.packets;
        mixed.packets += 1;
        let feed = Feed::Mix { run: mixed.run };
        let placed = self.egress.place(now, feed, sequence, timestamp, format.codec.clock_rate())?;
        self.count_sent(now, placed.timestamp, octets);
        Some(Departure { destination, header: placed.header(format.payload_type) })
    }
}

//! Digits on one leg: what its peer presses, and what is pressed for it (RFC 4733; ITU-T Q.23, Q.24).
//!
//! [`Keys`] hears: events as they arrive, and tones in the sound where the leg asks for it. [`Dial`] sends: events, or tones
//! in the codec of the leg, in packets of 20 ms. While it does, sound that is relayed to the leg is kept back, so that a
//! receiver hears one thing at a time; the stream goes on without a gap in its numbers (`egress`).
//!
//! Bounds: a dial holds [`QUEUE`](crate::dtmf::QUEUE) digits and refuses more. Of a payload with several events the first
//! four count. A peer is heard to press twenty keys a second, with a second's worth at once; more are left out and counted.
//!
//! Left out on purpose: to whom digits of a leg go (`shard/digits`), and SIP INFO, which is the owner's.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::egress::Egress;
use super::ingress::Arrival;
use super::leg::Leg;
use super::mixed::{AudioFormat, Departure, MAX_FRAME};
use crate::codec::{Decoder, Encoder, opus};
use crate::dtmf::{
    Detector, Digit, EventPacket, Heard, QueueFull, Receiver, Sender, ToneGenerator, ToneLevels,
};
use crate::rtp::FIXED_HEADER;
use crate::shard::TICK_MS;
use crate::time::Time;

/// Octets of a payload that are read: four events.
const EVENTS: usize = 16;
/// What four events may bring to light: each ends the one before it, begins and ends.
pub(crate) const MOST_HEARD: usize = 3 * EVENTS / 4;
/// The least time between two keys on the mean: no hand and no machine presses faster (ITU-T Q.24).
const KEY: Duration = Duration::from_millis(50);
/// How far keys may be ahead of that: a network that stalls lets many arrive at once.
const AHEAD: Duration = Duration::from_secs(1);
/// The level that events tell, in −dBm0: that of tones.
const VOLUME: u8 = 10;
/// The longest payload of tones: what leaves unfragmented.
const LONGEST_PAYLOAD: usize = 1400;

/// A payload type of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFormat {
    /// Its number.
    pub payload_type: u8,
    /// Ticks of its durations per second.
    pub clock_rate: u32,
}

/// How digits reach the peer of a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigitOutlet {
    /// Not in its media. Digits for it are reported back to the owner.
    #[default]
    Nowhere,
    /// As events.
    Events(EventFormat),
    /// As tones in this codec, in packets of 20 ms. A codec whose packets would be longer than 1400 octets has none.
    Tones(AudioFormat),
}

/// How a digit was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DigitWay {
    /// As an event.
    Event,
    /// As a tone in the sound.
    Tone,
}

/// How digits travel between a leg and its peer. The default: they do not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DigitParams {
    /// The payload types under which the peer sends events.
    pub incoming: SmallVec<[EventFormat; 2]>,
    /// How digits reach it.
    pub outlet: DigitOutlet,
    /// The sound in which its tones are listened for. That costs decoding each packet.
    pub listen: Option<AudioFormat>,
    /// Whether the owner is told what it presses.
    pub report: bool,
}

impl DigitParams {
    /// Whether packets of this type are events.
    #[inline]
    pub(crate) fn is_event(&self, payload_type: u8) -> bool {
        self.incoming.iter().any(|format| format.payload_type == payload_type)
    }
}

/// What is heard of keys in one packet, and how.
pub(crate) type HeardKeys = SmallVec<[(Heard, DigitWay); MOST_HEARD]>;

/// What a leg's peer presses.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Keys {
    receiver: Receiver,
    clock_rate: u32,
    /// The stream of the leg whose timestamps it follows.
    stream: u32,
    listener: Option<Box<Listener>>,
    gate: Gate,
    /// An alarm is set for the end of an event whose end is not seen.
    pub(crate) alarmed: bool,
    /// The events do not reach the partner by themselves.
    pub(crate) converts: bool,
}

/// Lets through what a hand can press: nothing of a peer may become work without a bound.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
struct Gate {
    /// When the keys so far would be over at the fastest pace.
    paced: Time,
    /// The key that is down was left out.
    skipping: bool,
    skipped: u64,
}

impl Gate {
    /// Adds what is heard, unless it is too much; there is room for all that one packet can bring to light.
    fn note(&mut self, now: Time, heard: &mut HeardKeys, key: Heard, way: DigitWay) {
        let passes = match key {
            Heard::Started(_) => {
                self.skipping = self.paced > now + AHEAD;
                if self.skipping {
                    self.skipped += 1;
                } else {
                    self.paced = self.paced.max(now) + KEY;
                }
                !self.skipping
            }
            Heard::Ended(_) => !core::mem::take(&mut self.skipping),
        };
        if passes && heard.len() < MOST_HEARD {
            heard.push((key, way));
        }
    }
}

/// What listens for tones.
#[derive(Debug, Serialize, Deserialize)]
struct Listener {
    payload_type: u8,
    decoder: Decoder,
    detector: Detector,
    samples: Vec<i16>,
}

impl Listener {
    /// `None` for a codec that cannot be decoded, or whose rate is none that digits are detected at. Allocates.
    fn new(format: AudioFormat) -> Option<Self> {
        let rate = format.codec.sample_rate();
        Some(Self {
            payload_type: format.payload_type,
            decoder: Decoder::new(format.codec).ok()?,
            detector: Detector::new(rate.hertz()).ok()?,
            // The longest packet of Opus.
            samples: vec![0; rate.samples(120)],
        })
    }
}

impl Keys {
    /// `None` when there is nothing to be heard. Allocates.
    fn new(params: &DigitParams) -> Option<Box<Self>> {
        let listener = params.listen.and_then(Listener::new).map(Box::new);
        let clock_rate = params.incoming.first().map_or(8_000, |format| format.clock_rate);
        let hears = listener.is_some() || !params.incoming.is_empty();
        let receiver = Receiver::new(clock_rate);
        hears.then(|| {
            Box::new(Self {
                receiver,
                clock_rate,
                stream: 0,
                listener,
                gate: Gate::default(),
                alarmed: false,
                converts: false,
            })
        })
    }

    /// Listens to a packet of the peer. Allocates nothing.
    #[inline]
    pub(crate) fn handle_packet(
        &mut self,
        now: Time,
        incoming: &[EventFormat],
        arrival: &Arrival,
        payload: &[u8],
        heard: &mut HeardKeys,
    ) {
        let format = incoming.iter().find(|format| format.payload_type == arrival.payload_type);
        if let Some(format) = format {
            self.handle_events(now, *format, arrival, payload, heard);
        } else if let Some(listener) = &mut self.listener
            && listener.payload_type == arrival.payload_type
        {
            let Listener { decoder, detector, samples, .. } = &mut **listener;
            let length = decoder.decode(payload, samples).unwrap_or(0);
            let (samples, gate) = (samples.get(..length).unwrap_or_default(), &mut self.gate);
            detector.handle(samples, |key| gate.note(now, heard, key, DigitWay::Tone));
        }
    }

    fn handle_events(
        &mut self,
        now: Time,
        format: EventFormat,
        arrival: &Arrival,
        payload: &[u8],
        heard: &mut HeardKeys,
    ) {
        let gate = &mut self.gate;
        let mut note = |key| gate.note(now, heard, key, DigitWay::Event);
        if self.clock_rate != format.clock_rate {
            self.receiver.handle_new_stream(&mut note);
            (self.receiver, self.clock_rate) = (Receiver::new(format.clock_rate), format.clock_rate);
        } else if self.stream != arrival.stream {
            self.receiver.handle_new_stream(&mut note);
        }
        self.stream = arrival.stream;
        let payload = payload.get(..EVENTS).unwrap_or(payload);
        self.receiver.handle_packet(now, (arrival.timestamp, arrival.marker), payload, note);
    }

    /// Keys that were left out since the last time this was asked.
    pub(crate) const fn take_skipped(&mut self) -> u64 {
        core::mem::replace(&mut self.gate.skipped, 0)
    }

    /// When [`Self::handle_timeout`] wants to be called.
    pub(crate) fn poll_timeout(&self) -> Option<Time> {
        self.receiver.poll_timeout()
    }

    /// Ends an event whose end is not seen.
    pub(crate) fn handle_timeout(&mut self, now: Time, heard: &mut HeardKeys) {
        let gate = &mut self.gate;
        self.receiver.handle_timeout(now, |key| gate.note(now, heard, key, DigitWay::Event));
    }
}

/// What is pressed for a leg's peer.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Dial {
    way: Way,
    /// The timestamp of the next packet, while something is being sent.
    clock: Option<u32>,
    /// An alarm is set for the next packet.
    pub(crate) alarmed: bool,
}

#[derive(Debug, Serialize, Deserialize)]
enum Way {
    Events { format: EventFormat, sender: Sender },
    Tones { format: AudioFormat, generator: ToneGenerator, encoder: Encoder },
}

/// A packet that a dial has made.
struct Made {
    payload_type: u8,
    timestamp: u32,
    marker: bool,
    octets: usize,
}

impl Dial {
    /// `None` where digits cannot be sent in the media. Allocates.
    fn new(outlet: DigitOutlet) -> Option<Box<Self>> {
        let way = match outlet {
            DigitOutlet::Nowhere => return None,
            DigitOutlet::Events(format) => {
                Way::Events { format, sender: Sender::new(format.clock_rate, VOLUME) }
            }
            DigitOutlet::Tones(format) => {
                let codec = format.codec;
                if codec.max_payload(TICK_MS) > LONGEST_PAYLOAD {
                    return None;
                }
                let generator = ToneGenerator::new(codec.sample_rate().hertz(), ToneLevels::default());
                let encoder = Encoder::new(codec, opus::Settings::default()).ok()?;
                Way::Tones { format, generator, encoder }
            }
        };
        Some(Box::new(Self { way, clock: None, alarmed: false }))
    }

    /// Whether something is being sent or waits.
    pub(crate) fn is_busy(&self) -> bool {
        match &self.way {
            Way::Events { sender, .. } => !sender.is_idle(),
            Way::Tones { generator, .. } => !generator.is_idle(),
        }
    }

    /// Whether it sends events. A tone that was heard goes on as sound by itself.
    pub(crate) const fn sends_events(&self) -> bool {
        match &self.way {
            Way::Events { .. } => true,
            Way::Tones { .. } => false,
        }
    }

    /// Queues a whole digit.
    pub(crate) fn push(&mut self, digit: Digit) -> Result<(), QueueFull> {
        self.start();
        match &mut self.way {
            Way::Events { sender, .. } => sender.push(digit),
            Way::Tones { generator, .. } => generator.push(digit),
        }
    }

    /// Sends a key while it is held.
    pub(crate) fn handle(&mut self, heard: Heard) -> Result<(), QueueFull> {
        self.start();
        match &mut self.way {
            Way::Events { sender, .. } => sender.handle(heard),
            Way::Tones { generator, .. } => generator.handle(heard),
        }
    }

    /// Whoever holds keys is not heard any more: they go up.
    pub(crate) fn release(&mut self) {
        match &mut self.way {
            Way::Events { sender, .. } => sender.release(),
            Way::Tones { generator, .. } => generator.release(),
        }
    }

    fn start(&mut self) {
        if !self.is_busy() {
            self.clock = None;
        }
    }

    /// The timestamp of this tick in the stream of the leg.
    fn tick(&mut self, now: Time, egress: &Egress, clock_rate: u32) -> u32 {
        let timestamp = self.clock.unwrap_or_else(|| egress.timestamp_at(now, clock_rate));
        self.clock = Some(timestamp.wrapping_add(ticks(clock_rate)));
        timestamp
    }

    /// The payload of the next packet, which has this timestamp at least. Allocates nothing.
    fn make(&mut self, timestamp: u32, payload: &mut [u8]) -> Option<Made> {
        match &mut self.way {
            Way::Events { format, sender } => {
                let packet = sender.tick(timestamp, ticks(format.clock_rate))?;
                payload.get_mut(..packet.payload.len())?.copy_from_slice(&packet.payload);
                let EventPacket { marker, timestamp, payload } = packet;
                Some(Made { payload_type: format.payload_type, timestamp, marker, octets: payload.len() })
            }
            Way::Tones { format, generator, encoder } => {
                let mut frame = [0; MAX_FRAME];
                let frame = frame.get_mut(..format.codec.sample_rate().samples(TICK_MS))?;
                generator.fill(frame);
                let octets = encoder.encode(frame, payload).ok()?;
                Some(Made { payload_type: format.payload_type, timestamp, marker: false, octets })
            }
        }
    }
}

/// Ticks of a clock in 20 ms.
const fn ticks(clock_rate: u32) -> u32 {
    (clock_rate as u64 * TICK_MS as u64 / 1_000) as u32
}

impl Leg {
    /// New parameters have come: what hears and what sends are made anew where they say something else. Allocates.
    pub(crate) fn configure_digits(&mut self, old: &DigitParams) {
        let Some(new) = self.params.as_ref().map(|params| &params.digits) else { return };
        if (&old.incoming, old.listen) != (&new.incoming, new.listen) {
            let alarmed = self.keys.as_ref().is_some_and(|keys| keys.alarmed);
            self.keys = Keys::new(new);
            self.listens = self.keys.as_ref().is_some_and(|keys| keys.listener.is_some());
            if let Some(keys) = &mut self.keys {
                keys.alarmed = alarmed;
            }
        }
        if old.outlet != new.outlet {
            let alarmed = self.dial.as_ref().is_some_and(|dial| dial.alarmed);
            self.dial = Dial::new(new.outlet);
            self.dialling = false;
            if let Some(dial) = &mut self.dial {
                dial.alarmed = alarmed;
            }
        }
    }

    /// Notes whether digits are being sent to the peer, so that sound has to wait.
    pub(crate) fn mark_dialling(&mut self) {
        self.dialling = self.dial.as_ref().is_some_and(|dial| dial.is_busy());
    }

    /// Writes the next packet of digits to a leg that is in no room; how long it is. `None` when nothing is to be sent, or
    /// the peer may not receive; then time passes all the same.
    pub(crate) fn dial_packet(&mut self, now: Time, place: &mut [u8]) -> Option<usize> {
        let (params, dial) = self.params.as_ref().zip(self.dial.as_mut())?;
        let (header, payload) = place.split_first_chunk_mut::<FIXED_HEADER>()?;
        let timestamp = dial.tick(now, &self.egress, params.clock_rate);
        let made = dial.make(timestamp, payload)?;
        if !params.receive {
            return None;
        }
        let placed = self.egress.append(now, made.timestamp);
        *header = placed.marked(made.marker).header(made.payload_type);
        self.count_sent(now, placed.timestamp, made.octets);
        Some(FIXED_HEADER + made.octets)
    }

    /// The event that takes the place of sound in this tick of the room, if there is one; whether it leaves is another
    /// matter.
    pub(crate) fn dial_event(&mut self, now: Time) -> Option<(Option<Departure>, EventPacket)> {
        let (mixed, dial) = self.mixed.as_mut().zip(self.dial.as_mut())?;
        let timestamp = dial.tick(now, &self.egress, mixed.format().codec.clock_rate());
        let Way::Events { format, sender } = &mut dial.way else { return None };
        let (payload_type, packet) = (format.payload_type, sender.tick(timestamp, ticks(format.clock_rate)));
        if packet.is_some() {
            mixed.drop_pending();
        }
        self.mark_dialling();
        let packet = packet?;
        let params = self.params.as_ref().filter(|params| params.receive);
        let destination = params.and_then(|params| self.ingress.destination(params)).copied();
        let departure = destination.map(|destination| {
            let placed = self.egress.append(now, packet.timestamp);
            self.count_sent(now, placed.timestamp, packet.payload.len());
            Departure { destination, header: placed.marked(packet.marker).header(payload_type) }
        });
        Some((departure, packet))
    }

    /// Plays tones over what the leg has just been given to hear.
    pub(crate) fn dial_tones(&mut self) {
        if let Some((mixed, dial)) = self.mixed.as_mut().zip(self.dial.as_mut())
            && let Way::Tones { format, generator, .. } = &mut dial.way
            && format.codec.sample_rate() == mixed.rate()
        {
            generator.fill(mixed.last_heard(TICK_MS));
        }
        self.mark_dialling();
    }
}

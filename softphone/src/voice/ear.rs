//! The receiving half of a voice: packets of whichever codec was agreed on, to frames at one rate.
//!
//! A peer may send any codec of the agreement (RFC 3264 §7). The one that is heard changes with the second packet in a row
//! of another payload type; the jitter buffer then begins anew.

use super::format::media_codec;
use crate::phone::{self, Stream};
use media::Time;
use media::codec::{Codec, CreateError, Decoder};
use media::dsp::{Resampler, SampleRate};
use media::dtmf::{Detector, Heard, Receiver};
use media::jitter::{Decode, JitterBuffer, JitterConfig, JitterFigures, Packet, PayloadKind};
use media::rtp::{Header, SequenceTracker, Sequenced, Ssrc};

/// The longest frame: 20 ms at 48 kHz.
const MAX_FRAME: usize = 960;

/// What is heard.
pub(super) struct Ear {
    rate: SampleRate,
    tuned: Option<Tuned>,
    stream: Option<Tracked>,
    streams: u32,
    /// A payload type that came instead of the expected one.
    other: Option<u8>,
    events: Vec<(u8, Receiver)>,
    detector: Option<Detector>,
    scratch: Box<[i16; MAX_FRAME]>,
}

/// The synchronisation source that is heard.
#[derive(Clone, Copy)]
struct Tracked {
    ssrc: Ssrc,
    tracker: SequenceTracker,
}

/// Everything that depends on the codec.
struct Tuned {
    codec: phone::Codec,
    buffer: JitterBuffer,
    listener: Listener,
    resampler: Resampler,
}

struct Listener {
    codec: Codec,
    /// The payload types it comes under.
    payload_types: u128,
    decoder: Decoder,
}

impl Decode for Listener {
    fn kind(&self, payload_type: u8, payload: &[u8]) -> PayloadKind {
        let ours = self.payload_types >> (payload_type & 0x7f) & 1 == 1;
        let samples = self.codec.samples_in(payload).filter(|samples| ours && *samples > 0);
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
}

impl Ear {
    pub(super) fn new(rate: SampleRate) -> Ear {
        Ear {
            rate,
            tuned: None,
            stream: None,
            streams: 0,
            other: None,
            events: Vec::new(),
            detector: None,
            scratch: Box::new([0; MAX_FRAME]),
        }
    }

    /// What may come from now on. What is heard goes on when it is still agreed on.
    pub(super) fn configure(&mut self, stream: &Stream) -> Result<(), CreateError> {
        let events = stream.receives_telephone_events.iter();
        self.events = events.map(|event| (event.payload_type, Receiver::new(event.clock_rate))).collect();
        // Tones are listened for only where keys cannot come as events.
        let rate = self.rate.hertz();
        self.detector = if stream.telephone_event.is_none() { Detector::new(rate).ok() } else { None };
        let heard = self.tuned.as_ref().map(|tuned| tuned.codec);
        let still = heard.filter(|heard| stream.receives.iter().any(|(_, codec)| codec == heard));
        if still.is_none() {
            self.tune(stream, stream.codec)?;
        } else if let Some(tuned) = &mut self.tuned {
            tuned.listener.payload_types = payload_types(stream, tuned.codec);
        }
        Ok(())
    }

    fn tune(&mut self, stream: &Stream, codec: phone::Codec) -> Result<(), CreateError> {
        let own = media_codec(codec, self.rate);
        let payload_types = payload_types(stream, codec);
        let listener = Listener { codec: own, payload_types, decoder: Decoder::new(own)? };
        let resampler = Resampler::new(own.sample_rate(), self.rate);
        let buffer = JitterBuffer::new(JitterConfig::of(own));
        self.tuned = Some(Tuned { codec, buffer, listener, resampler });
        Ok(())
    }

    pub(super) fn codec(&self) -> Option<phone::Codec> {
        self.tuned.as_ref().map(|tuned| tuned.codec)
    }

    /// What the jitter buffer counted, and the samples of a millisecond that it counts in.
    pub(super) fn jitter(&self) -> Option<(JitterFigures, u32)> {
        let tuned = self.tuned.as_ref()?;
        Some((tuned.buffer.figures(), tuned.listener.codec.sample_rate().hertz() / 1_000))
    }

    pub(super) fn max_delay_ms(&self) -> u32 {
        self.tuned.as_ref().map_or(0, |tuned| tuned.buffer.max_delay_ms())
    }

    /// Takes a packet of the peer; whether it belongs to the call. `press` is told keys that go down.
    pub(super) fn handle_packet(
        &mut self,
        now: Time,
        stream: &Stream,
        header: &Header<'_>,
        payload: &[u8],
        press: impl FnMut(Heard),
    ) -> bool {
        let Some((number, sequence)) = self.place(header) else { return false };
        let payload_type = header.payload_type();
        let events = self.events.iter_mut().find(|(event, _)| *event == payload_type);
        let is_event = events.is_some();
        if let Some((_, receiver)) = events {
            receiver.handle_packet(now, (header.timestamp(), header.marker()), payload, press);
        }
        let agreed = stream.receives.iter().find(|(agreed, _)| *agreed == payload_type);
        if let Some((_, codec)) = agreed {
            self.follow(stream, payload_type, *codec);
        }
        let Some(tuned) = &mut self.tuned else { return is_event };
        tuned.buffer.insert(
            now,
            &Packet {
                stream: number,
                sequence,
                timestamp: header.timestamp(),
                marker: header.marker(),
                payload_type,
                // What is not sound takes its turn unheard.
                payload: if is_event { &[] } else { payload },
            },
        );
        is_event || agreed.is_some()
    }

    /// The peer sends another codec than before.
    fn follow(&mut self, stream: &Stream, payload_type: u8, codec: phone::Codec) {
        if self.codec() == Some(codec) {
            self.other = None;
        } else if self.other.replace(payload_type) == Some(payload_type) {
            self.other = None;
            // A codec of ours at a rate it has; if not, the old one stays.
            let _tuned = self.tune(stream, codec);
        }
    }

    /// Where a packet stands: the number of its stream, and its own in it.
    fn place(&mut self, header: &Header<'_>) -> Option<(u32, u64)> {
        let (ssrc, sequence) = (header.ssrc(), header.sequence());
        let placed = match &mut self.stream {
            Some(tracked) if tracked.ssrc == ssrc => match tracked.tracker.update(sequence) {
                Sequenced::Valid(extended) => return Some((self.streams, extended)),
                Sequenced::Restarted(extended) => extended,
                Sequenced::Invalid => return None,
            },
            stream => {
                let tracker = SequenceTracker::new(sequence);
                *stream = Some(Tracked { ssrc, tracker });
                tracker.highest()
            }
        };
        self.streams = self.streams.wrapping_add(1);
        Some((self.streams, placed))
    }

    /// Fills a frame with what is heard; `press` is told keys that are heard as tones.
    pub(super) fn play(&mut self, now: Time, frame: &mut [i16], press: impl FnMut(Heard)) {
        let Some(tuned) = &mut self.tuned else { return frame.fill(0) };
        let own = tuned.resampler.from().hertz() as usize;
        let length = (frame.len() * own / self.rate.hertz() as usize).min(MAX_FRAME);
        let Some(heard) = self.scratch.get_mut(..length) else { return frame.fill(0) };
        tuned.buffer.play(now, &mut tuned.listener, heard);
        let written = tuned.resampler.resample(heard, frame);
        frame.iter_mut().skip(written).for_each(|sample| *sample = 0);
        if let Some(detector) = &mut self.detector {
            detector.handle(frame, press);
        }
    }
}

fn payload_types(stream: &Stream, codec: phone::Codec) -> u128 {
    let of_codec = stream.receives.iter().filter(|(_, received)| *received == codec);
    of_codec.fold(0, |types, (payload_type, _)| types | 1 << (payload_type & 0x7f))
}

//! The jitter buffer: decides what is heard at each tick.
//!
//! What happens to a packet that is missing when its turn comes:
//! - something stands in for it at once (redundancy, the codec's concealment, or ours);
//! - it comes later, and the slack was too small: it is played, and everything after it later by what was concealed;
//! - it comes later, and others were in time: it is late, and thrown away;
//! - it never comes: the next one is played when what was concealed covers the gap between their timestamps.
//!
//! A gap between the timestamps of packets that follow each other is a pause of the sender, not loss (RFC 3551 §4.1); after
//! it the packets wait for the target anew. A pause is filled with the noise the sender described (RFC 3389), or silence.
//!
//! Left out on purpose: playing at a slightly different rate to follow the drift of the clocks: it is followed in steps.

use serde::{Deserialize, Serialize};

use super::decode::{Decode, PayloadKind};
use super::delay::{Arrivals, micros};
use super::figures::{JitterFigures, Played};
use super::plc::Concealer;
use super::ring::{Front, Inserted, Packet, RING_SLOTS, Ring};
use super::samples::Samples;
use super::schedule::{Moment, Standing};
use super::stretch::Stretch;
use crate::time::Time;

/// Ticks in a row with too little slack before samples are inserted: one may have come early.
const TICKS_BELOW: u8 = 3;
/// Ticks in a row with too much before a whole grain is removed: one second of 20 ms.
const TICKS_ABOVE: u8 = 50;
/// Slack beyond target and grain that is left alone, so that insertion and removal do not alternate.
const SPARE_US: i64 = 2000;
/// A gap longer than this is not bridged by concealment; what follows begins anew.
const LONGEST_BRIDGE_US: i64 = 200_000;

/// What a jitter buffer is made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JitterConfig {
    /// Samples per second that are handed out: 8000 to 48000.
    pub sample_rate: u32,
    /// RTP timestamp units per second.
    pub clock_rate: u32,
    /// The longest delay, in milliseconds. What would be played later is thrown away.
    pub max_delay_ms: u32,
    /// The longest packet, in milliseconds, 20 to 120. Longer ones are thrown away.
    pub longest_packet_ms: u32,
    /// Room for payloads that wait, in octets; rounded up to a power of two from 1024 to 65536.
    pub payload_octets: usize,
}

impl JitterConfig {
    /// For a codec of 64 kbit/s: half a second of payloads, and packets of up to 120 ms at 8 kHz, 60 ms above. A buffer
    /// takes less than 11 KiB at 8 kHz and 13 KiB at 16 kHz.
    #[must_use]
    pub const fn narrow(sample_rate: u32, clock_rate: u32) -> Self {
        let longest_packet_ms = if sample_rate > 8000 { 60 } else { 120 };
        Self { sample_rate, clock_rate, max_delay_ms: 400, longest_packet_ms, payload_octets: 4096 }
    }
}

/// The receive side of one leg. Allocates when it is made, never after.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JitterBuffer {
    config: JitterConfig,
    stream: Option<u32>,
    ring: Ring,
    arrivals: Arrivals,
    samples: Samples,
    concealer: Concealer,
    stretch: Stretch,
    phase: Phase,
    /// The timestamp that continues what was decoded last.
    next_timestamp: u32,
    /// Samples of the packet decoded last.
    packet: usize,
    /// Samples made up since the last that was decoded.
    bridged: usize,
    below: u8,
    above: u8,
    figures: JitterFigures,
}

/// What is being heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Phase {
    /// Nothing has been heard yet.
    New,
    /// Sound, or what stands in for it.
    Sound,
    /// The sender pauses, or has fallen silent.
    Pause {
        /// It said what the pause sounds like.
        noise: bool,
    },
}

impl JitterBuffer {
    /// An empty buffer. Rates outside of what [`JitterConfig`] says are brought within.
    #[must_use]
    pub fn new(config: JitterConfig) -> Self {
        let sample_rate = config.sample_rate.clamp(8000, 48_000);
        let config = JitterConfig { sample_rate, clock_rate: config.clock_rate.max(1000), ..config };
        let samples = Samples::new(sample_rate, config.longest_packet_ms.clamp(20, 120));
        Self {
            config,
            stream: None,
            ring: Ring::new(config.payload_octets),
            arrivals: Arrivals::new(config.clock_rate),
            concealer: Concealer::new(sample_rate, samples.history().len()),
            samples,
            stretch: Stretch::new(sample_rate),
            phase: Phase::New,
            next_timestamp: 0,
            packet: 0,
            bridged: 0,
            below: 0,
            above: 0,
            figures: JitterFigures::default(),
        }
    }

    /// The longest delay, in milliseconds.
    #[must_use]
    pub const fn max_delay_ms(&self) -> u32 {
        self.config.max_delay_ms
    }

    /// What the buffer has counted.
    #[must_use]
    pub fn figures(&self) -> JitterFigures {
        JitterFigures {
            lost: self.ring.lost(),
            discarded: self.figures.discarded + self.ring.pushed_out(),
            jitter_us: self.arrivals.jitter_us(),
            drift_ppm: self.arrivals.drift_ppm(),
            ..self.figures
        }
    }

    /// Takes a packet that arrived at `now`. Packets may come in any order; those of a stream that is over must not come
    /// any more.
    pub fn insert(&mut self, now: Time, packet: &Packet<'_>) -> Inserted {
        self.figures.received += 1;
        if self.stream != Some(packet.stream) {
            self.restart(packet.stream);
        }
        let inserted = self.ring.insert(packet);
        match inserted {
            Inserted::Kept => {}
            Inserted::Late => self.figures.late += 1,
            Inserted::Duplicate => self.figures.duplicate += 1,
            Inserted::Overflow => self.figures.discarded += 1,
        }
        // The second of two equal packets says nothing about how long one must wait, nor does an event, whose packets all
        // have the timestamp of its beginning (RFC 4733 §2.2.1).
        let tells = matches!(inserted, Inserted::Kept | Inserted::Late) && !packet.payload.is_empty();
        if tells && self.arrivals.handle_arrival(now, packet.timestamp) {
            self.figures.restarts += 1;
        }
        inserted
    }

    /// Fills `out` (mono, the samples of one tick) with what is heard next. `now` is the time of the tick. Ticks may last up
    /// to 20 ms, whatever the packets; of a longer one the end may stay silent. Costs about 0.3 µs besides decoding, and
    /// 10 µs more where a gap begins.
    pub fn play(&mut self, now: Time, decoder: &mut (impl Decode + ?Sized), out: &mut [i16]) -> Played {
        let rate = self.config.sample_rate;
        // More than can be held at once is not a tick.
        let (out, beyond) = out.split_at_mut(out.len().min(self.samples.capacity() / 2));
        beyond.fill(0);
        let mut tick = Tick {
            moment: Moment { now_us: micros(now), rate, tick: out.len().max(1) },
            target_us: self.target_us(out.len()),
            played: Played::default(),
        };
        // A packet that is not heard takes a turn, too; there are not more of them than the ring holds.
        for _ in 0..2 * RING_SLOTS {
            if self.samples.len() >= out.len() {
                break;
            }
            self.fill(&mut tick, decoder);
        }
        if self.phase == Phase::Sound && self.bridged == 0 {
            self.follow_target(&mut tick, decoder);
        }
        self.count(&tick, out.len());
        self.samples.play(out);
        self.stretch.watch(out);
        tick.played
    }

    fn restart(&mut self, stream: u32) {
        if self.stream.replace(stream).is_some() {
            self.figures.restarts += 1;
        }
        self.figures.discarded += self.ring.clear();
        self.arrivals.restart();
        // What is being heard goes on, or fades, until the first packet of the new stream is due.
        self.settle(false);
    }

    fn target_us(&self, tick: usize) -> i64 {
        let most = i64::from(self.config.max_delay_ms) * 1000 - self.us(tick);
        self.arrivals.target_us().min(most)
    }

    fn count(&mut self, tick: &Tick, length: usize) {
        let played = tick.played;
        self.figures.played += length as u64;
        self.figures.paused += u64::from(played.paused);
        self.figures.inserted += u64::from(played.inserted);
        self.figures.removed += u64::from(played.removed);
        self.figures.target_us = whole_us(tick.target_us);
        let delay_us = tick.moment.us(self.standing(tick, self.next_timestamp, self.packet).delay);
        // While packets from before and after a jump of timestamps wait together, the delay means nothing.
        let meaningful = (0..2000 * i64::from(self.config.max_delay_ms)).contains(&delay_us);
        if self.phase == Phase::Sound && self.bridged == 0 && meaningful {
            self.figures.delay_us = whole_us(delay_us);
            self.figures.max_delay_us = self.figures.max_delay_us.max(self.figures.delay_us);
        }
    }

    /// Adds something to what waits: the next packet, or what stands in for it.
    fn fill(&mut self, tick: &mut Tick, decoder: &mut (impl Decode + ?Sized)) {
        let Some(front) = self.ring.front() else {
            return self.bridge(tick, decoder, usize::MAX);
        };
        match decoder.kind(front.payload_type, self.ring.payload(front.sequence)) {
            PayloadKind::Audio(length) if length > 0 && length <= self.samples.room() => {
                self.fill_with(tick, decoder, &front, length);
            }
            PayloadKind::Audio(_) => self.discard(&front),
            PayloadKind::Noise => self.begin_noise(&front, decoder),
            PayloadKind::Nothing => self.pass(&front),
        }
    }

    /// The first packet that waits is sound of `length` samples: is it its turn?
    fn fill_with(
        &mut self,
        tick: &mut Tick,
        decoder: &mut (impl Decode + ?Sized),
        front: &Front,
        length: usize,
    ) {
        let standing = self.standing(tick, front.timestamp, length);
        if front.followed && standing.delay > tick.moment.samples(i64::from(self.config.max_delay_ms) * 1000)
        {
            return self.discard(front);
        }
        let gap = self.gap(front);
        let silent = front.missing == 0 && gap != 0 || front.marker && gap > 0;
        if self.phase != Phase::Sound || silent || gap > tick.moment.samples(LONGEST_BRIDGE_US) {
            // A pause, or loss so long that it is as good as one: the delay can be chosen anew.
            return if standing.excess >= 0 {
                self.decode(tick, decoder, front, length);
            } else {
                self.bridge(tick, decoder, usize::MAX);
            };
        }
        let bridged = self.bridged as i64;
        if gap == 0 && front.followed && bridged >= length as i64 && standing.excess >= standing.grain as i64
        {
            self.give_up(front, length);
        } else if gap <= bridged || standing.excess >= tick.moment.samples(SPARE_US) {
            // In the second case the delay is too long anyway: what is missing is left out.
            self.decode(tick, decoder, front, length);
        } else if !self.recover(tick, decoder, front, gap) {
            self.bridge(tick, decoder, usize::try_from(gap - bridged).unwrap_or(0));
        }
    }

    /// Plays a packet.
    fn decode(
        &mut self,
        tick: &mut Tick,
        decoder: &mut (impl Decode + ?Sized),
        front: &Front,
        length: usize,
    ) {
        let gap = self.gap(front);
        let seam = match self.phase {
            Phase::New => false,
            // Where something stood in for sound there is a seam already.
            Phase::Sound => gap != 0,
            Phase::Pause { noise } => noise,
        };
        if seam {
            self.concealer.begin(self.samples.all());
        }
        self.settle(self.phase != Phase::New && front.missing == 0 && gap > 0);
        self.phase = Phase::Sound;
        let fresh = self.samples.append(length);
        decoder.decode(front.payload_type, self.ring.payload(front.sequence), fresh);
        self.concealer.merge(fresh);
        self.pass(front);
        self.next_timestamp = front.timestamp.wrapping_add(self.in_clock(length));
        self.packet = length;
        tick.played.decoded += length as u32;
    }

    /// Gives up a packet that came when something else had been heard in its place already.
    fn give_up(&mut self, front: &Front, length: usize) {
        self.bridged -= length;
        self.figures.concealed += length as u64;
        self.figures.late += 1;
        self.next_timestamp = self.next_timestamp.wrapping_add(self.in_clock(length));
        self.pass(front);
    }

    fn discard(&mut self, front: &Front) {
        self.figures.discarded += 1;
        self.pass(front);
    }

    /// The packet's turn is over.
    fn pass(&mut self, front: &Front) {
        self.ring.skip_to(front.sequence + 1);
    }

    /// Plays the one packet that is missing before `front` from redundancy in `front`.
    fn recover(
        &mut self,
        tick: &mut Tick,
        decoder: &mut (impl Decode + ?Sized),
        front: &Front,
        gap: i64,
    ) -> bool {
        let length = self.packet;
        if self.bridged > 0 || front.missing != 1 || gap != length as i64 || length > self.samples.room() {
            return false;
        }
        let recovered = decoder.recover(
            front.payload_type,
            self.ring.payload(front.sequence),
            self.samples.append(length),
        );
        if recovered {
            self.ring.skip_to(front.sequence);
            self.next_timestamp = front.timestamp;
            tick.played.decoded += length as u32;
        } else {
            self.samples.take_back(length);
        }
        recovered
    }

    /// The sender describes the noise of a pause (RFC 3389 §5).
    fn begin_noise(&mut self, front: &Front, decoder: &mut (impl Decode + ?Sized)) {
        self.settle(front.missing == 0);
        if self.phase == Phase::Sound {
            self.concealer.begin(self.samples.all());
        }
        decoder.describe_noise(front.payload_type, self.ring.payload(front.sequence));
        self.next_timestamp = front.timestamp;
        self.phase = Phase::Pause { noise: true };
        self.pass(front);
    }

    /// Stands in for what is missing, with up to `most` samples of what the tick still needs.
    fn bridge(&mut self, tick: &mut Tick, decoder: &mut (impl Decode + ?Sized), most: usize) {
        let needed = tick.moment.tick.saturating_sub(self.samples.len()).min(most);
        match self.phase {
            Phase::Sound => self.conceal(tick, decoder, needed),
            Phase::New => {
                self.samples.append(needed);
                tick.played.paused += needed as u32;
            }
            Phase::Pause { noise } => {
                let out = self.samples.append(needed);
                if noise && decoder.noise(out) {
                    self.concealer.merge(out);
                }
                tick.played.paused += needed as u32;
            }
        }
    }

    fn conceal(&mut self, tick: &mut Tick, decoder: &mut (impl Decode + ?Sized), needed: usize) {
        let packet = self.packet.clamp(1, self.samples.room());
        let made = if !self.concealer.is_active() && decoder.conceal(self.samples.append(packet)) {
            packet
        } else {
            if !self.concealer.is_active() {
                self.samples.take_back(packet);
                self.concealer.begin(self.samples.all());
            }
            self.concealer.conceal(self.samples.append(needed));
            needed
        };
        self.bridged += made;
        tick.played.concealed += made as u32;
        if self.concealer.is_silent() || self.bridged as i64 > tick.moment.samples(LONGEST_BRIDGE_US) {
            self.phase = Phase::Pause { noise: false };
        }
    }

    /// What was made up so far was in place of packets, or turns out to have been a pause.
    fn settle(&mut self, pause: bool) {
        let made = std::mem::take(&mut self.bridged) as u64;
        let sum = if pause { &mut self.figures.paused } else { &mut self.figures.concealed };
        *sum += made;
    }

    /// Inserts or removes samples, so that the slack comes to its target.
    fn follow_target(&mut self, tick: &mut Tick, decoder: &mut (impl Decode + ?Sized)) {
        let Standing { excess, idle, grain, .. } = self.standing(tick, self.next_timestamp, self.packet);
        let (grain, spare) = (grain as i64, tick.moment.samples(SPARE_US));
        self.below = if excess < 0 { self.below.saturating_add(1) } else { 0 };
        self.above = if excess >= grain + spare { self.above.saturating_add(1) } else { 0 };
        if excess < 0 {
            if self.below >= TICKS_BELOW {
                let wanted = (grain - excess - 1) / grain * grain - idle as i64;
                let wanted = usize::try_from(wanted).unwrap_or(0);
                tick.played.inserted += self.stretch.grow(&mut self.samples, wanted) as u32;
            }
            return;
        }
        let steps = if self.above >= TICKS_ABOVE { (excess - spare) / grain } else { 0 };
        let wanted = idle + usize::try_from(steps * grain).unwrap_or(0);
        if wanted > 0 {
            self.look_ahead(tick, decoder);
            tick.played.removed += self.stretch.shrink(&mut self.samples, wanted, tick.moment.tick) as u32;
        }
    }

    /// Decodes one more packet, if the next one is there, so that there is something to remove from.
    fn look_ahead(&mut self, tick: &mut Tick, decoder: &mut (impl Decode + ?Sized)) {
        let Some(front) = self.ring.front() else { return };
        if front.missing > 0 || front.timestamp != self.next_timestamp {
            return;
        }
        let kind = decoder.kind(front.payload_type, self.ring.payload(front.sequence));
        if kind == PayloadKind::Audio(self.packet) && self.packet <= self.samples.room() {
            self.decode(tick, decoder, &front, self.packet);
        }
    }

    fn standing(&self, tick: &Tick, timestamp: u32, packet: usize) -> Standing {
        let expected_us = self.arrivals.expected_us(timestamp).unwrap_or(tick.moment.now_us);
        tick.moment.standing(self.samples.len(), packet, expected_us, tick.target_us)
    }

    /// Samples between what was decoded last and a packet, by their timestamps.
    fn gap(&self, front: &Front) -> i64 {
        let units = i64::from(front.timestamp.wrapping_sub(self.next_timestamp) as i32);
        units * i64::from(self.config.sample_rate) / i64::from(self.config.clock_rate)
    }

    /// Samples in timestamp units.
    const fn in_clock(&self, samples: usize) -> u32 {
        (samples as u64 * self.config.clock_rate as u64 / self.config.sample_rate as u64) as u32
    }

    const fn us(&self, samples: usize) -> i64 {
        samples as i64 * 1_000_000 / self.config.sample_rate as i64
    }
}

/// A tick under way.
#[derive(Debug)]
struct Tick {
    moment: Moment,
    target_us: i64,
    played: Played,
}

fn whole_us(us: i64) -> u32 {
    u32::try_from(us.max(0)).unwrap_or(u32::MAX)
}

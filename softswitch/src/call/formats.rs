//! What one party can say, or is told that it may say: codecs and telephone events under its own payload types
//! (RFC 3264 §5.1, RFC 3551 §6, RFC 4733 §2.4.1); and what the switch itself decodes.

use crate::config::Dtmf;
use media::AudioFormat;
use media::codec::Codec;
use media::dsp::SampleRate;
use serde::{Deserialize, Serialize};
use sip_stack::sdp::{AudioCodec, AudioOffer, TelephoneEvent, intersect_events};

/// DTMF digits, star, hash, A–D (RFC 4733 §3.2).
const DIGITS: &str = "0-15";
/// The packets of whoever does not say how long it wants them.
pub(super) const PTIME_MS: u16 = 20;
/// The payload type of comfort noise, beside codecs whose clock runs at 8 kHz (RFC 3551 §6).
const COMFORT_NOISE: u8 = 13;
/// The payload types that mean what a description says (RFC 3551 §3).
const DYNAMIC: core::ops::RangeInclusive<u8> = 96..=127;

/// Codecs in the order of preference, and telephone events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Formats {
    pub(super) codecs: Vec<AudioCodec>,
    pub(super) events: Vec<TelephoneEvent>,
}

impl From<&AudioOffer> for Formats {
    fn from(offer: &AudioOffer) -> Formats {
        Formats { codecs: offer.codecs.clone(), events: offer.telephone_events.clone() }
    }
}

impl Formats {
    /// G.711, for whoever is offered something before anybody has named a codec (RFC 3261 §13.2.1).
    pub(super) fn telephone() -> Formats {
        let events = vec![TelephoneEvent { payload_type: 101, clock_rate: 8_000, events: DIGITS.into() }];
        Formats { codecs: [0, 8].into_iter().filter_map(AudioCodec::from_static).collect(), events }
    }

    /// What a party is offered when the other one knows `self`: its codecs under its own payload types and in its order;
    /// then the other G.711 law, which is converted; then what else we decode, if we decode anything of the other one's
    /// and may transcode. `used` are formats whose payload types have a meaning already (RFC 3264 §8.3.2).
    pub(super) fn offered_onward(&self, transcode: bool, used: &Formats) -> Formats {
        let mut onward = self.clone();
        let decoded = self.codecs.iter().filter_map(decoded);
        let best = decoded.map(|codec| codec.sample_rate().hertz()).max();
        let has_law = self.codecs.iter().any(|codec| law(codec).is_some());
        let more: &[Codec] = match best {
            Some(8_000) if transcode => &[Codec::Pcmu, Codec::Pcma, Codec::G722, OPUS],
            Some(_) if transcode => &[OPUS, Codec::G722, Codec::Pcmu, Codec::Pcma],
            Some(_) if has_law => &[Codec::Pcmu, Codec::Pcma],
            Some(_) | None => &[],
        };
        for codec in more {
            onward.add(*codec, used);
        }
        for added in self.codecs.len()..onward.codecs.len() {
            onward.add_events(added, used);
        }
        onward
    }

    /// The same for a phone whose keys travel as `onward` says, from one whose keys travel as `own` says: events that we make
    /// ourselves are offered, and those that the phone is not to have are not.
    pub(super) fn with_keys(mut self, own: Dtmf, onward: Dtmf) -> Formats {
        match (onward, own) {
            (Dtmf::Info | Dtmf::Inband, _) => self.events.clear(),
            (Dtmf::Auto | Dtmf::Event, Dtmf::Info | Dtmf::Inband) if self.events.is_empty() => {
                let number = self.free_number(None, 101, &Formats::default());
                let event =
                    |payload_type| TelephoneEvent { payload_type, clock_rate: 8_000, events: DIGITS.into() };
                self.events.extend(number.map(event));
            }
            (Dtmf::Auto | Dtmf::Event, _) => {}
        }
        self
    }

    /// Adds a codec that is not there yet, if a payload type is free for it.
    fn add(&mut self, codec: Codec, used: &Formats) {
        let mut added = description(codec);
        if self.codecs.iter().any(|known| known.is_same_encoding(&added)) {
            return;
        }
        let known = used.codecs.iter().find(|known| known.is_same_encoding(&added));
        let known = known.map(|known| known.payload_type);
        let Some(number) = self.free_number(known, added.payload_type, used) else { return };
        added.payload_type = number;
        self.codecs.push(added);
    }

    /// Digits beside a codec that was added, when there are any at all: they go by its clock (RFC 4733 §2.1).
    fn add_events(&mut self, added: usize, used: &Formats) {
        let Some(clock_rate) = self.codecs.get(added).map(|codec| codec.clock_rate) else { return };
        if self.events.iter().all(|event| event.clock_rate != clock_rate) && !self.events.is_empty() {
            let known = used.events.iter().find(|event| event.clock_rate == clock_rate);
            let number = self.free_number(known.map(|event| event.payload_type), 101, used);
            let event = |payload_type| TelephoneEvent { payload_type, clock_rate, events: DIGITS.into() };
            self.events.extend(number.map(event));
        }
    }

    /// A payload type for something that had the number `known` before, if it had one, and otherwise `usual`.
    fn free_number(&self, known: Option<u8>, usual: u8, used: &Formats) -> Option<u8> {
        let free = |number: &u8| !self.takes(*number) && (known == Some(*number) || !used.takes(*number));
        known.into_iter().chain([usual]).chain(DYNAMIC).find(free)
    }

    /// Whether a payload type has a meaning here.
    fn takes(&self, number: u8) -> bool {
        self.codecs.iter().any(|codec| codec.payload_type == number)
            || self.events.iter().any(|event| event.payload_type == number)
    }

    /// Takes the events of `known` that go with the first codec, when there are none here: what the other party does not
    /// take as it is, the shard turns into what it takes.
    pub(super) fn keep_events(&mut self, known: &Formats) {
        if self.events.is_empty() {
            let rate = self.clock_rate();
            self.events.extend(known.events.iter().find(|event| event.clock_rate == rate).cloned());
        }
    }

    /// The first codec that is one; comfort noise goes with another.
    pub(super) fn first(&self) -> Option<&AudioCodec> {
        self.codecs.iter().find(|codec| !codec.is_comfort_noise())
    }

    /// The first codec that is decoded here.
    pub(super) fn first_decoded(&self) -> Option<(&AudioCodec, Codec)> {
        self.codecs.iter().find_map(|codec| Some((codec, decoded(codec)?)))
    }

    /// Ticks of the RTP timestamp per second in the first codec.
    pub(super) fn clock_rate(&self) -> u32 {
        self.first().map_or(8_000, |codec| codec.clock_rate)
    }

    /// What is left of `self` when the party is spoken to in one of its codecs, which we decode: that codec, as we receive
    /// it, with the comfort noise and the digits beside it.
    pub(super) fn narrowed_to(&self, codec: &AudioCodec) -> Formats {
        let parameters = decoded(codec).map(|codec| description(codec).parameters);
        let spoken = AudioCodec { parameters: parameters.unwrap_or_default(), ..codec.clone() };
        let noise = self.codecs.iter().find(|noise| {
            noise.is_comfort_noise() && noise.payload_type == COMFORT_NOISE && codec.clock_rate == 8_000
        });
        let codecs: Vec<AudioCodec> = core::iter::once(spoken).chain(noise.cloned()).collect();
        let events = intersect_events(&self.events, &codecs[..1], DIGITS).into_iter().take(1).collect();
        Formats { codecs, events }
    }
}

/// Opus; at which rate of samples is decided when both parties are known.
const OPUS: Codec = Codec::Opus { rate: SampleRate::Hz48000 };

/// What decodes a codec here; `None`: it can only be passed on.
pub(super) fn decoded(codec: &AudioCodec) -> Option<Codec> {
    let name = core::str::from_utf8(codec.encoding.as_bytes()).ok()?;
    Codec::from_rtpmap(name, codec.clock_rate, codec.channels)
}

/// A codec as we offer it, under its static payload type, else under the first that is free for use.
fn description(codec: Codec) -> AudioCodec {
    let (number, parameters) = match codec {
        Codec::Pcmu => (0, ""),
        Codec::Pcma => (8, ""),
        Codec::G722 => (9, ""),
        // RFC 7587 §6.1: what was lost is taken from the next packet.
        Codec::Opus { .. } => (*DYNAMIC.start(), "useinbandfec=1"),
        Codec::L16 { .. } => (*DYNAMIC.start(), ""),
    };
    AudioCodec {
        channels: codec.rtpmap_channels().count() as u8,
        parameters: parameters.into(),
        ..AudioCodec::new(number, codec.encoding_name(), codec.clock_rate())
    }
}

/// How a party is spoken to in `codec`, in packets as long as it wants them.
pub(super) fn audio_format(codec: &AudioCodec, decoded: Codec, wanted: Option<&AudioOffer>) -> AudioFormat {
    let longest = wanted.and_then(|wanted| wanted.maxptime_ms).unwrap_or(u16::MAX);
    let ptime_ms = wanted.and_then(|wanted| wanted.ptime_ms).unwrap_or(PTIME_MS).min(longest);
    AudioFormat {
        codec: decoded,
        payload_type: codec.payload_type,
        ptime_ms: decoded.ptime_ms(ptime_ms.into()) as u8,
    }
}

/// 0 for µ-law, 8 for A-law, after their static payload types.
pub(super) fn law(codec: &AudioCodec) -> Option<u8> {
    match decoded(codec)? {
        Codec::Pcmu => Some(0),
        Codec::Pcma => Some(8),
        Codec::G722 | Codec::Opus { .. } | Codec::L16 { .. } => None,
    }
}

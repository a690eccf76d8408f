//! The codecs of the phone as SDP names them, and their payload types (RFC 3551 §6, RFC 7587 §7, RFC 4733 §2.4).

use serde::{Deserialize, Serialize};
use sip_stack::sdp::{AudioCodec, TelephoneEvent};

/// The payload type under which we offer telephone events at 8000 Hz.
pub const TELEPHONE_EVENT: u8 = 101;
/// That of telephone events at the clock of Opus.
const TELEPHONE_EVENT_48K: u8 = 110;
/// That of Opus.
const OPUS: u8 = 111;
/// DTMF digits and flash (RFC 4733 §3.2).
pub(super) const EVENTS: &str = "0-16";
const NARROW_CLOCK: u32 = 8_000;
const OPUS_CLOCK: u32 = 48_000;

/// What the samples are packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Codec {
    /// Opus, mono from us.
    Opus,
    /// G.722: wide band at 64 kbit/s.
    G722,
    /// G.711 µ-law
    Pcmu,
    /// G.711 A-law
    Pcma,
}

impl Codec {
    /// Every codec, the one that sounds best first.
    pub const ALL: [Codec; 4] = [Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma];

    /// Its name, as the user writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Codec::Opus => "opus",
            Codec::G722 => "g722",
            Codec::Pcmu => "pcmu",
            Codec::Pcma => "pcma",
        }
    }

    /// The codec of a name, in any case.
    pub fn from_name(name: &str) -> Option<Codec> {
        Codec::ALL.into_iter().find(|codec| codec.name().eq_ignore_ascii_case(name))
    }

    /// Ticks of the RTP timestamp per second; of G.722 half of what its sound has (RFC 3551 §4.5.2).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Codec::Opus => OPUS_CLOCK,
            Codec::G722 | Codec::Pcmu | Codec::Pcma => NARROW_CLOCK,
        }
    }

    pub(super) fn audio_codec(self) -> AudioCodec {
        match self {
            // RFC 7587 §7: always two channels; what is sent tells how many there are.
            Codec::Opus => AudioCodec {
                channels: 2,
                parameters: "useinbandfec=1".into(),
                ..AudioCodec::new(OPUS, "opus", OPUS_CLOCK)
            },
            Codec::G722 => AudioCodec::new(9, "G722", NARROW_CLOCK),
            Codec::Pcmu => AudioCodec::new(0, "PCMU", NARROW_CLOCK),
            Codec::Pcma => AudioCodec::new(8, "PCMA", NARROW_CLOCK),
        }
    }

    pub(super) fn of(codec: &AudioCodec) -> Option<Codec> {
        Codec::ALL.into_iter().find(|known| known.audio_codec().is_same_encoding(codec))
    }
}

/// A payload type of telephone events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFormat {
    /// The payload type.
    pub payload_type: u8,
    /// Ticks of its timestamps per second.
    pub clock_rate: u32,
}

impl EventFormat {
    pub(super) fn of(event: &TelephoneEvent) -> EventFormat {
        EventFormat { payload_type: event.payload_type, clock_rate: event.clock_rate }
    }

    /// What to send events with next to a codec: at its own clock (RFC 4733 §2.2), else at 8000 Hz.
    pub(super) fn choose(offered: &[TelephoneEvent], codec: Codec) -> Option<EventFormat> {
        let at = |rate| offered.iter().find(move |event| event.clock_rate == rate);
        at(codec.clock_rate()).or_else(|| at(NARROW_CLOCK)).map(EventFormat::of)
    }
}

/// The payload types that a dialog has given a meaning, which it keeps (RFC 3264 §8.3.2).
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Numbers {
    codecs: Vec<(Codec, u8)>,
    /// Clock rate and number.
    events: Vec<(u32, u8)>,
}

impl Numbers {
    /// Takes the numbers of an offer that we answer.
    pub(super) fn learn(&mut self, codecs: &[AudioCodec], events: &[TelephoneEvent]) {
        for codec in codecs {
            if let Some(known) = Codec::of(codec)
                && !self.codecs.iter().any(|(codec, _)| *codec == known)
            {
                self.codecs.push((known, codec.payload_type));
            }
        }
        for event in events {
            if !self.events.iter().any(|(rate, _)| *rate == event.clock_rate) {
                self.events.push((event.clock_rate, event.payload_type));
            }
        }
    }

    /// Our codecs under their numbers in this dialog.
    pub(super) fn number(&mut self, codecs: &[Codec]) -> Vec<AudioCodec> {
        let number = |codec: &Codec| {
            let ours = codec.audio_codec();
            let known = self.codecs.iter().find(|(known, _)| known == codec).map(|(_, number)| *number);
            let payload_type = known.unwrap_or_else(|| {
                let free = self.free(ours.payload_type);
                self.codecs.push((*codec, free));
                free
            });
            AudioCodec { payload_type, ..ours }
        };
        codecs.iter().map(number).collect()
    }

    /// The telephone events that go with our codecs.
    pub(super) fn number_events(&mut self, codecs: &[Codec]) -> Vec<TelephoneEvent> {
        let wide = codecs.iter().any(|codec| codec.clock_rate() == OPUS_CLOCK);
        // Those at 8000 Hz are offered in any case: many peers know no others.
        let rates = [(NARROW_CLOCK, TELEPHONE_EVENT)]
            .into_iter()
            .chain(wide.then_some((OPUS_CLOCK, TELEPHONE_EVENT_48K)));
        rates
            .map(|(clock_rate, ours)| {
                let known =
                    self.events.iter().find(|(rate, _)| *rate == clock_rate).map(|(_, number)| *number);
                let payload_type = known.unwrap_or_else(|| {
                    let free = self.free(ours);
                    self.events.push((clock_rate, free));
                    free
                });
                TelephoneEvent { payload_type, clock_rate, events: EVENTS.into() }
            })
            .collect()
    }

    /// `wanted`, or the first dynamic number that means nothing yet.
    fn free(&self, wanted: u8) -> u8 {
        let taken = |number: u8| {
            self.codecs
                .iter()
                .map(|(_, number)| *number)
                .chain(self.events.iter().map(|(_, number)| *number))
                .any(|taken| taken == number)
        };
        if taken(wanted) { (96..=127).find(|number| !taken(*number)).unwrap_or(wanted) } else { wanted }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_meaning_and_ours_make_way() {
        let mut numbers = Numbers::default();
        let opus = AudioCodec { payload_type: 101, ..Codec::Opus.audio_codec() };
        let event = TelephoneEvent { payload_type: 111, clock_rate: 8_000, events: EVENTS.into() };
        numbers.learn(&[opus], &[event]);
        let codecs = numbers.number(&[Codec::Pcmu, Codec::Opus]);
        assert_eq!(codecs.iter().map(|codec| codec.payload_type).collect::<Vec<_>>(), [0, 101]);
        let events = numbers.number_events(&Codec::ALL);
        assert_eq!(events.iter().map(|event| event.payload_type).collect::<Vec<_>>(), [111, 110]);
        let mut numbers = Numbers::default();
        numbers.learn(&[], &[TelephoneEvent { payload_type: 111, clock_rate: 8_000, events: EVENTS.into() }]);
        assert_eq!(numbers.number(&[Codec::Opus])[0].payload_type, 96, "111 means events here");
    }

    #[test]
    fn events_follow_the_clock_of_the_codec_where_the_peer_has_them() {
        let event = |payload_type, clock_rate| TelephoneEvent { payload_type, clock_rate, events: "".into() };
        let both = [event(101, 8_000), event(102, 48_000)];
        let choose = |offered: &[TelephoneEvent], codec| {
            EventFormat::choose(offered, codec).map(|format| format.payload_type)
        };
        assert_eq!(choose(&both, Codec::Opus), Some(102));
        assert_eq!(choose(&both, Codec::G722), Some(101));
        assert_eq!(choose(&both[..1], Codec::Opus), Some(101));
        assert_eq!(choose(&both[1..], Codec::Pcma), None);
    }
}

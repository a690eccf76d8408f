//! Two baresip phones that talk to each other, and what each heard compared with what the other said.

use std::net::SocketAddr;
use std::path::Path;

use crate::audio::Audio;
use crate::baresip::{self, Phone, Settings, Transport};
use crate::compare::{Comparison, Limits};
use crate::ports::Ports;
use crate::speech::{self, Speech};
use crate::switch::PASSWORD;

/// The number that calls.
pub const CALLER: &str = "1000";
/// The number that is called.
pub const CALLEE: &str = "1001";

/// G.711 costs less than 0.1 dB and leaves correlations above 0.99; the rest is room for a phone that starts
/// its jitter buffer anew. Speech that was cut, swapped or repeated by the switch is far outside.
const LIMITS: Limits =
    Limits { level_db: 1.0, band_db: 3.0, correlation: 0.9, heard: 1.0, delay_spread_ms: 60.0 };

/// Between two codecs sound is brought to another rate twice, and so late by a part of a sample, which alone costs the
/// correlation a tenth; and it passes a jitter buffer, which makes room for a phone that the machine kept from running:
/// a segment in which it does so holds two delays. Level and bands are judged as before.
const TRANSCODED: Limits = Limits { correlation: 0.8, heard: 0.7, ..LIMITS };

const CALLER_SAYS: &str = "The quick brown fox jumps over the lazy dog. Two phones talk through the switch.";
const CALLEE_SAYS: &str = "She sells sea shells by the sea shore, and every single word has to come back.";

/// The programs a [`Pair`] needs.
#[must_use]
pub fn programs() -> Vec<&'static str> {
    [&baresip::PROGRAMS[..], &speech::PROGRAMS[..]].concat()
}

/// Where a phone registers, and how, and how long it can speak.
#[derive(Debug, Clone, Copy)]
pub struct Line<'a> {
    /// The registrar, or the proxy before it.
    pub server: SocketAddr,
    /// How the phone speaks to it.
    pub transport: Transport<'a>,
    /// Seconds of sound; when they are over, the phone hangs up.
    pub seconds: u32,
}

/// Two registered phones.
pub struct Pair {
    /// The phone of [`CALLER`].
    pub caller: Phone,
    /// The phone of [`CALLEE`].
    pub callee: Phone,
    said_by_caller: Audio,
    said_by_callee: Audio,
    limits: Limits,
}

impl Pair {
    /// Starts both phones with `codec` alone, and waits until they are registered.
    ///
    /// # Panics
    /// When they are not.
    #[must_use]
    pub fn register(
        folder: &Path,
        ports: &mut Ports,
        codec: &str,
        caller: Line<'_>,
        callee: Line<'_>,
    ) -> Self {
        Self::register_each(folder, ports, [codec; 2], caller, callee)
    }

    /// The same with a codec of its own for each, the caller's first.
    ///
    /// # Panics
    /// When they are not registered.
    #[must_use]
    pub fn register_each(
        folder: &Path,
        ports: &mut Ports,
        codecs: [&str; 2],
        caller: Line<'_>,
        callee: Line<'_>,
    ) -> Self {
        let [caller_codec, callee_codec] = codecs;
        let mut start = |user, voice, text, line: Line<'_>, codec| {
            let speech = Speech { voice, text, seconds: line.seconds };
            let file = speech::make(folder, &format!("said-by-{user}"), speech);
            let said = Audio::read(&file).expect("speech is a 16-bit WAV file");
            let Line { server, transport, seconds: _ } = line;
            let microphone = &*speech::at_rate(&file, baresip::rate_of(codec));
            let settings = Settings { user, password: PASSWORD, server, transport, codec, microphone };
            (Phone::start(folder, ports, settings), said)
        };
        let (caller, said_by_caller) = start(CALLER, "en", CALLER_SAYS, caller, caller_codec);
        let (callee, said_by_callee) = start(CALLEE, "en+f3", CALLEE_SAYS, callee, callee_codec);
        caller.registered();
        callee.registered();
        let limits = if caller_codec == callee_codec { LIMITS } else { TRANSCODED };
        Self { caller, callee, said_by_caller, said_by_callee, limits }
    }

    /// The caller calls, the callee answers, and both hear each other.
    #[track_caller]
    pub fn establish(&mut self) {
        self.caller.dial(CALLEE);
        self.callee.rings(CALLER);
        self.caller.hears_ringing();
        self.callee.accept();
        self.callee.talks();
        self.caller.talks();
    }

    /// Ends both phones after their call, and judges what they heard.
    ///
    /// # Panics
    /// When it was not what the other said.
    #[track_caller]
    pub fn listen(self) {
        let limits = self.limits;
        let at_callee = Comparison::of(&self.said_by_caller, &self.callee.heard().at_8_khz());
        let at_caller = Comparison::of(&self.said_by_callee, &self.caller.heard().at_8_khz());
        println!("callee hears: {at_callee}caller hears: {at_caller}");
        assert!(at_callee.within(&limits), "what the callee heard is not what the caller said: {at_callee}");
        assert!(at_caller.within(&limits), "what the caller heard is not what the callee said: {at_caller}");
    }

    /// Ends both phones.
    pub fn quit(&mut self) {
        self.caller.quit();
        self.callee.quit();
    }
}

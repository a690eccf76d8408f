//! A sound card of virtual time: it calls back after every period of its own clock, which may run faster or slower than ours.
//!
//! It stands for real devices in tests and in measurements, since the null devices of operating systems are not paced.

use super::{MicrophoneSide, SpeakerSide};
use media::dsp::SampleRate;
use sip_stack::Time;

/// The device.
pub struct VirtualDevice {
    microphone: MicrophoneSide,
    speaker: SpeakerSide,
    begun: Time,
    /// Nanoseconds of a period, in thousandths.
    period_ps: u64,
    periods: u64,
    heard: Vec<i16>,
    played: Vec<i16>,
}

impl std::fmt::Debug for VirtualDevice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("VirtualDevice").field("periods", &self.periods).finish_non_exhaustive()
    }
}

impl VirtualDevice {
    /// A device that calls back for `period` samples at a time, and whose clock is `ppm` parts per million too fast.
    pub fn new(
        now: Time,
        sides: (MicrophoneSide, SpeakerSide),
        rate: SampleRate,
        period: usize,
        ppm: i32,
    ) -> VirtualDevice {
        let nominal = period as f64 * 1e12 / f64::from(rate.hertz());
        VirtualDevice {
            microphone: sides.0,
            speaker: sides.1,
            begun: now,
            period_ps: (nominal / (1.0 + f64::from(ppm) / 1e6)).round() as u64,
            periods: 0,
            heard: vec![0; period],
            played: vec![0; period],
        }
    }

    /// When it calls back next.
    pub fn poll_timeout(&self) -> Time {
        Time(self.begun.0 + (self.periods + 1) * self.period_ps / 1_000)
    }

    /// Calls back for every period that has passed. `room` is told what was played in a period, and says what the microphone
    /// hears in it.
    pub fn handle_timeout(&mut self, now: Time, mut room: impl FnMut(&[i16], &mut [i16])) {
        while self.poll_timeout() <= now {
            let at = self.poll_timeout();
            self.periods += 1;
            self.speaker.render(at, &mut self.played);
            room(&self.played, &mut self.heard);
            self.microphone.capture(at, &self.heard);
        }
    }
}

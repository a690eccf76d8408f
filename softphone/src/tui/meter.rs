//! A level meter: it rises at once and falls slowly, as meters of sound do (IEC 60268-10), so that it can be read.

use media::mix::Loudness;
use sip_stack::Time;

/// What it shows when there is nothing to show, in dBov.
const FLOOR: f32 = -127.0;
/// How fast it falls, in dB per second.
const FALL: f32 = 24.0;

/// A level meter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Meter {
    level: f32,
    at: Time,
}

impl Default for Meter {
    fn default() -> Meter {
        Meter { level: FLOOR, at: Time::default() }
    }
}

impl Meter {
    /// A frame was so loud; `None`: silent.
    pub fn note(&mut self, now: Time, loudness: Option<Loudness>) {
        let heard = loudness.map_or(FLOOR, |loudness| f32::from(loudness.dbov()));
        (self.level, self.at) = (self.falling(now).max(heard), now);
    }

    /// What it shows, in dBov; `None` when nothing is to be heard.
    pub fn shown(&self, now: Time) -> Option<i8> {
        let level = self.falling(now).round();
        (level > FLOOR).then_some(level as i8)
    }

    fn falling(&self, now: Time) -> f32 {
        (self.level - FALL * now.since(self.at).as_secs_f32()).max(FLOOR)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_rises_at_once_and_falls_slowly() {
        let mut meter = Meter::default();
        let at = Time::from_millis;
        assert_eq!(meter.shown(at(0)), None);
        meter.note(at(1_000), Loudness::of(&[3_277; 160]));
        assert_eq!(meter.shown(at(1_000)), Some(-20));
        meter.note(at(1_500), None);
        assert_eq!(meter.shown(at(1_500)), Some(-32));
        meter.note(at(2_000), Loudness::of(&[3_277; 160]));
        assert_eq!(meter.shown(at(2_000)), Some(-20));
        assert_eq!(meter.shown(at(60_000)), None);
    }
}

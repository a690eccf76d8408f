//! How much faster a device runs than the call: from how full the ring between them is, to a correction of the rate.
//!
//! The measure is taken every [`FRAME_MS`](super::FRAME_MS). It is smoothed over a second, and what remains goes to a
//! proportional and an integral part: the first brings the ring back to its target in some ten seconds, the second learns
//! the drift of the clocks, so that the target is held without an error. The correction changes by a few parts per million
//! from one frame to the next and never by a step, which could be heard.

use media::dsp::DriftCorrector;

/// Parts per million for each millisecond too much.
const PROPORTIONAL: f32 = 100.0;
/// The same for each millisecond that is too much for a second.
const INTEGRAL: f32 = 2.5;
/// What the smoothing gives a new measure.
const SMOOTHING: f32 = 0.01;
const TICKS_PER_SECOND: f32 = 100.0;
const LARGEST: f32 = DriftCorrector::LARGEST_PPM as f32;

/// The controller of one ring.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pace {
    smoothed_ms: Option<f32>,
    integral: f32,
}

impl Pace {
    /// Takes how many milliseconds more than its target a ring holds. Gives the correction in parts per million for the
    /// samples that go in, or come out: above zero, there are too many.
    pub fn handle_excess(&mut self, excess_ms: f32) -> i32 {
        let smoothed = match self.smoothed_ms {
            Some(before) => before + (excess_ms - before) * SMOOTHING,
            None => excess_ms,
        };
        self.smoothed_ms = Some(smoothed);
        let proportional = smoothed * PROPORTIONAL;
        // It does not learn from what it cannot correct.
        if proportional.abs() < LARGEST {
            self.integral = (self.integral + smoothed * INTEGRAL / TICKS_PER_SECOND).clamp(-LARGEST, LARGEST);
        }
        (proportional + self.integral).clamp(-LARGEST, LARGEST) as i32
    }

    /// The ring was filled or emptied at once: what was measured means nothing, what was learnt of the clocks stays.
    pub fn restart(&mut self) {
        self.smoothed_ms = None;
    }

    /// The drift that was learnt, in parts per million.
    pub fn drift_ppm(&self) -> i32 {
        self.integral as i32
    }
}

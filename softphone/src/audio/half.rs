//! One direction of a sound card: its stream, and when one that failed is tried again.
//!
//! Looking for a device and opening it takes the time of the thread that moves the sound. So a device that fails is left alone
//! for [`SHORTEST`], and for twice as long each time it fails again, up to [`LONGEST`]. What fails here concerns the other
//! direction in no way.

use sip_stack::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a device is left alone that failed for the first time.
const SHORTEST: Duration = Duration::from_secs(1);
/// The longest that it is left alone. A device that worked for as long has not failed before.
const LONGEST: Duration = Duration::from_secs(30);

/// A direction whose streams are of the kind `S`; one that is dropped is closed.
pub(super) struct Half<S> {
    open: Option<Open<S>>,
    /// Not before then, and how long the device is left alone when it fails again.
    failed: Option<(Time, Duration)>,
}

struct Open<S> {
    _stream: S,
    since: Time,
    /// The callback says that its device is gone.
    lost: Arc<AtomicBool>,
}

impl<S> Half<S> {
    pub(super) fn new() -> Half<S> {
        Half { open: None, failed: None }
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// Closes the stream. A device that failed is left alone all the same.
    pub(super) fn close(&mut self) {
        self.open = None;
    }

    /// Closes the stream and forgets what failed: whoever talks next wants to be heard at once.
    pub(super) fn rest(&mut self) {
        *self = Half::new();
    }

    /// Closes a stream whose device is gone; then calls `open` if there is none and it is time to try. `open` is given what
    /// the callback sets when its device is gone. Whether there is a stream now.
    pub(super) fn ensure_open<E>(
        &mut self,
        now: Time,
        open: impl FnOnce(Arc<AtomicBool>) -> Result<S, E>,
    ) -> bool {
        if let Some(gone) = self.open.take_if(|open| open.lost.load(Ordering::Relaxed)) {
            if now.since(gone.since) >= LONGEST {
                self.failed = None;
            }
            self.fail(now);
        }
        let due = self.failed.is_none_or(|(not_before, _)| not_before <= now);
        if self.open.is_none() && due {
            let lost = Arc::<AtomicBool>::default();
            match open(Arc::clone(&lost)) {
                Ok(stream) => self.open = Some(Open { _stream: stream, since: now, lost }),
                Err(_) => self.fail(now),
            }
        }
        self.is_open()
    }

    fn fail(&mut self, now: Time) {
        let pause = self.failed.map_or(SHORTEST, |(_, next)| next);
        self.failed = Some((now + pause, (2 * pause).min(LONGEST)));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The seconds at which it is tried to open a device, until the end; `works` makes something of it.
    fn tries(half: &mut Half<()>, end: u64, works: impl Fn(u64, &AtomicBool) -> bool) -> Vec<u64> {
        let mut tries = Vec::new();
        for second in 0..end {
            half.ensure_open(Time::from_millis(1_000 * second), |lost| {
                tries.push(second);
                if works(second, &lost) { Ok(()) } else { Err(()) }
            });
        }
        tries
    }

    #[test]
    fn a_device_that_fails_is_tried_less_and_less_often() {
        let mut half = Half::new();
        assert_eq!(tries(&mut half, 125, |_, _| false), [0, 1, 3, 7, 15, 31, 61, 91, 121]);
        half.close();
        assert!(tries(&mut half, 125, |_, _| false).is_empty(), "it has failed all the same");
        half.rest();
        assert_eq!(tries(&mut half, 2, |_, _| false), [0, 1], "the next call begins anew");
    }

    #[test]
    fn a_device_that_opens_and_is_gone_at_once_is_one_that_fails() {
        let mut half = Half::new();
        let gone = |_, lost: &AtomicBool| {
            lost.store(true, Ordering::Relaxed);
            true
        };
        // It is noticed a second later that it is gone.
        assert_eq!(tries(&mut half, 30, gone), [0, 2, 5, 10, 19]);
    }

    #[test]
    fn a_device_that_worked_for_long_is_replaced_after_a_second() {
        let mut half = Half::new();
        let mut callback = None;
        let mut open = |second, half: &mut Half<()>| {
            let mut tried = false;
            half.ensure_open(Time::from_millis(1_000 * second), |lost| {
                tried = true;
                callback = Some(lost);
                if second < 7 { Err(()) } else { Ok(()) }
            });
            if second == 40 {
                callback.iter().for_each(|lost| lost.store(true, Ordering::Relaxed));
            }
            tried
        };
        let tries: Vec<u64> = (0..60).filter(|second| open(*second, &mut half)).collect();
        assert_eq!(tries, [0, 1, 3, 7, 42]);
    }
}

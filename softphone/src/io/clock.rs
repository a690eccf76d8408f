//! The one place that reads a clock: monotonic time that counts suspend where the system has it.

use sip_stack::Time;

/// Now.
#[cfg(target_os = "linux")]
pub fn now() -> Time {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let (seconds, nanoseconds) =
        (u64::try_from(time.tv_sec).unwrap_or(0), u64::try_from(time.tv_nsec).unwrap_or(0));
    Time(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
}

/// Now. `Instant` has an origin of its own, so that the first call is the origin here.
#[cfg(not(target_os = "linux"))]
#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
pub fn now() -> Time {
    use std::sync::OnceLock;
    use std::time::Instant;
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    let origin = *ORIGIN.get_or_init(Instant::now);
    Time(u64::try_from(origin.elapsed().as_nanos()).unwrap_or(u64::MAX))
}

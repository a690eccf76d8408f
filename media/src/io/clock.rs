//! The one place of the crate where the clock is read.

use crate::time::Time;

/// Monotonic time that goes on while the machine is suspended.
#[cfg(target_os = "linux")]
pub(super) fn now() -> Time {
    use nix::time::{ClockId, clock_gettime};
    let since_boot = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux since 2.6.39 has this clock");
    Time(std::time::Duration::from(since_boot).as_nanos() as u64)
}

/// Monotonic time since the first call. Whether it goes on while the machine is suspended is up to the system.
#[cfg(not(target_os = "linux"))]
pub(super) fn now() -> Time {
    use std::sync::OnceLock;
    use std::time::Instant;
    static ORIGIN: OnceLock<Instant> = OnceLock::new();
    #[expect(clippy::disallowed_methods, reason = "the edge reads the clock for the core")]
    let now = Instant::now();
    Time(now.saturating_duration_since(*ORIGIN.get_or_init(|| now)).as_nanos() as u64)
}

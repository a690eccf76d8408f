//! How long to wait after a failure (RFC 5626 §4.5, RFC 3261 §20.33).

use crate::random::Random;
use core::time::Duration;

/// `base-time` when every flow has failed.
const BASE_ALL_FAILED: Duration = Duration::from_secs(30);
/// `base-time` while another flow works.
const BASE: Duration = Duration::from_secs(90);
/// `max-time`.
const MAX: Duration = Duration::from_secs(1_800);
/// A registrar that wants more than a day is not believed.
const MAX_RETRY_AFTER: Duration = Duration::from_secs(86_400);

/// The wait after `failures` in a row, at least one: 50 to 100 % of base-time · 2^failures. Retry-After makes it longer;
/// after the first failure it is taken as it is, even if that is zero (RFC 5626 §4.2.1).
pub(crate) fn after(
    failures: u32,
    others_work: bool,
    retry_after: Option<Duration>,
    random: &mut Random,
) -> Duration {
    let base = if others_work { BASE } else { BASE_ALL_FAILED };
    let bound = base.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX)).min(MAX);
    let half_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX) / 2;
    let delay = Duration::from_millis(half_ms.saturating_add(random.next_u64() % half_ms.max(1)));
    match retry_after.map(|asked| asked.min(MAX_RETRY_AFTER)) {
        Some(asked) if failures <= 1 => asked,
        Some(asked) => delay.max(asked),
        None => delay,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(failures: u32, others_work: bool) -> (u64, u64) {
        let mut random = Random::new([7; 32]);
        let waits = (0..500).map(|_| after(failures, others_work, None, &mut random).as_secs());
        waits.fold((u64::MAX, 0), |(least, most), wait| (least.min(wait), most.max(wait)))
    }

    #[test]
    fn the_wait_doubles_up_to_half_an_hour_and_is_spread_over_its_upper_half() {
        assert_eq!(seconds(1, false), (30, 59));
        let (least, most) = seconds(3, false);
        assert!((120..125).contains(&least) && (235..240).contains(&most), "{least} to {most}");
        let (least, most) = seconds(40, false);
        assert!((900..920).contains(&least) && (1_780..1_800).contains(&most), "{least} to {most}");
    }

    #[test]
    fn the_wait_is_three_times_as_long_while_another_flow_works() {
        let (least, most) = seconds(1, true);
        assert!((90..93).contains(&least) && (177..180).contains(&most), "{least} to {most}");
    }

    #[test]
    fn a_retry_after_is_obeyed_as_it_is_once_and_never_shortens_the_wait_again() {
        let mut random = Random::new([7; 32]);
        assert_eq!(after(1, false, Some(Duration::ZERO), &mut random), Duration::ZERO);
        assert!(after(2, false, Some(Duration::ZERO), &mut random) >= Duration::from_secs(60));
        assert_eq!(after(2, false, Some(Duration::from_secs(7_200)), &mut random).as_secs(), 7_200);
    }
}

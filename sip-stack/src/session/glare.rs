//! Two who change a session at once (RFC 3261 §14.1, §14.2; RFC 3311 §5.2): who is refused and how, and when to try again.

use crate::header::HeaderName;
use crate::message::{Status, Writer};
use crate::random::Random;
use core::time::Duration;

/// Why an offer of the peer cannot be taken now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Conflict {
    /// We have made an offer that is not answered yet: 491.
    OfferPending,
    /// The peer's last offer, or its INVITE, is not answered yet: 500 with a Retry-After of up to ten seconds.
    AnswerPending,
}

impl Conflict {
    /// The status of the refusal.
    pub const fn status(self) -> Status {
        match self {
            Conflict::OfferPending => Status::REQUEST_PENDING,
            Conflict::AnswerPending => Status::SERVER_INTERNAL_ERROR,
        }
    }

    /// Writes what the refusal says besides.
    pub fn write(self, random: &mut Random, writer: &mut Writer) {
        match self {
            Conflict::OfferPending => {}
            Conflict::AnswerPending => write_retry_after(random, writer),
        }
    }
}

/// §14.2: between 0 and 10 seconds, at random.
pub fn write_retry_after(random: &mut Random, writer: &mut Writer) {
    writer.number(HeaderName::RetryAfter, u64::from(random.next_u32() % 11));
}

/// How long to wait after a 491 (§14.1), in steps of 10 ms: 2.1 to 4 s for the side that made the Call-ID, up to 2 s for the
/// other.
pub fn delay(random: &mut Random, made_the_call_id: bool) -> Duration {
    let steps = if made_the_call_id { 210 + random.next_u64() % 191 } else { random.next_u64() % 201 };
    Duration::from_millis(10 * steps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_side_that_made_the_call_id_waits_longer_always() {
        let mut random = Random::new([7; 32]);
        for _ in 0..1_000 {
            let (ours, theirs) = (delay(&mut random, true), delay(&mut random, false));
            assert!((2_100..=4_000).contains(&ours.as_millis()), "{ours:?}");
            assert!(theirs.as_millis() <= 2_000, "{theirs:?}");
            assert!(ours.as_millis() % 10 == 0 && theirs.as_millis() % 10 == 0);
        }
    }
}

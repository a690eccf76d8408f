//! The timer values of RFC 3261 §17 (table 4 of Appendix A) and RFC 6026 §7.

use core::time::Duration;
use serde::{Deserialize, Serialize};

/// T1, T2 and T4, from which every other timer follows. Kept in milliseconds: every transaction carries them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timing {
    t1_ms: u32,
    t2_ms: u32,
    t4_ms: u32,
}

impl Default for Timing {
    fn default() -> Timing {
        Timing { t1_ms: 500, t2_ms: 4_000, t4_ms: 5_000 }
    }
}

impl Timing {
    /// Estimate of the round-trip time, 500 ms (§17.1.1.1).
    pub fn t1(&self) -> Duration {
        Duration::from_millis(self.t1_ms.into())
    }

    /// Longest interval between retransmissions of a non-INVITE request or an INVITE response, 4 s (§17.1.2.2).
    pub fn t2(&self) -> Duration {
        Duration::from_millis(self.t2_ms.into())
    }

    /// How long a message may stay in the network, 5 s (§17.1.2.2).
    pub fn t4(&self) -> Duration {
        Duration::from_millis(self.t4_ms.into())
    }

    /// 64·T1: Timers B, F, H, J, L and M, and the wait for the ACK of a 2xx (§13.3.1.4).
    pub fn transaction(&self) -> Duration {
        self.t1() * 64
    }

    /// Timer D: at least 32 s for datagrams, none for streams (§17.1.1.2).
    pub fn timer_d(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.transaction().max(Duration::from_secs(32)) }
    }

    /// Timers I and K: T4 for datagrams, none for streams (§17.2.1, §17.1.2.2).
    pub fn absorb(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.t4() }
    }

    /// Timer J: 64·T1 for datagrams, none for streams (§17.2.2).
    pub fn timer_j(&self, reliable: bool) -> Duration {
        if reliable { Duration::ZERO } else { self.transaction() }
    }

    /// The next interval of a retransmission that doubles up to T2 (Timers E and G).
    pub fn doubled(&self, interval: Duration) -> Duration {
        (interval * 2).min(self.t2())
    }

    /// How long an INVITE may go without a provisional response of the TU before the transaction sends 100 (§17.2.1).
    pub const TRYING: Duration = Duration::from_millis(200);
}

/// A retransmission that is due at `at`, and again `interval` later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retransmission {
    /// When it is due.
    pub at: crate::Time,
    /// What had to pass since the last one.
    pub interval: Duration,
}

//! Datagrams on their way: delayed, lost, doubled and overtaken as the seed decides.
//!
//! Pure: whoever drives it hands datagrams in and takes out those that have arrived. Bound: none of its own; what is under way
//! is what was sent within the longest delay.

use bytes::Bytes;
use sip_stack::Time;
use sip_stack::random::Random;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

/// How bad the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Faults {
    /// The shortest way.
    pub latency: Duration,
    /// What may be added to it; datagrams that follow each other more closely may overtake.
    pub jitter: Duration,
    /// Datagrams of a hundred that never arrive.
    pub loss_percent: u32,
    /// Datagrams of a hundred that arrive twice.
    pub duplicate_percent: u32,
    /// Datagrams of a hundred that come late, behind others.
    pub late_percent: u32,
    /// How late those come at the most.
    pub late: Duration,
}

impl Faults {
    /// One millisecond, nothing lost.
    pub const NONE: Faults = Faults {
        latency: Duration::from_millis(1),
        jitter: Duration::ZERO,
        loss_percent: 0,
        duplicate_percent: 0,
        late_percent: 0,
        late: Duration::ZERO,
    };

    /// Five to forty-five milliseconds, with loss, duplicates and stragglers.
    pub const fn lossy(loss_percent: u32) -> Faults {
        Faults {
            latency: Duration::from_millis(5),
            jitter: Duration::from_millis(40),
            loss_percent,
            duplicate_percent: 5,
            late_percent: 5,
            late: Duration::from_millis(400),
        }
    }
}

/// A datagram.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The sender.
    pub from: SocketAddr,
    /// The receiver.
    pub to: SocketAddr,
    /// What it carries.
    pub bytes: Bytes,
}

/// What lies between the sockets.
#[derive(Debug)]
pub struct Network {
    /// As things are now.
    pub faults: Faults,
    random: Random,
    under_way: BTreeMap<(Time, u64), Datagram>,
    sent: u64,
    doomed: Vec<(&'static [u8], SocketAddr, u32)>,
}

impl Network {
    /// A network that the seed decides.
    pub fn new(seed: [u8; 32], faults: Faults) -> Network {
        Network { faults, random: Random::new(seed), under_way: BTreeMap::new(), sent: 0, doomed: Vec::new() }
    }

    /// Loses the next `count` datagrams to `to` that begin with `start`.
    pub fn lose(&mut self, start: &'static [u8], to: SocketAddr, count: u32) {
        self.doomed.push((start, to, count));
    }

    /// Takes a datagram.
    pub fn send(&mut self, now: Time, datagram: &Datagram) {
        let doomed = self
            .doomed
            .iter_mut()
            .find(|(start, to, count)| *count > 0 && *to == datagram.to && datagram.bytes.starts_with(start));
        if let Some((_, _, count)) = doomed {
            *count -= 1;
            return;
        }
        if self.happens(self.faults.loss_percent) {
            return;
        }
        let copies = if self.happens(self.faults.duplicate_percent) { 2 } else { 1 };
        for _ in 0..copies {
            let mut delay = self.faults.latency + self.up_to(self.faults.jitter);
            if self.happens(self.faults.late_percent) {
                delay += self.up_to(self.faults.late);
            }
            self.sent += 1;
            self.under_way.insert((now + delay, self.sent), datagram.clone());
        }
    }

    /// When the next datagram arrives.
    pub fn poll_timeout(&self) -> Option<Time> {
        self.under_way.keys().next().map(|(at, _)| *at)
    }

    /// A datagram that has arrived.
    pub fn poll_delivery(&mut self, now: Time) -> Option<Datagram> {
        let entry = self.under_way.first_entry()?;
        (entry.key().0 <= now).then(|| entry.remove())
    }

    /// Whether nothing is under way.
    pub fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }

    fn happens(&mut self, percent: u32) -> bool {
        percent > 0 && self.random.next_u32() % 100 < percent
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        Duration::from_nanos(if most == 0 { 0 } else { self.random.next_u64() % most })
    }
}

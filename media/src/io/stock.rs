//! Port pairs bound in advance, so that the core opens legs without waiting for the media thread.
//!
//! The thread leases pairs to the core through a ring, for each of the local addresses that legs were opened on so far; the
//! core uses them up and the thread leases more, a few on each wake. At most [`LEASES`] pairs of an address are leased, for
//! at most [`ADDRESSES`] addresses, and an eighth of the thread's share of the range in all; legs on other addresses, and those that come faster,
//! wait for the thread. An address that is gone keeps its place. Leases of ports that are no longer to be used go back unused.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::ops::RangeInclusive;

use ringbuf::traits::{Consumer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};
use smallvec::SmallVec;

use super::sockets::{PairId, Sockets};
use crate::leg::LegId;
use crate::shard::{LegAddresses, LegPorts};
use crate::time::Time;

/// Pairs leased for one address.
const LEASES: usize = 64;
/// Addresses that pairs are leased for.
const ADDRESSES: usize = 4;
/// Pairs leased on one wake; binding one costs some ten system calls, during which no packet is relayed.
const LEASES_PER_WAKE: usize = 8;

/// A pair that the core may give to a leg.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lease {
    local: IpAddr,
    pub(super) port: u16,
    pub(super) pair: PairId,
}

/// Legs with the leases they use up.
pub(super) type LeasedLegs = SmallVec<[(LegId, Lease); 2]>;

/// The RTP ports of the legs.
pub(super) fn ports(legs: &LeasedLegs) -> LegPorts {
    legs.iter().map(|(leg, lease)| (*leg, lease.port)).collect()
}

/// The two ends of the ring.
pub(super) fn ring() -> (Lessor, Lessee) {
    let (leases, theirs) = HeapRb::new(LEASES * ADDRESSES).split();
    let range = u16::MIN..=u16::MAX;
    let lessee = Lessee { leases: theirs, stocks: SmallVec::new(), range, stale: Vec::new() };
    (Lessor { leases, lent: SmallVec::new() }, lessee)
}

/// The thread's end.
pub(super) struct Lessor {
    leases: HeapProd<Lease>,
    /// How many pairs of each address are leased and not used up.
    lent: SmallVec<[(IpAddr, usize); ADDRESSES]>,
}

impl Lessor {
    /// Legs were opened on this address.
    pub(super) fn note(&mut self, local: IpAddr) {
        let known = self.lent.iter().any(|(address, _)| *address == local);
        if !known && self.lent.len() < ADDRESSES {
            self.lent.push((local, 0));
        }
    }

    /// A lease was used up.
    pub(super) fn take_back(&mut self, lease: &Lease) {
        if let Some((_, lent)) = self.lent.iter_mut().find(|(address, _)| *address == lease.local) {
            *lent -= 1;
        }
    }

    /// Leases some pairs more. Whatever hinders it, legs can do without.
    pub(super) fn lease(&mut self, now: Time, sockets: &mut Sockets) {
        let most = LEASES.min(sockets.share() / 8 / self.lent.len().max(1));
        let mut left = LEASES_PER_WAKE;
        for (local, lent) in &mut self.lent {
            for _ in 0..most.saturating_sub(*lent).min(left) {
                let Ok((pair, port)) = sockets.promise_rested(now, *local) else { break };
                if self.leases.try_push(Lease { local: *local, port, pair }).is_err() {
                    sockets.rest(now, pair);
                    break;
                }
                *lent += 1;
                left -= 1;
            }
        }
    }
}

/// The core's end.
pub(super) struct Lessee {
    leases: HeapCons<Lease>,
    stocks: SmallVec<[(IpAddr, VecDeque<Lease>); ADDRESSES]>,
    /// The ports that may be used.
    range: RangeInclusive<u16>,
    /// Leases of others, which go back.
    stale: Vec<Lease>,
}

impl Lessee {
    /// Only these ports are used from now on.
    pub(super) fn change_range(&mut self, range: RangeInclusive<u16>) {
        self.range = range;
        for (_, stock) in core::mem::take(&mut self.stocks) {
            stock.into_iter().for_each(|lease| self.give_back(lease));
        }
    }

    /// What is not used up, and goes back to the thread.
    pub(super) fn take_stale(&mut self) -> Vec<Lease> {
        core::mem::take(&mut self.stale)
    }

    /// Takes a lease for each leg, or none at all.
    pub(super) fn take(&mut self, legs: &LegAddresses) -> Option<LeasedLegs> {
        while let Some(lease) = self.leases.try_pop() {
            self.give_back(lease);
        }
        let mut leased = LeasedLegs::new();
        for (leg, local) in legs {
            match self.stock(*local).and_then(VecDeque::pop_front) {
                Some(lease) => leased.push((*leg, lease)),
                None => {
                    leased.into_iter().for_each(|(_, lease)| self.give_back(lease));
                    return None;
                }
            }
        }
        Some(leased)
    }

    /// Puts a lease into the stock of its address.
    pub(super) fn give_back(&mut self, lease: Lease) {
        if !self.range.contains(&lease.port) {
            return self.stale.push(lease);
        }
        match self.stock(lease.local) {
            Some(stock) => stock.push_back(lease),
            None => self.stocks.push((lease.local, VecDeque::from([lease]))),
        }
    }

    fn stock(&mut self, local: IpAddr) -> Option<&mut VecDeque<Lease>> {
        self.stocks.iter_mut().find(|(address, _)| *address == local).map(|(_, stock)| stock)
    }
}

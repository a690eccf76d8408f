//! The bound port pairs: those of legs, those promised to the core, and those at rest.
//!
//! Binding a pair costs a dozen system calls and a wake of this thread. So a pair whose leg has closed stays bound and
//! rests, for [`REST`] at least, before another leg has it. A pair that packets reach in that time is closed instead: late
//! packets of the old call do not reach the new one, and their sender is told that nobody listens (ICMP). If it goes on all the same until
//! the port comes again, the leg that has it then knows it ([`Ghosts`]).
//!
//! At most [`RESTING`] pairs rest, and where several threads share the range no more than a quarter of it; the one that has rested longest is closed for one more. When the range has no other
//! pair left, one at rest is used early.
//!
//! Packets that are moved when they arrive are told of by the poll that the thread waits in. Those of legs in rooms wake nobody,
//! and carry the time when they came: the thread looks into the sockets before each tick, and where it has found nothing for
//! [`IN_VAIN`] ticks it asks a second poll instead, which costs nothing for who says nothing.

use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::Duration;

use mio::net::UdpSocket;
use mio::{Interest, Registry, Token};
use slab::Slab;
use tracing::debug;

use super::batch::{self, Kind};
use super::ports::{PortPair, Ports};
use crate::leg::Ghosts;
use crate::shard::{LegKey, RefusalReason, Watch};
use crate::time::Time;

/// How long a pair rests before it is used again: a sender that goes on would have sent some ten packets.
const REST: Duration = Duration::from_millis(250);
/// How many pairs may rest.
const RESTING: usize = 1_024;
/// How many of them are looked at for one on the right address.
const LOOKED_AT: usize = 8;

/// A socket that so many looks in a row found empty is left to the poll: half a second of ticks.
const IN_VAIN: u8 = 25;

/// Names a bound pair.
pub(super) type PairId = usize;

/// A bound pair.
#[derive(Debug)]
pub(super) struct Bound {
    pub(super) local: IpAddr,
    pub(super) pair: PortPair,
    pub(super) role: Role,
    told_by: Told,
    /// The kernel tells when RTP arrives.
    stamped: bool,
}

impl Bound {
    /// What to ask the RTP socket for.
    pub(super) const fn rtp_kind(&self) -> Kind {
        Kind { ipv6: self.local.is_ipv6(), stamped: self.stamped }
    }

    /// What to ask the RTCP socket for.
    pub(super) const fn rtcp_kind(&self) -> Kind {
        Kind { ipv6: self.local.is_ipv6(), stamped: false }
    }
}

/// Who tells the thread that RTP has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Told {
    /// The poll that it waits in.
    Arrivals,
    /// The poll that it asks before a tick.
    Ticks,
    /// Nobody: it looks before each tick of the leg's room, and has found nothing so many times in a row.
    Nobody { in_vain: u8 },
}

/// A pair on its way to another thread.
#[derive(Debug)]
pub(super) struct Detached {
    local: IpAddr,
    pair: PortPair,
    stamped: bool,
}

/// What a bound pair is there for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Role {
    /// The core was told of it, or is about to be.
    Promised,
    /// A leg has it.
    Leg(LegKey),
    /// Nobody has it, since then.
    Resting(Time),
}

/// Which socket of a pair an event is for. Packed into a token: id × 2, plus one for RTCP.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Readable {
    Rtp(PairId),
    Rtcp(PairId),
}

impl Readable {
    pub(super) const fn from_token(token: Token) -> Self {
        if token.0.is_multiple_of(2) { Self::Rtp(token.0 / 2) } else { Self::Rtcp(token.0 / 2) }
    }

    const fn token(self) -> Token {
        match self {
            Self::Rtp(id) => Token(id * 2),
            Self::Rtcp(id) => Token(id * 2 + 1),
        }
    }
}

/// All bound pairs of a thread.
#[derive(Debug)]
pub(super) struct Sockets {
    /// Of the poll that the thread waits in.
    arrivals: Registry,
    /// Of the poll that is asked before a tick.
    ticks: Registry,
    ports: Ports,
    pairs: Slab<Bound>,
    /// By the slot of a leg's key.
    legs: Vec<Option<PairId>>,
    /// In the order in which they went to rest. Those that are closed or in use since are skipped.
    resting: VecDeque<(Time, PairId)>,
}

impl Sockets {
    /// Pairs of `ports`, watched by the polls that `arrivals` and `ticks` belong to.
    pub(super) const fn new(arrivals: Registry, ticks: Registry, ports: Ports) -> Self {
        Self { arrivals, ticks, ports, pairs: Slab::new(), legs: Vec::new(), resting: VecDeque::new() }
    }

    /// How many pairs of the range fall to this thread, as far as they are not for a call.
    pub(super) fn share(&self) -> usize {
        self.ports.share()
    }

    /// Pairs come from this range from now on. Those of legs and those promised stay until nobody needs them; those of no use rest no more.
    pub(super) fn change_ports(&mut self, ports: Ports) {
        let mut useless = Vec::new();
        for (id, bound) in &self.pairs {
            match bound.role {
                Role::Resting(_) if !ports.has(bound.pair.port) => useless.push(id),
                Role::Resting(_) | Role::Promised | Role::Leg(_) => ports.hold(bound.pair.port),
            }
        }
        useless.into_iter().for_each(|id| self.close(id));
        self.ports = ports;
    }

    pub(super) fn get(&self, id: PairId) -> Option<&Bound> {
        self.pairs.get(id)
    }

    /// The pair of a leg.
    pub(super) fn of_leg(&self, leg: LegKey) -> Option<&Bound> {
        self.pairs.get((*self.legs.get(leg.index())?)?)
    }

    /// A pair on `local` that is promised from now on, with its RTP port: one that has rested, a new one, or when there
    /// is none of these, one that would have to rest.
    pub(super) fn promise(&mut self, now: Time, local: IpAddr) -> Result<(PairId, u16), RefusalReason> {
        self.promise_rested(now, local).or_else(|reason| match reason {
            RefusalReason::NoFreePort | RefusalReason::Os { .. } => {
                let id = self.wake_early(local).ok_or(reason)?;
                self.promised(id)
            }
            RefusalReason::AddressNotLocal | RefusalReason::AlreadyOpen | RefusalReason::Overloaded => {
                Err(reason)
            }
        })
    }

    /// The same, but nothing that would have to rest.
    pub(super) fn promise_rested(
        &mut self,
        now: Time,
        local: IpAddr,
    ) -> Result<(PairId, u16), RefusalReason> {
        let id = match self.wake_resting(now, local) {
            Some(id) => id,
            None => {
                let pair = self.ports.bind(local)?;
                self.watch(local, pair)
            }
        };
        self.promised(id)
    }

    fn promised(&mut self, id: PairId) -> Result<(PairId, u16), RefusalReason> {
        let bound = self.pairs.get_mut(id).ok_or(RefusalReason::NoFreePort)?;
        bound.role = Role::Promised;
        Ok((id, bound.pair.port))
    }

    /// Hands a promised pair to a leg.
    pub(super) fn give(&mut self, id: PairId, leg: LegKey) {
        let slot = leg.index();
        if self.legs.len() <= slot {
            self.legs.resize(slot + 1, None);
        }
        if let (Some(bound), Some(entry)) = (self.pairs.get_mut(id), self.legs.get_mut(slot)) {
            bound.role = Role::Leg(leg);
            *entry = Some(id);
        }
    }

    /// Lets a pair go with its leg, to another thread.
    pub(super) fn detach(&mut self, leg: LegKey) -> Option<Detached> {
        let id = self.legs.get_mut(leg.index()).and_then(Option::take)?;
        self.tell_by(id, Told::Arrivals);
        let Bound { local, mut pair, stamped, .. } = self.pairs.try_remove(id)?;
        for socket in [&mut pair.rtp, &mut pair.rtcp] {
            if let Err(error) = self.arrivals.deregister(socket) {
                debug!(%error, "media socket still watched");
            }
        }
        Some(Detached { local, pair, stamped })
    }

    /// Takes in a pair with its leg, from another thread. What has come meanwhile is told by the poll.
    pub(super) fn attach(&mut self, Detached { local, pair, stamped }: Detached, leg: LegKey) {
        let id = self.watch(local, pair);
        if let Some(bound) = self.pairs.get_mut(id) {
            bound.stamped = stamped;
        }
        self.give(id, leg);
    }

    /// Closes a pair whose leg was not taken in.
    pub(super) fn discard(&self, detached: Detached) {
        let port = detached.pair.port;
        drop(detached);
        self.ports.release(port);
    }

    /// Who was heard on a pair before.
    pub(super) fn ghosts(&self, id: PairId) -> Ghosts {
        self.pairs.get(id).map_or_else(Ghosts::default, |bound| self.ports.ghosts(bound.pair.port))
    }

    /// Takes the pair of a closed leg back, on which these were heard.
    pub(super) fn take_back(&mut self, now: Time, leg: LegKey, ghosts: Ghosts) {
        if let Some(id) = self.legs.get_mut(leg.index()).and_then(Option::take) {
            if let Some(bound) = self.pairs.get(id) {
                self.ports.remember(bound.pair.port, ghosts);
            }
            self.rest(now, id);
        }
    }

    /// Has the RTP of a leg told of when it arrives, or read before each tick of its room, from now on. What has arrived
    /// before is told of again.
    pub(super) fn watch_leg(&mut self, leg: LegKey, watch: Watch) {
        let Some(id) = self.legs.get(leg.index()).copied().flatten() else { return };
        let Some(bound) = self.pairs.get_mut(id) else { return };
        match (watch, bound.told_by) {
            (Watch::Arrival, _) => self.tell_by(id, Told::Arrivals),
            (Watch::Tick, Told::Arrivals) => {
                if !bound.stamped {
                    bound.stamped = batch::stamp(&bound.pair.rtp);
                }
                self.tell_by(id, Told::Nobody { in_vain: 0 });
            }
            (Watch::Tick, Told::Ticks | Told::Nobody { .. }) => {}
        }
    }

    /// The pair of a leg in a room whose RTP socket is to be looked into, as nobody tells of it.
    pub(super) fn untold(&self, leg: LegKey) -> Option<PairId> {
        let id = self.legs.get(leg.index()).copied().flatten()?;
        match self.pairs.get(id)?.told_by {
            Told::Nobody { .. } => Some(id),
            Told::Arrivals | Told::Ticks => None,
        }
    }

    /// So many datagrams were in a socket that was read for a tick.
    pub(super) fn handle_turn(&mut self, id: PairId, received: usize) {
        let Some(bound) = self.pairs.get_mut(id) else { return };
        match &mut bound.told_by {
            Told::Nobody { in_vain } if received == 0 => {
                *in_vain += 1;
                if *in_vain >= IN_VAIN {
                    self.tell_by(id, Told::Ticks);
                }
            }
            Told::Nobody { in_vain } => *in_vain = 0,
            Told::Ticks if received > 0 => self.tell_by(id, Told::Nobody { in_vain: 0 }),
            Told::Ticks | Told::Arrivals => {}
        }
    }

    fn tell_by(&mut self, id: PairId, told_by: Told) {
        let Some(bound) = self.pairs.get_mut(id) else { return };
        let poll = |told| match told {
            Told::Arrivals => Some(&self.arrivals),
            Told::Ticks => Some(&self.ticks),
            Told::Nobody { .. } => None,
        };
        let (from, to) = (std::mem::replace(&mut bound.told_by, told_by), told_by);
        if from == to {
            return;
        }
        let socket = &mut bound.pair.rtp;
        let left = poll(from).map_or(Ok(()), |from| from.deregister(socket));
        let moved = left.and_then(|()| {
            poll(to).map_or(Ok(()), |to| to.register(socket, Readable::Rtp(id).token(), Interest::READABLE))
        });
        if let Err(error) = moved {
            debug!(%error, "media socket not watched");
        }
    }

    /// Lets a pair rest that nobody needs.
    pub(super) fn rest(&mut self, now: Time, id: PairId) {
        self.tell_by(id, Told::Arrivals);
        let Some(bound) = self.pairs.get_mut(id) else { return };
        if !self.ports.has(bound.pair.port) {
            return self.close(id);
        }
        bound.role = Role::Resting(now);
        self.resting.push_back((now, id));
        if self.resting.len() > self.most_resting()
            && let Some(oldest) = self.pop_resting()
        {
            self.close(oldest);
        }
    }

    /// Closes a pair.
    pub(super) fn close(&mut self, id: PairId) {
        let Some(bound) = self.pairs.try_remove(id) else { return };
        let port = bound.pair.port;
        // The poll forgets what is closed (epoll(7), kqueue(2)); Windows wants it told.
        #[cfg(windows)]
        let bound = {
            let mut bound = bound;
            let registry = match bound.told_by {
                Told::Arrivals => Some(&self.arrivals),
                Told::Ticks => Some(&self.ticks),
                Told::Nobody { .. } => None,
            };
            let rtp = registry.map(|registry| (registry, &mut bound.pair.rtp));
            for (registry, socket) in rtp.into_iter().chain([(&self.arrivals, &mut bound.pair.rtcp)]) {
                if let Err(error) = registry.deregister(socket) {
                    debug!(%error, "media socket still watched");
                }
            }
            bound
        };
        // Closed first: another thread may bind the ports as soon as they are given back.
        drop(bound);
        self.ports.release(port);
    }

    /// One of the pairs that have rested longest, if that was long enough and it is on `local`.
    fn wake_resting(&mut self, now: Time, local: IpAddr) -> Option<PairId> {
        while self.resting.front().is_some_and(|&(since, id)| !self.is_resting(since, id)) {
            self.resting.pop_front();
        }
        let rested = |&(since, id): &(Time, PairId)| {
            now.since(since) >= REST
                && self.is_resting(since, id)
                && self.pairs.get(id).is_some_and(|bound| bound.local == local)
        };
        let place = self.resting.iter().take(LOOKED_AT).position(rested)?;
        self.resting.remove(place).map(|(_, id)| id)
    }

    /// The pair that has rested longest, bound anew where it was on another address.
    fn wake_early(&mut self, local: IpAddr) -> Option<PairId> {
        let id = self.pop_resting()?;
        if self.pairs.get(id).is_some_and(|bound| bound.local == local) {
            return Some(id);
        }
        self.close(id);
        let pair = self.ports.bind(local).ok()?;
        Some(self.watch(local, pair))
    }

    /// The others cannot use what rests here, so of a small range less may rest.
    fn most_resting(&self) -> usize {
        if self.ports.is_shared() { RESTING.min(self.ports.share() / 4) } else { RESTING }
    }

    fn pop_resting(&mut self) -> Option<PairId> {
        while let Some((since, id)) = self.resting.pop_front() {
            if self.is_resting(since, id) {
                return Some(id);
            }
        }
        None
    }

    fn is_resting(&self, since: Time, id: PairId) -> bool {
        self.pairs.get(id).is_some_and(|bound| bound.role == Role::Resting(since))
    }

    /// Has the poll for arrivals watch a pair.
    fn watch(&mut self, local: IpAddr, mut pair: PortPair) -> PairId {
        let entry = self.pairs.vacant_entry();
        let id = entry.key();
        let register = |socket: &mut UdpSocket, readable: Readable| {
            if let Err(error) = self.arrivals.register(socket, readable.token(), Interest::READABLE) {
                debug!(%error, "media socket not watched");
            }
        };
        register(&mut pair.rtp, Readable::Rtp(id));
        register(&mut pair.rtcp, Readable::Rtcp(id));
        let told_by = Told::Arrivals;
        entry.insert(Bound { local, pair, role: Role::Promised, told_by, stamped: false });
        id
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mio::Poll;

    const LOCAL: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);
    const OTHER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(127, 0, 0, 2));
    const NOW: Time = Time(5_000_000_000);

    /// Sockets on some of the ports from `first` on, and the polls that watch them.
    fn sockets(first: u16, last: u16) -> (Sockets, [Poll; 2]) {
        let polls = [Poll::new().unwrap(), Poll::new().unwrap()];
        let [arrivals, ticks] = polls.each_ref().map(|poll| poll.registry().try_clone().unwrap());
        (Sockets::new(arrivals, ticks, Ports::new(&(first..=last), 1).remove(0)), polls)
    }

    #[test]
    fn a_pair_is_used_again_after_its_rest_and_not_before() {
        let (mut sockets, _poll) = sockets(17_300, 17_399);
        let (first, port) = sockets.promise(NOW, LOCAL).unwrap();
        sockets.rest(NOW, first);
        let (_, early) = sockets.promise(NOW + REST / 2, LOCAL).unwrap();
        assert_ne!(early, port);
        assert_eq!(sockets.promise(NOW + REST, LOCAL).unwrap(), (first, port));
    }

    #[test]
    fn a_pair_is_used_on_its_own_address_only() {
        let (mut sockets, _poll) = sockets(17_400, 17_479);
        let (first, port) = sockets.promise(NOW, LOCAL).unwrap();
        sockets.rest(NOW, first);
        let (_, other) = sockets.promise(NOW + REST, OTHER).unwrap();
        assert_ne!(other, port);
        assert_eq!(sockets.promise(NOW + REST, LOCAL).unwrap(), (first, port));
    }

    #[test]
    fn the_last_pairs_of_a_range_are_used_without_a_rest_and_on_any_address() {
        let (mut sockets, _poll) = sockets(17_480, 17_481);
        for local in [LOCAL, LOCAL, OTHER] {
            let (pair, port) = sockets.promise(NOW, local).unwrap();
            assert_eq!(port, 17_480);
            assert_eq!(sockets.promise(NOW, local), Err(RefusalReason::NoFreePort));
            sockets.rest(NOW, pair);
        }
    }

    /// Whether `poll` tells of anything now.
    fn tells(poll: &mut Poll) -> bool {
        let mut events = mio::Events::with_capacity(8);
        poll.poll(&mut events, Some(Duration::ZERO)).unwrap();
        !events.is_empty()
    }

    #[test]
    fn a_member_who_says_nothing_for_long_is_left_to_the_poll_and_one_who_speaks_again_is_not() {
        let (mut sockets, [mut arrivals, mut ticks]) = sockets(17_200, 17_299);
        let (id, port) = sockets.promise(NOW, LOCAL).unwrap();
        let leg = LegKey::FIRST;
        sockets.give(id, leg);
        sockets.watch_leg(leg, Watch::Tick);
        let (phone, _) = sockets.promise(NOW, LOCAL).unwrap();
        let send = |sockets: &Sockets| {
            sockets.get(phone).unwrap().pair.rtp.send_to(b"x", (LOCAL, port).into()).unwrap();
        };
        let read = |sockets: &Sockets| sockets.get(id).unwrap().pair.rtp.recv(&mut [0; 8]).is_ok();
        send(&sockets);
        assert_eq!(sockets.untold(leg), Some(id));
        assert!(!tells(&mut arrivals) && !tells(&mut ticks), "it wakes nobody");
        assert!(read(&sockets));
        for _ in 0..IN_VAIN {
            assert_eq!(sockets.untold(leg), Some(id));
            sockets.handle_turn(id, 0);
        }
        assert_eq!(sockets.untold(leg), None);
        send(&sockets);
        assert!(tells(&mut ticks) && !tells(&mut arrivals));
        assert!(read(&sockets));
        sockets.handle_turn(id, 1);
        assert_eq!(sockets.untold(leg), Some(id));
        send(&sockets);
        sockets.watch_leg(leg, Watch::Arrival);
        assert!(tells(&mut arrivals), "what came before is told again");
    }

    #[test]
    fn more_than_may_rest_are_closed_longest_rested_first() {
        let (mut sockets, _poll) = sockets(17_500, 19_999);
        let pairs: Vec<_> = (0..=RESTING).map(|_| sockets.promise(NOW, LOCAL).unwrap().0).collect();
        for (pair, nanos) in pairs.iter().zip(0..) {
            sockets.rest(Time(NOW.0 + nanos), *pair);
        }
        assert!(sockets.get(pairs[0]).is_none());
        assert!(pairs[1..].iter().all(|pair| sockets.get(*pair).is_some()));
    }
}

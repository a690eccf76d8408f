//! RTCP on a shard: datagrams taken in, reports when they are due, farewells, and feedback that passes a relay
//! (RFC 3550 §6.2, §6.6, §8.2; RFC 4585 §6; RFC 5104 §4).
//!
//! Each leg reports at times of its own; a heap has the earliest in front. Its room is made when legs are opened, so the tick
//! allocates nothing.
//!
//! Left out on purpose: what a leg believes of RTCP (`leg/control`) and what it says (`rtcp`).

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::net::SocketAddr;

use rand_core::Rng;
use serde::{Deserialize, Serialize};

use super::arena::LegKey;
use super::shard::{Port, Shard};
use crate::leg::{Control, Leg};
use crate::rtcp::{Cname, SessionConfig};
use crate::rtp::Ssrc;
use crate::time::Time;

/// When legs want to do something by themselves. The alarm of a leg that has gone is ignored when it goes off.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Alarms(BinaryHeap<Reverse<(Time, LegKey, Alarm)>>);

/// What a leg wants to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Alarm {
    /// Report by RTCP.
    Control,
    /// End an event whose end was not seen.
    Keys,
    /// Send the next packet of digits.
    Dial,
}

/// Alarms that a leg may have set.
const ALARMS: usize = 3;

impl Alarms {
    /// Makes room for the alarms of `legs` legs besides those that are set. May allocate.
    pub(super) fn make_room(&mut self, legs: usize) {
        self.0.reserve(ALARMS * legs);
    }

    /// Sets an alarm of a leg, which has none of its kind.
    pub(super) fn set(&mut self, at: Time, leg: LegKey, alarm: Alarm) {
        self.0.push(Reverse((at, leg, alarm)));
    }

    /// When the first one goes off.
    pub(super) fn first(&self) -> Option<Time> {
        self.0.peek().map(|Reverse((at, ..))| *at)
    }

    /// The last leg has gone.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    fn pop_due(&mut self, now: Time) -> Option<(LegKey, Alarm)> {
        if self.first()? > now {
            return None;
        }
        self.0.pop().map(|Reverse((_, leg, alarm))| (leg, alarm))
    }
}

impl Shard {
    /// Takes a datagram that arrived on a leg's RTCP port. Allocates nothing.
    pub fn receive_rtcp(&mut self, now: Time, leg: LegKey, source: SocketAddr, datagram: &[u8]) {
        self.handle_rtcp(now, leg, Port::Rtcp, source, datagram);
    }

    pub(super) fn handle_rtcp(
        &mut self,
        now: Time,
        key: LegKey,
        port: Port,
        source: SocketAddr,
        datagram: &[u8],
    ) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let Some(handled) = leg.handle_rtcp(now, port, source, datagram) else { return };
        self.tell(now, key);
        if handled.feedback {
            self.pass_feedback(key, datagram);
        }
    }

    /// Begins the RTCP of a leg that has got its first parameters.
    pub(super) fn begin_control(&mut self, now: Time, key: LegKey) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let Some(params) = leg.params.as_ref().filter(|_| leg.control.is_none()) else { return };
        let mut name = [0; 12];
        self.rng.fill_bytes(&mut name);
        let config = SessionConfig::audio(leg.egress.ssrc(), Cname::random(name), params.clock_rate);
        let control = Control::new(now, config, self.rng.next_u64());
        if let Some(due) = control.session.poll_timeout() {
            self.alarms.set(due, key, Alarm::Control);
        }
        leg.control = Some(control);
    }

    /// Sets the alarms of a leg that has come from another shard.
    pub(super) fn set_alarms(&mut self, now: Time, key: LegKey) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        if let Some(due) = leg.control.as_ref().and_then(|control| control.session.poll_timeout()) {
            self.alarms.set(due, key, Alarm::Control);
        }
        if let Some(keys) = &mut leg.keys {
            let due = keys.poll_timeout();
            keys.alarmed = due.is_some();
            if let Some(due) = due {
                self.alarms.set(due, key, Alarm::Keys);
            }
        }
        if let Some(dial) = &mut leg.dial {
            dial.alarmed = false;
        }
        self.begin_dialling(now, key);
    }

    /// Does what legs want to do by themselves, as far as there is room for what they send.
    pub(super) fn handle_alarms(&mut self, now: Time) {
        while self.mail.has_room()
            && let Some((key, alarm)) = self.alarms.pop_due(now)
        {
            match alarm {
                Alarm::Control => self.report(now, key),
                Alarm::Keys => self.handle_keys(now, key),
                Alarm::Dial => self.handle_dial(now, key),
            }
        }
    }

    /// Writes the report of a leg that is due.
    fn report(&mut self, now: Time, key: LegKey) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        leg.refresh_playout();
        let route = leg.rtcp_route();
        let Some(control) = &mut leg.control else { return };
        let mut write = |place: &mut [u8]| control.session.handle_timeout(now, place);
        match route {
            Some(route) => self.mail.write(key, route, write),
            // Nobody is there to be told, but time goes on.
            None => _ = write(&mut [0; 512]),
        }
        if let Some(due) = control.session.poll_timeout() {
            self.alarms.set(due, key, Alarm::Control);
        }
    }

    /// The last report of a leg that is about to be closed (RFC 3550 §6.3.7).
    pub(super) fn say_goodbye(&mut self, now: Time, key: LegKey, leg: &mut Leg) {
        leg.refresh_playout();
        if let Some(route) = leg.rtcp_route()
            && let Some(control) = &mut leg.control
        {
            self.mail.write(key, route, |place| control.session.write_bye(now, b"", place));
        }
    }

    /// Somebody else has the SSRC of a leg: it says BYE and takes another one (RFC 3550 §8.2).
    pub(super) fn settle_collision(&mut self, now: Time, key: LegKey) {
        let Some(leg) = self.legs.get_mut(key) else { return };
        let route = leg.rtcp_route();
        let Some(control) = leg.control.as_mut().filter(|control| control.collided) else { return };
        control.collided = false;
        let ssrc = Ssrc(self.rng.next_u32());
        leg.egress.set_ssrc(ssrc);
        let mut change = |place: &mut [u8]| control.session.change_ssrc(now, ssrc, place);
        match route.filter(|_| self.mail.has_room()) {
            Some(route) => self.mail.write(key, route, change),
            None => _ = change(&mut [0; 800]),
        }
    }

    /// Passes feedback of a leg's peer on to the peer of its partner.
    fn pass_feedback(&mut self, key: LegKey, datagram: &[u8]) {
        let Some(partner) = self.partner(key).filter(|partner| *partner != key) else { return };
        let map = self
            .legs
            .get(key)
            .zip(self.legs.get(partner))
            .and_then(|(here, there)| here.feedback_map(there, partner));
        let (Some(map), Some(there)) = (map, self.legs.get_mut(partner)) else { return };
        let route = there.rtcp_route();
        let (Some(route), Some(control)) = (route, &mut there.control) else { return };
        if !self.mail.has_room() {
            self.mail.dropped += 1;
            return;
        }
        self.mail.write(partner, route, |place| control.session.forward_feedback(datagram, &map, place));
    }
}

//! Loss-based control as a client: obeying the servers that we send requests to (RFC 7339 §5.4, §5.5, §7.2).
//!
//! Left out on purpose: dropping requests of calls that are up (category 2 of §7.2). Deviation: a server that asks for
//! more than our new requests make out gets none of those, but still its BYEs, without which calls never end.

use super::{Feedback, Sequence};
use crate::time::Time;
use core::net::SocketAddr;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How often the mix of requests is looked at (§7.2, note: every 5 to 10 seconds).
const SAMPLE: Duration = Duration::from_secs(5);

/// Percent of new requests among all until the first sample (§7.2 takes 80).
const USUAL_MIX: u32 = 80;

/// For how long the number of a "no demand" is remembered, so that an older demand that arrives late does not count.
const REMEMBERED: Duration = Duration::from_millis(500);

/// Servers, so that a name whose addresses change does not fill the memory.
const MOST: usize = 4_096;

/// The servers to which we announce loss control, and what they ask for. As many as were configured.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Downstream(BTreeMap<SocketAddr, Server>);

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Server {
    demand: Option<Demand>,
    mix: Mix,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Demand {
    loss: u8,
    until: Time,
    sequence: Option<Sequence>,
}

/// How many of our requests are new work (category 1 of §7.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Mix {
    since: Time,
    new: u32,
    all: u32,
    /// Percent, 1 to 100.
    share: u32,
}

impl Default for Mix {
    fn default() -> Mix {
        Mix { since: Time::default(), new: 0, all: 0, share: USUAL_MIX }
    }
}

impl Downstream {
    /// Replaces the servers; those that stay keep what they asked for.
    pub fn set_servers(&mut self, servers: impl IntoIterator<Item = SocketAddr>) {
        let mut before = core::mem::take(&mut self.0);
        self.0 =
            servers.into_iter().map(|server| (server, before.remove(&server).unwrap_or_default())).collect();
    }

    /// Adds a server that was found by name, unless there are 4,096 already.
    pub fn add_server(&mut self, server: SocketAddr) {
        if self.0.len() < MOST {
            self.0.entry(server).or_default();
        }
    }

    /// Whether our Via to this server carries [`super::ANNOUNCEMENT`].
    pub fn is_announced_to(&self, server: SocketAddr) -> bool {
        self.0.contains_key(&server)
    }

    /// Takes what a response of `server` said (§5.4). An older number changes nothing, neither does the same.
    pub fn handle_feedback(&mut self, now: Time, server: SocketAddr, feedback: Feedback) {
        let Some(server) = self.0.get_mut(&server) else { return };
        let known = server.demand.filter(|demand| demand.until > now).and_then(|demand| demand.sequence);
        if let (Some(known), Some(new)) = (known, feedback.sequence)
            && new <= known
            && !known.is_restarted_by(new)
        {
            return;
        }
        let validity = Duration::from_millis(feedback.validity_ms.into());
        // §5.7: a validity of zero ends the control, whatever `oc` says.
        let loss = if validity.is_zero() { 0 } else { feedback.loss };
        let held = if loss > 0 { validity } else { validity.max(REMEMBERED) };
        server.demand = Some(Demand { loss, until: now + held, sequence: feedback.sequence });
    }

    /// Counts a request of a call that is up. It is sent in any case.
    pub fn count_established(&mut self, now: Time, server: SocketAddr) {
        if let Some(server) = self.0.get_mut(&server) {
            server.mix.count(now, false);
        }
    }

    /// Counts a new request to `server`, and tells whether it must not be sent. `draw` is a random number.
    pub fn sheds(&mut self, now: Time, server: SocketAddr, draw: u32) -> bool {
        let Some(server) = self.0.get_mut(&server) else { return false };
        server.mix.count(now, true);
        let Some(demand) = server.demand.filter(|demand| demand.until > now) else { return false };
        // §7.2: the whole reduction falls on the new requests, so their share of it is larger.
        draw % 100 < u32::from(demand.loss) * 100 / server.mix.share.max(1)
    }
}

impl Mix {
    fn count(&mut self, now: Time, new: bool) {
        if now.since(self.since) >= SAMPLE {
            if self.all > 0 {
                // Counted before any are dropped.
                let share = u64::from(self.new) * 100 / u64::from(self.all);
                self.share = u32::try_from(share).unwrap_or(USUAL_MIX).clamp(1, 100);
            }
            (self.since, self.new, self.all) = (now, 0, 0);
        }
        self.all = self.all.saturating_add(1);
        self.new = self.new.saturating_add(u32::from(new));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::header::Via;
    use crate::random::Random;

    const SERVER: &str = "192.0.2.9:5060";

    fn at(ms: u64) -> Time {
        Time::from_millis(ms)
    }

    fn downstream() -> (Downstream, SocketAddr) {
        let server = SERVER.parse().unwrap();
        let mut downstream = Downstream::default();
        downstream.set_servers([server]);
        (downstream, server)
    }

    fn say(downstream: &mut Downstream, now: Time, params: &str) {
        let via = format!("SIP/2.0/UDP h{params}");
        let feedback = Via::parse(via.as_bytes()).unwrap().feedback().unwrap();
        downstream.handle_feedback(now, SERVER.parse().unwrap(), feedback);
    }

    /// New requests shed out of a thousand, all of them new.
    fn shed(downstream: &mut Downstream, now: Time) -> u32 {
        let mut random = Random::new([4; 32]);
        let server = SERVER.parse().unwrap();
        (0..1_000).map(|_| u32::from(downstream.sheds(now, server, random.next_u32()))).sum()
    }

    #[test]
    fn a_demand_holds_until_its_validity_ends() {
        let (mut downstream, _) = downstream();
        assert_eq!(shed(&mut downstream, at(1)), 0);
        say(&mut downstream, at(1_000), ";oc=100;oc-validity=500;oc-seq=1.0");
        assert_eq!(shed(&mut downstream, at(1_499)), 1_000);
        assert_eq!(shed(&mut downstream, at(1_500)), 0);
    }

    #[test]
    fn the_reduction_of_all_requests_falls_on_the_new_ones() {
        let (mut downstream, server) = downstream();
        // Half of the requests of the first sample are new.
        for _ in 0..100 {
            downstream.sheds(at(10_000), server, 0);
            downstream.count_established(at(10_000), server);
        }
        say(&mut downstream, at(15_000), ";oc=20;oc-seq=1.0");
        let dropped = shed(&mut downstream, at(15_001));
        assert!((360..440).contains(&dropped), "20 % of all is 40 % of the new: {dropped}");
    }

    #[test]
    fn a_number_that_is_not_higher_changes_nothing_and_does_not_renew() {
        let (mut downstream, _) = downstream();
        say(&mut downstream, at(1_000), ";oc=100;oc-seq=5.5");
        say(&mut downstream, at(1_400), ";oc=0;oc-seq=5.4");
        say(&mut downstream, at(1_400), ";oc=0;oc-seq=5.5");
        assert_eq!(shed(&mut downstream, at(1_499)), 1_000);
        assert_eq!(shed(&mut downstream, at(1_500)), 0);
    }

    #[test]
    fn oc_0_and_validity_0_end_the_control_and_an_older_demand_does_not_bring_it_back() {
        for end in [";oc=0;oc-seq=6.0", ";oc=50;oc-validity=0;oc-seq=6.0"] {
            let (mut downstream, _) = downstream();
            say(&mut downstream, at(1_000), ";oc=100;oc-seq=5.0");
            say(&mut downstream, at(1_100), end);
            say(&mut downstream, at(1_101), ";oc=100;oc-seq=5.9");
            assert_eq!(shed(&mut downstream, at(1_102)), 0, "{end}");
        }
    }

    #[test]
    fn a_number_far_below_the_last_one_is_a_server_that_started_anew() {
        let (mut downstream, _) = downstream();
        say(&mut downstream, at(1_000), ";oc=0;oc-validity=5000;oc-seq=1282321615.0");
        say(&mut downstream, at(1_100), ";oc=100;oc-seq=2.0");
        assert_eq!(shed(&mut downstream, at(1_101)), 1_000);
    }

    #[test]
    fn strangers_are_not_obeyed() {
        let (mut downstream, _) = downstream();
        let stranger: SocketAddr = "198.51.100.1:5060".parse().unwrap();
        let feedback = Feedback { loss: 100, validity_ms: 500, sequence: None };
        downstream.handle_feedback(at(1), stranger, feedback);
        assert!(!downstream.sheds(at(2), stranger, 0));
        assert!(!downstream.is_announced_to(stranger));
    }
}

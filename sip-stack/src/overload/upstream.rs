//! Loss-based control as a server: what we say to the neighbours that send us requests (RFC 7339 §5.1, §5.2, §5.7).
//!
//! Left out on purpose: feedback to strangers (§5.2 allows to withhold it). How loaded we are is told to configured
//! neighbours alone.

use super::Feedback;
use super::Sequence;
use crate::header::Via;
use core::net::IpAddr;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// For how long a demand holds. It is renewed at every window of the [`super::Intake`] while there is one.
const VALIDITY_MS: u32 = 500;

/// Neighbours, so that a name whose addresses change does not fill the memory.
const MOST: usize = 4_096;

/// The neighbours that may hear our feedback, and the feedback.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upstream {
    neighbours: BTreeSet<IpAddr>,
    feedback: Feedback,
}

impl Upstream {
    /// Replaces the neighbours. By address alone: over a stream a neighbour's port is another one each time.
    pub fn set_neighbours(&mut self, neighbours: impl IntoIterator<Item = IpAddr>) {
        self.neighbours = neighbours.into_iter().map(|address| address.to_canonical()).collect();
    }

    /// Adds a neighbour that was found by name, unless there are 4,096 already.
    pub fn add_neighbour(&mut self, address: IpAddr) {
        if self.neighbours.len() < MOST {
            self.neighbours.insert(address.to_canonical());
        }
    }

    /// Whether requests from this address come from a neighbour.
    pub fn is_neighbour(&self, address: IpAddr) -> bool {
        self.neighbours.contains(&address.to_canonical())
    }

    /// Asks the neighbours to leave out `loss` percent of their requests, from `unix_ms` on. A demand gets a new
    /// number each time, because a client renews its validity by the number alone (§5.4); "no demand" only when there
    /// was one before.
    pub fn demand(&mut self, loss: u8, unix_ms: u64) {
        if loss == 0 && self.feedback.loss == 0 && self.feedback.sequence.is_some() {
            return;
        }
        let later = self.feedback.sequence.unwrap_or_default().next();
        self.feedback = Feedback {
            loss: loss.min(100),
            // §5.7: zero ends the control.
            validity_ms: if loss == 0 { 0 } else { VALIDITY_MS },
            sequence: Some(later.max(Sequence::from_unix_ms(unix_ms))),
        };
    }

    /// What the response to a request from `address` with `via` on top has to say: nothing, unless a neighbour asks.
    pub fn feedback_for(&self, via: &Via<'_>, address: IpAddr) -> Option<Feedback> {
        (self.is_neighbour(address) && via.announces_loss_control()).then_some(self.feedback)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_demand_is_numbered_anew_each_time_and_its_end_once() {
        let mut upstream = Upstream::default();
        upstream.demand(20, 1_800_000_000_000);
        let first = upstream.feedback;
        upstream.demand(20, 1_800_000_000_000);
        assert!(upstream.feedback.sequence > first.sequence);
        upstream.demand(0, 1_800_000_000_100);
        let end = upstream.feedback;
        assert_eq!((end.loss, end.validity_ms), (0, 0));
        upstream.demand(0, 1_800_000_009_000);
        assert_eq!(upstream.feedback, end);
    }

    #[test]
    fn numbers_rise_when_the_clock_is_set_back() {
        let mut upstream = Upstream::default();
        upstream.demand(20, 1_800_000_000_000);
        let before = upstream.feedback.sequence;
        upstream.demand(30, 1_700_000_000_000);
        assert!(upstream.feedback.sequence > before);
    }
}

//! Datagrams between two legs that are not RTP and go on as they are: UDPTL (ITU-T T.38), and what is unknown here.
//!
//! Who may send, where it goes and in which direction is decided as for RTP (`latch`, `params`). Nothing is read, nothing is
//! rewritten, and nothing allocates.
//!
//! Left out on purpose: UDPTL itself, whose redundancy is the business of the two ends.

use std::net::SocketAddr;

use super::leg::Leg;
use super::relay::{Undelivered, Way};
use crate::shard::LegKey;
use crate::time::Time;

impl Leg {
    /// Whether what arrives goes on as it is.
    #[inline]
    pub(crate) fn passes_datagrams(&self) -> bool {
        matches!(&self.relay, Some(relay) if matches!(relay.way, Way::Datagrams))
    }

    /// Judges a datagram of `octets` for this leg: to whom it goes. `None` when it ends here, which is counted.
    pub(crate) fn handle_raw(&mut self, now: Time, source: SocketAddr, octets: usize) -> Option<LegKey> {
        let Some(params) = &self.params else {
            self.figures.dropped.foreign += 1;
            return None;
        };
        let may_send = params.send;
        match self.ingress.handle_raw(now, params, source) {
            Ok(false) => {}
            Ok(true) => self.news.latched = Some(source),
            Err(refusal) => {
                self.refuse(now, refusal, source);
                return None;
            }
        }
        self.figures.packets_in += 1;
        self.figures.octets_in += octets as u64;
        self.news.heard |= core::mem::take(&mut self.news.silence_reported);
        if !may_send {
            self.withhold(|dropped| &mut dropped.not_sending);
            return None;
        }
        self.relay.as_ref().map(|relay| relay.partner)
    }

    /// Where a datagram of `octets` for the peer goes.
    pub(crate) fn deliver_raw(&mut self, octets: usize) -> Result<SocketAddr, Undelivered> {
        let params = self.params.as_ref().filter(|params| params.receive).ok_or(Undelivered::NotReceiving)?;
        let destination = self.ingress.destination(params).ok_or(Undelivered::NoDestination)?;
        self.figures.packets_out += 1;
        self.figures.octets_out += octets as u64;
        Ok(*destination)
    }
}

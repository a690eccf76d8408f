//! One leg: what is negotiated, both halves of its media, its partner and its counters.
//!
//! Left out on purpose: the sockets, which `io` owns.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::control::Control;
use super::digits::{Dial, HeardKeys, Keys};
use super::egress::{Egress, Feed};
use super::figures::{Dropped, LegFigures};
use super::ingress::{Ingress, Refusal};
use super::mixed::{AudioFormat, FormatError, Mixed};
use super::params::{LegId, StreamParams};
use super::relay::{Passing, Relay, Undelivered};
use crate::dsp::Conditioning;
use crate::shard::{LegKey, RoomId};
use crate::time::Time;

/// A leg and its state.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    pub(crate) params: Option<StreamParams>,
    pub(crate) ingress: Ingress,
    pub(crate) egress: Egress,
    /// From the first parameters on.
    pub(crate) control: Option<Control>,
    /// What its peer presses, and what is pressed for it; where either can be.
    pub(crate) keys: Option<Box<Keys>>,
    pub(crate) dial: Option<Box<Dial>>,
    /// Its sound is listened to for tones.
    pub(crate) listens: bool,
    /// Digits are being sent to its peer.
    pub(crate) dialling: bool,
    pub(crate) relay: Option<Relay>,
    /// In a room; then it has no partner.
    pub(crate) mixed: Option<Box<Mixed>>,
    /// What it had in a room that it has left for another one or for another thread, until it sits there.
    carried: Option<Box<Mixed>>,
    /// Stays in rooms so far.
    pub(crate) stays: u32,
    /// What is done to its sound in rooms.
    pub(crate) conditioning: Conditioning,
    pub(crate) figures: LegFigures,
    pub(crate) news: News,
}

/// What is still to be reported about a leg.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct News {
    /// The source that was latched.
    pub(crate) latched: Option<SocketAddr>,
    /// Since when the peer is expected to send.
    expected_since: Time,
    /// The silence has been reported.
    pub(crate) silence_reported: bool,
    /// It was at some time.
    was_silent: bool,
    /// A packet came after the silence had been reported.
    pub(crate) heard: bool,
    /// A packet came of a payload type for which there is no agreement.
    pub(crate) unexpected: Option<u8>,
    /// The types for which that has been noticed, one bit each.
    noticed: [u64; 2],
}

impl News {
    /// Whether there is anything to tell.
    pub(crate) const fn is_any(&self) -> bool {
        self.latched.is_some() || self.heard || self.unexpected.is_some()
    }

    /// A packet came of a payload type that is not agreed on; each type is told of once.
    fn notice(&mut self, payload_type: u8) {
        let bit = 1 << (payload_type & 0x3f);
        let noticed = &mut self.noticed[usize::from(payload_type >> 6 & 1)];
        if *noticed & bit == 0 && self.unexpected.is_none() {
            *noticed |= bit;
            self.unexpected = Some(payload_type);
        }
    }

    /// Something else is agreed on.
    fn forget_types(&mut self) {
        (self.unexpected, self.noticed) = (None, [0; 2]);
    }

    /// The leg is on another shard. What this one tells may be read before what the last one told, so it tells again whether
    /// the peer is heard: that it is, and at the next look that it is silent, if it is.
    pub(crate) const fn arrive(&mut self) {
        self.heard |= self.was_silent;
        self.silence_reported = false;
    }

    /// The silence has been reported.
    pub(crate) const fn handle_silence_reported(&mut self) {
        (self.silence_reported, self.was_silent) = (true, true);
    }

    fn expect(&mut self, now: Time) {
        self.expected_since = now;
        self.silence_reported = false;
    }
}

impl Leg {
    pub(crate) fn new(id: LegId, egress: Egress) -> Self {
        Self {
            id,
            params: None,
            ingress: Ingress::default(),
            egress,
            control: None,
            keys: None,
            dial: None,
            listens: false,
            dialling: false,
            relay: None,
            mixed: None,
            carried: None,
            stays: 0,
            conditioning: Conditioning::default(),
            figures: LegFigures::default(),
            news: News::default(),
        }
    }

    /// Takes new parameters; learns the source anew when they say something new about it.
    pub(crate) fn configure(&mut self, now: Time, params: StreamParams) {
        let moves = self.params.as_ref().is_none_or(|old| old.moves_to(&params));
        if moves {
            self.ingress.relearn();
        }
        if let Some(control) = &mut self.control {
            if moves || self.params.as_ref().is_none_or(|old| old.rtcp != params.rtcp) {
                control.relearn();
            }
            control.session.set_clock_rate(params.clock_rate);
        }
        // What is agreed anew gives a peer that was silent its time again, and it is told of once more after that.
        let is_expected_anew = self.news.silence_reported || self.params.as_ref().is_none_or(|old| !old.send);
        if params.send && is_expected_anew {
            self.news.expect(now);
        }
        let old = self.params.replace(params).map(|old| old.digits).unwrap_or_default();
        self.configure_digits(&old);
    }

    /// Relays to a partner from now on.
    pub(crate) fn relay_to(&mut self, now: Time, relay: Relay) {
        if self.relay.is_none() && self.mixed.is_none() {
            self.news.expect(now);
        }
        self.news.forget_types();
        self.mixed = None;
        self.put_down();
        self.relay = Some(relay);
        if self.passes_datagrams() {
            self.control = None;
        }
    }

    /// Whether something is to be told or settled that a packet brought to light.
    #[inline]
    pub(crate) fn has_news(&self) -> bool {
        let collided = self.control.as_ref().is_some_and(|control| control.collided);
        self.news.is_any() || collided
    }

    /// It leaves its room; what it had there goes on where it sits next, if it speaks the same codec there.
    pub(crate) fn carry(&mut self) {
        if let Some(mixed) = self.mixed.take() {
            self.put_down();
            self.carried = Some(mixed);
        }
    }

    /// It sits nowhere else: what it had in its last room is over, but for what the jitter buffer has counted.
    pub(crate) fn put_down(&mut self) {
        if self.carried.is_some() {
            self.keep_playout();
            self.carried = None;
        }
    }

    /// What its peer says waits in there, in a room or on the way to one.
    pub(super) fn playing(&self) -> Option<&Mixed> {
        self.mixed.as_deref().or(self.carried.as_deref())
    }

    /// What it has in a room that it comes to: what it had in the last one, or something new. Allocates.
    ///
    /// # Errors
    /// See [`FormatError`].
    pub(crate) fn enter(&mut self, room: RoomId, format: AudioFormat) -> Result<Box<Mixed>, FormatError> {
        match self.carried.take_if(|mixed| mixed.format() == format) {
            Some(mut mixed) => {
                mixed.enter(room, self.stays);
                Ok(mixed)
            }
            None => {
                self.put_down();
                Mixed::new(room, format, self.stays).map(Box::new)
            }
        }
    }

    /// In a room from now on.
    pub(crate) fn mix_in(&mut self, now: Time, mut mixed: Box<Mixed>) {
        if self.relay.is_none() && self.mixed.is_none() {
            self.news.expect(now);
        }
        self.news.forget_types();
        self.relay = None;
        self.stays = self.stays.wrapping_add(1);
        mixed.condition(self.conditioning);
        self.mixed = Some(mixed);
    }

    /// Whether the peer should have been heard within `silence` and was not, which has not been reported yet.
    pub(crate) fn is_newly_silent(&self, now: Time, silence: Duration) -> bool {
        let engaged = self.relay.is_some() || self.mixed.is_some();
        let expected = engaged && self.params.as_ref().is_some_and(|params| params.send);
        let heard = self.ingress.heard().max(self.control.as_ref().and_then(Control::heard));
        let last = heard.map_or(self.news.expected_since, |heard| heard.max(self.news.expected_since));
        expected && !self.news.silence_reported && now.since(last) >= silence
    }

    /// Judges a datagram for this leg. `None` when it ends here, which is counted. `heard` gets what it tells of keys.
    #[inline]
    pub(crate) fn handle_datagram(
        &mut self,
        now: Time,
        key: LegKey,
        source: SocketAddr,
        datagram: &[u8],
        heard: &mut HeardKeys,
    ) -> Option<Passing> {
        let Some(params) = &self.params else {
            self.figures.dropped.foreign += 1;
            return None;
        };
        let may_send = params.send;
        let arrival = match self.ingress.handle_datagram(now, params, source, datagram) {
            Ok(arrival) => arrival,
            Err(refusal) => {
                self.refuse(now, refusal, source);
                return None;
            }
        };
        self.figures.packets_in += 1;
        self.figures.octets_in += arrival.payload.len() as u64;
        if let Some(control) = &mut self.control {
            control.handle_rtp_in(now, &arrival.counted());
        }
        self.news.heard |= core::mem::take(&mut self.news.silence_reported);
        if arrival.latched {
            self.news.latched = Some(source);
        }
        if !may_send {
            self.withhold(|dropped| &mut dropped.not_sending);
            return None;
        }
        let is_event = params.digits.is_event(arrival.payload_type);
        if (is_event || self.listens)
            && let Some(keys) = &mut self.keys
        {
            let payload = datagram.get(arrival.payload.clone()).unwrap_or_default();
            keys.handle_packet(now, &params.digits.incoming, &arrival, payload, heard);
            self.figures.keys_skipped += keys.take_skipped();
        }
        if let Some(mixed) = &mut self.mixed {
            if !is_event && !mixed.listens_to(arrival.payload_type) {
                self.news.notice(arrival.payload_type);
            }
            mixed.handle_packet(now, &arrival, datagram);
            return None;
        }
        let Some(relay) = &self.relay else {
            self.withhold(|dropped| &mut dropped.unrelayed);
            return None;
        };
        let rule = relay.way.rule(arrival.payload_type);
        if is_event && let Some(keys) = &mut self.keys {
            keys.converts = rule.outgoing().is_none();
        }
        let Some(payload_type) = rule.outgoing() else {
            if !is_event {
                self.figures.dropped.payload_type += 1;
                self.news.notice(arrival.payload_type);
            }
            return None;
        };
        Some(Passing {
            partner: relay.partner,
            feed: Feed::Relay { leg: key, stream: arrival.stream },
            rule,
            payload_type,
            sequence: arrival.sequence,
            timestamp: arrival.timestamp,
            marker: arrival.marker,
            payload: arrival.payload,
        })
    }

    /// Counts a packet of this leg that its partner could not deliver.
    pub(crate) fn handle_undelivered(&mut self, reason: Undelivered) {
        match reason {
            Undelivered::NotReceiving => self.withhold(|dropped| &mut dropped.not_receiving),
            Undelivered::NoDestination => self.withhold(|dropped| &mut dropped.no_destination),
            Undelivered::Stale => self.figures.dropped.stale += 1,
            Undelivered::Displaced => self.figures.dropped.displaced += 1,
        }
    }

    pub(super) fn refuse(&mut self, now: Time, refusal: Refusal, source: SocketAddr) {
        match refusal {
            Refusal::Malformed => self.figures.dropped.malformed += 1,
            Refusal::Foreign => self.figures.dropped.foreign += 1,
            Refusal::Stale { latched, packet } => {
                self.figures.packets_in += 1;
                if let Some(control) = &mut self.control {
                    control.handle_rtp_in(now, &packet);
                }
                self.figures.dropped.stale += 1;
                if latched {
                    self.news.latched = Some(source);
                }
            }
        }
    }

    /// Counts an RTP packet of ours, with so many octets of payload.
    #[inline]
    pub(crate) fn count_sent(&mut self, now: Time, timestamp: u32, octets: usize) {
        self.figures.packets_out += 1;
        self.figures.octets_out += octets as u64;
        if let Some(control) = &mut self.control {
            control.session.handle_rtp_out(now, timestamp, octets as u32);
        }
    }

    /// Counts a packet that is kept from the partner on purpose, and ends the stream.
    pub(super) fn withhold(&mut self, reason: impl FnOnce(&mut Dropped) -> &mut u64) {
        *reason(&mut self.figures.dropped) += 1;
        self.ingress.interrupt();
    }
}

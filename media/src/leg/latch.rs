//! Latching: which source a leg's media may come from, and where it goes (symmetric RTP, RFC 4961; RFC 3550 has no word on
//! it).
//!
//! Under [`Latching::Symmetric`] a source is a **candidate** when its host is the one in the peer's SDP or the one its
//! signalling comes from. Every other source is refused, always: it neither injects nor receives a packet. Among candidates
//! the better rank wins: the SDP address itself, then another port of the SDP host, then the signalling host.
//!
//! ```text
//!           candidate of lower rank                 followed source sends after
//!           ┌───────────────────────► Learning ──────────────────────────────┐
//!           │                          │  ▲ │      LEARNING_WINDOW           ▼
//!  Unheard ─┤                          └──┘ └─────────────────────────────► Latched
//!           │                     better rank,    SDP address itself          │ ▲
//!           │                     or rival        sends                       └─┘
//!           └───────────────────────────────────────────────────────────►  rebinding
//!                      SDP address itself
//!  any state ── new SDP address, signalling host or policy ──► Unheard
//! ```
//!
//! - **Unheard**: media goes to the SDP address.
//! - **Learning**: one source is followed: it is accepted and media goes to it. A candidate of better rank takes its place
//!   with its first packet. One of the same or a lower rank (a *rival*) takes it with its [`RIVAL_PACKETS`]th packet in a
//!   row without one from the followed source: what was followed were the last packets of an old mapping. The window
//!   closes with the first packet that the followed source sends [`LEARNING_WINDOW`] after it was first followed, so a source
//!   that fell silent never closes it.
//! - **Latched**: the source is fixed. The only other source that is accepted is the same host on another port that carries
//!   on the same SSRC with a continuing sequence number, after the old one fell silent for [`REBINDING_SILENCE`]: a NAT
//!   that chose a new mapping.
//!
//! Under [`Latching::SdpOnly`] and [`Latching::AnyOf`] nothing is learnt: media always goes to the SDP address.
//!
//! Left out on purpose: telling two hosts behind one address from each other, which only SRTP can.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::params::{Latching, Whereabouts};
use crate::time::Time;

/// How long a better candidate may still take over, counted from the first packet of the source that is followed.
pub const LEARNING_WINDOW: Duration = Duration::from_secs(3);

/// How long a latched source must be silent before its host may carry on from another port: ten packets of 20 ms.
pub const REBINDING_SILENCE: Duration = Duration::from_millis(200);

/// How many packets in a row a candidate of no better rank needs to take over while learning.
pub const RIVAL_PACKETS: u8 = 5;

/// How well a source fits what was signalled; later variants are better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Rank {
    /// The host the signalling comes from, on any port.
    SignallingHost,
    /// The host in the SDP, on another port.
    SdpHost,
    /// The SDP address, host and port.
    SdpAddress,
}

/// The state of latching; see the module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Latch {
    /// No packet has been accepted since the last new SDP.
    #[default]
    Unheard,
    /// A source is followed; a better one may still come.
    Learning { followed: SocketAddr, rank: Rank, since: Time, rival: Option<Rival> },
    /// The source is fixed.
    Latched { source: SocketAddr },
}

/// A candidate that sends while another is followed, and how many packets in a row it sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rival {
    source: SocketAddr,
    packets: u8,
}

/// What speaks for a packet from a new port being the old source behind a new mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Continuity {
    /// The SSRC is that of the last accepted packet and the sequence number continues.
    pub(crate) same_stream: bool,
    /// The time since the last accepted packet.
    pub(crate) silence: Duration,
}

/// Whether a packet is accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It comes from the source that is followed.
    Accepted,
    /// It comes from a source that is followed from now on.
    NewSource,
    /// It does not belong to the leg.
    Foreign,
}

impl Latch {
    /// Judges the source of a valid packet and learns from it. `continuity` is asked only when the source is new.
    #[inline]
    pub(crate) fn handle_packet(
        &mut self,
        now: Time,
        peer: &Whereabouts<'_>,
        source: SocketAddr,
        continuity: impl FnOnce() -> Continuity,
    ) -> Verdict {
        match peer.latching {
            Latching::Symmetric => self.handle_symmetric(now, peer, source, continuity),
            Latching::SdpOnly => self.handle_fixed(is_sdp_address(peer, source), source),
            Latching::AnyOf(networks) => {
                let inside = networks.iter().any(|network| network.contains(source.ip().to_canonical()));
                self.handle_fixed(inside || is_sdp_address(peer, source), source)
            }
        }
    }

    /// Whether this is the source that is followed.
    #[inline]
    pub(crate) fn follows(&self, source: SocketAddr) -> bool {
        match self {
            Self::Unheard => false,
            Self::Learning { followed: known, .. } | Self::Latched { source: known } => {
                same_address(*known, source)
            }
        }
    }

    /// The source that is followed.
    pub(crate) const fn followed(&self) -> Option<SocketAddr> {
        match self {
            Self::Unheard => None,
            Self::Learning { followed: source, .. } | Self::Latched { source } => Some(*source),
        }
    }

    /// Where media for the leg goes now. A reference: copying the address on the packet path costs as much as parsing a
    /// header.
    #[inline]
    pub(crate) fn destination<'a>(&'a self, peer: &Whereabouts<'a>) -> Option<&'a SocketAddr> {
        match (peer.latching, self) {
            (Latching::Symmetric, Self::Learning { followed: source, .. } | Self::Latched { source }) => {
                Some(source)
            }
            (Latching::Symmetric, Self::Unheard) | (Latching::SdpOnly | Latching::AnyOf(_), _) => {
                peer.sdp_address()
            }
        }
    }

    #[inline]
    fn handle_symmetric(
        &mut self,
        now: Time,
        peer: &Whereabouts<'_>,
        source: SocketAddr,
        continuity: impl FnOnce() -> Continuity,
    ) -> Verdict {
        match self {
            Self::Latched { source: latched } if same_address(*latched, source) => Verdict::Accepted,
            Self::Learning { followed, since, rival, .. } if same_address(*followed, source) => {
                *rival = None;
                if now.since(*since) >= LEARNING_WINDOW {
                    *self = Self::Latched { source };
                }
                Verdict::Accepted
            }
            Self::Unheard => match rank(peer, source) {
                Some(rank) => self.follow(now, source, rank),
                None => Verdict::Foreign,
            },
            Self::Learning { rank: followed, .. } => {
                let followed = *followed;
                match rank(peer, source) {
                    Some(rank) if rank > followed => self.follow(now, source, rank),
                    Some(rank) => self.handle_rival(now, source, rank),
                    None => Verdict::Foreign,
                }
            }
            Self::Latched { source: latched } => {
                let rebound = latched.ip() == source.ip() && continuity().is_rebinding();
                if rebound {
                    *self = Self::Latched { source };
                    Verdict::NewSource
                } else {
                    Verdict::Foreign
                }
            }
        }
    }

    /// Follows a candidate. There is none better than the SDP address itself, so nothing is left to learn then.
    fn follow(&mut self, now: Time, source: SocketAddr, rank: Rank) -> Verdict {
        *self = match rank {
            Rank::SdpAddress => Self::Latched { source },
            Rank::SdpHost | Rank::SignallingHost => {
                Self::Learning { followed: source, rank, since: now, rival: None }
            }
        };
        Verdict::NewSource
    }

    /// Counts a candidate that is no better than the followed source, which falls silent if it is an old mapping.
    fn handle_rival(&mut self, now: Time, source: SocketAddr, rank: Rank) -> Verdict {
        let Self::Learning { rival, .. } = self else { return Verdict::Foreign };
        let before =
            rival.filter(|rival| same_address(rival.source, source)).map_or(0, |rival| rival.packets);
        let packets = before.saturating_add(1);
        if packets >= RIVAL_PACKETS {
            return self.follow(now, source, rank);
        }
        *rival = Some(Rival { source, packets });
        Verdict::Foreign
    }

    /// The policies that learn nothing: a source is accepted or not; the first accepted one is remembered as news.
    fn handle_fixed(&mut self, accepted: bool, source: SocketAddr) -> Verdict {
        match (accepted, &self) {
            (false, _) => Verdict::Foreign,
            (true, Self::Unheard) => {
                *self = Self::Latched { source };
                Verdict::NewSource
            }
            (true, Self::Learning { .. } | Self::Latched { .. }) => Verdict::Accepted,
        }
    }
}

impl Continuity {
    fn is_rebinding(self) -> bool {
        self.same_stream && self.silence >= REBINDING_SILENCE
    }
}

/// How well a source fits; `None` when it is no candidate.
fn rank(peer: &Whereabouts<'_>, source: SocketAddr) -> Option<Rank> {
    let host = source.ip().to_canonical();
    match peer.sdp_address() {
        Some(sdp) if sdp.ip().to_canonical() == host && sdp.port() == source.port() => Some(Rank::SdpAddress),
        Some(sdp) if sdp.ip().to_canonical() == host => Some(Rank::SdpHost),
        Some(_) | None => (peer.signalling.to_canonical() == host).then_some(Rank::SignallingHost),
    }
}

pub(super) fn is_sdp_address(peer: &Whereabouts<'_>, source: SocketAddr) -> bool {
    rank(peer, source) == Some(Rank::SdpAddress)
}

/// Whether two transport addresses are the same; IPv6 flow labels and scopes do not count.
fn same_address(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip() == b.ip()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::leg::{Network, StreamParams};

    const SDP: &str = "198.51.100.7:4000";
    const SIGNALLING: &str = "203.0.113.9";
    const NONE: Continuity = Continuity { same_stream: false, silence: Duration::ZERO };

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ms(ms: u64) -> Time {
        Time(ms * 1_000_000)
    }

    fn params(latching: Latching) -> StreamParams {
        let signalling = SIGNALLING.parse().unwrap();
        StreamParams {
            remote: Some(at(SDP)),
            signalling,
            latching,
            clock_rate: 8000,
            send: true,
            receive: true,
            rtcp: crate::leg::RtcpPort::Above,
            digits: crate::leg::DigitParams::default(),
        }
    }

    struct Scene {
        latch: Latch,
        params: StreamParams,
    }

    impl Scene {
        fn new(latching: Latching) -> Self {
            Self { latch: Latch::default(), params: params(latching) }
        }

        fn hears(&mut self, now_ms: u64, source: &str) -> Verdict {
            self.latch.handle_packet(ms(now_ms), &self.params.whereabouts(), at(source), || NONE)
        }

        fn hears_same_stream(&mut self, now_ms: u64, source: &str, silence_ms: u64) -> Verdict {
            let silence = Duration::from_millis(silence_ms);
            let evidence = Continuity { same_stream: true, silence };
            self.latch.handle_packet(ms(now_ms), &self.params.whereabouts(), at(source), || evidence)
        }

        fn sends_to(&self) -> String {
            self.latch.destination(&self.params.whereabouts()).unwrap().to_string()
        }
    }

    #[test]
    fn unheard_sends_to_the_sdp_address() {
        let mut scene = Scene::new(Latching::Symmetric);
        assert_eq!(scene.sends_to(), SDP);
        scene.params.remote = Some(at("198.51.100.7:0"));
        assert_eq!(scene.latch.destination(&scene.params.whereabouts()), None);
        scene.params.remote = None;
        assert_eq!(scene.latch.destination(&scene.params.whereabouts()), None);
    }

    #[test]
    fn a_phone_behind_nat_is_followed_to_its_signalling_host() {
        let mut scene = Scene::new(Latching::Symmetric);
        scene.params.remote = Some(at("192.168.1.5:4000"));
        assert_eq!(scene.hears(0, "203.0.113.9:61234"), Verdict::NewSource);
        assert_eq!(scene.sends_to(), "203.0.113.9:61234");
        assert_eq!(scene.hears(20, "203.0.113.9:61234"), Verdict::Accepted);
    }

    #[test]
    fn a_media_server_behind_a_proxy_is_accepted_from_its_sdp_address() {
        let mut scene = Scene::new(Latching::Symmetric);
        assert_eq!(scene.hears(0, SDP), Verdict::NewSource);
        assert_eq!(scene.latch, Latch::Latched { source: at(SDP) });
        assert_eq!(scene.sends_to(), SDP);
    }

    #[test]
    fn the_sdp_address_takes_over_within_the_window_and_shuts_the_other_out() {
        let mut scene = Scene::new(Latching::Symmetric);
        assert_eq!(scene.hears(0, "203.0.113.9:61234"), Verdict::NewSource);
        assert_eq!(scene.hears(20, SDP), Verdict::NewSource);
        for packet in 0..20 {
            assert_eq!(scene.hears(40 + packet * 20, "203.0.113.9:61234"), Verdict::Foreign);
        }
        assert_eq!(scene.sends_to(), SDP);
    }

    #[test]
    fn once_the_window_is_closed_even_the_sdp_address_is_foreign() {
        let mut scene = Scene::new(Latching::Symmetric);
        assert_eq!(scene.hears(0, "203.0.113.9:61234"), Verdict::NewSource);
        assert_eq!(scene.hears(3_000, "203.0.113.9:61234"), Verdict::Accepted);
        assert_eq!(scene.hears(3_020, SDP), Verdict::Foreign);
    }

    #[test]
    fn a_silent_source_does_not_close_the_window() {
        let mut scene = Scene::new(Latching::Symmetric);
        assert_eq!(scene.hears(0, "203.0.113.9:61234"), Verdict::NewSource);
        assert_eq!(scene.hears(60_000, SDP), Verdict::NewSource);
    }

    #[test]
    fn a_rival_takes_over_with_its_fifth_packet_in_a_row() {
        let mut scene = Scene::new(Latching::Symmetric);
        assert_eq!(scene.hears(0, "203.0.113.9:1000"), Verdict::NewSource);
        for packet in 1..5 {
            assert_eq!(scene.hears(packet * 20, "203.0.113.9:2000"), Verdict::Foreign);
        }
        assert_eq!(scene.hears(100, "203.0.113.9:2000"), Verdict::NewSource);
        assert_eq!(scene.sends_to(), "203.0.113.9:2000");
    }

    #[test]
    fn a_rival_never_takes_over_while_the_followed_source_sends() {
        let mut scene = Scene::new(Latching::Symmetric);
        assert_eq!(scene.hears(0, "203.0.113.9:1000"), Verdict::NewSource);
        for packet in 1..200 {
            assert_eq!(scene.hears(packet * 20, "203.0.113.9:1000"), Verdict::Accepted);
            assert_eq!(scene.hears(packet * 20 + 1, "203.0.113.9:2000"), Verdict::Foreign);
        }
        assert_eq!(scene.latch, Latch::Latched { source: at("203.0.113.9:1000") });
    }

    #[test]
    fn a_rebound_mapping_is_followed_after_silence_with_the_same_stream_alone() {
        let mut scene = Scene::new(Latching::Symmetric);
        assert_eq!(scene.hears(0, SDP), Verdict::NewSource);
        assert_eq!(scene.hears(500, "198.51.100.7:4100"), Verdict::Foreign);
        assert_eq!(scene.hears_same_stream(500, "198.51.100.7:4100", 199), Verdict::Foreign);
        assert_eq!(scene.hears_same_stream(500, "203.0.113.9:4100", 500), Verdict::Foreign);
        assert_eq!(scene.hears_same_stream(500, "198.51.100.7:4100", 200), Verdict::NewSource);
        assert_eq!(scene.sends_to(), "198.51.100.7:4100");
        assert_eq!(scene.hears(520, SDP), Verdict::Foreign);
    }

    #[test]
    fn sdp_only_accepts_the_sdp_address_and_nothing_else() {
        let mut scene = Scene::new(Latching::SdpOnly);
        assert_eq!(scene.hears(0, "203.0.113.9:4000"), Verdict::Foreign);
        assert_eq!(scene.hears(0, "198.51.100.7:4001"), Verdict::Foreign);
        assert_eq!(scene.hears(0, SDP), Verdict::NewSource);
        assert_eq!(scene.hears(20, SDP), Verdict::Accepted);
        assert_eq!(scene.sends_to(), SDP);
    }

    #[test]
    fn any_of_accepts_its_networks_and_sends_to_the_sdp_address() {
        let nets = [Network::new("192.0.2.0".parse().unwrap(), 24).unwrap()];
        let mut scene = Scene::new(Latching::AnyOf(nets.into()));
        assert_eq!(scene.hears(0, "203.0.113.9:4000"), Verdict::Foreign);
        assert_eq!(scene.hears(0, "192.0.2.77:9000"), Verdict::NewSource);
        assert_eq!(scene.hears(0, "192.0.2.78:9000"), Verdict::Accepted);
        assert_eq!(scene.hears(0, SDP), Verdict::Accepted);
        assert_eq!(scene.sends_to(), SDP);
    }

    #[test]
    fn a_mapped_ipv4_address_is_the_ipv4_host() {
        let mut scene = Scene::new(Latching::Symmetric);
        scene.params.signalling = "::ffff:203.0.113.9".parse().unwrap();
        assert_eq!(scene.hears(0, "203.0.113.9:61234"), Verdict::NewSource);
    }

    proptest! {
        /// Third parties never inject or receive a packet, whatever the order and the times of arrival, and the peer
        /// is heard: from the first packet of the SDP address on, it alone.
        #[test]
        fn a_third_party_neither_injects_nor_receives(
            events in prop::collection::vec((0u64..400, 0usize..4, any::<u16>()), 1..300),
            policy in 0usize..3,
        ) {
            let peers = [SDP.to_owned(), "203.0.113.9:61234".to_owned()];
            let nets = [Network::new("203.0.113.9".parse().unwrap(), 32).unwrap()];
            let mut scene = Scene::new(
                [Latching::Symmetric, Latching::SdpOnly, Latching::AnyOf(nets.into())][policy].clone(),
            );
            let (mut now, mut sdp_heard) = (0, false);
            for (pause, who, port) in events {
                now += pause;
                let source = match who {
                    0 | 1 => peers[who].clone(),
                    2 => format!("198.51.100.8:{port}"),
                    _ => format!("192.0.2.1:{port}"),
                };
                // The third party even guesses SSRC and sequence number after a long silence.
                let verdict = if who < 2 { scene.hears(now, &source) } else { scene.hears_same_stream(now, &source, 9_999) };
                if who >= 2 {
                    prop_assert_eq!(verdict, Verdict::Foreign);
                }
                let destination = scene.sends_to();
                prop_assert!(peers.contains(&destination));
                if who == 0 && verdict != Verdict::Foreign && policy == 0 {
                    sdp_heard = true;
                }
                if sdp_heard {
                    prop_assert_eq!(destination, SDP);
                }
            }
        }

        /// Two ports of the peer's own host: one that keeps sending is never displaced by more than its rank allows.
        #[test]
        fn a_latched_source_keeps_the_leg_while_others_send(ports in prop::collection::vec(any::<u16>(), 0..200)) {
            let mut scene = Scene::new(Latching::Symmetric);
            scene.hears(0, SDP);
            for (index, port) in ports.into_iter().enumerate() {
                let now = 20 * (index as u64 + 1);
                let rival = format!("198.51.100.7:{port}");
                if rival != SDP {
                    prop_assert_eq!(scene.hears(now, &rival), Verdict::Foreign);
                }
                prop_assert_eq!(scene.hears(now, SDP), Verdict::Accepted);
            }
        }
    }
}

//! From whom sound is taken: from where the peer said it sends, or at least from its host or that of its server (RFC 4961).
//!
//! The address of the description is believed at once. Another port of the same host, or the host of the server, is taken
//! while nothing comes from the address itself, because of translators; and when what was taken has been silent for
//! [`REBINDING`]. Nobody else is heard.

use media::Time;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long a source must be silent before another candidate is taken for it.
const REBINDING: Duration = Duration::from_millis(500);

/// What is known of the source.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Source {
    heard: Option<(SocketAddr, Time)>,
}

impl Source {
    /// The peer said something new about where it is.
    pub(super) fn relearn(&mut self) {
        self.heard = None;
    }

    /// Whether a datagram is the peer's.
    pub(super) fn judge(
        &mut self,
        now: Time,
        from: SocketAddr,
        said: Option<SocketAddr>,
        server: IpAddr,
    ) -> bool {
        let exact = said == Some(from);
        let candidate = exact || from.ip() == server || said.is_some_and(|said| said.ip() == from.ip());
        let taken = match self.heard {
            _ if !candidate => false,
            None => true,
            Some((heard, _)) if heard == from || exact => true,
            Some((_, at)) => now.since(at) >= REBINDING,
        };
        if taken {
            self.heard = Some((from, now));
        }
        taken
    }

    /// Where our packets go: to where the peer's come from, else to where it said.
    pub(super) fn destination(&self, said: Option<SocketAddr>) -> Option<SocketAddr> {
        self.heard.map(|(heard, _)| heard).or(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8, port: u16) -> SocketAddr {
        ([192, 0, 2, last], port).into()
    }

    #[test]
    fn the_address_of_the_description_wins_and_strangers_are_never_heard() {
        let (said, server) = (Some(address(1, 4_000)), address(9, 0).ip());
        let mut source = Source::default();
        let at = |ms: u64| Time(ms * 1_000_000);
        assert!(!source.judge(at(0), address(7, 4_000), said, server));
        assert_eq!(source.destination(said), said);
        assert!(source.judge(at(0), address(1, 5_555), said, server), "another port of its host");
        assert_eq!(source.destination(said), Some(address(1, 5_555)));
        assert!(!source.judge(at(400), address(9, 6_000), said, server), "a second candidate");
        assert!(source.judge(at(401), address(1, 4_000), said, server), "the address itself");
        assert!(!source.judge(at(500), address(1, 5_555), said, server));
        assert!(source.judge(at(901), address(9, 6_000), said, server), "after silence");
        assert!(!source.judge(at(9_000), address(7, 4_000), said, server));
    }
}

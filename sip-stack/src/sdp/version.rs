//! Our descriptions in one dialog: the session id stays, and the version grows by one with each change and without one
//! not at all (RFC 3264 §8, RFC 8866 §5.2).

use super::negotiate::LocalOrigin;
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use std::net::IpAddr;

/// What we said last, and the numbers of its `o=` line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalDescription {
    session_id: u64,
    version: u64,
    text: Bytes,
}

impl LocalDescription {
    /// Nothing said yet. `random` makes the session id, which RFC 3264 §5 wants to fit a signed number.
    pub const fn new(random: u64) -> LocalDescription {
        LocalDescription { session_id: random >> 2, version: 1, text: Bytes::new() }
    }

    /// What we said last; empty before the first time.
    pub const fn text(&self) -> &Bytes {
        &self.text
    }

    /// Says something: `body` writes a description with the origin it is given. It is called a second time, with the next
    /// version, when the first text differs from the last one.
    pub fn write(
        &mut self,
        username: &[u8],
        address: IpAddr,
        body: impl Fn(&LocalOrigin<'_>, &mut Vec<u8>),
    ) -> Bytes {
        let write = |version| {
            let mut text = Vec::with_capacity(self.text.len().max(512));
            body(&LocalOrigin { username, session_id: self.session_id, version, address }, &mut text);
            Bytes::from(text)
        };
        let mut text = write(self.version);
        if text != self.text {
            if !self.text.is_empty() {
                self.version = self.version.saturating_add(1);
                text = write(self.version);
            }
            self.text = text;
        }
        self.text.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sdp::SdpWriter;

    #[test]
    fn the_version_grows_by_one_with_a_change_and_not_without() {
        let mut local = LocalDescription::new(u64::MAX);
        let mut say = |direction: &'static [u8]| {
            let text = local.write(b"", [192, 0, 2, 1].into(), |origin, out| {
                let mut writer = SdpWriter::new(out);
                writer.origin(origin.username, origin.session_id, origin.version, origin.address);
                writer.line(b'a', direction);
            });
            assert_eq!(&text, local.text());
            String::from_utf8(text.to_vec()).unwrap()
        };
        let id = u64::MAX >> 2;
        let expected = |version, direction: &str| {
            format!("v=0\r\no=- {id} {version} IN IP4 192.0.2.1\r\na={direction}\r\n")
        };
        for (direction, version) in
            [("sendrecv", 1), ("sendrecv", 1), ("sendonly", 2), ("sendonly", 2), ("sendrecv", 3)]
        {
            assert_eq!(say(direction.as_bytes()), expected(version, direction));
        }
    }
}

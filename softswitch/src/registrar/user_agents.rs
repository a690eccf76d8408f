//! The names of the phones' programs, each kept once: a hundred thousand phones are of a few kinds.

use bytes::Bytes;
use std::collections::BTreeSet;

/// Different texts that are shared; a peer that invents more has a copy of its own for each binding.
const LIMIT: usize = 1_024;
/// Bytes of a text that are kept.
const MAX_TEXT: usize = 256;

/// User-Agent texts in use. Nothing but memory depends on it, so it is no part of a snapshot.
#[derive(Debug, Default)]
pub(super) struct UserAgents(BTreeSet<Bytes>);

impl UserAgents {
    /// The beginning of `text`, shared with every binding of the same kind of phone.
    pub(super) fn share(&mut self, text: &[u8]) -> Bytes {
        let text = text.get(..MAX_TEXT).unwrap_or(text);
        if text.is_empty() {
            return Bytes::new();
        }
        if let Some(known) = self.0.get(text) {
            return known.clone();
        }
        let new = Bytes::copy_from_slice(text);
        if self.0.len() < LIMIT {
            self.0.insert(new.clone());
        }
        new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn phones_of_one_kind_share_their_name_and_a_flood_of_names_is_not_kept() {
        let mut names = UserAgents::default();
        let first = names.share(b"Phone/1");
        assert_eq!(names.share(b"Phone/1").as_ptr(), first.as_ptr());
        for number in 0..2 * LIMIT {
            assert_eq!(names.share(number.to_string().as_bytes()), number.to_string());
        }
        assert_eq!(names.0.len(), LIMIT);
        assert_eq!(names.share(&[b'x'; 60_000]).len(), MAX_TEXT);
    }
}

//! Source descriptions: chunks of items, each a type, a length and a text (RFC 3550 §6.5).
//!
//! Left out on purpose: any meaning of the items but CNAME.

use super::word;
use crate::rtp::Ssrc;

/// The end of a chunk.
const END: u8 = 0;
/// The type of the canonical name.
pub(super) const CNAME: u8 = 1;

/// A view of a source description packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceDescription<'a> {
    count: u8,
    body: &'a [u8],
}

impl<'a> SourceDescription<'a> {
    /// The body after the common header; `None` when it does not hold `count` chunks.
    pub(super) fn parse(count: u8, body: &'a [u8]) -> Option<Self> {
        let packet = Self { count, body };
        (packet.chunks().count() == usize::from(count)).then_some(packet)
    }

    /// Its chunks, at most 31.
    #[must_use]
    pub const fn chunks(&self) -> Chunks<'a> {
        Chunks { left: self.count, rest: self.body }
    }
}

/// The chunks of a source description.
#[derive(Clone, Debug)]
pub struct Chunks<'a> {
    left: u8,
    rest: &'a [u8],
}

impl<'a> Iterator for Chunks<'a> {
    type Item = Chunk<'a>;

    fn next(&mut self) -> Option<Chunk<'a>> {
        self.left = self.left.checked_sub(1)?;
        let ssrc = Ssrc(word(self.rest)?);
        let items = self.rest.get(4..)?;
        let length = items_length(items)?;
        let chunk = Chunk { ssrc, items: items.get(..length)? };
        // The end of the list and what follows it fill the chunk up to a word.
        self.rest = items.get((length + 1).next_multiple_of(4)..)?;
        Some(chunk)
    }
}

/// Octets of the items before the octet that ends them; `None` when it is missing.
fn items_length(items: &[u8]) -> Option<usize> {
    let mut at = 0;
    while *items.get(at)? != END {
        at += 2 + usize::from(*items.get(at + 1)?);
    }
    Some(at)
}

/// The description of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chunk<'a> {
    ssrc: Ssrc,
    items: &'a [u8],
}

impl<'a> Chunk<'a> {
    /// The source.
    #[must_use]
    pub const fn ssrc(&self) -> Ssrc {
        self.ssrc
    }

    /// Its items in order.
    #[must_use]
    pub const fn items(&self) -> Items<'a> {
        Items { rest: self.items }
    }

    /// Its canonical name, if it is there.
    #[must_use]
    pub fn cname(&self) -> Option<&'a [u8]> {
        self.items().find(|item| item.kind == CNAME).map(|item| item.text)
    }
}

/// One item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its type: 1 is CNAME, 2 NAME and so on (RFC 3550 §12.2).
    pub kind: u8,
    /// Its text, meant to be UTF-8, at most 255 octets.
    pub text: &'a [u8],
}

/// The items of a chunk.
#[derive(Clone, Debug)]
pub struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Items<'a> {
    type Item = Item<'a>;

    fn next(&mut self) -> Option<Item<'a>> {
        let ([kind, length], rest) = self.rest.split_first_chunk()?;
        let (text, rest) = rest.split_at_checked(usize::from(*length))?;
        self.rest = rest;
        Some(Item { kind: *kind, text })
    }
}

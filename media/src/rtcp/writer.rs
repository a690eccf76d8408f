//! Writing a compound packet into a buffer of the caller (RFC 3550 §6.1, §6.4 to §6.6; RFC 3611 §2).
//!
//! A packet that does not fit is not written at all, and the row stays what it was. The order is the caller's: a report
//! first, then the description, BYE last.
//!
//! Left out on purpose: padding, which only encryption of whole blocks would need.

use thiserror::Error;

use super::cname::Cname;
use super::compound::HEADER;
use super::packet_type;
use super::report::{BLOCK, ReportBlock, SENDER_INFO, SenderInfo};
use super::sdes::CNAME;
use super::xr::{VOIP_BLOCK, VoipMetrics};
use crate::rtp::Ssrc;

const VERSION: u8 = 2 << 6;
/// The most report blocks that one packet counts.
const MAX_BLOCKS: usize = 31;

/// The buffer has no room for the packet, or the packet no count for its content; nothing was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no room for {needed} octets")]
pub struct NoRoom {
    /// Octets the packet would take.
    pub needed: usize,
}

/// Writes packets one behind the other.
#[derive(Debug)]
pub struct Writer<'a> {
    buffer: &'a mut [u8],
    length: usize,
}

impl<'a> Writer<'a> {
    /// Writes from the start of `buffer`.
    pub const fn new(buffer: &'a mut [u8]) -> Self {
        Self { buffer, length: 0 }
    }

    /// Octets written.
    #[must_use]
    pub const fn length(&self) -> usize {
        self.length
    }

    /// A sender report with at most 31 blocks.
    ///
    /// # Errors
    /// [`NoRoom`], also for more blocks.
    pub fn sender_report(
        &mut self,
        ssrc: Ssrc,
        info: &SenderInfo,
        blocks: &[ReportBlock],
    ) -> Result<(), NoRoom> {
        let mut body =
            self.packet(packet_type::SENDER_REPORT, blocks.len(), 4 + SENDER_INFO + BLOCK * blocks.len())?;
        body.put(&ssrc.0.to_be_bytes());
        body.put(&info.to_bytes());
        blocks.iter().for_each(|block| body.put(&block.to_bytes()));
        Ok(())
    }

    /// A receiver report with at most 31 blocks.
    ///
    /// # Errors
    /// [`NoRoom`], also for more blocks.
    pub fn receiver_report(&mut self, ssrc: Ssrc, blocks: &[ReportBlock]) -> Result<(), NoRoom> {
        let mut body = self.packet(packet_type::RECEIVER_REPORT, blocks.len(), 4 + BLOCK * blocks.len())?;
        body.put(&ssrc.0.to_be_bytes());
        blocks.iter().for_each(|block| body.put(&block.to_bytes()));
        Ok(())
    }

    /// A source description with one chunk and the canonical name alone.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn description(&mut self, ssrc: Ssrc, cname: &Cname) -> Result<(), NoRoom> {
        // The list ends with a zero, and zeros fill the chunk up to a word.
        let size = (4 + 2 + cname.as_bytes().len() + 1).next_multiple_of(4);
        let mut body = self.packet(packet_type::SOURCE_DESCRIPTION, 1, size)?;
        body.put(&ssrc.0.to_be_bytes());
        body.put(&[CNAME, cname.length()]);
        body.put(cname.as_bytes());
        Ok(())
    }

    /// The end of one source. A reason is cut after 255 octets; an empty one is left out.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn goodbye(&mut self, ssrc: Ssrc, reason: &[u8]) -> Result<(), NoRoom> {
        let reason = reason.get(..usize::from(u8::MAX)).unwrap_or(reason);
        let text = if reason.is_empty() { 0 } else { (1 + reason.len()).next_multiple_of(4) };
        let mut body = self.packet(packet_type::GOODBYE, 1, 4 + text)?;
        body.put(&ssrc.0.to_be_bytes());
        if text != 0 {
            body.put(&[reason.len() as u8]);
            body.put(reason);
        }
        Ok(())
    }

    /// An extended report with one VoIP metrics block.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn voip_metrics(&mut self, ssrc: Ssrc, metrics: &VoipMetrics) -> Result<(), NoRoom> {
        let mut body = self.packet(packet_type::EXTENDED_REPORT, 0, 4 + VOIP_BLOCK)?;
        body.put(&ssrc.0.to_be_bytes());
        body.put(&metrics.to_bytes());
        Ok(())
    }

    /// A whole packet of somebody else's, whose place is given back to be changed.
    ///
    /// # Errors
    /// [`NoRoom`].
    pub fn copy(&mut self, packet: &[u8]) -> Result<&mut [u8], NoRoom> {
        let place = self.take(packet.len())?;
        place.copy_from_slice(packet);
        Ok(place)
    }

    /// Takes the packets from `length` on back.
    pub(super) fn cut(&mut self, length: usize) {
        self.length = self.length.min(length);
    }

    /// Room for a packet with a body of `size` octets, its header written and the rest zero.
    fn packet(&mut self, packet_type: u8, count: usize, size: usize) -> Result<Body<'_>, NoRoom> {
        let needed = HEADER + size;
        if count > MAX_BLOCKS {
            return Err(NoRoom { needed });
        }
        let place = self.take(needed)?;
        place.fill(0);
        let mut body = Body { rest: place };
        body.put(&[VERSION | count as u8, packet_type]);
        body.put(&((size / 4) as u16).to_be_bytes());
        Ok(body)
    }

    fn take(&mut self, needed: usize) -> Result<&mut [u8], NoRoom> {
        let end = self.length.saturating_add(needed);
        let place = self.buffer.get_mut(self.length..end).ok_or(NoRoom { needed })?;
        self.length = end;
        Ok(place)
    }
}

/// The part of a packet that is not written yet.
struct Body<'a> {
    rest: &'a mut [u8],
}

impl Body<'_> {
    /// Writes octets; the room was taken for all of them.
    fn put(&mut self, octets: &[u8]) {
        let rest = core::mem::take(&mut self.rest);
        if let Some((place, rest)) = rest.split_at_mut_checked(octets.len()) {
            place.copy_from_slice(octets);
            self.rest = rest;
        }
    }
}

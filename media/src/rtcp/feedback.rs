//! Feedback packets: told apart, and rewritten for the other leg of a relay (RFC 4585 §6, RFC 5104 §4; the receiver
//! estimated maximum bitrate of draft-alvestrand-rmcat-remb).
//!
//! A relay ends the reports of its peers, but a picture is made by a camera: what a receiver asks of the sender passes
//! through, with the SSRCs of the leg it came from replaced by those of the leg it leaves on, and in a NACK the sequence
//! numbers shifted back by what the relay had added.
//!
//! Left out on purpose: congestion feedback that counts packets of a transport (FMT 15 of RTPFB). Its numbers are in a
//! header extension, which passes through a relay unread, so they need no change.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::compound::HEADER;
use super::word;
use crate::rtp::Ssrc;

/// Octets before the feedback control information.
const FIXED: usize = 12;
/// What identifies an application feedback as REMB, at the start of its control information.
const REMB: &[u8; 4] = b"REMB";

/// What a feedback packet is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FeedbackKind {
    /// Packets that did not arrive (RFC 4585 §6.2.1).
    Nack,
    /// A limit of the bit rate is asked for (RFC 5104 §4.2.1).
    Tmmbr,
    /// The limits in force (RFC 5104 §4.2.2).
    Tmmbn,
    /// Other transport feedback; the format.
    OtherTransport(u8),
    /// A picture was lost (RFC 4585 §6.3.1).
    Pli,
    /// A whole picture is asked for (RFC 5104 §4.3.1).
    Fir,
    /// A trade-off between sharpness and motion is asked for (RFC 5104 §4.3.2).
    Tstr,
    /// The trade-off that was made (RFC 5104 §4.3.3).
    Tstn,
    /// The back channel of a video codec (RFC 5104 §4.3.4).
    Vbcm,
    /// The bit rate a receiver thinks the path can bear.
    Remb,
    /// Other payload feedback; the format.
    OtherPayload(u8),
}

impl FeedbackKind {
    pub(super) const fn transport(format: u8) -> Self {
        match format {
            1 => Self::Nack,
            3 => Self::Tmmbr,
            4 => Self::Tmmbn,
            _ => Self::OtherTransport(format),
        }
    }

    /// The kind of a payload feedback with this body, which begins with two SSRCs.
    pub(super) fn payload(format: u8, body: &[u8]) -> Self {
        match format {
            1 => Self::Pli,
            4 => Self::Fir,
            5 => Self::Tstr,
            6 => Self::Tstn,
            7 => Self::Vbcm,
            15 if body.get(8..).is_some_and(|control| control.starts_with(REMB)) => Self::Remb,
            _ => Self::OtherPayload(format),
        }
    }
}

/// A view of a feedback packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Feedback<'a> {
    kind: FeedbackKind,
    sender: Ssrc,
    media: Ssrc,
    control: &'a [u8],
    packet: &'a [u8],
}

impl<'a> Feedback<'a> {
    /// The packet and its body after the common header, without padding.
    pub(super) fn parse(kind: FeedbackKind, packet: &'a [u8], body: &'a [u8]) -> Option<Self> {
        let (sender, media) = (Ssrc(word(body)?), Ssrc(word(body.get(4..)?)?));
        Some(Self { kind, sender, media, control: body.get(8..)?, packet })
    }

    /// What it is about.
    #[must_use]
    pub const fn kind(&self) -> FeedbackKind {
        self.kind
    }

    /// Who sends it.
    #[must_use]
    pub const fn sender(&self) -> Ssrc {
        self.sender
    }

    /// The stream it is about; zero where the entries say it (FIR, TMMBR, TMMBN, REMB).
    #[must_use]
    pub const fn media(&self) -> Ssrc {
        self.media
    }

    /// The feedback control information, without padding.
    #[must_use]
    pub const fn control(&self) -> &'a [u8] {
        self.control
    }

    /// The whole packet.
    #[must_use]
    pub const fn packet(&self) -> &'a [u8] {
        self.packet
    }
}

/// One entry of a NACK: a sequence number and which of the sixteen after it are missing, too (RFC 4585 §6.2.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lost {
    /// The first missing packet.
    pub first: u16,
    /// Bit 0 stands for the next number.
    pub following: u16,
}

/// The entries of a NACK's control information.
pub fn lost_packets(control: &[u8]) -> impl Iterator<Item = Lost> + '_ {
    let (entries, _) = control.as_chunks::<4>();
    entries.iter().map(|[a, b, c, d]| Lost {
        first: u16::from_be_bytes([*a, *b]),
        following: u16::from_be_bytes([*c, *d]),
    })
}

/// How feedback of one peer reads for the other: the values of both legs of a relay, and the shift between them.
///
/// `here` is the leg on which the feedback arrived, `there` the one on which it leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedbackMap {
    /// Our SSRC here, which the peer complains about.
    pub ours_here: Ssrc,
    /// The SSRC of the peer there, whose media we send here under our own.
    pub theirs_there: Ssrc,
    /// The SSRC of the peer here.
    pub theirs_here: Ssrc,
    /// Our SSRC there, under which the feedback leaves.
    pub ours_there: Ssrc,
    /// What the relay adds to sequence numbers from there to here, modulo 2^16.
    pub sequence_shift: u16,
}

/// The packet is about another stream than ours, or is none; it was not changed and must not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("feedback about a stream that is not ours")]
pub struct NotForUs;

impl FeedbackMap {
    /// Rewrites one feedback packet where it lies: its SSRCs, those in its entries, and the numbers of a NACK.
    ///
    /// `packet` is [`Feedback::packet`], with its common header; its length stays. Entries about streams that we do not know
    /// stay as they are.
    ///
    /// # Errors
    /// [`NotForUs`] when it names a stream that is not ours here, or is too short; nothing was written.
    pub fn rewrite(&self, kind: FeedbackKind, packet: &mut [u8]) -> Result<(), NotForUs> {
        let (fixed, control) = packet.split_first_chunk_mut::<FIXED>().ok_or(NotForUs)?;
        let media = fixed.get_mut(HEADER + 4..).ok_or(NotForUs)?;
        let named = Ssrc(word(media).ok_or(NotForUs)?);
        let renamed = match named {
            Ssrc(0) => named,
            ours if ours == self.ours_here => self.theirs_there,
            _ => return Err(NotForUs),
        };
        media.copy_from_slice(&renamed.0.to_be_bytes());
        fixed[HEADER..HEADER + 4].copy_from_slice(&self.ours_there.0.to_be_bytes());
        match kind {
            FeedbackKind::Nack => self.shift_back(control),
            FeedbackKind::Tmmbr
            | FeedbackKind::Tmmbn
            | FeedbackKind::Fir
            | FeedbackKind::Tstr
            | FeedbackKind::Tstn => {
                control.as_chunks_mut::<8>().0.iter_mut().for_each(|entry| self.rename(entry));
            }
            // Its messages have a length each; a packet with more than one is not known to exist.
            FeedbackKind::Vbcm => self.rename(control),
            FeedbackKind::Remb => {
                let sources = control.get_mut(8..).unwrap_or_default();
                sources.as_chunks_mut::<4>().0.iter_mut().for_each(|source| self.rename(source));
            }
            FeedbackKind::Pli | FeedbackKind::OtherTransport(_) | FeedbackKind::OtherPayload(_) => {}
        }
        Ok(())
    }

    /// The number that a packet had when it came in, for every entry of a NACK.
    fn shift_back(&self, control: &mut [u8]) {
        for [high, low, ..] in control.as_chunks_mut::<4>().0 {
            let sequence = u16::from_be_bytes([*high, *low]).wrapping_sub(self.sequence_shift);
            [*high, *low] = sequence.to_be_bytes();
        }
    }

    /// Replaces the SSRC at the start of an entry by the one it has on the other leg.
    fn rename(&self, entry: &mut [u8]) {
        let Some(place) = entry.first_chunk_mut::<4>() else { return };
        let renamed = match Ssrc(u32::from_be_bytes(*place)) {
            ssrc if ssrc == self.ours_here => self.theirs_there,
            ssrc if ssrc == self.theirs_here => self.ours_there,
            ssrc => ssrc,
        };
        *place = renamed.0.to_be_bytes();
    }
}

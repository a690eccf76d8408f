//! What an Opus packet says about itself without being decoded: its duration, and whether it repeats the frame before it
//! (RFC 6716 §3.1, §3.2 and §4.2.4).
//!
//! Left out on purpose: the lengths of all frames, which the decoder checks itself.

use crate::dsp::SampleRate;

/// Longest frame in octets (RFC 6716 §3.4 R2).
pub const MAX_FRAME: usize = 1275;
/// Longest packet in samples at 48 kHz: 120 ms (R5).
const LONGEST: usize = 5760;

/// The first octet of a packet with the frame count it needs (RFC 6716 §3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Toc {
    /// Mode, bandwidth and frame length, 0 to 31 (table 2).
    config: u8,
    stereo: bool,
    /// How frames are packed, 0 to 3.
    code: u8,
    frames: u8,
}

impl Toc {
    /// Reads the head of a packet; none if it is empty, has no frame, or is longer than 120 ms.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Toc> {
        let first = *payload.first()?;
        let code = first & 3;
        let frames = match code {
            0 => 1,
            1 | 2 => 2,
            _ => payload.get(1)? & 0x3f,
        };
        let toc = Toc { config: first >> 3, stereo: first & 4 != 0, code, frames };
        (frames > 0 && usize::from(frames) * toc.frame() <= LONGEST).then_some(toc)
    }

    /// Samples of the packet at an audio rate.
    #[must_use]
    pub const fn samples(self, rate: SampleRate) -> usize {
        self.frames as usize * self.frame() * rate.hertz() as usize / 48_000
    }

    /// Whether the packet carries two channels.
    #[must_use]
    pub const fn stereo(self) -> bool {
        self.stereo
    }

    /// Samples of one frame at 48 kHz (table 2).
    const fn frame(self) -> usize {
        match self.config {
            config @ 0..12 => [480, 960, 1920, 2880][config as usize & 3],
            config @ 12..16 => [480, 960][config as usize & 1],
            config => 120 << (config & 3),
        }
    }

    /// Whether frames have a SILK layer, which alone can repeat an earlier frame.
    const fn has_silk(self) -> bool {
        self.config < 16
    }
}

/// Whether the packet holds, at low rate, the frame before its own first one (RFC 6716 §4.2.4, LBRR). A look at a few octets.
#[must_use]
pub fn has_fec(payload: &[u8]) -> bool {
    let Some(toc) = Toc::parse(payload).filter(|toc| toc.has_silk()) else { return false };
    let Some(head) = first_frame(toc, payload).and_then(|at| payload.get(at)) else { return false };
    // §4.2.3: per channel one flag of voice activity for each 20 ms, then the flag of LBRR. They are single bits of even
    // odds, so the range coder leaves them as they are.
    let flags = (toc.frame() / 960).max(1);
    let mid = head >> (7 - flags) & 1;
    let side = if toc.stereo { head >> (6 - 2 * flags) & 1 } else { 0 };
    mid | side == 1
}

/// Where the first frame begins (§3.2); none if it is cut off or empty.
fn first_frame(toc: Toc, payload: &[u8]) -> Option<usize> {
    match toc.code {
        0 | 1 => Some(1),
        2 => {
            let (length, at) = frame_length(payload, 1)?;
            (length > 0).then_some(at)
        }
        _ => {
            let counts = *payload.get(1)?;
            let mut at = if counts & 0x40 != 0 { after_padding(payload, 2)? } else { 2 };
            let variable = counts & 0x80 != 0;
            for frame in 0..if variable { toc.frames - 1 } else { 0 } {
                let (length, next) = frame_length(payload, at)?;
                if frame == 0 && length == 0 {
                    return None;
                }
                at = next;
            }
            Some(at)
        }
    }
}

/// A frame's length and where the field ends (§3.2.1).
fn frame_length(payload: &[u8], at: usize) -> Option<(usize, usize)> {
    let first = usize::from(*payload.get(at)?);
    if first < 252 {
        return Some((first, at + 1));
    }
    Some((first + 4 * usize::from(*payload.get(at + 1)?), at + 2))
}

/// Where the fields that count padding end (§3.2.5).
fn after_padding(payload: &[u8], at: usize) -> Option<usize> {
    let last = payload.get(at..)?.iter().position(|octet| *octet != 255)?;
    Some(at + last + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn durations_are_those_of_libopus(payload in prop::collection::vec(any::<u8>(), 1..40)) {
            for rate in [SampleRate::Hz8000, SampleRate::Hz24000, SampleRate::Hz48000] {
                let ours = Toc::parse(&payload).map(|toc| toc.samples(rate));
                let theirs = opus::packet::get_nb_samples(&payload, rate.hertz()).ok().filter(|samples| *samples > 0);
                prop_assert_eq!(ours, theirs);
            }
        }

        #[test]
        fn the_first_frame_begins_where_libopus_finds_it(payload in prop::collection::vec(any::<u8>(), 1..40)) {
            let Ok(packet) = opus::packet::parse(&payload) else { return Ok(()) };
            let toc = Toc::parse(&payload).unwrap();
            if let (Some(at), Some(frame)) = (first_frame(toc, &payload), packet.frames.first())
                && !frame.is_empty()
            {
                prop_assert_eq!(payload[at..].as_ptr(), frame.as_ptr());
            }
        }

        #[test]
        fn noise_never_panics(payload in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = has_fec(&payload);
        }
    }

    #[test]
    fn celt_has_no_earlier_frame_to_repeat() {
        assert!(!has_fec(&[16 << 3, 0xff, 0xff]));
        assert!(has_fec(&[9 << 3, 0x40, 0]));
        assert!(!has_fec(&[9 << 3, 0x80, 0]));
    }
}

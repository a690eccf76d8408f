//! What a recorder hears of a room: the mix, one party beside all others, or one member.
//!
//! Only what those hear who hear the talkers is taken. A whisper is taken when that is asked for, and then into the
//! channel of whoever it is for; a muted or held member is never taken. Nothing here allocates.

use super::super::accumulate::{add, saturate, saturate_without};
use super::super::role::MemberId;
use super::Room;
use crate::mix::Gain;

impl Room {
    /// Writes the mix, mono, `out` one frame. False when it is silent; then `out` is not written.
    pub fn tap_mix(&self, whispers: bool, out: &mut [i16]) -> bool {
        let whispers = whispers
            && self.members.iter().any(|member| member.is_sounding() && member.whispers_to().is_some());
        if !whispers {
            if self.sounding {
                out.copy_from_slice(&self.common);
            }
            return self.sounding;
        }
        self.in_parts(out, |range, sum| {
            self.add_common(range.clone(), sum);
            self.add_whispers(range, sum, |_| true);
        });
        true
    }

    /// Writes two channels, interleaved: left what the member at `left` says, right what all others do. `out` is two frames,
    /// `scratch` one. False when both are silent; then `out` is not written.
    pub fn tap_parties(
        &self,
        left: Option<usize>,
        whispers: bool,
        scratch: &mut [i16],
        out: &mut [i16],
    ) -> bool {
        let whispers = whispers
            && self.members.iter().any(|member| member.is_sounding() && member.whispers_to().is_some());
        if !self.sounding && !whispers {
            return false;
        }
        let own = left.filter(|place| self.is_taken(*place));
        let id = left.and_then(|place| self.members.get(place)).map(|member| member.id);
        let gain = own.and_then(|place| self.members.get(place)).map_or(Gain::UNITY, |member| member.gain);
        let said = own.map_or(&[][..], |place| self.said_by(place));
        self.in_parts(scratch, |range, sum| {
            add(sum, said.get(range.clone()).unwrap_or_default(), gain);
            if whispers {
                self.add_whispers(range, sum, |to| Some(to) == id);
            }
        });
        put(scratch, out, 0);
        if !whispers && own.is_some() {
            saturate_without(&self.sum, said, gain, scratch);
        } else {
            self.in_parts(scratch, |range, sum| {
                self.add_common(range.clone(), sum);
                for (sum, own) in sum.iter_mut().zip(said.get(range.clone()).unwrap_or_default()) {
                    *sum -= gain.apply(*own);
                }
                if whispers {
                    self.add_whispers(range, sum, |to| Some(to) != id);
                }
            });
        }
        put(scratch, out, 1);
        true
    }

    /// Writes what the member at `place` says, as loud as others hear it; `out` is one frame. False when it is silent or not
    /// heard by all; then `out` is not written.
    pub fn tap_member(&self, place: usize, whispers: bool, out: &mut [i16]) -> bool {
        let Some(member) = self.members.get(place) else { return false };
        let whispers = whispers && member.is_sounding() && member.whispers_to().is_some();
        if !whispers && !self.is_taken(place) {
            return false;
        }
        let said = self.said_by(place);
        self.in_parts(out, |range, sum| add(sum, said.get(range).unwrap_or_default(), member.gain));
        true
    }

    /// Whether the member at `place` is part of the sum in this tick.
    fn is_taken(&self, place: usize) -> bool {
        let member = self.members.get(place).zip(self.plan.places().get(place));
        member.is_some_and(|(member, place)| member.is_sounding() && place.in_sum)
    }

    fn add_common(&self, range: core::ops::Range<usize>, sum: &mut [i32]) {
        if let Some(common) = self.sum.get(range).filter(|_| self.sounding) {
            sum.copy_from_slice(common);
        }
    }

    fn add_whispers(
        &self,
        range: core::ops::Range<usize>,
        sum: &mut [i32],
        for_whom: impl Fn(MemberId) -> bool,
    ) {
        for (place, member) in self.members.iter().enumerate() {
            if member.is_sounding() && member.whispers_to().is_some_and(&for_whom) {
                add(sum, self.said_by(place).get(range.clone()).unwrap_or_default(), member.gain);
            }
        }
    }

    /// Sums up a few samples at a time, so that the sum fits on the stack, and saturates them once.
    fn in_parts(&self, out: &mut [i16], fill: impl Fn(core::ops::Range<usize>, &mut [i32])) {
        const PART: usize = 80;
        for (part, out) in out.chunks_mut(PART).enumerate() {
            let mut sum = [0; PART];
            let sum = &mut sum[..out.len()];
            fill(part * PART..part * PART + out.len(), sum);
            saturate(sum, out);
        }
    }
}

/// Puts the samples of one channel into two interleaved ones.
fn put(samples: &[i16], out: &mut [i16], channel: usize) {
    for (pair, sample) in out.chunks_exact_mut(2).zip(samples) {
        pair[channel] = *sample;
    }
}

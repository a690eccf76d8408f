//! Decoded samples in one row: what was played last, for concealment and stretching to look back at, then what is still to
//! be played.

use serde::{Deserialize, Serialize};

/// History kept, in milliseconds: three periods of the lowest voice and the overlap between them.
const HISTORY_MS: usize = 50;
/// What may be left of the packet before the longest one, in milliseconds: less than a tick.
const LEFT_MS: usize = 20;

/// The row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Samples {
    row: Vec<i16>,
    history: usize,
    /// One past the last sample to be played.
    end: usize,
}

impl Samples {
    /// An empty row behind a history of silence, for packets of up to `packet_ms`. `rate` in samples per second.
    pub(super) fn new(rate: u32, packet_ms: u32) -> Self {
        let per_ms = rate as usize / 1000;
        let history = HISTORY_MS * per_ms;
        Self { row: vec![0; history + (packet_ms as usize + LEFT_MS) * per_ms], history, end: history }
    }

    /// What was played last, the latest sample last.
    pub(super) fn history(&self) -> &[i16] {
        self.row.get(..self.history).unwrap_or(&[])
    }

    /// What is to be played, the next sample first.
    pub(super) fn waiting(&self) -> &[i16] {
        self.row.get(self.history..self.end).unwrap_or(&[])
    }

    pub(super) fn waiting_mut(&mut self) -> &mut [i16] {
        self.row.get_mut(self.history..self.end).unwrap_or(&mut [])
    }

    /// History and what waits behind it, in one piece.
    pub(super) fn all(&self) -> &[i16] {
        self.row.get(..self.end).unwrap_or(&[])
    }

    /// How many samples wait.
    pub(super) const fn len(&self) -> usize {
        self.end - self.history
    }

    /// How many more would fit.
    pub(super) fn room(&self) -> usize {
        self.row.len() - self.end
    }

    /// Appends `count` samples, to be filled in by the caller; as many as there is room for.
    pub(super) fn append(&mut self, count: usize) -> &mut [i16] {
        let start = self.end;
        self.end = (start + count).min(self.row.len());
        let appended = self.row.get_mut(start..self.end).unwrap_or(&mut []);
        appended.fill(0);
        appended
    }

    /// Takes back the last `count` samples that were appended.
    pub(super) fn take_back(&mut self, count: usize) {
        self.end = self.end.saturating_sub(count).max(self.history);
    }

    /// How many samples can wait.
    pub(super) fn capacity(&self) -> usize {
        self.row.len() - self.history
    }

    /// Hands out the next samples; silence where there are none.
    pub(super) fn play(&mut self, out: &mut [i16]) {
        let count = self.len().min(out.len());
        let (played, silent) = out.split_at_mut(count);
        played.copy_from_slice(self.row.get(self.history..self.history + count).unwrap_or(&[]));
        silent.fill(0);
        self.row.copy_within(count..self.end, 0);
        self.end -= count;
    }

    /// Takes out the first `count` samples that wait.
    pub(super) fn remove(&mut self, count: usize) {
        let from = (self.history + count).min(self.end);
        self.row.copy_within(from..self.end, self.history);
        self.end -= from - self.history;
    }

    /// Opens a gap of `count` samples before the first that waits, to be filled in by the caller: the history, and what
    /// waits with the gap in front. `None` when there is no room.
    pub(super) fn open(&mut self, count: usize) -> Option<(&[i16], &mut [i16])> {
        if count > self.room() {
            return None;
        }
        self.row.copy_within(self.history..self.end, self.history + count);
        self.end += count;
        let (history, rest) = self.row.split_at_mut_checked(self.history)?;
        Some((history, rest.get_mut(..self.end - self.history)?))
    }
}

//! Replay protection by nonce counts (RFC 7616 §3.4 `nc`).
//!
//! Each accepted nonce has a window of the 64 counts up to the highest one seen, so that requests which overtake one
//! another are all accepted, each once. State begins with the first request that was verified.
//!
//! Bounded: at capacity the nonce that came into use first is dropped, and every nonce without state that was issued no
//! later than a dropped one is refused from then on, so that forgetting never re-opens a replay. All work is O(1): a
//! ring of entries in order of first use, and chains over the ring from a fixed table of heads, which never rehashes.

use super::nonce::Fresh;
use crate::Time;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a count is refused. The caller answers all with 401 or 407, a fresh nonce and `stale=true`, never with 403.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum CountError {
    /// The count was used, or lies so far below the highest one that nobody remembers.
    #[error("nonce count used before")]
    Replayed,
    /// The request that used the highest count came again: its answer was lost. What may be done twice may be answered
    /// again; anything else treats it like [`CountError::Replayed`].
    #[error("the same request again")]
    Repeated,
    /// The nonce is too old, or as old as one whose counts were dropped.
    #[error("nonce expired")]
    Expired,
}

/// The counts used with each nonce that has not expired.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(from = "Snapshot", into = "Snapshot")]
pub struct NonceCounts {
    capacity: u32,
    lifetime: Duration,
    /// Slot numbers plus one by the low bits of the id; 0 ends a chain.
    heads: Vec<u32>,
    /// A ring: `length` entries from `oldest` on, wrapping at `capacity`.
    slots: Vec<Entry>,
    oldest: u32,
    length: u32,
    /// A nonce without state that was issued at this time or before is refused.
    dropped_until: Option<Time>,
    dropped: u64,
}

/// One nonce in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    id: u64,
    issued: Time,
    highest: u32,
    /// Bit `n` says that the count `highest - n` was used.
    used: u64,
    /// The request that used the highest count.
    request: u64,
    /// The next slot of the chain plus one.
    #[serde(skip)]
    next: u32,
}

impl NonceCounts {
    /// Room for `capacity` nonces (at least 1, at most 2^24), reserved at once, about 48 bytes each; `lifetime` as in
    /// [`super::Nonces`].
    ///
    /// A nonce survives at least `capacity` first uses of others: at 1,000 challenged requests a second, 65,536 of room
    /// lets a phone use its nonce again for a minute.
    pub fn new(capacity: u32, lifetime: Duration) -> NonceCounts {
        let capacity = capacity.clamp(1, 1 << 24);
        NonceCounts {
            capacity,
            lifetime,
            heads: vec![0; capacity.next_power_of_two() as usize],
            slots: Vec::with_capacity(capacity as usize),
            oldest: 0,
            length: 0,
            dropped_until: None,
            dropped: 0,
        }
    }

    /// Marks the count `nc` of a nonce as used by `request`, a number that copies of a request have in common and nobody
    /// can choose. To be called after the response was verified, not before. O(1).
    ///
    /// # Errors
    /// [`CountError`]: the request must not be accepted.
    pub fn use_count(&mut self, nonce: Fresh, nc: u32, request: u64, now: Time) -> Result<(), CountError> {
        self.forget_expired(now);
        if now.since(nonce.issued) >= self.lifetime {
            return Err(CountError::Expired);
        }
        if let Some(entry) = self.find(nonce.id) {
            return entry.use_count(nc, request);
        }
        if self.dropped_until.is_some_and(|until| nonce.issued <= until) {
            return Err(CountError::Expired);
        }
        let mut entry =
            Entry { id: nonce.id, issued: nonce.issued, highest: 0, used: 1, request: 0, next: 0 };
        entry.use_count(nc, request)?;
        if self.length == self.capacity {
            self.drop_oldest();
        }
        self.push(entry);
        Ok(())
    }

    /// How many nonces have state.
    pub const fn len(&self) -> usize {
        self.length as usize
    }

    /// Whether no nonce has state.
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// How many nonces were dropped for want of room since the start: a counter for the operator.
    pub const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Entries leave in the order of their first use; each is gone at the latest one lifetime after it.
    fn forget_expired(&mut self, now: Time) {
        // Two at most for one that may come: the ring drains faster than it fills, and no call pays for a crowd.
        for _ in 0..2 {
            match self.oldest_entry() {
                Some(entry) if now.since(entry.issued) >= self.lifetime => self.pop(),
                Some(_) | None => return,
            }
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(entry) = self.oldest_entry() {
            self.dropped_until = self.dropped_until.max(Some(entry.issued));
            self.dropped = self.dropped.saturating_add(1);
            self.pop();
        }
    }

    fn oldest_entry(&self) -> Option<Entry> {
        if self.length == 0 { None } else { self.slots.get(self.oldest as usize).copied() }
    }

    fn find(&mut self, id: u64) -> Option<&mut Entry> {
        let mut link = self.heads.get(self.bucket(id)).copied().unwrap_or(0);
        while let Some(slot) = link.checked_sub(1) {
            let entry = self.slots.get(slot as usize)?;
            if entry.id == id {
                return self.slots.get_mut(slot as usize);
            }
            link = entry.next;
        }
        None
    }

    fn push(&mut self, mut entry: Entry) {
        let slot = (self.oldest + self.length) % self.capacity;
        let bucket = self.bucket(entry.id);
        if let Some(head) = self.heads.get_mut(bucket) {
            entry.next = std::mem::replace(head, slot + 1);
        }
        // The ring is filled in order the first time round, so a slot that is not there yet is the next one.
        match self.slots.get_mut(slot as usize) {
            Some(place) => *place = entry,
            None => self.slots.push(entry),
        }
        self.length += 1;
    }

    /// Takes the oldest entry out of the ring and out of its chain.
    fn pop(&mut self) {
        let Some(entry) = self.oldest_entry() else { return };
        let link = self.oldest + 1;
        let bucket = self.bucket(entry.id);
        let mut at = self.heads.get(bucket).copied().unwrap_or(0);
        if at == link {
            if let Some(head) = self.heads.get_mut(bucket) {
                *head = entry.next;
            }
        } else {
            while let Some(before) = at.checked_sub(1).and_then(|slot| self.slots.get_mut(slot as usize)) {
                at = before.next;
                if at == link {
                    before.next = entry.next;
                    break;
                }
            }
        }
        self.oldest = (self.oldest + 1) % self.capacity;
        self.length -= 1;
    }

    /// The id is a keyed hash already: its low bits are the bucket.
    fn bucket(&self, id: u64) -> usize {
        id as usize & (self.heads.len() - 1)
    }
}

impl Entry {
    /// Marks a count in the window; a fresh entry starts with the count 0 used, since counts begin at 1.
    fn use_count(&mut self, nc: u32, request: u64) -> Result<(), CountError> {
        if nc > self.highest {
            let shift = nc - self.highest;
            self.used = self.used.checked_shl(shift).unwrap_or(0) | 1;
            self.highest = nc;
            self.request = request;
            return Ok(());
        }
        let bit = 1_u64.checked_shl(self.highest - nc).ok_or(CountError::Replayed)?;
        if self.used & bit != 0 {
            let repeated = nc == self.highest && nc > 0 && request == self.request;
            return Err(if repeated { CountError::Repeated } else { CountError::Replayed });
        }
        self.used |= bit;
        Ok(())
    }
}

/// What is written of [`NonceCounts`]: the entries in order of first use; the chains are rebuilt.
#[derive(Serialize, Deserialize)]
struct Snapshot {
    capacity: u32,
    lifetime: Duration,
    entries: Vec<Entry>,
    dropped_until: Option<Time>,
    dropped: u64,
}

impl From<NonceCounts> for Snapshot {
    fn from(counts: NonceCounts) -> Snapshot {
        let (newer, older) = counts.slots.split_at((counts.oldest as usize).min(counts.slots.len()));
        let entries = older.iter().chain(newer).take(counts.length as usize).copied().collect();
        let NonceCounts { capacity, lifetime, dropped_until, dropped, .. } = counts;
        Snapshot { capacity, lifetime, entries, dropped_until, dropped }
    }
}

impl From<Snapshot> for NonceCounts {
    fn from(snapshot: Snapshot) -> NonceCounts {
        let mut counts = NonceCounts::new(snapshot.capacity, snapshot.lifetime);
        counts.dropped_until = snapshot.dropped_until;
        counts.dropped = snapshot.dropped;
        for entry in snapshot.entries.into_iter().take(counts.capacity as usize) {
            counts.push(entry);
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::{BTreeMap, BTreeSet};

    const LIFETIME: Duration = Duration::from_secs(300);
    const NOW: Time = Time::from_millis(1_000);
    const OTHER: u64 = 1;

    fn nonce(number: u64, issued: Time) -> Fresh {
        // Spread as a keyed hash would.
        Fresh { issued, id: number.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(32) }
    }

    #[test]
    fn each_count_is_accepted_once_in_any_order_within_the_window() {
        let mut counts = NonceCounts::new(8, LIFETIME);
        let nonce = nonce(1, NOW);
        for nc in [1, 3, 2, 70, 7, 69, 71] {
            assert_eq!(counts.use_count(nonce, nc, OTHER, NOW), Ok(()), "{nc}");
            assert_eq!(counts.use_count(nonce, nc, 2, NOW), Err(CountError::Replayed), "{nc}");
        }
        assert_eq!(counts.use_count(nonce, 4, OTHER, NOW), Err(CountError::Replayed), "below the window");
        assert_eq!(counts.use_count(nonce, 8, OTHER, NOW), Ok(()), "the lowest of the window");
        assert_eq!(counts.use_count(nonce, u32::MAX, OTHER, NOW), Ok(()));
        assert_eq!(counts.use_count(nonce, 71, OTHER, NOW), Err(CountError::Replayed));
    }

    #[test]
    fn the_last_request_is_known_when_it_comes_again_and_no_other_passes_for_it() {
        let mut counts = NonceCounts::new(8, LIFETIME);
        let nonce = nonce(1, NOW);
        assert_eq!(counts.use_count(nonce, 1, 10, NOW), Ok(()));
        assert_eq!(counts.use_count(nonce, 1, 10, NOW), Err(CountError::Repeated));
        assert_eq!(counts.use_count(nonce, 1, 11, NOW), Err(CountError::Replayed));
        assert_eq!(counts.use_count(nonce, 2, 12, NOW), Ok(()));
        assert_eq!(counts.use_count(nonce, 1, 10, NOW), Err(CountError::Replayed), "another came since");
        assert_eq!(counts.use_count(nonce, 2, 12, NOW), Err(CountError::Repeated));
    }

    #[test]
    fn the_count_zero_is_never_accepted_and_leaves_no_state() {
        let mut counts = NonceCounts::new(8, LIFETIME);
        assert_eq!(counts.use_count(nonce(1, NOW), 0, OTHER, NOW), Err(CountError::Replayed));
        assert!(counts.is_empty());
    }

    #[test]
    fn an_expired_nonce_is_refused_and_its_state_goes() {
        let mut counts = NonceCounts::new(8, LIFETIME);
        for number in 0..4 {
            counts.use_count(nonce(number, NOW), 1, OTHER, NOW).unwrap();
        }
        let later = NOW + LIFETIME;
        assert_eq!(counts.use_count(nonce(1, NOW), 2, OTHER, later), Err(CountError::Expired));
        counts.use_count(nonce(9, later), 1, OTHER, later).unwrap();
        assert_eq!(counts.len(), 1);
        assert_eq!(counts.dropped(), 0, "expiry is not overflow");
    }

    #[test]
    fn overflow_drops_the_oldest_and_never_reopens_a_replay() {
        let mut counts = NonceCounts::new(2, LIFETIME);
        let [first, second, third] =
            [1, 2, 3].map(|number| nonce(number, NOW + Duration::from_nanos(number)));
        for used in [first, second, third] {
            counts.use_count(used, 1, OTHER, NOW).unwrap();
        }
        assert_eq!((counts.len(), counts.dropped()), (2, 1));
        assert_eq!(counts.use_count(first, 1, OTHER, NOW), Err(CountError::Expired));
        assert_eq!(counts.use_count(first, 2, OTHER, NOW), Err(CountError::Expired));
        assert_eq!(counts.use_count(second, 2, OTHER, NOW), Ok(()), "still known");
        assert_eq!(
            counts.use_count(nonce(4, NOW), 1, OTHER, NOW),
            Err(CountError::Expired),
            "older than the dropped one"
        );
        assert_eq!(counts.use_count(nonce(5, NOW + Duration::from_nanos(9)), 1, OTHER, NOW), Ok(()));
    }

    #[test]
    fn sixty_thousand_first_uses_a_second_neither_grow_nor_scan() {
        let mut counts = NonceCounts::new(4096, LIFETIME);
        let reserved = (counts.heads.len(), counts.slots.capacity());
        for number in 0..60_000 {
            let now = NOW + Duration::from_nanos(16_667 * number);
            counts.use_count(nonce(number, now), 1, OTHER, now).unwrap();
        }
        assert_eq!((counts.heads.len(), counts.slots.capacity()), reserved);
        assert_eq!(counts.len(), 4096);
        let longest = counts.heads.iter().map(|head| chain_length(&counts, *head)).max();
        assert!(longest < Some(16), "{longest:?}");
    }

    fn chain_length(counts: &NonceCounts, head: u32) -> usize {
        std::iter::successors(head.checked_sub(1), |slot| counts.slots[*slot as usize].next.checked_sub(1))
            .count()
    }

    /// What is remembered without any bound: every use ever, and when each nonce was first used.
    #[derive(Default)]
    struct Model {
        used: BTreeMap<u64, BTreeSet<u32>>,
    }

    proptest! {
        #[test]
        fn no_count_is_ever_accepted_twice_and_a_snapshot_changes_nothing(
            operations in proptest::collection::vec((0_u64..12, 0_u32..80, 0_u64..40), 0..300),
            capacity in 1_u32..6,
            snapshot_at in 0_usize..300,
        ) {
            let lifetime = Duration::from_secs(60);
            let mut counts = NonceCounts::new(capacity, lifetime);
            let mut model = Model::default();
            let mut now = NOW;
            for (step, (number, nc, pause)) in operations.into_iter().enumerate() {
                now = now + Duration::from_secs(pause / 8);
                if step == snapshot_at {
                    let bytes = postcard::to_allocvec(&counts).unwrap();
                    counts = postcard::from_bytes(&bytes).unwrap();
                    prop_assert_eq!(postcard::to_allocvec(&counts).unwrap(), bytes);
                }
                let nonce = nonce(number, NOW + Duration::from_secs(number));
                let used = model.used.entry(number).or_default();
                let accepted = counts.use_count(nonce, nc, OTHER, now).is_ok();
                prop_assert!(!accepted || used.insert(nc), "{number} {nc} accepted twice");
                prop_assert!(counts.len() <= capacity as usize);
                let linked: usize = counts.heads.iter().map(|head| chain_length(&counts, *head)).sum();
                prop_assert_eq!(linked, counts.len());
            }
        }
    }
}

//! State in rows, of which each watcher may have been told another part: what has changed since it was told last (RFC 6665 §5.3.2).
//!
//! Every change has a number. Rows that are over stay for those who have not heard, [`OVER`] of them; a watcher that has not been
//! told for longer than they last is told everything. What finds no row waits for one, and has the first that is free.

use super::ROWS;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Rows that are over, kept at most.
const OVER: usize = 16;

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Row<V> {
    changed: u64,
    is_over: bool,
    value: V,
}

/// Rows by the numbers that name them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ledger<V> {
    changes: u64,
    rows: BTreeMap<u64, Row<V>>,
    /// Rows that are not over.
    count: usize,
    /// The change of the last row that was dropped.
    dropped: u64,
    /// What there is no row for.
    waiting: BTreeMap<u64, V>,
}

impl<V> Default for Ledger<V> {
    fn default() -> Ledger<V> {
        Ledger { changes: 0, rows: BTreeMap::new(), count: 0, dropped: 0, waiting: BTreeMap::new() }
    }
}

impl<V: PartialEq> Ledger<V> {
    /// The number of the last change.
    pub(super) const fn changes(&self) -> u64 {
        self.changes
    }

    /// How many are not over, those that wait for a row included.
    pub(super) fn count(&self) -> usize {
        self.count + self.waiting.len()
    }

    /// Rows that are not over.
    pub(super) fn live(&self) -> impl Iterator<Item = (u64, &V)> {
        self.rows.iter().filter(|(_, row)| !row.is_over).map(|(name, row)| (*name, &row.value))
    }

    /// All rows, those that are over included.
    pub(super) fn all(&self) -> impl Iterator<Item = &V> {
        self.rows.values().map(|row| &row.value)
    }

    /// Puts a row in, or another value in its place; whether that changed any row.
    pub(super) fn put(&mut self, name: u64, value: V) -> bool {
        let is_new = match self.rows.get(&name) {
            Some(row) if !row.is_over && row.value == value => return false,
            Some(row) => row.is_over,
            None => true,
        };
        if is_new && self.count >= ROWS {
            self.waiting.insert(name, value);
            return false;
        }
        self.count += usize::from(is_new);
        self.changes += 1;
        self.rows.insert(name, Row { changed: self.changes, is_over: false, value });
        true
    }

    /// A row is over, and `tell` says in it how; whether it was there. The first that waits for a row has one then.
    pub(super) fn end(&mut self, name: u64, tell: impl FnOnce(&mut V)) -> bool {
        self.waiting.remove(&name);
        let Some(row) = self.rows.get_mut(&name).filter(|row| !row.is_over) else { return false };
        self.changes += 1;
        (row.changed, row.is_over) = (self.changes, true);
        tell(&mut row.value);
        self.count -= 1;
        self.drop_oldest();
        if let Some((next, value)) = self.waiting.pop_first() {
            self.put(next, value);
        }
        true
    }

    /// Everybody is to be told everything, because rows are shown in another way.
    pub(super) fn begin_anew(&mut self) {
        self.changes += 1;
        self.dropped = self.changes;
    }

    /// What is to be told to one who heard the change `since` as the last: whether that is all there is, rather than what has changed
    /// since, and the rows with whether they are over.
    ///
    /// As long as there are no more than `few` rows everything is told: it is as short, and phones that mistake a part for the whole
    /// get none.
    pub(super) fn told(&self, since: u64, is_full: bool, few: usize) -> (bool, Vec<(u64, bool, &V)>) {
        let is_full = is_full || since < self.dropped || self.count <= few;
        let rows = self.rows.iter().filter(|(_, row)| row.changed > since || (is_full && !row.is_over));
        (is_full, rows.map(|(name, row)| (*name, row.is_over, &row.value)).collect())
    }

    fn drop_oldest(&mut self) {
        let over = || self.rows.iter().filter(|(_, row)| row.is_over);
        if over().count() <= OVER {
            return;
        }
        if let Some((name, changed)) =
            over().map(|(name, row)| (*name, row.changed)).min_by_key(|(_, at)| *at)
        {
            self.rows.remove(&name);
            self.dropped = self.dropped.max(changed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn names(told: &(bool, Vec<(u64, bool, &u8)>)) -> Vec<(u64, bool)> {
        told.1.iter().map(|(name, is_over, _)| (*name, *is_over)).collect()
    }

    #[test]
    fn whoever_heard_is_told_what_has_changed_since() {
        let mut ledger = Ledger::default();
        for name in 1..=6 {
            assert!(ledger.put(name, 0_u8));
        }
        let heard = ledger.changes();
        assert!(!ledger.put(3, 0), "no news");
        assert!(ledger.put(3, 1) && ledger.end(5, |value| *value = 9) && !ledger.end(5, |_| ()));
        let told = ledger.told(heard, false, 4);
        assert_eq!((told.0, names(&told)), (false, vec![(3, false), (5, true)]));
        let told = ledger.told(heard, true, 4);
        assert_eq!(names(&told), [(1, false), (2, false), (3, false), (4, false), (5, true), (6, false)]);
        let told = ledger.told(ledger.changes(), true, 4);
        assert!(!names(&told).contains(&(5, true)), "it knows that already");
    }

    #[test]
    fn few_rows_are_told_whole_and_so_is_who_has_missed_too_much() {
        let mut ledger = Ledger::default();
        ledger.put(1, 0_u8);
        assert!(ledger.told(ledger.changes(), false, 4).0);
        for name in 0..10 {
            ledger.put(name, 0);
        }
        let heard = ledger.changes();
        assert!(!ledger.told(heard, false, 4).0);
        for name in 100..=100 + OVER as u64 {
            ledger.put(name, 0);
            ledger.end(name, |_| ());
        }
        assert!(ledger.told(heard, false, 4).0);
    }

    #[test]
    fn there_is_a_bound_to_rows() {
        let mut ledger = Ledger::default();
        for name in 0..ROWS as u64 {
            assert!(ledger.put(name, 0_u8));
        }
        assert!(!ledger.put(9_999, 0) && ledger.put(0, 1));
        assert!(!ledger.put(9_998, 0) && !ledger.end(9_998, |_| ()), "it had no row");
        assert_eq!((ledger.live().count(), ledger.count()), (ROWS, ROWS + 1));
        let heard = ledger.changes();
        assert!(ledger.end(5, |_| ()));
        assert_eq!(names(&ledger.told(heard, false, 4)), [(5, true), (9_999, false)], "who waited is told");
        assert_eq!((ledger.live().count(), ledger.count()), (ROWS, ROWS));
    }

    #[test]
    fn whoever_heard_before_everything_was_to_be_told_anew_is_told_everything() {
        let mut ledger = Ledger::default();
        for name in 0..6 {
            ledger.put(name, 0_u8);
        }
        let heard = ledger.changes();
        ledger.begin_anew();
        assert_eq!(ledger.told(heard, false, 4).1.len(), 6);
        assert!(!ledger.told(ledger.changes(), false, 4).0);
    }

    proptest! {
        /// A listener that takes each document as it says knows exactly what there is.
        #[test]
        fn whoever_takes_what_it_is_told_knows_what_there_is(
            deeds in proptest::collection::vec((0..12_u64, 0..3_u8, 0..4_u8), 0..120), few in 0..6_usize,
        ) {
            let mut ledger = Ledger::default();
            let mut known: BTreeMap<u64, u8> = BTreeMap::new();
            let mut heard = 0;
            for (name, value, deed) in deeds {
                match deed {
                    0 | 1 => _ = ledger.put(name, value),
                    2 => _ = ledger.end(name, |_| ()),
                    _ => {
                        let (is_full, rows) = ledger.told(heard, false, few);
                        if is_full {
                            known.clear();
                        }
                        for (name, is_over, value) in rows {
                            if is_over { known.remove(&name) } else { known.insert(name, *value) };
                        }
                        heard = ledger.changes();
                        let there: BTreeMap<u64, u8> = ledger.live().map(|(name, value)| (name, *value)).collect();
                        prop_assert_eq!(&known, &there);
                        prop_assert_eq!(there.len(), ledger.count());
                    }
                }
            }
        }
    }
}

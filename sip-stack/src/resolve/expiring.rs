//! A bounded map whose entries end by themselves. When it is full, the entry that would end first makes room.

use crate::time::Time;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Values by key, each until its time.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Expiring<K: Ord, V> {
    capacity: usize,
    entries: BTreeMap<K, (V, Time)>,
    order: BTreeSet<(Time, K)>,
}

impl<K: Ord + Clone, V> Expiring<K, V> {
    pub(super) fn new(capacity: usize) -> Expiring<K, V> {
        Expiring { capacity, entries: BTreeMap::new(), order: BTreeSet::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn is_full(&self) -> bool {
        self.len() >= self.capacity
    }

    /// The value under `key` and when it ends, unless it has.
    pub(super) fn get(&self, now: Time, key: &K) -> Option<&(V, Time)> {
        self.entries.get(key).filter(|(_, until)| *until > now)
    }

    pub(super) fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        self.entries.get_mut(key).map(|(value, _)| value)
    }

    /// Keeps `value` until `until` in place of what stood under `key`; returns whether another had to make room.
    pub(super) fn insert(&mut self, key: K, value: V, until: Time) -> bool {
        self.remove(&key);
        let crowded = self.is_full();
        if crowded && let Some((_, first)) = self.order.pop_first() {
            self.entries.remove(&first);
        }
        self.order.insert((until, key.clone()));
        self.entries.insert(key, (value, until));
        crowded
    }

    pub(super) fn remove(&mut self, key: &K) -> Option<V> {
        let (key, (value, until)) = self.entries.remove_entry(key)?;
        self.order.remove(&(until, key));
        Some(value)
    }

    /// When the next entry ends.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        self.order.first().map(|(until, _)| *until)
    }

    /// Takes out the next entry that has ended.
    pub(super) fn pop_due(&mut self, now: Time) -> Option<(K, V)> {
        if self.poll_timeout()? > now {
            return None;
        }
        let (_, key) = self.order.pop_first()?;
        self.entries.remove_entry(&key).map(|(key, (value, _))| (key, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_map_drops_what_would_end_first() {
        let mut map = Expiring::new(2);
        assert!(!map.insert('a', 1, Time(30)));
        assert!(!map.insert('b', 2, Time(20)));
        assert!(!map.insert('a', 3, Time(10)), "the same key needs no room");
        assert!(map.insert('c', 4, Time(40)));
        assert_eq!((map.get(Time(9), &'a'), map.len()), (None, 2));
        assert_eq!(map.get(Time(19), &'b'), Some(&(2, Time(20))));
        assert_eq!(map.get(Time(20), &'b'), None);
        assert_eq!(map.pop_due(Time(19)), None);
        assert_eq!(map.pop_due(Time(20)), Some(('b', 2)));
        assert_eq!(map.remove(&'c'), Some(4));
        assert_eq!((map.poll_timeout(), map.len()), (None, 0));
    }
}

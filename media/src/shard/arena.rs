//! The legs of a shard in one slab, under keys that outlive them safely.
//!
//! A slot is used again after its leg is gone; the generation in the key tells the new tenant from the old one, so that a
//! stale key finds nothing.

use serde::{Deserialize, Serialize};

/// Names a slot of an arena and its tenant.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct LegKey {
    index: u32,
    generation: u32,
}

impl LegKey {
    /// The key of the first leg that an arena takes in.
    #[cfg(test)]
    pub(crate) const FIRST: Self = Self { index: 0, generation: 0 };

    /// The slot, counted from zero; at most as many as legs were ever open at once.
    #[must_use]
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// A slab with generations.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Arena<T> {
    slots: Vec<Slot<T>>,
    free: Vec<u32>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Slot<T> {
    generation: u32,
    tenant: Option<T>,
}

impl<T> Arena<T> {
    pub(crate) const fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    /// Puts a value into a free slot, or a new one. May allocate.
    pub(crate) fn insert(&mut self, tenant: T) -> LegKey {
        if let Some(index) = self.free.pop()
            && let Some(slot) = self.slots.get_mut(index as usize)
        {
            slot.tenant = Some(tenant);
            return LegKey { index, generation: slot.generation };
        }
        let index =
            u32::try_from(self.slots.len()).expect("a leg holds two of 65536 ports, so 2^32 never fit");
        self.slots.push(Slot { generation: 0, tenant: Some(tenant) });
        LegKey { index, generation: 0 }
    }

    /// Takes a value out; its key and all copies of it are stale from now on.
    pub(crate) fn remove(&mut self, key: LegKey) -> Option<T> {
        let slot = self.slots.get_mut(key.index()).filter(|slot| slot.generation == key.generation)?;
        let tenant = slot.tenant.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(key.index);
        Some(tenant)
    }

    pub(crate) fn get(&self, key: LegKey) -> Option<&T> {
        let slot = self.slots.get(key.index()).filter(|slot| slot.generation == key.generation)?;
        slot.tenant.as_ref()
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: LegKey) -> Option<&mut T> {
        let slot = self.slots.get_mut(key.index()).filter(|slot| slot.generation == key.generation)?;
        slot.tenant.as_mut()
    }

    /// All values, in order of their slots.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().filter_map(|slot| slot.tenant.as_mut())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_key_finds_nothing_in_a_slot_used_again() {
        let mut arena = Arena::new();
        let old = arena.insert("old");
        assert_eq!(arena.remove(old), Some("old"));
        let new = arena.insert("new");
        assert_eq!(new.index(), old.index());
        assert_eq!(arena.get(old), None);
        assert_eq!(arena.get_mut(old), None);
        assert_eq!(arena.remove(old), None);
        assert_eq!(arena.get(new), Some(&"new"));
    }

    #[test]
    fn values_are_visited_in_the_order_of_their_slots() {
        let mut arena = Arena::new();
        let keys: Vec<LegKey> = (0..4).map(|value| arena.insert(value)).collect();
        arena.remove(keys[1]);
        assert_eq!(arena.iter_mut().map(|value| *value).collect::<Vec<_>>(), [0, 2, 3]);
    }
}

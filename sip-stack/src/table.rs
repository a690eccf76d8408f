//! Storage for everything a core holds in numbers: slots with generations, copied out slice by slice.
//!
//! A snapshot of a core must be the state of one moment, yet never stop the core for long. [`Table`] therefore copies
//! on write: after [`Table::snapshot`] the slots are written a slice at a time, and a slot that is about to change
//! before its turn is written first, as it was. Indexes ([`KeyIndex`]) and timer queues are derived from the slots and
//! rebuilt after loading; they are never part of a snapshot.
//!
//! Left out on purpose: iteration in hash order, and shrinking.

use core::marker::PhantomData;
use hashbrown::HashTable;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Refers to one occupant of a slot of a `Table<V>`; a later occupant of the same slot has another generation.
#[derive(Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Id<V> {
    index: u32,
    generation: u32,
    #[serde(skip)]
    of: PhantomData<fn() -> V>,
}

impl<V> Id<V> {
    const fn new(index: u32, generation: u32) -> Id<V> {
        Id { index, generation, of: PhantomData }
    }

    /// Slot and generation in one number, unique for the life of the table.
    pub const fn as_u64(self) -> u64 {
        ((self.generation as u64) << 32) | self.index as u64
    }

    /// The inverse of [`Id::as_u64`].
    pub const fn from_u64(number: u64) -> Id<V> {
        Id::new(number as u32, (number >> 32) as u32)
    }
}

impl<V> Clone for Id<V> {
    fn clone(&self) -> Id<V> {
        *self
    }
}
impl<V> Copy for Id<V> {}
impl<V> PartialEq for Id<V> {
    fn eq(&self, other: &Id<V>) -> bool {
        self.as_u64() == other.as_u64()
    }
}
impl<V> Eq for Id<V> {}
impl<V> PartialOrd for Id<V> {
    fn partial_cmp(&self, other: &Id<V>) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl<V> Ord for Id<V> {
    fn cmp(&self, other: &Id<V>) -> core::cmp::Ordering {
        self.as_u64().cmp(&other.as_u64())
    }
}
impl<V> core::fmt::Debug for Id<V> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}", self.index, self.generation)
    }
}

#[derive(Debug, Serialize, Deserialize)]
enum Occupancy<V> {
    Vacant { next: Option<u32> },
    Occupied(V),
}

#[derive(Debug)]
struct Slot<V> {
    generation: u32,
    /// The snapshot that has this slot already.
    copied_in: u32,
    occupancy: Occupancy<V>,
}

#[derive(Debug)]
struct Copying {
    cursor: usize,
    end: usize,
    spilled: Vec<u8>,
}

/// Slots that stay where they are: a table grows by a chunk, and never moves what it holds, which at a hundred thousand
/// occupants would take longer than a core may pause.
#[derive(Debug)]
struct Slots<V>(Vec<Vec<Slot<V>>>);

/// Slots in a chunk.
const CHUNK: usize = 256;

impl<V> Slots<V> {
    fn len(&self) -> usize {
        match self.0.split_last() {
            Some((last, full)) => full.len() * CHUNK + last.len(),
            None => 0,
        }
    }

    fn get(&self, index: usize) -> Option<&Slot<V>> {
        self.0.get(index / CHUNK)?.get(index % CHUNK)
    }

    fn get_mut(&mut self, index: usize) -> Option<&mut Slot<V>> {
        self.0.get_mut(index / CHUNK)?.get_mut(index % CHUNK)
    }

    fn push(&mut self, slot: Slot<V>) {
        match self.0.last_mut() {
            Some(last) if last.len() < CHUNK => last.push(slot),
            Some(_) | None => {
                let mut chunk = Vec::with_capacity(CHUNK);
                chunk.push(slot);
                self.0.push(chunk);
            }
        }
    }

    fn iter(&self) -> impl Iterator<Item = &Slot<V>> {
        self.0.iter().flatten()
    }
}

impl<V> FromIterator<Slot<V>> for Slots<V> {
    fn from_iter<I: IntoIterator<Item = Slot<V>>>(slots: I) -> Slots<V> {
        let mut filled = Slots(Vec::new());
        slots.into_iter().for_each(|slot| filled.push(slot));
        filled
    }
}

/// Slots of `V` with stable ids; O(1) insert, look-up and removal.
#[derive(Debug)]
pub struct Table<V> {
    slots: Slots<V>,
    vacant: Option<u32>,
    len: usize,
    snapshots: u32,
    copying: Option<Copying>,
}

impl<V> Default for Table<V> {
    fn default() -> Table<V> {
        Table { slots: Slots(Vec::new()), vacant: None, len: 0, snapshots: 0, copying: None }
    }
}

impl<V> Table<V> {
    /// Occupied slots.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether no slot is occupied.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The occupant, unless it has left.
    pub fn get(&self, id: Id<V>) -> Option<&V> {
        match self.slots.get(id.index as usize) {
            Some(Slot { generation, occupancy: Occupancy::Occupied(value), .. })
                if *generation == id.generation =>
            {
                Some(value)
            }
            _ => None,
        }
    }

    /// The id that the next [`Table::insert`] will return.
    pub fn next_id(&self) -> Id<V> {
        match self.vacant {
            Some(index) => Id::new(index, self.slots.get(index as usize).map_or(0, |slot| slot.generation)),
            None => Id::new(self.slots.len() as u32, 0),
        }
    }

    /// Slots, occupied or not: the bound of the places of [`Table::at`].
    pub fn slots(&self) -> usize {
        self.slots.len()
    }

    /// The occupant of the slot at this place, for walks that pause.
    pub fn at(&self, place: usize) -> Option<(Id<V>, &V)> {
        let slot = self.slots.get(place)?;
        match &slot.occupancy {
            Occupancy::Occupied(value) => Some((Id::new(u32::try_from(place).ok()?, slot.generation), value)),
            Occupancy::Vacant { .. } => None,
        }
    }

    /// All occupants in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (Id<V>, &V)> {
        self.slots.iter().enumerate().filter_map(|(index, slot)| match &slot.occupancy {
            Occupancy::Occupied(value) => Some((Id::new(index as u32, slot.generation), value)),
            Occupancy::Vacant { .. } => None,
        })
    }
}

impl<V: Serialize> Table<V> {
    /// Stores `value` in the slot vacated last, or in a new one.
    pub fn insert(&mut self, value: V) -> Id<V> {
        self.len += 1;
        let Some(index) = self.vacant else {
            let index = u32::try_from(self.slots.len()).expect("a table holds fewer than 2^32 slots");
            self.slots.push(Slot { generation: 0, copied_in: 0, occupancy: Occupancy::Occupied(value) });
            return Id::new(index, 0);
        };
        self.copy_before_write(index as usize);
        let slot = self.slots.get_mut(index as usize).expect("the list of vacant slots names slots");
        if let Occupancy::Vacant { next } = slot.occupancy {
            self.vacant = next;
        }
        slot.occupancy = Occupancy::Occupied(value);
        Id::new(index, slot.generation)
    }

    /// The occupant, to be changed.
    pub fn get_mut(&mut self, id: Id<V>) -> Option<&mut V> {
        self.get(id)?;
        self.copy_before_write(id.index as usize);
        match &mut self.slots.get_mut(id.index as usize)?.occupancy {
            Occupancy::Occupied(value) => Some(value),
            Occupancy::Vacant { .. } => None,
        }
    }

    /// Takes the occupant out; its id refers to nothing from now on.
    pub fn remove(&mut self, id: Id<V>) -> Option<V> {
        self.get(id)?;
        self.copy_before_write(id.index as usize);
        let vacated = Occupancy::Vacant { next: self.vacant };
        let slot = self.slots.get_mut(id.index as usize)?;
        slot.generation = slot.generation.wrapping_add(1);
        self.vacant = Some(id.index);
        self.len -= 1;
        match core::mem::replace(&mut slot.occupancy, vacated) {
            Occupancy::Occupied(value) => Some(value),
            Occupancy::Vacant { .. } => None,
        }
    }

    fn copy_before_write(&mut self, index: usize) {
        let (Some(copying), Some(slot)) = (&mut self.copying, self.slots.get_mut(index)) else { return };
        if index >= copying.cursor && index < copying.end && slot.copied_in != self.snapshots {
            slot.copied_in = self.snapshots;
            write_slot(index, slot, &mut copying.spilled);
        }
    }

    /// Begins to copy the present state. The head of the table is what [`Serialize`] writes now; the slots follow from
    /// [`Table::slice`]. A copy under way is given up.
    pub fn snapshot(&mut self) {
        self.snapshots = self.snapshots.wrapping_add(1).max(1);
        self.copying = Some(Copying { cursor: 0, end: self.slots.len(), spilled: Vec::new() });
    }

    /// Appends up to `slots` more slots of the copy under way, and those that had to be copied early, to `out`.
    /// Returns whether slots remain.
    pub fn slice(&mut self, slots: usize, out: &mut Vec<u8>) -> bool {
        let Some(copying) = &mut self.copying else { return false };
        out.append(&mut copying.spilled);
        let until = copying.end.min(copying.cursor.saturating_add(slots));
        for index in copying.cursor..until {
            let Some(slot) = self.slots.get_mut(index) else { break };
            if slot.copied_in != self.snapshots {
                slot.copied_in = self.snapshots;
                write_slot(index, slot, out);
            }
        }
        copying.cursor = until;
        if copying.cursor == copying.end {
            self.copying = None;
        }
        self.copying.is_some()
    }
}

fn write_slot<V: Serialize>(index: usize, slot: &Slot<V>, out: &mut Vec<u8>) {
    let length_at = out.len();
    out.extend_from_slice(&[0; 4]);
    let writer = postcard::ser_flavors::io::WriteFlavor::new(&mut *out);
    postcard::serialize_with_flavor(&(index as u32, slot.generation, &slot.occupancy), writer)
        .expect("a slot serialises into memory");
    let length = u32::try_from(out.len() - length_at - 4).expect("a slot is smaller than 4 GiB");
    out[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
}

/// A slice that does not fit the table it is loaded into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LoadError {
    /// The slice ends within a slot, or a slot does not decode.
    #[error("a slot of the snapshot does not decode")]
    Malformed,
    /// The slice names a slot beyond the size that the head announced.
    #[error("the snapshot names slot {0}, which its head does not announce")]
    UnknownSlot(u32),
}

impl<V: DeserializeOwned> Table<V> {
    /// Fills slots from what [`Table::slice`] wrote, in any order.
    ///
    /// # Errors
    /// [`LoadError`] when the bytes are not slices of the table whose head was deserialised.
    pub fn load(&mut self, mut bytes: &[u8]) -> Result<(), LoadError> {
        while let Some((length, rest)) = bytes.split_first_chunk::<4>() {
            let length = u32::from_le_bytes(*length) as usize;
            let (slot, rest) = rest.split_at_checked(length).ok_or(LoadError::Malformed)?;
            let (index, generation, occupancy): (u32, u32, Occupancy<V>) =
                postcard::from_bytes(slot).map_err(|_| LoadError::Malformed)?;
            let slot = self.slots.get_mut(index as usize).ok_or(LoadError::UnknownSlot(index))?;
            *slot = Slot { generation, copied_in: 0, occupancy };
            bytes = rest;
        }
        if bytes.is_empty() { Ok(()) } else { Err(LoadError::Malformed) }
    }
}

/// Writes the head alone; the slots follow slice by slice.
impl<V> Serialize for Table<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.slots.len() as u64, self.vacant, self.len as u64).serialize(serializer)
    }
}

/// Reads the head: every slot is vacant until it is loaded.
impl<'de, V> Deserialize<'de> for Table<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Table<V>, D::Error> {
        let (slots, vacant, len) = <(u64, Option<u32>, u64)>::deserialize(deserializer)?;
        let slots = (0..u32::try_from(slots).map_err(serde::de::Error::custom)?)
            .map(|_| Slot { generation: 0, copied_in: 0, occupancy: Occupancy::Vacant { next: None } })
            .collect();
        Ok(Table { slots, vacant, len: len as usize, snapshots: 0, copying: None })
    }
}

/// Finds ids by a 128-bit key that is itself a keyed SipHash of what it stands for, so that no peer can choose keys
/// that collide. Offers no iteration.
///
/// Kept in 64 tables, so that growing moves a small part at a time: one table of a million keys would stop the
/// core for tens of milliseconds when it doubles.
#[derive(Debug)]
pub struct KeyIndex<V>(Vec<HashTable<(u128, Id<V>)>>);

/// Tables in an index.
const SHARDS: usize = 64;

impl<V> Default for KeyIndex<V> {
    fn default() -> KeyIndex<V> {
        KeyIndex((0..SHARDS).map(|_| HashTable::new()).collect())
    }
}

impl<V> KeyIndex<V> {
    /// The top bits choose the shard, the low ones the place in it.
    fn shard(key: u128) -> usize {
        (key >> 64) as usize % SHARDS
    }

    fn shard_mut(&mut self, key: u128) -> &mut HashTable<(u128, Id<V>)> {
        self.0.get_mut(Self::shard(key)).expect("an index has SHARDS tables")
    }

    /// The id stored under `key`.
    pub fn get(&self, key: u128) -> Option<Id<V>> {
        self.0.get(Self::shard(key))?.find(key as u64, |entry| entry.0 == key).map(|entry| entry.1)
    }

    /// Stores `id` under `key`, in place of what stood there.
    pub fn insert(&mut self, key: u128, id: Id<V>) {
        match self.shard_mut(key).entry(key as u64, |entry| entry.0 == key, |entry| entry.0 as u64) {
            hashbrown::hash_table::Entry::Occupied(mut entry) => entry.get_mut().1 = id,
            hashbrown::hash_table::Entry::Vacant(entry) => {
                entry.insert((key, id));
            }
        }
    }

    /// Forgets `key` if it leads to `id`.
    pub fn remove(&mut self, key: u128, id: Id<V>) {
        if let Ok(entry) = self.shard_mut(key).find_entry(key as u64, |entry| *entry == (key, id)) {
            entry.remove();
        }
    }

    /// Keys stored.
    pub fn len(&self) -> usize {
        self.0.iter().map(HashTable::len).sum()
    }

    /// Whether no key is stored.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(HashTable::is_empty)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Operation {
        Insert(u32),
        Change(usize, u32),
        Remove(usize),
        Slice(usize),
    }

    fn operation() -> impl Strategy<Value = Operation> {
        prop_oneof![
            any::<u32>().prop_map(Operation::Insert),
            (any::<usize>(), any::<u32>()).prop_map(|(at, value)| Operation::Change(at, value)),
            any::<usize>().prop_map(Operation::Remove),
            (0..4usize).prop_map(Operation::Slice),
        ]
    }

    fn apply(table: &mut Table<u32>, ids: &mut Vec<Id<u32>>, operation: &Operation, out: &mut Vec<u8>) {
        match operation {
            Operation::Insert(value) => ids.push(table.insert(*value)),
            Operation::Change(at, value) if !ids.is_empty() => {
                let id = ids[at % ids.len()];
                *table.get_mut(id).unwrap() = *value;
            }
            Operation::Remove(at) if !ids.is_empty() => {
                let id = ids.swap_remove(at % ids.len());
                table.remove(id).unwrap();
                assert!(table.get(id).is_none());
            }
            Operation::Slice(slots) => {
                table.slice(*slots, out);
            }
            Operation::Change(..) | Operation::Remove(_) => {}
        }
    }

    proptest! {
        #[test]
        fn a_sliced_snapshot_is_the_state_of_the_moment_it_began(
            before in proptest::collection::vec(operation(), 0..40),
            during in proptest::collection::vec(operation(), 0..60),
        ) {
            let (mut table, mut ids, mut out) = (Table::default(), Vec::new(), Vec::new());
            for step in &before {
                apply(&mut table, &mut ids, step, &mut out);
            }
            let then: Vec<_> = table.iter().map(|(id, value)| (id, *value)).collect();
            let (mut replay, mut replay_ids) = (table_of(&table), ids.clone());
            table.snapshot();
            let head = postcard::to_allocvec(&table).unwrap();
            out.clear();
            for step in &during {
                apply(&mut table, &mut ids, step, &mut out);
            }
            while table.slice(3, &mut out) {}

            let mut restored: Table<u32> = postcard::from_bytes(&head).unwrap();
            restored.load(&out).unwrap();
            prop_assert_eq!(&restored.iter().map(|(id, value)| (id, *value)).collect::<Vec<_>>(), &then);
            prop_assert_eq!(restored.len(), then.len());

            // What happens to the restored table is what happens to the original: same ids, same slots.
            let mut unused = Vec::new();
            let mut restored_ids = replay_ids.clone();
            for step in &during {
                apply(&mut replay, &mut replay_ids, step, &mut unused);
                apply(&mut restored, &mut restored_ids, step, &mut unused);
            }
            prop_assert_eq!(replay_ids, restored_ids);
        }
    }

    fn table_of(table: &Table<u32>) -> Table<u32> {
        let slot = |slot: &Slot<u32>| Slot {
            generation: slot.generation,
            copied_in: 0,
            occupancy: match &slot.occupancy {
                Occupancy::Vacant { next } => Occupancy::Vacant { next: *next },
                Occupancy::Occupied(value) => Occupancy::Occupied(*value),
            },
        };
        Table {
            slots: table.slots.iter().map(slot).collect(),
            vacant: table.vacant,
            len: table.len,
            snapshots: 0,
            copying: None,
        }
    }

    #[test]
    fn an_id_of_a_former_occupant_finds_nothing() {
        let mut table = Table::default();
        let first = table.insert(1);
        table.remove(first);
        let second = table.insert(2);
        assert_eq!(first.index, second.index);
        assert_eq!((table.get(first), table.get(second)), (None, Some(&2)));
        assert_eq!(Id::<i32>::from_u64(second.as_u64()), second);
    }

    #[test]
    fn a_slice_of_another_table_is_refused() {
        let mut table: Table<u32> = Table::default();
        assert_eq!(table.load(&[1, 0, 0]), Err(LoadError::Malformed));
        assert_eq!(table.load(&[4, 0, 0, 0, 9, 0, 1, 7]), Err(LoadError::UnknownSlot(9)));
    }
}

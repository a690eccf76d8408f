//! The ring between a tick, which may not wait, and a writer, which may.
//!
//! One producer, one consumer, no locks, all memory from the beginning. A tick puts in one entry: a head, and its samples
//! unless they are all zero. **When the ring is full the samples of the tick are lost**, not its time: the next entry tells
//! how many ticks are missing before it, and [`TapReader::missing_at_end`] those after the last one. The capacity is three
//! seconds at 16 kHz, one second at 48 kHz.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ringbuf::traits::{Consumer, Observer, Producer, Split};
use ringbuf::{HeapCons, HeapProd, HeapRb};

use crate::dsp::SampleRate;

/// Samples of each channel that the ring holds.
const CAPACITY: usize = 48_000;
/// Words of a head: samples per channel (0: a tick of silence), number of the rate in [`SampleRate::ALL`], ticks that are
/// missing before it (low, high).
const HEAD: usize = 4;

/// What both ends see.
#[derive(Debug, Default)]
struct Count {
    /// Ticks lost so far.
    lost: AtomicU64,
}

/// The end of the shard. Dropping it ends the recording.
pub struct Tap {
    ring: HeapProd<i16>,
    count: Arc<Count>,
    channels: usize,
    /// Ticks lost since the last entry.
    missing: u32,
}

/// The end of the writer. Dropping it makes the tap idle.
pub struct TapReader {
    ring: HeapCons<i16>,
    count: Arc<Count>,
    channels: usize,
    /// A head that was read and whose samples were not.
    head: Option<[i16; HEAD]>,
    accounted: u64,
}

/// One entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// Ticks whose samples were lost.
    Lost {
        /// How many.
        ticks: u32,
    },
    /// A tick without sound.
    Silence,
    /// A tick with sound; its samples were appended.
    Sound {
        /// Their rate.
        rate: SampleRate,
    },
}

/// Both ends for samples of so many channels, interleaved. Allocates a hundred kilobytes per channel.
#[must_use]
pub fn ring(channels: usize) -> (Tap, TapReader) {
    let (starts, ends) = HeapRb::new(CAPACITY * channels.max(1)).split();
    let count = Arc::new(Count::default());
    let theirs = Arc::clone(&count);
    (
        Tap { ring: starts, count, channels, missing: 0 },
        TapReader { ring: ends, count: theirs, channels, head: None, accounted: 0 },
    )
}

impl Tap {
    /// Channels of the samples.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Puts in a tick: `entry` begins with room for a head ([`Tap::frame`]) and goes on with the samples, interleaved; none
    /// are silence. Allocates nothing.
    pub(crate) fn push(&mut self, rate: SampleRate, entry: &mut [i16]) {
        let Some((head, samples)) = entry.split_first_chunk_mut::<HEAD>() else { return };
        let number = SampleRate::ALL.iter().position(|known| *known == rate).unwrap_or(0);
        let missing = self.missing;
        *head = [
            (samples.len() / self.channels.max(1)) as i16,
            number as i16,
            missing as i16,
            (missing >> 16) as i16,
        ];
        if self.ring.vacant_len() < entry.len() {
            self.lose(1);
            return;
        }
        // There is room, and nobody else produces. The other end sees all of it or nothing.
        self.ring.push_slice(entry);
        self.missing = 0;
    }

    /// Ticks that were left out, or whose samples found no room.
    pub(crate) fn lose(&mut self, ticks: u32) {
        self.missing = self.missing.saturating_add(ticks);
        self.count.lost.fetch_add(u64::from(ticks), Ordering::Relaxed);
    }

    /// The part of an entry that is for samples.
    pub(crate) fn frame(entry: &mut [i16]) -> &mut [i16] {
        entry.get_mut(HEAD..).unwrap_or_default()
    }

    /// The length of an entry with so many samples of all channels.
    pub(crate) const fn entry(samples: usize) -> usize {
        HEAD + samples
    }
}

impl TapReader {
    /// Channels of the samples.
    #[must_use]
    pub const fn channels(&self) -> usize {
        self.channels
    }

    /// Takes the next entry. Samples are appended to `samples`, interleaved.
    pub fn read(&mut self, samples: &mut Vec<i16>) -> Option<Heard> {
        let mut head = match self.head.take() {
            Some(head) => head,
            None => {
                let mut head = [0; HEAD];
                if self.ring.occupied_len() < HEAD || self.ring.pop_slice(&mut head) < HEAD {
                    return None;
                }
                head
            }
        };
        let missing = (head[2] as u16 as u32) | ((head[3] as u16 as u32) << 16);
        if missing > 0 {
            (head[2], head[3]) = (0, 0);
            self.head = Some(head);
            self.accounted += u64::from(missing);
            return Some(Heard::Lost { ticks: missing });
        }
        let length = usize::from(head[0] as u16) * self.channels;
        if length == 0 {
            return Some(Heard::Silence);
        }
        let rate = SampleRate::ALL.get(usize::from(head[1] as u16)).copied().unwrap_or(SampleRate::Hz8000);
        let begin = samples.len();
        samples.resize(begin + length, 0);
        self.ring.pop_slice(&mut samples[begin..]);
        Some(Heard::Sound { rate })
    }

    /// Whether nothing will come any more but what is in the ring. Asked before the ring is emptied, it says that this was the
    /// last time.
    #[must_use]
    pub fn is_ended(&self) -> bool {
        !self.ring.write_is_held()
    }

    /// Ticks that were lost after the last entry; asked when the ring has ended and is empty.
    #[must_use]
    pub fn missing_at_end(&self) -> u64 {
        self.count.lost.load(Ordering::Relaxed).saturating_sub(self.accounted)
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tap")
            .field("channels", &self.channels)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for TapReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TapReader").field("channels", &self.channels).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn push(tap: &mut Tap, samples: &[i16]) {
        let mut entry = vec![0; Tap::entry(samples.len())];
        Tap::frame(&mut entry).copy_from_slice(samples);
        tap.push(SampleRate::Hz8000, &mut entry);
    }

    proptest! {
        #[test]
        fn time_stays_true_whatever_is_lost(rounds in proptest::collection::vec((0_usize..400, 0_usize..400), 1..20)) {
            let (mut tap, mut reader) = ring(2);
            let (mut pushed, mut read, mut lost) = (0_u64, 0, 0);
            let mut samples = Vec::new();
            let mut take = |reader: &mut TapReader, most| {
                for _ in 0..most {
                    match reader.read(&mut samples) {
                        None => break,
                        Some(Heard::Lost { ticks }) => lost += u64::from(ticks),
                        Some(Heard::Silence) => read += 1,
                        Some(Heard::Sound { .. }) => {
                            prop_assert_eq!(samples.len(), 320);
                            // A tick's samples are all of one tick.
                            prop_assert!(samples.iter().all(|sample| *sample == samples[0]));
                            samples.clear();
                            read += 1;
                        }
                    }
                }
                Ok(())
            };
            for (ticks, reads) in rounds {
                for _ in 0..ticks {
                    pushed += 1;
                    let sample = (pushed % 50) as i16;
                    push(&mut tap, &vec![sample; if sample == 0 { 0 } else { 320 }]);
                }
                take(&mut reader, reads)?;
            }
            drop(tap);
            prop_assert!(reader.is_ended());
            take(&mut reader, usize::MAX)?;
            lost += reader.missing_at_end();
            prop_assert_eq!(read + lost, pushed);
        }
    }

    #[test]
    fn what_is_missing_is_told_where_it_is_missing() {
        let (mut tap, mut reader) = ring(1);
        push(&mut tap, &[1; 160]);
        tap.lose(70_000);
        push(&mut tap, &[2; 160]);
        let mut samples = Vec::new();
        assert_eq!(reader.read(&mut samples), Some(Heard::Sound { rate: SampleRate::Hz8000 }));
        assert_eq!(reader.read(&mut samples), Some(Heard::Lost { ticks: 70_000 }));
        assert_eq!(reader.read(&mut samples), Some(Heard::Sound { rate: SampleRate::Hz8000 }));
        assert_eq!(reader.read(&mut samples), None);
        assert_eq!(samples, [[1; 160], [2; 160]].concat());
        assert!(!reader.is_ended());
    }

    #[test]
    fn pushing_allocates_nothing_also_into_a_full_ring() {
        let (mut tap, reader) = ring(1);
        let mut entry = vec![1; Tap::entry(160)];
        let counted = allocation_counter::measure(|| {
            (0..1_000).for_each(|_| tap.push(SampleRate::Hz8000, &mut entry));
        });
        assert_eq!(counted.count_total, 0);
        assert!(reader.missing_at_end() > 0);
    }
}

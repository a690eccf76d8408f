//! What was decoded, kept for whoever plays it next.
//!
//! A sound is kept as long as somebody plays it, so that its memory is never given back in a tick; after that until its room is
//! needed, those not played for the longest time first. A file that has changed is decoded again. Bounds: [`MEMORY`] for all
//! sounds, [`LONGEST`] for one; what finds no room is refused.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::{self, File};
use std::io::Cursor;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use super::decode::{decode, unreadable};
use crate::dsp::SampleRate;
use crate::source::{Sound, SoundFault};

/// The longest sound.
pub const LONGEST: Duration = Duration::from_secs(600);
/// Octets that all sounds may have: those of two and a half hours at 8 kHz, 25 minutes at 48 kHz.
pub const MEMORY: usize = 144 << 20;

/// Sounds that are in the program: the octets of a file for a name that stands in the place of a path, `None` for paths.
#[derive(Clone, Copy)]
pub struct BuiltIn(pub fn(&str) -> Option<&'static [u8]>);

impl Default for BuiltIn {
    /// None at all.
    fn default() -> BuiltIn {
        BuiltIn(|_| None)
    }
}

impl PartialEq for BuiltIn {
    fn eq(&self, other: &BuiltIn) -> bool {
        core::ptr::fn_addr_eq(self.0, other.0)
    }
}

impl Eq for BuiltIn {}

impl fmt::Debug for BuiltIn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BuiltIn")
    }
}

/// Decoded sounds by file and rate.
#[derive(Debug)]
pub struct Sounds {
    built_in: BuiltIn,
    known: BTreeMap<(Arc<str>, SampleRate), Kept>,
    memory: usize,
    /// Octets of all that is known.
    used: usize,
    /// Counts requests, to tell which sound was asked for last.
    requests: u64,
}

#[derive(Debug)]
struct Kept {
    sound: Arc<Sound>,
    state: State,
    asked: u64,
}

/// What tells that a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct State {
    modified: Option<SystemTime>,
    length: u64,
}

impl Default for Sounds {
    fn default() -> Sounds {
        Sounds::new(MEMORY)
    }
}

impl Sounds {
    /// No sounds yet, and room for so many octets of them.
    #[must_use]
    pub const fn new(memory: usize) -> Sounds {
        let built_in = BuiltIn(|_| None);
        Sounds { built_in, known: BTreeMap::new(), memory, used: 0, requests: 0 }
    }

    /// The same with sounds that are in the program.
    #[must_use]
    pub fn with_built_in(self, built_in: BuiltIn) -> Sounds {
        Sounds { built_in, ..self }
    }

    /// Octets of the sounds that are kept.
    #[must_use]
    pub const fn used(&self) -> usize {
        self.used
    }

    /// The sound of a file at a rate.
    ///
    /// # Errors
    /// Why it cannot be played.
    pub fn load(&mut self, path: &Arc<str>, rate: SampleRate) -> Result<Arc<Sound>, SoundFault> {
        self.requests += 1;
        let built_in = (self.built_in.0)(path);
        let state = match built_in {
            Some(octets) => State { modified: None, length: octets.len() as u64 },
            None => {
                let described = fs::metadata(&**path).map_err(|error| unreadable(&error))?;
                State { modified: described.modified().ok(), length: described.len() }
            }
        };
        let key = (Arc::clone(path), rate);
        if let Some(kept) = self.known.get_mut(&key).filter(|kept| kept.state == state) {
            kept.asked = self.requests;
            return Ok(Arc::clone(&kept.sound));
        }
        let sound = match built_in {
            Some(octets) => decode(Cursor::new(octets), rate, LONGEST)?,
            None => decode(File::open(&**path).map_err(|error| unreadable(&error))?, rate, LONGEST)?,
        };
        let sound = Arc::new(sound);
        self.make_room(octets(&sound), &key)?;
        self.used += octets(&sound);
        self.known.insert(key, Kept { sound: Arc::clone(&sound), state, asked: self.requests });
        Ok(sound)
    }

    /// Lets sounds go that nobody plays until there is room, and the one in whose place another comes.
    fn make_room(&mut self, needed: usize, replaced: &(Arc<str>, SampleRate)) -> Result<(), SoundFault> {
        let idle = |kept: &Kept| Arc::strong_count(&kept.sound) == 1;
        if let Some(kept) = self.known.remove(replaced) {
            if idle(&kept) {
                self.used -= octets(&kept.sound);
            } else {
                // Somebody still plays what the file was before: it is kept under a name that nobody asks for.
                let name: Arc<str> = format!("\0{}", self.requests).into();
                self.known.insert((name, replaced.1), kept);
            }
        }
        while self.used + needed > self.memory {
            let unused = self.known.iter().filter(|(_, kept)| idle(kept));
            let Some(oldest) = unused.min_by_key(|(_, kept)| kept.asked).map(|(key, _)| key.clone()) else {
                return Err(SoundFault::NoMemory);
            };
            if let Some(gone) = self.known.remove(&oldest) {
                self.used -= octets(&gone.sound);
            }
        }
        Ok(())
    }
}

fn octets(sound: &Sound) -> usize {
    size_of_val(sound.samples())
}

//! A player of files, one after the other without a gap, once or for ever.
//!
//! It asks for the sound that plays and for the one after it ([`Playlist::poll_wanted`]) and is silent until it has them; one
//! that cannot be had is left out. Of a sound it holds a share alone: see [`Sound`].
//!
//! Left out on purpose: reading files, which a thread of its own does (`io`).

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::sound::Sound;
use crate::dsp::SampleRate;

/// Plays files at the rate of a room.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Playlist {
    files: Vec<Arc<str>>,
    loops: bool,
    rate: SampleRate,
    /// Which of the files plays; the number of files at the end.
    current: usize,
    /// Its sample that is next.
    at: usize,
    /// Files in turn that could not be had.
    failed: usize,
    /// The one that plays and the one after it. A restored player asks again.
    #[serde(skip)]
    slots: [Slot; 2],
}

#[derive(Clone, Debug, Default)]
enum Slot {
    #[default]
    Unasked,
    Asked,
    Ready(Arc<Sound>),
    Failed,
}

impl Playlist {
    /// A player that has nothing yet.
    #[must_use]
    pub fn new(files: Vec<Arc<str>>, loops: bool, rate: SampleRate) -> Playlist {
        Playlist { files, loops, rate, current: 0, at: 0, failed: 0, slots: Default::default() }
    }

    /// Whether all is played that can be.
    #[must_use]
    pub const fn is_ended(&self) -> bool {
        self.current >= self.files.len()
    }

    /// Adds files behind the last one. Allocates.
    pub fn enqueue(&mut self, files: Vec<Arc<str>>) {
        if !self.loops {
            self.files.drain(..self.current);
            self.current = 0;
        }
        self.failed = 0;
        self.files.extend(files);
    }

    /// Goes on at another rate, at the same place of the sound, once that is there.
    pub fn retune(&mut self, rate: SampleRate) {
        let at = self.at as u64 * u64::from(rate.hertz()) / u64::from(self.rate.hertz());
        (self.at, self.rate, self.slots) = (at as usize, rate, Default::default());
    }

    /// The next file that it wants, at which rate; each is told once.
    pub fn poll_wanted(&mut self) -> Option<(Arc<str>, SampleRate)> {
        for ahead in 0..self.slots.len() {
            let index = self.index(ahead)?;
            let file = self.files.get(index)?;
            let known = ahead > 0 && self.index(0) == Some(index);
            let slot = self.slots.get_mut(ahead)?;
            // The only file of a loop is there already.
            if matches!(slot, Slot::Unasked) && !known {
                *slot = Slot::Asked;
                return Some((Arc::clone(file), self.rate));
            }
        }
        None
    }

    /// What was asked for is not going to come here: it is asked for again.
    pub fn ask_again(&mut self) {
        for slot in &mut self.slots {
            if matches!(slot, Slot::Asked) {
                *slot = Slot::Unasked;
            }
        }
    }

    /// Takes a sound, or word that it cannot be had, wherever it is waited for. What nobody waits for is let go.
    pub fn supply(&mut self, file: &str, rate: SampleRate, sound: Option<&Arc<Sound>>) {
        if rate != self.rate {
            return;
        }
        for ahead in 0..self.slots.len() {
            let is_it = self
                .index(ahead)
                .and_then(|index| self.files.get(index))
                .is_some_and(|known| **known == *file);
            if let Some(slot @ Slot::Asked) = self.slots.get_mut(ahead)
                && is_it
            {
                *slot = sound.map_or(Slot::Failed, |sound| Slot::Ready(Arc::clone(sound)));
            }
        }
    }

    /// Writes what comes next; whether there is any sound in it. Allocates nothing, and frees nothing while somebody else
    /// holds the sounds.
    pub fn fill(&mut self, frame: &mut [i16]) -> bool {
        let mut rest = frame;
        let mut sounds = false;
        while !rest.is_empty() && !self.is_ended() {
            match &self.slots[0] {
                Slot::Unasked | Slot::Asked => break,
                Slot::Failed => {
                    self.failed += 1;
                    self.advance();
                }
                Slot::Ready(sound) => {
                    let left = sound.samples().get(self.at..).unwrap_or_default();
                    let now = left.len().min(rest.len());
                    let (filled, later) = rest.split_at_mut(now);
                    filled.copy_from_slice(&left[..now]);
                    self.at += now;
                    (rest, sounds, self.failed) = (later, true, 0);
                    if now == left.len() {
                        self.advance();
                    }
                }
            }
        }
        rest.fill(0);
        sounds
    }

    /// The file that plays `ahead` files from now.
    fn index(&self, ahead: usize) -> Option<usize> {
        let index = self.current + ahead;
        if self.loops && !self.files.is_empty() {
            Some(index % self.files.len())
        } else {
            Some(index).filter(|index| *index < self.files.len())
        }
    }

    fn advance(&mut self) {
        self.at = 0;
        let alone = self.loops && self.files.len() == 1;
        if alone && self.failed == 0 {
            return;
        }
        // A loop of nothing that can be had ends.
        let next = if self.failed >= self.files.len() { None } else { self.index(1) };
        self.current = next.unwrap_or(self.files.len());
        self.slots.swap(0, 1);
        self.slots[1] = Slot::Unasked;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: SampleRate = SampleRate::Hz8000;

    fn sound(samples: Vec<i16>) -> Arc<Sound> {
        Sound::new(RATE, samples).unwrap().into()
    }

    fn names(count: usize) -> Vec<Arc<str>> {
        (0..count).map(|name| name.to_string().into()).collect()
    }

    /// Gives a player all that it asks for; `None` stands for a file that cannot be had.
    fn supply(player: &mut Playlist, sounds: &[Option<Arc<Sound>>]) {
        while let Some((file, rate)) = player.poll_wanted() {
            let index: usize = file.parse().unwrap();
            player.supply(&file, rate, sounds[index].as_ref());
        }
    }

    proptest! {
        #[test]
        fn files_are_played_one_after_the_other_without_a_gap(
            lengths in proptest::collection::vec(proptest::option::of(1_usize..700), 1..6),
            loops in any::<bool>(),
        ) {
            let mut value = 0;
            let sounds: Vec<Option<Arc<Sound>>> = lengths.iter().map(|length| length.map(|length| {
                sound((0..length).map(|_| { value += 1; value }).collect())
            })).collect();
            let whole: Vec<i16> = sounds.iter().flatten().flat_map(|sound| sound.samples().to_vec()).collect();
            let mut player = Playlist::new(names(lengths.len()), loops, RATE);
            let mut played = Vec::new();
            for _ in 0..80 {
                // All files within one frame: more than two may be needed in it.
                supply(&mut player, &sounds);
                let mut frame = [-1; 40];
                let before = player.is_ended();
                prop_assert!(player.fill(&mut frame) || before || played.len() >= whole.len() || !frame.iter().any(|s| *s != 0));
                played.extend(frame);
            }
            played.retain(|sample| *sample != 0);
            let expected: Vec<i16> = if loops && !whole.is_empty() {
                whole.iter().copied().cycle().take(played.len()).collect()
            } else {
                whole.clone()
            };
            let expected = &expected[..expected.len().min(played.len())];
            prop_assert_eq!(&played[..], expected);
            prop_assert!(loops || player.is_ended() || whole.len() > 1_000);
            prop_assert_eq!(loops && whole.is_empty() && !player.is_ended(), false);
        }
    }

    #[test]
    fn sounds_of_a_frame_and_more_follow_each_other_within_a_frame() {
        let sounds = [Some(sound(vec![1; 200])), Some(sound(vec![2; 200]))];
        let mut player = Playlist::new(names(2), true, RATE);
        let mut played = vec![0; 1_600];
        for frame in played.chunks_mut(160) {
            supply(&mut player, &sounds);
            assert!(player.fill(frame));
        }
        let expected: Vec<i16> = [[1; 200], [2; 200]].concat().into_iter().cycle().take(1_600).collect();
        assert_eq!(played, expected);
    }

    #[test]
    fn playing_frees_no_sound_and_allocates_nothing() {
        let sounds = [Some(sound(vec![1; 500])), Some(sound(vec![2; 500]))];
        let mut player = Playlist::new(names(2), false, RATE);
        supply(&mut player, &sounds);
        let counted = allocation_counter::measure(|| {
            (0..10).for_each(|_| {
                player.fill(&mut [0; 160]);
            });
        });
        assert_eq!((counted.count_total, counted.count_current), (0, 0));
        assert!(player.is_ended());
        assert!(sounds.iter().flatten().all(|sound| Arc::strong_count(sound) == 1));
    }

    #[test]
    fn another_rate_goes_on_at_the_same_place() {
        let mut player = Playlist::new(names(1), false, RATE);
        supply(&mut player, &[Some(sound((0..800).collect()))]);
        player.fill(&mut [0; 160]);
        player.retune(SampleRate::Hz16000);
        assert!(!player.fill(&mut [0; 320]), "it is silent until it has the sound at the new rate");
        let (file, rate) = player.poll_wanted().unwrap();
        let wide = Sound::new(SampleRate::Hz16000, (0..1_600).map(|at| at / 2).collect()).unwrap().into();
        player.supply(&file, RATE, Some(&sound(vec![9; 9])));
        player.supply(&file, rate, Some(&wide));
        let mut frame = [0; 2];
        assert!(player.fill(&mut frame));
        assert_eq!(frame, [160, 160]);
    }

    #[test]
    fn what_is_enqueued_follows_what_plays() {
        let mut player = Playlist::new(vec!["0".into()], false, RATE);
        let sounds = [Some(sound(vec![1; 200])), Some(sound(vec![2; 200]))];
        supply(&mut player, &sounds);
        let mut played = vec![0; 480];
        player.fill(&mut played[..160]);
        player.enqueue(vec!["1".into()]);
        supply(&mut player, &sounds);
        player.fill(&mut played[160..]);
        assert_eq!(played, [vec![1; 200], vec![2; 200], vec![0; 80]].concat());
        assert!(player.is_ended());
    }

    #[test]
    fn a_restored_player_asks_again_and_goes_on() {
        let sounds = [Some(sound((0..400).collect()))];
        let mut player = Playlist::new(names(1), false, RATE);
        supply(&mut player, &sounds);
        player.fill(&mut [0; 160]);
        let mut again: Playlist = postcard::from_bytes(&postcard::to_allocvec(&player).unwrap()).unwrap();
        supply(&mut again, &sounds);
        let mut frame = [0; 1];
        again.fill(&mut frame);
        assert_eq!(frame, [160]);
    }
}

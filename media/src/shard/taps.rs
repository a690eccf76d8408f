//! The recordings of a room: on each tick one entry goes into the ring of each.
//!
//! A recording begins with a command, which wants a ring ([`Output::Record`](super::Output)); it takes what is said from the
//! tick after [`Shard::attach`](super::Shard::attach) on. It ends with a command, with its room, or with its writer. The
//! tick allocates nothing and waits for nobody.

use super::rooms::TICK_MS;
use crate::dsp::SampleRate;
use crate::leg::MAX_FRAME;
use crate::mix::{MemberId, Room};
use crate::tap::{RecordingId, Tap, Tapped};

/// One recording.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) id: RecordingId,
    what: Tapped,
    whispers: bool,
    /// The ring, once there is one.
    tap: Option<Tap>,
    paused: bool,
    /// Where the member it names is in the room.
    place: Option<usize>,
}

/// The recordings of one room.
#[derive(Debug, Default)]
pub(super) struct Recordings {
    running: Vec<Recording>,
}

impl Recordings {
    pub(super) fn begin(&mut self, id: RecordingId, what: Tapped, whispers: bool, room: &Room) {
        self.running.push(Recording {
            id,
            what,
            whispers,
            tap: None,
            paused: false,
            place: place(what, room),
        });
    }

    /// Gives a recording its ring; what was in its place ends.
    pub(super) fn attach(&mut self, id: RecordingId, tap: Tap) -> bool {
        let known = self.running.iter_mut().find(|recording| recording.id == id);
        let fits = known.filter(|recording| recording.what.channels() == tap.channels());
        fits.map(|recording| recording.tap = Some(tap)).is_some()
    }

    pub(super) fn pause(&mut self, id: RecordingId, paused: bool) -> bool {
        let known = self.running.iter_mut().find(|recording| recording.id == id);
        known.map(|recording| recording.paused = paused).is_some()
    }

    pub(super) fn end(&mut self, id: RecordingId) -> bool {
        let before = self.running.len();
        self.running.retain(|recording| recording.id != id);
        self.running.len() < before
    }

    pub(super) fn has(&self, id: RecordingId) -> bool {
        self.running.iter().any(|recording| recording.id == id)
    }

    /// Members have come or gone.
    pub(super) fn find_places(&mut self, room: &Room) {
        for recording in &mut self.running {
            recording.place = place(recording.what, room);
        }
    }

    /// Takes what was said in this tick, after [`Room::mix`] and before [`Room::end_tick`].
    pub(super) fn take(&mut self, room: &Room, bench: &mut Bench) {
        let Some(rate) = SampleRate::from_hertz(room.rate()) else { return };
        for recording in self.running.iter_mut().filter(|recording| !recording.paused) {
            let Some(tap) = &mut recording.tap else { continue };
            let Bench { entry, channel } = bench;
            let length = room.frame() * recording.what.channels();
            let Some(entry) = entry.get_mut(..Tap::entry(length)) else { continue };
            let Some(channel) = channel.get_mut(..room.frame()) else { continue };
            let frame = Tap::frame(entry);
            let sounds = match recording.what {
                Tapped::Mix => room.tap_mix(recording.whispers, frame),
                Tapped::Parties { .. } => {
                    room.tap_parties(recording.place, recording.whispers, channel, frame)
                }
                Tapped::Member(_) => {
                    recording.place.is_some_and(|place| room.tap_member(place, recording.whispers, frame))
                }
            };
            let used = if sounds { entry.len() } else { Tap::entry(0) };
            tap.push(rate, &mut entry[..used]);
        }
    }

    /// Ticks that were left out: their sound is lost, their time is not.
    pub(super) fn leave_out(&mut self, ticks: u32) {
        for recording in self.running.iter_mut().filter(|recording| !recording.paused) {
            if let Some(tap) = &mut recording.tap {
                tap.lose(ticks);
            }
        }
    }
}

fn place(what: Tapped, room: &Room) -> Option<usize> {
    let member = match what {
        Tapped::Mix => None,
        Tapped::Parties { left: member } | Tapped::Member(member) => Some::<MemberId>(member),
    };
    member.and_then(|member| room.place(member))
}

/// What the ticks of a shard put entries together in.
#[derive(Debug)]
pub(super) struct Bench {
    entry: Vec<i16>,
    channel: Vec<i16>,
}

impl Default for Bench {
    fn default() -> Self {
        Self { entry: vec![0; Tap::entry(2 * MAX_FRAME)], channel: vec![0; MAX_FRAME] }
    }
}

// A second of any room finds place in a ring, whatever its ticks.
const _: () = assert!(MAX_FRAME * (1_000 / TICK_MS as usize) <= 48_000);

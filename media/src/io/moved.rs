//! What a thread tells of something that is on another one by now.
//!
//! Reports come over a ring for each thread, so what the last thread of a leg told may be read after what the new one tells. The new
//! shard tells anew whether the peer of the leg is heard ([`Shard::arrive`](crate::Shard::arrive)); what the old one told of that and has
//! not been read when the leg is to move is passed over.
//!
//! Left out on purpose: a leg that goes to and fro before the reports of its first thread are read; they are read many times a
//! second.

use super::routes::{LaneId, Orders, Routes};
use super::thread::Order;
use crate::shard::{Command, Report};
use crate::tap::RecordingId;

impl Routes {
    /// Whether a report of a thread is about the silence of a leg that is another thread's.
    pub(super) fn is_outdated(&self, lane: LaneId, report: &Report) -> bool {
        match report {
            Report::Silent { leg } | Report::Heard { leg } => {
                self.legs.get(leg).is_some_and(|place| place.lane != lane)
            }
            Report::Opened { .. }
            | Report::Refused { .. }
            | Report::Latched { .. }
            | Report::NotJoined { .. }
            | Report::Unexpected { .. }
            | Report::Talk { .. }
            | Report::Speaker { .. }
            | Report::Digit { .. }
            | Report::NotDialled { .. }
            | Report::Played { .. }
            | Report::NotPlayed { .. }
            | Report::RecordingBegan { .. }
            | Report::RecordingLost { .. }
            | Report::RecordingFailed { .. }
            | Report::RecordingEnded { .. }
            | Report::Closed { .. } => false,
        }
    }

    /// The writer of a recording, on `lane`, has given up. Its shard knows, unless the room has gone to another thread: that is
    /// told.
    pub(super) fn handle_recording_failed(&mut self, lane: LaneId, recording: RecordingId) -> Orders {
        let mut orders = Orders::new();
        if let Some(room) = self.recordings.get(&recording).copied() {
            let now = self.rooms.get(&room).and_then(|spread| spread.lane_of_recording(recording));
            let stop = Order::Command(Command::StopRecording { room, recording });
            orders.extend(now.filter(|now| *now != lane).map(|now| (now, stop)));
        }
        self.end_recording(recording);
        orders
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use smallvec::smallvec;

    use super::super::budget::Uneven;
    use super::*;
    use crate::codec::Codec;
    use crate::dsp::SampleRate;
    use crate::leg::{AudioFormat, LegId};
    use crate::mix::Role;
    use crate::shard::RoomId;
    use crate::tap::{Container, RecordingFormat, Tapped};

    const LEG: LegId = LegId(1);
    const ROOM: RoomId = RoomId(1);
    const RECORDING: RecordingId = RecordingId(1);

    /// A room with a leg, which is recorded, on the first of two threads.
    fn recorded() -> Routes {
        let mut routes = Routes::new(2, 64);
        let format = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
        let wav = RecordingFormat { container: Container::Wav, rate: SampleRate::Hz8000 };
        for command in [
            Command::Open { legs: smallvec![(LEG, IpAddr::V4(Ipv4Addr::LOCALHOST))] },
            Command::OpenRoom { room: ROOM },
            Command::Join { room: ROOM, leg: LEG, format, role: Role::Participant },
            Command::Record {
                recording: RECORDING,
                room: ROOM,
                what: Tapped::Mix,
                whispers: false,
                file: "file".into(),
                format: wav,
            },
        ] {
            routes.handle(command, 0);
        }
        routes
    }

    #[test]
    fn what_the_last_thread_told_of_the_silence_of_a_leg_is_outdated() {
        let mut routes = recorded();
        let told = [Report::Silent { leg: LEG }, Report::Heard { leg: LEG }];
        let outdated = |routes: &Routes, lane| told.each_ref().map(|report| routes.is_outdated(lane, report));
        assert_eq!((outdated(&routes, 0), outdated(&routes, 1)), ([false; 2], [true; 2]));
        assert!(!routes.relieve(Uneven { from: 0, to: 1, most: 100 }).is_empty());
        assert_eq!((outdated(&routes, 0), outdated(&routes, 1)), ([true; 2], [false; 2]));
        assert!(
            !routes.is_outdated(0, &Report::Silent { leg: LegId(9) }),
            "it is nowhere: the core's to ignore"
        );
    }

    #[test]
    fn a_recording_that_failed_ends_on_the_thread_that_its_room_went_to() {
        let mut routes = recorded();
        assert!(routes.handle_recording_failed(0, RECORDING).is_empty(), "it knows");
        let mut routes = recorded();
        routes.relieve(Uneven { from: 0, to: 1, most: 100 });
        let told = routes.handle_recording_failed(0, RECORDING);
        let stop = Command::StopRecording { room: ROOM, recording: RECORDING };
        assert!(matches!(&told[..], [(1, Order::Command(command))] if *command == stop), "{told:?}");
        assert!(routes.handle_recording_failed(0, RECORDING).is_empty(), "it is known no more");
    }
}

//! Recordings: from the members of a room to files on disks that are good, slow, full, or whose process is killed.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[expect(dead_code, reason = "the relay has helpers of its own")]
mod scene;

use std::cell::RefCell;
use std::f64::consts::TAU;
use std::io::{self, Cursor, Seek, SeekFrom, Write};
use std::path::Path;
use std::rc::Rc;

use media::codec::{Codec, g711};
use media::dsp::SampleRate;
use media::io::{Disk, Files, Recorder};
use media::mix::{MemberId, Role};
use media::tap::{
    Container, RecordingFault, RecordingFigures, RecordingFormat, RecordingId, TapReader, Tapped,
};
use media::{AudioFormat, Command, LegId, Recorded, Report, RoomId};
use proptest::prelude::*;
use scene::{PTIME, Rtp, Scene, params};

const ROOM: RoomId = RoomId(7);
const ONE: RecordingId = RecordingId(1);
const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
const WAV: RecordingFormat = RecordingFormat { container: Container::Wav, rate: SampleRate::Hz8000 };
const OPUS: RecordingFormat = RecordingFormat { container: Container::OggOpus, rate: SampleRate::Hz16000 };

fn sdp(leg: u64) -> String {
    format!("198.51.100.{leg}:4000")
}

fn join(scene: &mut Scene, leg: u64, role: Role) {
    scene.open(LegId(leg));
    scene.command(Command::Configure { leg: LegId(leg), params: params(&sdp(leg)) });
    scene.command(Command::Join { room: ROOM, leg: LegId(leg), format: PCMU, role });
}

fn conference(legs: u64) -> Scene {
    let mut scene = Scene::empty();
    scene.command(Command::OpenRoom { room: ROOM });
    (1..=legs).for_each(|leg| join(&mut scene, leg, Role::Participant));
    scene
}

fn record(what: Tapped, whispers: bool) -> Command {
    Command::Record { recording: ONE, room: ROOM, what, whispers, file: "one.wav".into(), format: WAV }
}

/// The `index`th packet of a tone.
fn tone(hertz: u32, index: u16) -> Rtp {
    let at = |sample: usize| f64::from(hertz) * (usize::from(index) * 160 + sample) as f64 / 8_000.0;
    let samples: Vec<i16> = (0..160).map(|sample| (6_000.0 * (at(sample) * TAU).sin()) as i16).collect();
    let mut payload = vec![0; 160];
    g711::encode_ulaw_into(&samples, &mut payload);
    Rtp { payload, ..Rtp::audio(hertz, index) }
}

/// Legs talk with tones of their own for so many ticks.
fn talk(scene: &mut Scene, talkers: &[(u64, u32)], begin: u16, ticks: u16) {
    for index in begin..begin + ticks {
        for (leg, hertz) in talkers {
            scene.arrive(LegId(*leg), &sdp(*leg), &tone(*hertz, index));
        }
        tick(scene);
    }
}

fn tick(scene: &mut Scene) {
    scene.pass(PTIME);
    scene.shard.tick(scene.now);
    while scene.shard.poll_transmit().is_some() {}
}

/// How loud a tone is in samples of 8 kHz, 1 for the amplitude of [`tone`].
fn level(samples: &[i16], hertz: f64) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = hertz * at as f64 / 8_000.0 * TAU;
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    (real * real + imaginary * imaginary).sqrt() / samples.len() as f64 * 2.0 / 6_000.0
}

fn recorded(what: Tapped, format: RecordingFormat, file: &str) -> Recorded {
    Recorded { recording: ONE, channels: what.channels(), file: file.into(), format }
}

fn take_tap(scene: &mut Scene) -> TapReader {
    scene.taps.pop().expect("a recording has begun").1
}

/// A disk in memory that keeps every write, and may be full or refuse.
#[derive(Clone, Default)]
struct Memory {
    files: Rc<RefCell<Vec<(String, Journal)>>>,
    /// Octets that find room.
    room: Rc<RefCell<Option<u64>>>,
}

/// What was written to a file: where, and what.
#[derive(Default)]
struct Journal {
    writes: Vec<(u64, Vec<u8>)>,
}

impl Journal {
    /// The file as it is after the first writes and so many octets of the next one.
    fn file(&self, writes: usize, octets: usize) -> Vec<u8> {
        let mut file = Vec::new();
        for (index, (at, bytes)) in self.writes.iter().enumerate().take(writes + 1) {
            let bytes = if index == writes { &bytes[..octets.min(bytes.len())] } else { bytes };
            let end = *at as usize + bytes.len();
            file.resize(file.len().max(end), 0);
            file[*at as usize..end].copy_from_slice(bytes);
        }
        file
    }

    fn whole(&self) -> Vec<u8> {
        self.file(self.writes.len(), 0)
    }
}

struct MemoryFile {
    disk: Memory,
    index: usize,
    at: u64,
}

impl Files for Memory {
    type File = MemoryFile;

    fn create(&mut self, path: &Path) -> io::Result<MemoryFile> {
        let path = path.to_str().unwrap().to_owned();
        let mut files = self.files.borrow_mut();
        if files.iter().any(|(known, _)| *known == path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        files.push((path, Journal::default()));
        Ok(MemoryFile { disk: self.clone(), index: files.len() - 1, at: 0 })
    }
}

impl Write for MemoryFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut room = self.disk.room.borrow_mut();
        let fits = room.map_or(bytes.len(), |room| bytes.len().min(room as usize));
        if fits == 0 && !bytes.is_empty() {
            return Err(io::ErrorKind::StorageFull.into());
        }
        *room = room.map(|room| room - fits as u64);
        self.disk.files.borrow_mut()[self.index].1.writes.push((self.at, bytes[..fits].to_vec()));
        self.at += fits as u64;
        Ok(fits)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Seek for MemoryFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let SeekFrom::Start(at) = to else { return Err(io::ErrorKind::Unsupported.into()) };
        self.at = at;
        Ok(at)
    }
}

impl Memory {
    fn whole(&self, index: usize) -> Vec<u8> {
        self.files.borrow()[index].1.whole()
    }

    fn names(&self) -> Vec<String> {
        self.files.borrow().iter().map(|(name, _)| name.clone()).collect()
    }
}

fn reports<F: Files>(recorder: &mut Recorder<F>) -> Vec<Report> {
    std::iter::from_fn(|| recorder.poll_report()).collect()
}

/// Samples of a WAV file, of all channels, as another program reads them.
fn read_wav(file: &[u8]) -> Vec<i16> {
    let reader = hound::WavReader::new(Cursor::new(file)).unwrap();
    reader.into_samples::<i16>().map(Result::unwrap).collect()
}

/// Samples of 48 kHz in an Ogg file: those decoded, less what is cut at the beginning; a page that is not whole is none. And
/// whether the file has an end.
fn read_opus(file: &[u8], channels: usize) -> (Vec<i16>, bool) {
    let mut reader = ogg::reading::PacketReader::new(Cursor::new(file));
    let head = reader.read_packet().unwrap().unwrap();
    assert_eq!((&head.data[..9], usize::from(head.data[9])), (&b"OpusHead\x01"[..], channels));
    let pre_skip = usize::from(u16::from_le_bytes([head.data[10], head.data[11]]));
    assert!(reader.read_packet().unwrap().unwrap().data.starts_with(b"OpusTags"));
    let layout = if channels == 1 { opus::Channels::Mono } else { opus::Channels::Stereo };
    let mut decoder = opus::Decoder::new(48_000, layout).unwrap();
    let (mut samples, mut ended, mut end) = (Vec::new(), false, 0);
    while let Ok(Some(packet)) = reader.read_packet() {
        let mut frame = vec![0; 960 * channels];
        assert_eq!(decoder.decode(&packet.data, &mut frame, false).unwrap(), 960);
        samples.extend(frame);
        ended |= packet.last_in_stream();
        end = packet.absgp_page() as usize;
    }
    samples.truncate(end * channels);
    (samples.split_off((pre_skip * channels).min(samples.len())), ended)
}

#[test]
fn a_mono_recording_is_the_mix_of_everybody() {
    let mut scene = conference(3);
    scene.command(record(Tapped::Mix, false));
    let reader = take_tap(&mut scene);
    let disk = Memory::default();
    let mut recorder = Recorder::new(disk.clone());
    recorder.begin(recorded(Tapped::Mix, WAV, "mix.wav"), reader);
    talk(&mut scene, &[(1, 400), (2, 700)], 0, 100);
    scene.command(Command::StopRecording { room: ROOM, recording: ONE });
    recorder.work(false);
    let [Report::RecordingBegan { file, .. }, Report::RecordingEnded { figures, .. }] =
        &reports(&mut recorder)[..]
    else {
        panic!("it begins and ends")
    };
    assert_eq!(&**file, "mix.wav");
    assert_eq!(*figures, RecordingFigures { files: 1, octets: 32_000, recorded_ms: 2_000, lost_ms: 0 });
    let samples = read_wav(&disk.whole(0));
    assert_eq!(samples.len(), 16_000);
    let settled = &samples[8_000..];
    assert!(level(settled, 400.0) > 0.9 && level(settled, 700.0) > 0.9);
}

#[test]
fn each_party_has_a_channel_and_the_coach_is_in_neither() {
    let mut scene = conference(2);
    join(&mut scene, 3, Role::Whisper { to: MemberId(2) });
    let what = Tapped::Parties { left: MemberId(1) };
    for (whispers, coached) in [(false, false), (true, true)] {
        scene.command(record(what, whispers));
        let reader = take_tap(&mut scene);
        let disk = Memory::default();
        let mut recorder = Recorder::new(disk.clone());
        recorder.begin(recorded(what, WAV, "pair.wav"), reader);
        talk(&mut scene, &[(1, 400), (2, 700), (3, 1_100)], if whispers { 100 } else { 0 }, 100);
        scene.command(Command::StopRecording { room: ROOM, recording: ONE });
        recorder.work(false);
        let samples = read_wav(&disk.whole(0));
        assert_eq!(samples.len(), 32_000);
        let channel = |number: usize| -> Vec<i16> {
            samples.iter().skip(number + 16_000).step_by(2).copied().collect()
        };
        let (left, right) = (channel(0), channel(1));
        let audible = |samples: &[i16]| [400.0, 700.0, 1_100.0].map(|hertz| level(samples, hertz) > 0.01);
        assert_eq!(audible(&left), [true, false, false], "the customer's channel is the customer's");
        assert_eq!(audible(&right), [false, true, coached]);
    }
}

#[test]
fn a_member_is_recorded_wherever_it_sits_and_silence_while_it_is_away() {
    let mut scene = conference(3);
    scene.command(record(Tapped::Member(MemberId(3)), false));
    let mut reader = take_tap(&mut scene);
    let mut samples = Vec::new();
    let mut heard = |scene: &mut Scene, begin| {
        talk(scene, &[(1, 400), (3, 1_100)], begin, 50);
        samples.clear();
        while let Some(entry) = reader.read(&mut samples) {
            if entry == media::tap::Heard::Silence {
                samples.extend([0; 160]);
            }
        }
        assert_eq!(samples.len(), 8_000);
        [400.0, 1_100.0].map(|hertz| level(&samples[4_000..], hertz) > 0.01)
    };
    assert_eq!(heard(&mut scene, 0), [false, true]);
    // The third takes the place of the first.
    scene.command(Command::Leave { room: ROOM, member: MemberId(1) });
    assert_eq!(heard(&mut scene, 50), [false, true]);
    scene.command(Command::Leave { room: ROOM, member: MemberId(3) });
    assert_eq!(heard(&mut scene, 100), [false, false]);
}

#[test]
fn what_is_said_in_a_pause_is_not_recorded() {
    let mut scene = conference(2);
    scene.command(record(Tapped::Mix, false));
    let mut reader = take_tap(&mut scene);
    let mut ticks = |scene: &mut Scene, paused| {
        scene.command(Command::PauseRecording { room: ROOM, recording: ONE, paused });
        talk(scene, &[(1, 400)], 0, 20);
        std::iter::from_fn(|| reader.read(&mut Vec::new())).count()
    };
    assert_eq!(ticks(&mut scene, false), 20);
    assert_eq!(ticks(&mut scene, true), 0);
    assert_eq!(ticks(&mut scene, false), 20);
    let ignored = scene.shard.ignored_commands();
    scene.command(Command::PauseRecording { room: ROOM, recording: RecordingId(9), paused: true });
    scene.command(Command::StopRecording { room: ROOM, recording: RecordingId(9) });
    assert_eq!(scene.shard.ignored_commands(), ignored + 2);
}

#[test]
fn a_room_that_is_not_there_is_not_recorded_and_no_recording_runs_twice() {
    let mut scene = conference(1);
    let figures = RecordingFigures::default();
    let failed = |fault| [Report::RecordingFailed { recording: ONE, fault, figures }];
    let Command::Record { recording, what, whispers, file, format, .. } = record(Tapped::Mix, false) else {
        panic!("it is a recording")
    };
    let nowhere = Command::Record { recording, room: RoomId(8), what, whispers, file, format };
    assert_eq!(scene.command(nowhere), failed(RecordingFault::NoRoom));
    assert_eq!(scene.command(record(Tapped::Mix, false)), []);
    assert_eq!(scene.command(record(Tapped::Mix, false)), failed(RecordingFault::AlreadyRunning));
    let reader = take_tap(&mut scene);
    scene.command(Command::CloseRoom { room: ROOM });
    assert!(reader.is_ended(), "a recording ends with its room");
}

#[test]
fn a_room_that_is_recorded_in_every_way_allocates_nothing() {
    let mut scene = conference(20);
    let whats = [Tapped::Mix, Tapped::Parties { left: MemberId(2) }, Tapped::Member(MemberId(3))];
    for (recording, what) in (1..).map(RecordingId).zip(whats) {
        let file = "x".into();
        scene.command(Command::Record { recording, room: ROOM, what, whispers: true, file, format: WAV });
    }
    scene.command(Command::Assign {
        room: ROOM,
        roles: vec![(MemberId(4), Role::Whisper { to: MemberId(2) })],
    });
    let keys: Vec<_> = (1..=20).map(|leg| scene.key(LegId(leg))).collect();
    let sources: Vec<_> = (1..=20).map(|leg| scene::at(&sdp(leg))).collect();
    // Longer than the rings hold: what finds no room allocates nothing either.
    let packets: Vec<Vec<Vec<u8>>> =
        (0..400).map(|index| (1..=20).map(|leg| tone(400 + leg, index).bytes()).collect()).collect();
    let (shard, start) = (&mut scene.shard, scene.now);
    let counted = allocation_counter::measure(|| {
        let mut now = start;
        for mut packets in packets {
            now = now + PTIME;
            for ((packet, key), source) in packets.iter_mut().zip(&keys).zip(&sources) {
                shard.receive(now, *key, *source, packet);
            }
            shard.tick(now);
            while shard.poll_transmit().is_some() {}
        }
    });
    assert_eq!(counted.count_total, 0);
}

#[test]
fn a_slow_disk_costs_samples_and_no_time_and_is_reported() {
    let mut scene = conference(1);
    scene.command(record(Tapped::Mix, false));
    let reader = take_tap(&mut scene);
    let disk = Memory::default();
    let mut recorder = Recorder::new(disk.clone());
    recorder.begin(recorded(Tapped::Mix, WAV, "slow.wav"), reader);
    // The writer hangs for twenty seconds.
    talk(&mut scene, &[(1, 400)], 0, 1_000);
    recorder.work(false);
    talk(&mut scene, &[(1, 400)], 1_000, 100);
    recorder.work(false);
    recorder.work(false);
    scene.command(Command::StopRecording { room: ROOM, recording: ONE });
    recorder.work(false);
    let reports = reports(&mut recorder);
    let Some(Report::RecordingEnded { figures, .. }) = reports.last() else { panic!("{reports:?}") };
    assert_eq!(figures.recorded_ms, 22_000);
    // The ring holds between five and six seconds of 8 kHz.
    assert!((14_000..15_000).contains(&figures.lost_ms), "{figures:?}");
    assert_eq!(read_wav(&disk.whole(0)).len(), 22 * 8_000);
}

#[test]
fn a_loss_is_told_while_the_recording_runs() {
    let mut scene = conference(1);
    scene.command(record(Tapped::Mix, false));
    let mut recorder = Recorder::new(Memory::default());
    recorder.begin(recorded(Tapped::Mix, WAV, "slow.wav"), take_tap(&mut scene));
    reports(&mut recorder);
    talk(&mut scene, &[(1, 400)], 0, 400);
    recorder.work(false);
    talk(&mut scene, &[(1, 400)], 400, 10);
    recorder.work(false);
    let [Report::RecordingLost { recording: ONE, lost_ms }] = reports(&mut recorder)[..] else {
        panic!("a loss is reported once")
    };
    assert!((2_000..3_000).contains(&lost_ms), "{lost_ms}");
}

#[test]
fn a_night_of_lost_sound_is_a_minute_of_silence_and_told_as_a_night() {
    let mut scene = conference(1);
    scene.command(record(Tapped::Mix, false));
    let disk = Memory::default();
    let mut recorder = Recorder::new(disk.clone());
    recorder.begin(recorded(Tapped::Mix, WAV, "slept.wav"), take_tap(&mut scene));
    talk(&mut scene, &[(1, 400)], 0, 50);
    recorder.work(false);
    scene.pass(std::time::Duration::from_secs(8 * 3_600));
    talk(&mut scene, &[(1, 400)], 50, 50);
    recorder.work(true);
    let reports = reports(&mut recorder);
    let Some(Report::RecordingEnded { figures, .. }) = reports.last() else { panic!("{reports:?}") };
    assert!((28_799_000..28_801_000).contains(&figures.lost_ms), "{figures:?}");
    assert!((61_000..62_100).contains(&figures.recorded_ms), "{figures:?}");
    assert_eq!(read_wav(&disk.whole(0)).len() as u64, figures.recorded_ms * 8);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn a_full_disk_ends_the_recording_with_a_report_and_leaves_what_was_written(
        room in 0_u64..30_000,
        opus in any::<bool>(),
    ) {
        let format = if opus { OPUS } else { WAV };
        let mut scene = conference(1);
        scene.command(record(Tapped::Mix, false));
        let disk = Memory::default();
        *disk.room.borrow_mut() = Some(room);
        let mut recorder = Recorder::new(disk.clone());
        recorder.begin(recorded(Tapped::Mix, format, "full"), take_tap(&mut scene));
        for second in 0..30 {
            talk(&mut scene, &[(1, 400)], second * 50, 50);
            recorder.work(false);
        }
        recorder.work(true);
        let reports = reports(&mut recorder);
        let Some(Report::RecordingFailed { fault, figures, .. }) = reports.last() else {
            return Err(TestCaseError::fail("half a minute has no room"));
        };
        prop_assert_eq!(*fault, RecordingFault::DiskFull);
        prop_assert!(recorder.is_idle());
        if figures.files == 1 {
            let file = disk.whole(0);
            let ms = if opus { read_opus(&file, 1).0.len() / 48 } else { read_wav(&file).len() / 8 };
            prop_assert!(ms as u64 + 1_100 >= figures.recorded_ms, "{} {:?}", ms, figures);
        }
    }

    #[test]
    fn a_killed_process_leaves_a_file_that_lacks_at_most_the_last_second(
        rounds in proptest::collection::vec(1_u16..11, 1..40),
        cut in any::<proptest::sample::Index>(),
        octets in any::<proptest::sample::Index>(),
        opus in any::<bool>(),
    ) {
        let (what, format) = (Tapped::Parties { left: MemberId(1) }, if opus { OPUS } else { WAV });
        let mut scene = conference(2);
        scene.command(record(what, false));
        let disk = Memory::default();
        let mut recorder = Recorder::new(disk.clone());
        recorder.begin(recorded(what, format, "killed"), take_tap(&mut scene));
        // Milliseconds that had passed before each write: rounds come every 200 ms at the latest.
        let (mut ticks, mut passed) = (0, Vec::new());
        let note = |ticks: u16, passed: &mut Vec<u64>| {
            passed.resize(disk.files.borrow()[0].1.writes.len(), u64::from(ticks) * 20);
        };
        note(0, &mut passed);
        let begun = passed.len();
        for round in rounds {
            talk(&mut scene, &[(1, 400), (2, 700)], ticks, round);
            ticks += round;
            recorder.work(false);
            note(ticks, &mut passed);
        }
        let total = passed.len();
        let writes = begun + cut.index(total - begun + 1);
        let files = disk.files.borrow();
        let journal = &files[0].1;
        // A head of 44 octets is written whole or not at all; samples and pages may be cut anywhere.
        let next = journal.writes.get(writes).filter(|(at, _)| *at > 0).map_or(0, |(_, bytes)| bytes.len());
        let file = journal.file(writes, octets.index(next + 1));
        let samples = if opus { read_opus(&file, 2).0.len() / 48 } else { read_wav(&file).len() / 8 };
        let recorded_ms = samples as u64 / 2;
        let until = passed.get(writes).copied().unwrap_or(u64::from(ticks) * 20);
        prop_assert!(recorded_ms + 1_000 >= until, "{recorded_ms} of {until} ms");
    }
}

#[test]
fn a_wav_file_that_is_full_goes_on_in_another() {
    let mut scene = conference(1);
    scene.command(record(Tapped::Mix, false));
    let disk = Memory::default();
    let mut recorder = Recorder::new(disk.clone()).with_largest_wav(60_000);
    recorder.begin(recorded(Tapped::Mix, WAV, "folder/long.wav"), take_tap(&mut scene));
    for second in 0..10 {
        talk(&mut scene, &[(1, 400)], second * 50, 50);
        recorder.work(false);
    }
    scene.command(Command::StopRecording { room: ROOM, recording: ONE });
    recorder.work(false);
    let reports = reports(&mut recorder);
    let Some(Report::RecordingEnded { figures, .. }) = reports.last() else { panic!("{reports:?}") };
    assert_eq!(figures.octets, 160_000);
    assert_eq!(disk.names(), ["folder/long.wav", "folder/long-2.wav", "folder/long-3.wav"]);
    let lengths: Vec<usize> = (0..3).map(|index| read_wav(&disk.whole(index)).len()).collect();
    assert!(lengths.iter().all(|length| *length <= 30_000), "{lengths:?}");
    assert_eq!(lengths.iter().sum::<usize>(), 80_000);
}

#[test]
fn opus_has_the_sound_and_the_length_of_what_was_said() {
    let what = Tapped::Parties { left: MemberId(1) };
    let mut scene = conference(2);
    scene.command(record(what, false));
    let disk = Memory::default();
    let mut recorder = Recorder::new(disk.clone());
    recorder.begin(recorded(what, OPUS, "two.opus"), take_tap(&mut scene));
    for round in 0..13 {
        talk(&mut scene, &[(1, 400), (2, 700)], round * 10, 10);
        recorder.work(false);
    }
    scene.command(Command::StopRecording { room: ROOM, recording: ONE });
    recorder.work(false);
    let (samples, ended) = read_opus(&disk.whole(0), 2);
    assert!(ended);
    assert_eq!(samples.len(), 2 * 48 * 2_600);
    // Every sixth sample of a channel: 8 kHz.
    let channel =
        |number: usize| -> Vec<i16> { samples.iter().skip(48_000 + number).step_by(12).copied().collect() };
    for (number, [own, other]) in [[400.0, 700.0], [700.0, 400.0]].into_iter().enumerate() {
        let samples = channel(number);
        assert!(level(&samples, own) > 0.8 && level(&samples, other) < 0.05, "channel {number}");
    }
}

#[test]
fn a_rate_that_opus_has_not_is_refused() {
    let mut scene = conference(1);
    scene.command(record(Tapped::Mix, false));
    let mut recorder = Recorder::new(Memory::default());
    let format = RecordingFormat { rate: SampleRate::Hz44100, ..OPUS };
    recorder.begin(recorded(Tapped::Mix, format, "odd.opus"), take_tap(&mut scene));
    let fault = RecordingFault::Format;
    let figures = RecordingFigures::default();
    assert_eq!(reports(&mut recorder), [Report::RecordingFailed { recording: ONE, fault, figures }]);
}

#[test]
fn files_are_made_for_their_owner_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("deep/one.wav");
    let mut scene = conference(1);
    let mut begin = |recorder: &mut Recorder<Disk>| {
        scene.command(record(Tapped::Mix, false));
        recorder.begin(recorded(Tapped::Mix, WAV, file.to_str().unwrap()), take_tap(&mut scene));
        talk(&mut scene, &[(1, 400)], 0, 50);
        scene.command(Command::StopRecording { room: ROOM, recording: ONE });
        recorder.work(false);
        reports(recorder).pop()
    };
    let mut recorder = Recorder::new(Disk);
    assert!(matches!(begin(&mut recorder), Some(Report::RecordingEnded { .. })));
    let written = std::fs::read(&file).unwrap();
    assert_eq!(read_wav(&written).len(), 8_000);
    let again = begin(&mut recorder);
    assert!(
        matches!(again, Some(Report::RecordingFailed { fault: RecordingFault::FileExists, .. })),
        "{again:?}"
    );
    assert_eq!(std::fs::read(&file).unwrap(), written);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(std::fs::metadata(file.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    }
}

/// A disk of the system that is always full.
#[cfg(target_os = "linux")]
struct Full;

#[cfg(target_os = "linux")]
impl Files for Full {
    type File = std::fs::File;

    fn create(&mut self, _: &Path) -> io::Result<std::fs::File> {
        std::fs::OpenOptions::new().write(true).open("/dev/full")
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_the_system_calls_full_is_reported_as_full() {
    let mut scene = conference(1);
    scene.command(record(Tapped::Mix, false));
    let mut recorder = Recorder::new(Full);
    recorder.begin(recorded(Tapped::Mix, WAV, "full.wav"), take_tap(&mut scene));
    let (fault, figures) = (RecordingFault::DiskFull, RecordingFigures::default());
    assert_eq!(reports(&mut recorder), [Report::RecordingFailed { recording: ONE, fault, figures }]);
}

/// Names the folder into which the killed process records.
const FOLDER: &str = "MEDIA_TEST_RECORDS_INTO";

/// Records for ever, and prints how many milliseconds have passed after each round of 200.
fn record_for_ever(folder: &Path) {
    let mut tracks = [("killed.wav", WAV), ("killed.opus", OPUS)].map(|(name, format)| {
        let mut scene = conference(1);
        scene.command(record(Tapped::Mix, false));
        let mut recorder = Recorder::new(Disk);
        let file = folder.join(name);
        recorder.begin(recorded(Tapped::Mix, format, file.to_str().unwrap()), take_tap(&mut scene));
        (scene, recorder)
    });
    for round in 0..u16::MAX / 10 {
        for (scene, recorder) in &mut tracks {
            talk(scene, &[(1, 400)], round * 10, 10);
            recorder.work(false);
        }
        println!("passed {}", (u64::from(round) + 1) * 200);
    }
}

#[test]
fn a_process_that_is_killed_leaves_files_that_can_be_played() {
    use std::io::{BufRead, BufReader};
    use std::process::{Command as Program, Stdio};
    if let Some(folder) = std::env::var_os(FOLDER) {
        return record_for_ever(Path::new(&folder));
    }
    let folder = tempfile::tempdir().unwrap();
    let mut child = Program::new(std::env::current_exe().unwrap())
        .args(["--exact", "a_process_that_is_killed_leaves_files_that_can_be_played", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let mut passed = lines.filter_map(|line| line.split_once("passed ")?.1.parse::<u64>().ok());
    assert_eq!(passed.find(|passed| *passed >= 20_000), Some(20_000));
    child.kill().unwrap();
    child.wait().unwrap();
    let wav = read_wav(&std::fs::read(folder.path().join("killed.wav")).unwrap()).len() / 8;
    let opus = read_opus(&std::fs::read(folder.path().join("killed.opus")).unwrap(), 1).0.len() / 48;
    assert!(wav >= 19_000 && opus >= 19_000, "{wav} and {opus} of at least 20,000 ms");
}

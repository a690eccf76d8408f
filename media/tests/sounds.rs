//! Files that are played: what is read of them, how they are kept, and what a room hears of them.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

#[expect(dead_code, reason = "the relay has helpers of its own")]
mod scene;

use std::f64::consts::TAU;
use std::io::Cursor;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use hound::{SampleFormat, WavSpec, WavWriter};
use media::codec::{Codec, FileEncoder, g711};
use media::dsp::SampleRate;
use media::dtmf::{Digit, EventCode};
use media::io::{BuiltIn, LONGEST, Sounds, decode};
use media::mix::{Audience, MemberId, Role};
use media::source::{CallTone, Sound, SoundFault, Source};
use media::{AudioFormat, Command, LegId, Report, RoomId, Wanted};
use ogg::writing::{PacketWriteEndInfo, PacketWriter};
use proptest::prelude::*;
use scene::{PTIME, Rtp, Scene, params};

const ROOM: RoomId = RoomId(7);
const PLAYER: MemberId = MemberId(1_000);
const PCMU: AudioFormat = AudioFormat { codec: Codec::Pcmu, payload_type: 0, ptime_ms: 20 };
const SDP: &str = "198.51.100.1:4000";
const HZ8000: SampleRate = SampleRate::Hz8000;

/// A sample of 500 Hz at half of full scale.
fn tone(at: u32, rate: u32) -> f64 {
    0.5 * (f64::from(at) * 500.0 / f64::from(rate) * TAU).sin()
}

/// How loud 500 Hz are in samples, in parts of full scale.
fn level(samples: &[i16], rate: u32, hertz: f64) -> f64 {
    let (mut real, mut imaginary) = (0.0, 0.0);
    for (at, sample) in samples.iter().enumerate() {
        let angle = hertz * at as f64 / f64::from(rate) * TAU;
        real += f64::from(*sample) * angle.cos();
        imaginary += f64::from(*sample) * angle.sin();
    }
    (real * real + imaginary * imaginary).sqrt() / samples.len() as f64 * 2.0 / 32_768.0
}

/// A WAV file of a second of 500 Hz, alike on all channels.
fn wav(spec: WavSpec) -> Vec<u8> {
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec).unwrap();
    for at in 0..spec.sample_rate {
        for _ in 0..spec.channels {
            match spec.sample_format {
                SampleFormat::Float => writer.write_sample(tone(at, spec.sample_rate) as f32).unwrap(),
                SampleFormat::Int => {
                    let full = f64::from(1_u32 << (spec.bits_per_sample - 1));
                    writer.write_sample((tone(at, spec.sample_rate) * full) as i32).unwrap();
                }
            }
        }
    }
    writer.finalize().unwrap();
    file.into_inner()
}

fn spec(channels: u16, sample_rate: u32, bits_per_sample: u16, sample_format: SampleFormat) -> WavSpec {
    WavSpec { channels, sample_rate, bits_per_sample, sample_format }
}

/// An Ogg file with Opus of so many seconds of 500 Hz at 48 kHz, one page a second.
fn opus(channels: usize, seconds: u32, gain: i16) -> Vec<u8> {
    let mut encoder = FileEncoder::new(SampleRate::Hz48000, channels).unwrap();
    let pre_skip = encoder.pre_skip();
    let mut pages = PacketWriter::new(Vec::new());
    let mut head = b"OpusHead\x01".to_vec();
    head.push(channels as u8);
    head.extend(pre_skip.to_le_bytes());
    head.extend(48_000_u32.to_le_bytes());
    head.extend(gain.to_le_bytes());
    head.push(0);
    pages.write_packet(head, 5, PacketWriteEndInfo::EndPage, 0).unwrap();
    let tags = b"OpusTags\x04\0\0\0test\0\0\0\0".to_vec();
    pages.write_packet(tags, 5, PacketWriteEndInfo::EndPage, 0).unwrap();
    let total = u64::from(seconds * 48_000 + u32::from(pre_skip));
    let packets = total.div_ceil(960);
    for packet in 0..packets {
        let at = |sample: usize| (tone(packet as u32 * 960 + sample as u32, 48_000) * 32_768.0) as i16;
        let samples: Vec<i16> = (0..960).flat_map(|sample| vec![at(sample); channels]).collect();
        let mut octets = vec![0; 1_500];
        let length = encoder.encode(&samples, &mut octets).unwrap();
        octets.truncate(length);
        let end = match packet + 1 {
            last if last == packets => PacketWriteEndInfo::EndStream,
            whole if whole % 50 == 0 => PacketWriteEndInfo::EndPage,
            _ => PacketWriteEndInfo::NormalPacket,
        };
        pages.write_packet(octets, 5, end, ((packet + 1) * 960).min(total)).unwrap();
    }
    pages.into_inner()
}

fn read(file: &[u8], rate: SampleRate) -> Result<Sound, SoundFault> {
    decode(Cursor::new(file), rate, LONGEST)
}

#[test]
fn wav_of_every_depth_width_and_rate_is_the_same_sound_at_any_rate() {
    let kinds = [
        (8, SampleFormat::Int),
        (16, SampleFormat::Int),
        (24, SampleFormat::Int),
        (32, SampleFormat::Int),
        (32, SampleFormat::Float),
    ];
    for (bits, format) in kinds {
        for (channels, from) in [(1, 8_000), (2, 44_100), (1, 11_025), (2, 48_000), (1, 96_000)] {
            for to in [HZ8000, SampleRate::Hz16000, SampleRate::Hz48000] {
                let sound = read(&wav(spec(channels, from, bits, format)), to).unwrap();
                let hertz = to.hertz();
                assert_eq!(sound.rate(), to);
                assert!(sound.samples().len().abs_diff(hertz as usize) <= 1);
                let middle = &sound.samples()[hertz as usize / 4..hertz as usize * 3 / 4];
                let loud = level(middle, hertz, 500.0);
                assert!((loud - 0.5).abs() < 0.01, "{bits} bits {channels} x {from} to {hertz}: {loud}");
            }
        }
    }
}

#[test]
fn channels_are_mixed_down_to_their_mean() {
    let mut file = Cursor::new(Vec::new());
    let mut writer = WavWriter::new(&mut file, spec(2, 8_000, 16, SampleFormat::Int)).unwrap();
    for sample in [100_i16, 300, -5, -5, i16::MAX, i16::MAX, i16::MIN, i16::MIN] {
        writer.write_sample(sample).unwrap();
    }
    writer.finalize().unwrap();
    assert_eq!(read(&file.into_inner(), HZ8000).unwrap().samples(), [200, -5, i16::MAX, i16::MIN]);
}

#[test]
fn opus_has_its_length_and_its_sound_at_any_rate() {
    for channels in [1, 2] {
        let file = opus(channels, 2, 0);
        for rate in SampleRate::ALL {
            let sound = read(&file, rate).unwrap();
            let hertz = rate.hertz() as usize;
            assert!(sound.samples().len().abs_diff(2 * hertz) <= 1, "{}", sound.samples().len());
            let loud = level(&sound.samples()[hertz / 2..hertz * 3 / 2], rate.hertz(), 500.0);
            assert!((loud - 0.5).abs() < 0.03, "{channels} x {hertz}: {loud}");
        }
    }
    // Twelve decibels less.
    let quiet = read(&opus(1, 1, -12 * 256), HZ8000).unwrap();
    assert!((level(&quiet.samples()[2_000..6_000], 8_000, 500.0) - 0.125).abs() < 0.01);
}

#[test]
fn what_is_in_the_program_is_decoded_by_a_name_in_the_place_of_a_path() {
    static FILE: LazyLock<Vec<u8>> = LazyLock::new(|| wav(spec(1, 8_000, 16, SampleFormat::Int)));
    let built_in = BuiltIn(|name| (name == "prompt:tone").then(|| FILE.as_slice()));
    let mut sounds = Sounds::default().with_built_in(built_in);
    let sound = sounds.load(&"prompt:tone".into(), HZ8000).unwrap();
    assert!((level(sound.samples(), 8_000, 500.0) - 0.5).abs() < 0.01);
    assert!(Arc::ptr_eq(&sound, &sounds.load(&"prompt:tone".into(), HZ8000).unwrap()), "decoded once");
    assert_eq!(sounds.load(&"/no/such/file.wav".into(), HZ8000).unwrap_err(), SoundFault::NotFound);
}

#[test]
fn what_cannot_be_played_is_told_apart() {
    let fault = |file: &[u8]| read(file, HZ8000).unwrap_err();
    assert_eq!(fault(b""), SoundFault::Unsupported);
    assert_eq!(fault(b"ID3\x04 an mp3"), SoundFault::Unsupported);
    assert_eq!(fault(b"RIFF\x04\0\0\0WAVE"), SoundFault::Malformed);
    assert_eq!(fault(b"OggS and nothing else"), SoundFault::Malformed);
    let empty = wav(spec(1, 8_000, 16, SampleFormat::Int));
    let mut empty = empty[..44].to_vec();
    empty[40..44].fill(0);
    assert_eq!(fault(&empty), SoundFault::Empty);
    let long = wav(spec(1, 8_000, 16, SampleFormat::Int));
    let short = Duration::from_millis(900);
    assert_eq!(decode(Cursor::new(&long), HZ8000, short).unwrap_err(), SoundFault::TooLong);
    assert_eq!(
        decode(Cursor::new(opus(1, 3, 0)), HZ8000, Duration::from_secs(1)).unwrap_err(),
        SoundFault::TooLong
    );
    let missing: Arc<str> = "/no/such/file.wav".into();
    assert_eq!(Sounds::default().load(&missing, HZ8000).unwrap_err(), SoundFault::NotFound);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_file_that_breaks_off_or_is_damaged_never_panics(
        opus_file in any::<bool>(),
        cut in any::<proptest::sample::Index>(),
        damage in proptest::collection::vec((any::<proptest::sample::Index>(), any::<u8>()), 0..8),
    ) {
        let mut file = if opus_file { opus(1, 1, 0) } else { wav(spec(2, 8_000, 24, SampleFormat::Int)) };
        file.truncate(cut.index(file.len()));
        for (at, octet) in damage {
            let length = file.len();
            if let Some(place) = file.get_mut(at.index(length.max(1))) {
                *place = octet;
            }
        }
        // Whatever it is, it is a sound or a fault.
        let _ = read(&file, HZ8000);
    }
}

#[test]
fn a_wav_file_that_breaks_off_is_played_as_far_as_it_goes() {
    let whole = wav(spec(1, 8_000, 16, SampleFormat::Int));
    let sound = read(&whole[..44 + 2 * 3_000], HZ8000).unwrap();
    assert_eq!(sound.samples(), &read(&whole, HZ8000).unwrap().samples()[..3_000]);
}

fn write(folder: &Path, name: &str, milliseconds: usize) -> Arc<str> {
    let path = folder.join(name);
    let mut writer = WavWriter::create(&path, spec(1, 8_000, 16, SampleFormat::Int)).unwrap();
    (0..milliseconds * 8).for_each(|at| writer.write_sample((at % 100) as i16 + 1).unwrap());
    writer.finalize().unwrap();
    path.to_str().unwrap().into()
}

#[test]
fn a_sound_is_decoded_once_for_all_who_play_it_and_again_when_its_file_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let mut sounds = Sounds::default();
    let file = write(folder.path(), "one.wav", 100);
    let first = sounds.load(&file, HZ8000).unwrap();
    assert!(Arc::ptr_eq(&first, &sounds.load(&file, HZ8000).unwrap()));
    let wide = sounds.load(&file, SampleRate::Hz16000).unwrap();
    assert_eq!(wide.samples().len(), 2 * first.samples().len());
    write(folder.path(), "one.wav", 200);
    assert_eq!(sounds.load(&file, HZ8000).unwrap().samples().len(), 1_600);
    assert_eq!(Arc::strong_count(&first), 2, "what is still played is kept, whatever its file is now");
}

#[test]
fn sounds_have_bounds_and_nothing_that_plays_is_let_go() {
    let folder = tempfile::tempdir().unwrap();
    let [one, two, three] = ["one.wav", "two.wav", "three.wav"].map(|name| write(folder.path(), name, 100));
    // Room for two of three.
    let mut sounds = Sounds::new(2 * 1_600);
    let playing = sounds.load(&one, HZ8000).unwrap();
    sounds.load(&two, HZ8000).unwrap();
    let also = sounds.load(&three, HZ8000).unwrap();
    assert_eq!((Arc::strong_count(&playing), sounds.used()), (2, 3_200));
    assert_eq!(sounds.load(&two, HZ8000).unwrap_err(), SoundFault::NoMemory);
    drop(also);
    assert!(sounds.load(&two, HZ8000).is_ok());
    assert_eq!((Arc::strong_count(&playing), sounds.used()), (2, 3_200));
}

/// A room with one leg and a player.
fn room(source: Source) -> Scene {
    let mut scene = Scene::empty();
    scene.command(Command::OpenRoom { room: ROOM });
    scene.open(LegId(1));
    scene.command(Command::Configure { leg: LegId(1), params: params(SDP) });
    let role = Role::Participant;
    scene.command(Command::Join { room: ROOM, leg: LegId(1), format: PCMU, role });
    let role = Role::Announce { to: Audience::All };
    scene.command(Command::Play { room: ROOM, member: PLAYER, source, role });
    scene
}

fn files(names: &[&str], loops: bool) -> Source {
    Source::Files { files: names.iter().map(|name| (*name).into()).collect(), loops }
}

/// What the leg hears in so many ticks.
fn hear(scene: &mut Scene, ticks: usize) -> Vec<i16> {
    let mut heard = Vec::new();
    for _ in 0..ticks {
        scene.pass(PTIME);
        scene.shard.tick(scene.now);
        while let Some((_, octets)) = scene.shard.poll_transmit() {
            heard.extend(Rtp::read(octets).payload.iter().map(|octet| g711::decode_ulaw(*octet)));
        }
    }
    heard
}

/// Answers what the players ask for: a sound of as many frames, each sample as loud, as the name says.
fn supply(scene: &mut Scene) -> Vec<Report> {
    let reports = scene.reports();
    for wanted in std::mem::take(&mut scene.wanted) {
        let number: Option<i16> = wanted.file.parse().ok();
        let frame = wanted.rate.samples(20);
        let samples = number.map(|number| vec![number * 1_000; frame * number as usize]);
        let sound = samples.and_then(|samples| Sound::new(wanted.rate, samples)).map(Arc::new);
        scene.shard.handle_sound(&wanted, sound.ok_or(SoundFault::NotFound));
    }
    reports.into_iter().chain(scene.reports()).collect()
}

#[test]
fn files_follow_each_other_in_a_room_and_their_end_is_reported() {
    let mut scene = room(files(&["2", "lost", "3"], false));
    let mut reports = supply(&mut scene);
    let mut heard = Vec::new();
    for _ in 0..8 {
        heard.extend(hear(&mut scene, 1));
        reports.extend(supply(&mut scene));
    }
    let loud: Vec<i16> =
        heard.chunks(160).map(|frame| (f64::from(frame[80]) / 1_000.0).round() as i16).collect();
    assert_eq!(loud, [2, 2, 3, 3, 3, 0, 0, 0]);
    let (room, member) = (ROOM, PLAYER);
    let lost = Report::NotPlayed { room, member, file: "lost".into(), fault: SoundFault::NotFound };
    let about: Vec<Report> = reports
        .into_iter()
        .filter(|report| matches!(report, Report::Played { .. } | Report::NotPlayed { .. }))
        .collect();
    assert_eq!(about, [lost, Report::Played { room, member }]);
    scene.command(Command::Enqueue { room, member, files: vec!["2".into()] });
    supply(&mut scene);
    assert!(hear(&mut scene, 1)[80] > 1_900);
}

#[test]
fn a_loop_goes_on_and_follows_the_room_to_another_rate() {
    let mut scene = room(files(&["2"], true));
    supply(&mut scene);
    assert!(hear(&mut scene, 20).iter().all(|sample| *sample > 1_900));
    scene.open(LegId(2));
    scene.command(Command::Configure { leg: LegId(2), params: params("198.51.100.2:4000") });
    let format = AudioFormat { codec: Codec::G722, payload_type: 9, ptime_ms: 20 };
    scene.command(Command::Join { room: ROOM, leg: LegId(2), format, role: Role::Participant });
    hear(&mut scene, 1);
    let wanted = scene.reports();
    assert_eq!(wanted.len(), 0, "{wanted:?}");
    assert_eq!(scene.wanted.iter().map(|wanted| wanted.rate).collect::<Vec<_>>(), [SampleRate::Hz16000]);
    supply(&mut scene);
    scene.command(Command::Leave { room: ROOM, member: PLAYER });
    let late = Wanted { room: ROOM, member: PLAYER, file: "2".into(), rate: HZ8000 };
    scene.shard.handle_sound(&late, Ok(Sound::new(HZ8000, vec![1]).unwrap().into()));
}

#[test]
fn tones_of_a_country_and_digits_are_sources() {
    let mut scene = room(Source::Tone { country: "de".into(), tone: CallTone::Busy });
    let heard = hear(&mut scene, 20);
    assert!(level(&heard[160..], 8_000, 425.0) > 0.1);
    let digit = Digit { code: EventCode::from_char('5').unwrap(), duration: Duration::from_millis(100) };
    let mut scene = room(Source::Digits(vec![digit]));
    let heard = hear(&mut scene, 5);
    assert!(level(&heard[160..640], 8_000, 770.0) > 0.1 && level(&heard[160..640], 8_000, 1_336.0) > 0.1);
    hear(&mut scene, 20);
    assert!(scene.reports().contains(&Report::Played { room: ROOM, member: PLAYER }));
}

#[test]
fn playing_files_allocates_nothing_and_frees_nothing() {
    let mut scene = room(files(&["2", "3", "lost"], true));
    scene.reports();
    let sounds: Vec<Arc<Sound>> =
        [2, 3].map(|number| Sound::new(HZ8000, vec![number * 1_000; 500]).unwrap().into()).to_vec();
    for _ in 0..200 {
        let (shard, now) = (&mut scene.shard, scene.now);
        let counted = allocation_counter::measure(|| {
            shard.tick(now);
            while shard.poll_transmit().is_some() {}
        });
        assert_eq!((counted.count_total, counted.count_current), (0, 0));
        scene.reports();
        for wanted in std::mem::take(&mut scene.wanted) {
            let sound = wanted.file.parse::<usize>().ok().and_then(|number| sounds.get(number - 2));
            scene.shard.handle_sound(&wanted, sound.cloned().ok_or(SoundFault::NotFound));
        }
        scene.pass(PTIME);
    }
}

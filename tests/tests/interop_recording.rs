//! Recording and playing, with a real phone: what was said is in the file, and what is in the file is heard.
//!
//! Skipped, loudly, only where baresip or the makers of speech cannot be installed.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use media::dsp::SampleRate;
use media::io::{LONGEST, decode};
use tests::audio::Audio;
use tests::baresip::{Phone, Settings, Transport};
use tests::compare::{Comparison, Limits};
use tests::pair;
use tests::skip;
use tests::speech::{self, Speech};
use tests::switch::{PASSWORD, Switch};

/// As between two phones. Where a phone that the machine kept from running is late, the jitter buffer before the file makes
/// room for it, once or twice, and a segment in which it does so holds two delays: two of seven may.
const LIMITS: Limits =
    Limits { level_db: 1.0, band_db: 3.0, correlation: 0.9, heard: 0.7, delay_spread_ms: 60.0 };

const ROUTES: &str = r#"
[[domain]]
name = "lab"
default = true

[[user]]
id = "1000"
password = "secret"

[[route]]
pattern = "3000"
service = "conference"
record = true

[[route]]
pattern = "3001"
service = "conference"
record = true
format = "opus"
layout = "members"

[[route]]
pattern = "3100"
service = "play"
sound = "played.wav"

[[route]]
pattern = "3200"
service = "music"
folder = "music"
"#;

fn skipped(test: &str) -> bool {
    skip::missing(&format!("interop_recording::{test}"), &pair::programs())
}

/// A switch with sounds to play, and a phone that says something for eight seconds.
struct Lab {
    switch: Switch,
    phone: Phone,
    said: Audio,
    played: Audio,
}

impl Lab {
    fn open() -> Lab {
        let mut switch = Switch::start_after(|folder, _| {
            let text = "Welcome. This is what the switch plays to whoever has called it.";
            let played = speech::make(folder, "played", Speech { voice: "en+f3", text, seconds: 5 });
            let music = folder.join("music");
            fs::create_dir(&music).expect("the folder is new");
            fs::copy(played, music.join("one.wav")).expect("the sound is there");
            ROUTES.to_owned()
        });
        let folder = switch.folder().to_owned();
        let text = "The quick brown fox jumps over the lazy dog. Every word of it is recorded.";
        let microphone = speech::make(&folder, "said", Speech { voice: "en", text, seconds: 8 });
        let read = |path: &Path| Audio::read(path).expect("speech is a 16-bit WAV file");
        let (said, played) = (read(&microphone), read(&folder.join("played.wav")));
        let settings = Settings {
            user: "1000",
            password: PASSWORD,
            server: switch.address(),
            transport: Transport::Udp,
            codec: "PCMU",
            microphone: &microphone,
        };
        let phone = Phone::start(&folder, &mut switch.ports, settings);
        phone.registered();
        Lab { switch, phone, said, played }
    }

    /// The one recording of the switch, as it sounds on the telephone.
    fn recording(&self, extension: &str) -> Audio {
        let folder = self.switch.folder().join("data/recordings");
        let files: Vec<PathBuf> = fs::read_dir(folder)
            .expect("there is a recording")
            .filter_map(|entry| Some(entry.ok()?.path()))
            .collect();
        let [file] = &files[..] else { panic!("one call, one file: {files:?}") };
        assert!(file.to_string_lossy().ends_with(&format!("-call-1.{extension}")), "{}", file.display());
        let sound = decode(File::open(file).expect("the file is ours"), SampleRate::Hz8000, LONGEST);
        let sound = sound.unwrap_or_else(|fault| panic!("{}: {fault:?}", file.display()));
        Audio {
            rate: 8_000,
            samples: sound.samples().iter().map(|sample| f32::from(*sample) / 32_768.0).collect(),
        }
    }
}

fn is_heard(what: &str, source: &Audio, recording: &Audio) {
    let comparison = Comparison::of(source, recording);
    println!("{what}: {comparison}");
    assert!(comparison.within(&LIMITS), "{what} is not what was said: {comparison}");
}

#[test]
fn what_is_said_in_a_conference_is_in_its_recording() {
    if skipped("what_is_said_in_a_conference_is_in_its_recording") {
        return;
    }
    let mut lab = Lab::open();
    lab.phone.dial("3000");
    lab.phone.has_said_all();
    lab.switch.expect("recording ended");
    is_heard("the recording", &lab.said, &lab.recording("wav"));
    lab.phone.quit();
    lab.switch.stop_and_replay();
}

#[test]
fn what_a_member_says_is_in_its_recording_in_opus() {
    if skipped("what_a_member_says_is_in_its_recording_in_opus") {
        return;
    }
    let mut lab = Lab::open();
    lab.phone.dial("3001");
    lab.phone.has_said_all();
    lab.switch.expect("recording ended");
    is_heard("the recording", &lab.said, &lab.recording("opus"));
    lab.phone.quit();
    lab.switch.stop_and_replay();
}

#[test]
fn a_file_is_played_to_its_end_and_then_the_switch_hangs_up() {
    if skipped("a_file_is_played_to_its_end_and_then_the_switch_hangs_up") {
        return;
    }
    let mut lab = Lab::open();
    lab.phone.dial("3100");
    lab.phone.was_hung_up();
    let Lab { switch, phone, played, .. } = lab;
    is_heard("what the phone heard", &played, &phone.heard());
    switch.stop_and_replay();
}

#[test]
fn music_goes_on_until_the_caller_hangs_up() {
    if skipped("music_goes_on_until_the_caller_hangs_up") {
        return;
    }
    let mut lab = Lab::open();
    lab.phone.dial("3200");
    lab.phone.has_said_all();
    let Lab { switch, phone, played, .. } = lab;
    let mut heard = phone.heard();
    // Eight seconds of five: it has begun again.
    assert!(heard.seconds() > 6.5, "{} s", heard.seconds());
    // The first round alone, or each sentence would be found twice.
    heard.samples.truncate(played.samples.len());
    is_heard("what the phone heard", &played, &heard);
    switch.stop();
}

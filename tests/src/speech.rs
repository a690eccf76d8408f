//! Speech to send through the switch, made on the spot: espeak-ng speaks, sox brings it to telephone form.

use crate::audio::Audio;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs [`make`] runs.
pub const PROGRAMS: [&str; 2] = ["espeak-ng", "sox"];

/// What to say, how, and how long the file is.
#[derive(Debug, Clone, Copy)]
pub struct Speech<'a> {
    /// An espeak-ng voice, such as `en` or `en+f3`.
    pub voice: &'a str,
    /// English text.
    pub text: &'a str,
    /// Length of the file in seconds: silence is added after the speech, or the speech is cut.
    pub seconds: u32,
}

/// Writes `name.wav` in `folder`: 8 kHz, mono, 16 bit, peak at -6 dB of full scale, half a second of silence first.
///
/// # Panics
/// When a program fails.
#[must_use]
pub fn make(folder: &Path, name: &str, speech: Speech<'_>) -> PathBuf {
    let spoken = folder.join(format!("{name}-spoken.wav"));
    let file = folder.join(format!("{name}.wav"));
    let voice = ["-v", speech.voice, "-s", "160", "-w"];
    run(Command::new("espeak-ng").args(voice).arg(&spoken).arg(speech.text));
    let seconds = speech.seconds.to_string();
    // -R: the dither of the conversion is the same each time
    run(Command::new("sox")
        .arg("-R")
        .arg(&spoken)
        .args(["-r", "8000", "-c", "1", "-b", "16", "-e", "signed"])
        .arg(&file)
        .args(["gain", "-n", "-6", "pad", "0.5", &seconds, "trim", "0", &seconds]));
    file
}

/// Somebody says a text for so many seconds, in English: the file that [`make`] makes of it, and the sound in it.
///
/// # Panics
/// As [`make`].
#[must_use]
pub fn said(folder: &Path, name: &str, text: &str, seconds: u32) -> (PathBuf, Audio) {
    let file = make(folder, name, Speech { voice: "en", text, seconds });
    let said = Audio::read(&file).expect("speech is a 16-bit WAV file");
    (file, said)
}

/// The same sound at another rate, in a file beside it; the file itself at its own rate of 8 kHz.
///
/// # Panics
/// When sox fails.
#[must_use]
pub fn at_rate(file: &Path, rate: u32) -> PathBuf {
    if rate == 8_000 {
        return file.to_owned();
    }
    let other = file.with_extension(format!("{rate}.wav"));
    run(Command::new("sox").arg("-R").arg(file).args(["-r", &rate.to_string()]).arg(&other));
    other
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

//! From rings to files: a machine without clock or thread, so that tests decide when it works and on what disk.
//!
//! [`Recorder::work`] empties every ring, brings the samples to the rate of their file, and writes what makes half a second or
//! more. So a file lacks at most what one round and half a second hold. An error of a disk ends the recording it befell and
//! no other. A WAV file that is full is followed by one with `-2` (and so on) in its name.
//!
//! Lost ticks are silence, so that time stays true, up to [`LONGEST_GAP_MS`] at a time.
//!
//! Bounds: a recording keeps less than a second of samples; reports wait in a queue with at most a few entries for each
//! recording, since a further loss is told only when the queue is empty.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::files::Files;
use super::opus::Opus;
use super::wav::{self, Wav};
use crate::dsp::{Resampler, SampleRate};
use crate::shard::{Recorded, Report, TICK_MS};
use crate::tap::{Container, Heard, RecordingFault, RecordingFigures, TapReader};

/// Milliseconds of samples that are written together.
const TOGETHER_MS: u32 = 500;
/// The longest silence that stands for lost ticks: a machine that slept for a night leaves no night of it in the file.
const LONGEST_GAP_MS: u32 = 60_000;

/// Recordings and the files they go to.
pub struct Recorder<F: Files> {
    files: F,
    running: Vec<Running<F::File>>,
    reports: VecDeque<Report>,
    largest_wav: u64,
}

struct Running<File> {
    recorded: Recorded,
    reader: TapReader,
    file: File,
    form: Form,
    /// One for each channel, where the room has this other rate.
    converters: Option<(SampleRate, Vec<Resampler>)>,
    /// Samples of each channel that were handed to the form and not written yet.
    waiting: usize,
    figures: RecordingFigures,
    /// Octets of the files before this one.
    before: u64,
    lost_ms: u64,
}

enum Form {
    Wav(Wav),
    Opus(Box<Opus>),
}

impl<F: Files> Recorder<F> {
    /// A recorder without recordings.
    pub fn new(files: F) -> Recorder<F> {
        Recorder { files, running: Vec::new(), reports: VecDeque::new(), largest_wav: wav::LARGEST }
    }

    /// Lets WAV files have at most so many octets of samples.
    #[must_use]
    pub fn with_largest_wav(mut self, octets: u64) -> Recorder<F> {
        self.largest_wav = octets.min(wav::LARGEST);
        self
    }

    /// Whether nothing is being recorded.
    #[must_use]
    pub const fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// Recordings that run.
    #[must_use]
    pub const fn running(&self) -> usize {
        self.running.len()
    }

    /// The next report.
    pub fn poll_report(&mut self) -> Option<Report> {
        self.reports.pop_front()
    }

    /// Begins a recording.
    pub fn begin(&mut self, recorded: Recorded, reader: TapReader) {
        let recording = recorded.recording;
        match begin_file(&mut self.files, &recorded, 1) {
            Ok((path, file, form)) => {
                self.reports.push_back(Report::RecordingBegan { recording, file: path });
                self.running.push(Running {
                    recorded,
                    reader,
                    file,
                    form,
                    converters: None,
                    waiting: 0,
                    figures: RecordingFigures { files: 1, ..RecordingFigures::default() },
                    before: 0,
                    lost_ms: 0,
                });
            }
            Err(fault) => {
                let figures = RecordingFigures::default();
                self.reports.push_back(Report::RecordingFailed { recording, fault, figures });
            }
        }
    }

    /// Does a round: takes what the rings hold, and writes what is due. `last` ends every recording.
    pub fn work(&mut self, last: bool) {
        let Recorder { files, running, reports, largest_wav } = self;
        running.retain_mut(|running| {
            let recording = running.recorded.recording;
            let ended = last || running.reader.is_ended();
            let worked = running.work(files, reports, *largest_wav, ended);
            let figures = running.figures();
            match worked {
                Err(error) => {
                    let fault = fault(&error);
                    reports.push_back(Report::RecordingFailed { recording, fault, figures });
                }
                Ok(()) if ended => reports.push_back(Report::RecordingEnded { recording, figures }),
                Ok(()) => {
                    // One that waits says enough for now.
                    if running.lost_ms > 0 && reports.is_empty() {
                        let lost_ms = core::mem::take(&mut running.lost_ms);
                        reports.push_back(Report::RecordingLost { recording, lost_ms });
                    }
                    return true;
                }
            }
            false
        });
    }
}

impl<File: io::Write + io::Seek> Running<File> {
    fn figures(&self) -> RecordingFigures {
        RecordingFigures { octets: self.before + self.form.octets(), ..self.figures }
    }

    fn work<F: Files<File = File>>(
        &mut self,
        files: &mut F,
        reports: &mut VecDeque<Report>,
        largest_wav: u64,
        ended: bool,
    ) -> io::Result<()> {
        let mut samples = Vec::new();
        while let Some(heard) = self.reader.read(&mut samples) {
            match heard {
                Heard::Lost { ticks } => {
                    self.lose(ticks.into(), |running| running.write_due(files, reports, largest_wav))?
                }
                Heard::Silence => self.take(None, &mut samples),
                Heard::Sound { rate } => self.take(Some(rate), &mut samples),
            }
            self.write_due(files, reports, largest_wav)?;
        }
        if ended {
            let missing = self.reader.missing_at_end();
            self.lose(missing, |running| running.write_due(files, reports, largest_wav))?;
            self.form.finish(&mut self.file)?;
        }
        Ok(())
    }

    /// Silence for ticks whose samples are gone, [`LONGEST_GAP_MS`] at most. All of them are told.
    fn lose(&mut self, ticks: u64, mut write_due: impl FnMut(&mut Self) -> io::Result<()>) -> io::Result<()> {
        for _ in 0..ticks.min(u64::from(LONGEST_GAP_MS / TICK_MS)) {
            self.take(None, &mut Vec::new());
            write_due(self)?;
        }
        let lost_ms = ticks * u64::from(TICK_MS);
        self.figures.lost_ms += lost_ms;
        self.lost_ms += lost_ms;
        Ok(())
    }

    /// One tick of sound at a rate, or of silence.
    fn take(&mut self, rate: Option<SampleRate>, samples: &mut Vec<i16>) {
        let (wanted, channels) = (self.recorded.format.rate, self.recorded.channels);
        if let Some(rate) = rate
            && self.converters.as_ref().map_or(wanted, |(from, _)| *from) != rate
        {
            let converters = || (rate, (0..channels).map(|_| Resampler::new(rate, wanted)).collect());
            self.converters = (rate != wanted).then(converters);
        }
        let length = wanted.samples(TICK_MS);
        match &mut self.converters {
            None => {
                samples.resize(length * channels, 0);
                self.form.push(samples);
            }
            Some((from, converters)) => {
                samples.resize(from.samples(TICK_MS) * channels, 0);
                let mut converted = vec![0; length * channels];
                for (channel, converter) in converters.iter_mut().enumerate() {
                    let one: Vec<i16> = samples.iter().skip(channel).step_by(channels).copied().collect();
                    let mut out = vec![0; length];
                    converter.resample(&one, &mut out);
                    for (place, sample) in converted.iter_mut().skip(channel).step_by(channels).zip(out) {
                        *place = sample;
                    }
                }
                self.form.push(&converted);
            }
        }
        samples.clear();
        self.waiting += length;
        self.figures.recorded_ms += u64::from(TICK_MS);
    }

    fn write_due<F: Files<File = File>>(
        &mut self,
        files: &mut F,
        reports: &mut VecDeque<Report>,
        largest_wav: u64,
    ) -> io::Result<()> {
        let rate = self.recorded.format.rate;
        if self.waiting < rate.samples(TOGETHER_MS) {
            return Ok(());
        }
        self.waiting = 0;
        self.form.flush(&mut self.file)?;
        // The next half second has to find room, too.
        let next = 2 * rate.samples(TOGETHER_MS) * self.recorded.channels;
        if self.form.has_bounds() && self.form.octets() + next as u64 > largest_wav {
            let part = self.figures.files + 1;
            let (path, file, form) = begin_file(files, &self.recorded, part).map_err(io_error)?;
            self.before += self.form.octets();
            (self.file, self.form, self.figures.files) = (file, form, part);
            reports.push_back(Report::RecordingBegan { recording: self.recorded.recording, file: path });
        }
        Ok(())
    }
}

impl Form {
    fn push(&mut self, samples: &[i16]) {
        match self {
            Form::Wav(wav) => wav.push(samples),
            Form::Opus(opus) => opus.push(samples),
        }
    }

    fn octets(&self) -> u64 {
        match self {
            Form::Wav(wav) => wav.octets(),
            Form::Opus(opus) => opus.octets(),
        }
    }

    const fn has_bounds(&self) -> bool {
        match self {
            Form::Wav(_) => true,
            Form::Opus(_) => false,
        }
    }

    fn flush(&mut self, file: &mut (impl io::Write + io::Seek)) -> io::Result<()> {
        match self {
            Form::Wav(wav) => wav.flush(file),
            Form::Opus(opus) => opus.flush(file),
        }
    }

    fn finish(&mut self, file: &mut (impl io::Write + io::Seek)) -> io::Result<()> {
        match self {
            Form::Wav(wav) => wav.flush(file),
            Form::Opus(opus) => opus.finish(file),
        }
    }
}

type Begun<File> = (Arc<str>, File, Form);

/// Makes the `part`th file of a recording.
fn begin_file<F: Files>(
    files: &mut F,
    recorded: &Recorded,
    part: u32,
) -> Result<Begun<F::File>, RecordingFault> {
    let Recorded { recording, channels, file: name, format } = recorded;
    let path = part_of(Path::new(&**name), part);
    let create = |files: &mut F| files.create(&path).map_err(|error| fault(&error));
    let failed = |error: io::Error| fault(&error);
    let (file, form) = match format.container {
        Container::Wav => {
            let mut file = create(files)?;
            let wav = Wav::begin(&mut file, *channels, format.rate.hertz()).map_err(failed)?;
            (file, Form::Wav(wav))
        }
        Container::OggOpus => {
            let mut opus =
                Opus::new(format.rate, *channels, recording.0 as u32).map_err(|_| RecordingFault::Format)?;
            let mut file = create(files)?;
            opus.begin(&mut file).map_err(failed)?;
            (file, Form::Opus(Box::new(opus)))
        }
    };
    Ok((path.to_string_lossy().into(), file, form))
}

/// `name.wav`, `name-2.wav` and so on.
fn part_of(path: &Path, part: u32) -> PathBuf {
    if part == 1 {
        return path.to_owned();
    }
    let mut name = path.file_stem().unwrap_or_default().to_owned();
    name.push(format!("-{part}"));
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

fn fault(error: &io::Error) -> RecordingFault {
    match error.kind() {
        io::ErrorKind::AlreadyExists => RecordingFault::FileExists,
        io::ErrorKind::StorageFull
        | io::ErrorKind::QuotaExceeded
        | io::ErrorKind::FileTooLarge
        | io::ErrorKind::WriteZero => RecordingFault::DiskFull,
        _ => RecordingFault::Os { errno: error.raw_os_error().unwrap_or(0) },
    }
}

/// The way back, for a fault at the beginning of a further file.
fn io_error(fault: RecordingFault) -> io::Error {
    match fault {
        RecordingFault::FileExists => io::ErrorKind::AlreadyExists.into(),
        RecordingFault::DiskFull => io::ErrorKind::StorageFull.into(),
        RecordingFault::Os { errno } => io::Error::from_raw_os_error(errno),
        RecordingFault::NoRoom
        | RecordingFault::AlreadyRunning
        | RecordingFault::TooMany
        | RecordingFault::Format => io::ErrorKind::Other.into(),
    }
}

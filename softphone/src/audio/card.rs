//! The sound card, through the crate `cpal` (ALSA, and PulseAudio or PipeWire by their ALSA plug-ins; CoreAudio; WASAPI). Feature
//! `sound-card`.
//!
//! A microphone is opened when a call begins to be talked in, a speaker when there is something to hear, and both are closed
//! when there is not, so that an idle phone neither listens nor keeps a device awake. A device that goes away is replaced, by
//! itself where it comes back or by the system's new choice, no more often than once a second.
//!
//! Left out on purpose: devices that can neither 48 nor 44.1 kHz, volume, and formats other than 16-bit, 32-bit and floating point.

use super::{Audio, LinkFigures, LinkedAudio, MicrophoneSide, SpeakerSide, link};
use crate::io::now;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Device, ErrorKind, FromSample, Sample, SampleFormat, SizedSample, Stream, StreamConfig};
use media::dsp::SampleRate;
use sip_stack::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long a device that failed is left alone.
const PATIENCE: Duration = Duration::from_secs(1);
/// The largest part of a period that is converted in one go.
const BLOCK: usize = 1_024;

/// Which devices; an empty name is the system's choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Devices {
    /// What hears.
    pub microphone: String,
    /// What plays.
    pub speaker: String,
    /// What rings.
    pub ringer: String,
}

/// Why there is no sound card.
#[derive(Debug, thiserror::Error)]
pub enum CardError {
    /// There is none of that name, or none at all.
    #[error("there is no {0}")]
    NoDevice(String),
    /// It cannot do what is needed.
    #[error("{0} has no format that is known here")]
    NoFormat(String),
    /// The system refused.
    #[error("{0}")]
    System(#[from] cpal::Error),
}

/// The names of the devices there are: microphones, speakers.
///
/// # Errors
/// [`CardError::System`]
pub fn device_names() -> Result<(Vec<String>, Vec<String>), CardError> {
    let host = cpal::default_host();
    let names = |devices: Vec<Device>| devices.iter().filter_map(name).collect();
    Ok((names(host.input_devices()?.collect()), names(host.output_devices()?.collect())))
}

fn name(device: &Device) -> Option<String> {
    device.description().ok().map(|description| description.name().to_owned())
}

/// A microphone and a speaker, and a speaker that rings.
pub struct Card {
    devices: Devices,
    rate: SampleRate,
    talk: Link,
    ring: Link,
}

impl std::fmt::Debug for Card {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Card")
            .field("devices", &self.devices)
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

/// A link and the streams at its other end.
struct Link {
    audio: LinkedAudio,
    /// The callbacks' sides, until their streams are opened.
    sides: (Option<MicrophoneSide>, Option<SpeakerSide>),
    microphone: Option<Stream>,
    speaker: Option<Stream>,
    /// A callback says that its device is gone.
    lost: Arc<AtomicBool>,
    not_before: Option<Time>,
}

impl Link {
    fn new(rate: SampleRate) -> Link {
        let (microphone, speaker, audio) = link(rate);
        Link {
            audio,
            sides: (Some(microphone), Some(speaker)),
            microphone: None,
            speaker: None,
            lost: Arc::default(),
            not_before: None,
        }
    }

    /// Closes everything; what opens next is new.
    fn close(&mut self, rate: SampleRate) {
        *self = Link { not_before: self.not_before, ..Link::new(rate) };
    }

    fn is_open(&self) -> bool {
        self.microphone.is_some() || self.speaker.is_some()
    }
}

impl Card {
    /// Finds the devices; none is opened yet.
    ///
    /// # Errors
    /// [`CardError`]
    pub fn new(devices: Devices) -> Result<Card, CardError> {
        let speaker = find(&devices.speaker, false)?;
        let microphone = find(&devices.microphone, true)?;
        let rates = [SampleRate::Hz48000, SampleRate::Hz44100];
        let both = |rate: &SampleRate| {
            config(&speaker, *rate, false).is_ok() && config(&microphone, *rate, true).is_ok()
        };
        let rate = rates
            .into_iter()
            .find(both)
            .ok_or_else(|| CardError::NoFormat(name(&speaker).unwrap_or_default()))?;
        Ok(Card { devices, rate, talk: Link::new(rate), ring: Link::new(rate) })
    }

    /// What was counted between the call and its devices.
    pub fn figures(&self) -> LinkFigures {
        self.talk.audio.figures()
    }

    /// Whether a link may be tried now; one whose device was lost is closed first.
    fn is_ready(link: &mut Link, rate: SampleRate, now: Time) -> bool {
        if link.lost.load(Ordering::Relaxed) {
            link.close(rate);
            link.not_before = Some(now + PATIENCE);
        }
        link.not_before.is_none_or(|until| until <= now)
    }
}

impl Audio for Card {
    fn rate(&self) -> SampleRate {
        self.rate
    }

    fn record(&mut self, now: Time, frame: &mut [i16]) {
        if Card::is_ready(&mut self.talk, self.rate, now) && self.talk.microphone.is_none() {
            if self.talk.sides.0.is_none() {
                self.talk.close(self.rate);
            }
            if let Some(side) = self.talk.sides.0.take() {
                let lost = Arc::clone(&self.talk.lost);
                match open_microphone(&self.devices.microphone, self.rate, side, lost) {
                    Ok(stream) => self.talk.microphone = Some(stream),
                    Err(_) => self.talk.not_before = Some(now + PATIENCE),
                }
            }
        }
        self.talk.audio.record(now, frame);
    }

    fn play(&mut self, now: Time, frame: &[i16]) {
        open_when_heard(&mut self.talk, &self.devices.speaker, self.rate, now, frame);
        self.talk.audio.play(now, frame);
    }

    fn ring(&mut self, now: Time, frame: &[i16]) {
        open_when_heard(&mut self.ring, &self.devices.ringer, self.rate, now, frame);
        if self.ring.speaker.is_some() {
            self.ring.audio.play(now, frame);
        }
    }

    fn set_talking(&mut self, talking: bool) {
        if !talking {
            self.talk.microphone = None;
        }
    }

    fn rest(&mut self) {
        for link in [&mut self.talk, &mut self.ring] {
            if link.is_open() {
                link.close(self.rate);
            }
        }
    }
}

/// Opens the speaker of a link with the first sound that is not silence.
fn open_when_heard(link: &mut Link, device: &str, rate: SampleRate, now: Time, frame: &[i16]) {
    if !Card::is_ready(link, rate, now) || link.speaker.is_some() || frame.iter().all(|sample| *sample == 0) {
        return;
    }
    if link.sides.1.is_none() {
        link.close(rate);
    }
    if let Some(side) = link.sides.1.take() {
        match open_speaker(device, rate, side, Arc::clone(&link.lost)) {
            Ok(stream) => link.speaker = Some(stream),
            Err(_) => link.not_before = Some(now + PATIENCE),
        }
    }
}

fn find(wanted: &str, input: bool) -> Result<Device, CardError> {
    let host = cpal::default_host();
    let what = if input { "microphone" } else { "speaker" };
    if wanted.is_empty() {
        let device = if input { host.default_input_device() } else { host.default_output_device() };
        return device.ok_or_else(|| CardError::NoDevice(what.to_owned()));
    }
    let named = |device: &Device| name(device).is_some_and(|name| name == wanted);
    let found = if input { host.input_devices()?.find(named) } else { host.output_devices()?.find(named) };
    found.ok_or_else(|| CardError::NoDevice(format!("{what} called \"{}\"", wanted.escape_default())))
}

/// What a device can do at a rate, with the fewest channels.
fn config(device: &Device, rate: SampleRate, input: bool) -> Result<(StreamConfig, SampleFormat), CardError> {
    let fits = |range: &cpal::SupportedStreamConfigRange| {
        let known =
            matches!(range.sample_format(), SampleFormat::I16 | SampleFormat::I32 | SampleFormat::F32);
        known && range.contains_rate(rate.hertz())
    };
    let best = if input {
        device.supported_input_configs()?.filter(fits).min_by_key(|range| range.channels())
    } else {
        device.supported_output_configs()?.filter(fits).min_by_key(|range| range.channels())
    };
    let range = best.ok_or_else(|| CardError::NoFormat(name(device).unwrap_or_default()))?;
    let config = range.with_sample_rate(rate.hertz());
    Ok((config.config(), config.sample_format()))
}

fn open_microphone(
    device: &str,
    rate: SampleRate,
    side: MicrophoneSide,
    lost: Arc<AtomicBool>,
) -> Result<Stream, CardError> {
    let device = find(device, true)?;
    let (config, format) = config(&device, rate, true)?;
    let stream = match format {
        SampleFormat::F32 => input::<f32>(&device, config, side, lost)?,
        SampleFormat::I32 => input::<i32>(&device, config, side, lost)?,
        _ => input::<i16>(&device, config, side, lost)?,
    };
    stream.play()?;
    Ok(stream)
}

fn open_speaker(
    device: &str,
    rate: SampleRate,
    side: SpeakerSide,
    lost: Arc<AtomicBool>,
) -> Result<Stream, CardError> {
    let device = find(device, false)?;
    let (config, format) = config(&device, rate, false)?;
    let stream = match format {
        SampleFormat::F32 => output::<f32>(&device, config, side, lost)?,
        SampleFormat::I32 => output::<i32>(&device, config, side, lost)?,
        _ => output::<i16>(&device, config, side, lost)?,
    };
    stream.play()?;
    Ok(stream)
}

/// What a device reports: only that it is gone, or stopped, needs something to be done.
fn on_error(lost: &AtomicBool, error: &cpal::Error) {
    match error.kind() {
        ErrorKind::DeviceChanged | ErrorKind::Xrun | ErrorKind::RealtimeDenied => {}
        _ => lost.store(true, Ordering::Relaxed),
    }
}

fn input<T>(
    device: &Device,
    config: StreamConfig,
    mut side: MicrophoneSide,
    lost: Arc<AtomicBool>,
) -> Result<Stream, cpal::Error>
where
    T: SizedSample,
    i16: FromSample<T>,
{
    let channels = usize::from(config.channels).max(1);
    let mut mono = [0_i16; BLOCK];
    device.build_input_stream(
        config,
        move |data: &[T], _| {
            for block in data.chunks(BLOCK * channels) {
                let frames = block.len() / channels;
                for (sample, frame) in mono.iter_mut().zip(block.chunks_exact(channels)) {
                    // The first channel: microphones that say stereo say the same twice.
                    *sample = frame.first().map_or(0, |first| i16::from_sample(*first));
                }
                side.capture(now(), mono.get(..frames).unwrap_or_default());
            }
        },
        move |error| on_error(&lost, &error),
        None,
    )
}

fn output<T>(
    device: &Device,
    config: StreamConfig,
    mut side: SpeakerSide,
    lost: Arc<AtomicBool>,
) -> Result<Stream, cpal::Error>
where
    T: SizedSample + FromSample<i16>,
{
    let channels = usize::from(config.channels).max(1);
    let mut mono = [0_i16; BLOCK];
    device.build_output_stream(
        config,
        move |data: &mut [T], _| {
            for block in data.chunks_mut(BLOCK * channels) {
                let frames = block.len() / channels;
                let Some(mono) = mono.get_mut(..frames) else { return };
                side.render(now(), mono);
                for (frame, sample) in block.chunks_exact_mut(channels).zip(mono.iter()) {
                    frame.fill(T::from_sample(*sample));
                }
            }
        },
        move |error| on_error(&lost, &error),
        None,
    )
}

//! The sound card, through the crate `cpal` (ALSA, and PulseAudio or PipeWire by their ALSA plug-ins; CoreAudio; WASAPI). Feature
//! `sound-card`.
//!
//! A microphone is opened when a call begins to be talked in, a speaker when there is something to hear, and both are closed
//! when there is not, so that an idle phone neither listens nor keeps a device awake. A device that goes away is replaced, by
//! itself where it comes back or by the system's new choice, and tried less and less often (`half`). A phone without its
//! microphone still plays, and one without its speaker still listens.
//!
//! Left out on purpose: devices that can neither 48 nor 44.1 kHz, volume, and formats other than 16-bit, 32-bit and floating point.

use super::half::Half;
use super::{Audio, LinkFigures, LinkedAudio, MicrophoneSide, SpeakerSide, link};
use crate::io::now;
use cpal::traits::{DeviceTrait, HostTrait, StreamTrait};
use cpal::{Device, ErrorKind, FromSample, Sample, SampleFormat, SizedSample, Stream, StreamConfig};
use media::dsp::SampleRate;
use sip_stack::Time;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

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
    microphone: Half<Stream>,
    speaker: Half<Stream>,
}

impl Link {
    fn new(rate: SampleRate) -> Link {
        // Each stream that is opened gets a side of its own.
        let (_, _, audio) = link(rate);
        Link { audio, microphone: Half::new(), speaker: Half::new() }
    }

    /// Plays a frame; the device is opened for the first sound that is not silence.
    fn play(&mut self, device: &str, now: Time, frame: &[i16]) {
        let Link { audio, speaker, .. } = self;
        let silent = frame.iter().all(|sample| *sample == 0);
        let rate = audio.rate();
        if (speaker.is_open() || !silent)
            && speaker.ensure_open(now, |lost| open_speaker(device, rate, audio.replace_speaker(), lost))
        {
            audio.play(now, frame);
        }
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
}

impl Audio for Card {
    fn rate(&self) -> SampleRate {
        self.rate
    }

    fn record(&mut self, now: Time, frame: &mut [i16]) {
        let Link { audio, microphone, .. } = &mut self.talk;
        let (device, rate) = (&self.devices.microphone, self.rate);
        if microphone.ensure_open(now, |lost| open_microphone(device, rate, audio.replace_microphone(), lost))
        {
            audio.record(now, frame);
        } else {
            frame.fill(0);
        }
    }

    fn play(&mut self, now: Time, frame: &[i16]) {
        self.talk.play(&self.devices.speaker, now, frame);
    }

    fn ring(&mut self, now: Time, frame: &[i16]) {
        self.ring.play(&self.devices.ringer, now, frame);
    }

    fn set_talking(&mut self, talking: bool) {
        if !talking {
            self.talk.microphone.close();
        }
    }

    fn rest(&mut self) {
        for link in [&mut self.talk, &mut self.ring] {
            link.microphone.rest();
            link.speaker.rest();
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

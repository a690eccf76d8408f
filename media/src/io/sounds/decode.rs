//! From the octets of a file to mono samples at a rate: WAV with linear samples of 8 to 32 bits or floating point, and Opus in
//! Ogg (RFC 7845). Several channels are mixed down.
//!
//! Left out on purpose: more than one stream in an Ogg file and more than two channels of Opus (mapping families other than 0).

use std::io::{self, Read, Seek};
use std::time::Duration;

use hound::{SampleFormat, WavReader};
use ogg::reading::{OggReadError, PacketReader};

use crate::codec::opus::Decoder;
use crate::codec::opus_packet::Toc;
use crate::dsp::{SampleRate, convert};
use crate::source::{Sound, SoundFault};

/// The longest packet of Opus: 120 ms at 48 kHz.
const PACKET: usize = 5_760;

/// Decodes a whole file.
///
/// # Errors
/// What is wrong with it.
pub fn decode(mut file: impl Read + Seek, rate: SampleRate, longest: Duration) -> Result<Sound, SoundFault> {
    let mut kind = [0; 4];
    file.read_exact(&mut kind).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SoundFault::Unsupported,
        _ => unreadable(&error),
    })?;
    file.rewind().map_err(|error| unreadable(&error))?;
    let samples = match &kind {
        b"RIFF" => decode_wav(file, rate, longest)?,
        b"OggS" => decode_opus(file, rate, longest)?,
        _ => return Err(SoundFault::Unsupported),
    };
    Sound::new(rate, samples).ok_or(SoundFault::Empty)
}

pub(super) fn unreadable(error: &io::Error) -> SoundFault {
    match error.kind() {
        io::ErrorKind::NotFound => SoundFault::NotFound,
        _ => SoundFault::Unreadable { errno: error.raw_os_error().unwrap_or(0) },
    }
}

/// Whether a file has no more octets: hound says so in words of its own, the system with a number.
fn is_end(error: &io::Error) -> bool {
    error.raw_os_error().is_none()
}

fn wav_fault(error: hound::Error) -> SoundFault {
    match error {
        // A head that is cut off.
        hound::Error::IoError(error) if is_end(&error) => SoundFault::Malformed,
        hound::Error::IoError(error) => unreadable(&error),
        hound::Error::FormatError(_) | hound::Error::UnfinishedSample => SoundFault::Malformed,
        hound::Error::Unsupported | hound::Error::TooWide | hound::Error::InvalidSampleFormat => {
            SoundFault::Unsupported
        }
    }
}

fn decode_wav(file: impl Read, rate: SampleRate, longest: Duration) -> Result<Vec<i16>, SoundFault> {
    let reader = WavReader::new(io::BufReader::new(file)).map_err(wav_fault)?;
    let spec = reader.spec();
    let most = usize::try_from(u64::from(spec.sample_rate) * longest.as_secs()).unwrap_or(usize::MAX);
    let bits = spec.bits_per_sample;
    let mono = match (spec.sample_format, bits) {
        (SampleFormat::Float, 32) => {
            let whole = |sample: f32| (sample * 32_768.0).round() as i32;
            mix_down(reader.into_samples::<f32>().map(|sample| sample.map(whole)), spec.channels, most)
        }
        (SampleFormat::Int, 1..=16) => {
            let whole = move |sample: i32| sample << (16 - bits);
            mix_down(reader.into_samples::<i32>().map(|sample| sample.map(whole)), spec.channels, most)
        }
        (SampleFormat::Int, 17..=32) => {
            // To the nearest.
            let whole = move |sample: i32| ((sample >> (bits - 17)) + 1) >> 1;
            mix_down(reader.into_samples::<i32>().map(|sample| sample.map(whole)), spec.channels, most)
        }
        (SampleFormat::Int | SampleFormat::Float, _) => return Err(SoundFault::Unsupported),
    }?;
    convert(&mono, spec.sample_rate, rate.hertz()).ok_or(SoundFault::Unsupported)
}

/// The mean of all channels; samples are those of 16 bits, and may be a little louder. A file that breaks off ends there.
fn mix_down(
    samples: impl Iterator<Item = hound::Result<i32>>,
    channels: u16,
    most: usize,
) -> Result<Vec<i16>, SoundFault> {
    let channels = usize::from(channels.max(1));
    let (mut mono, mut sum, mut summed) = (Vec::new(), 0_i64, 0);
    for sample in samples {
        match sample {
            Ok(sample) => sum += i64::from(sample),
            Err(hound::Error::IoError(error)) if is_end(&error) => break,
            Err(hound::Error::FormatError(_)) if !mono.is_empty() => break,
            Err(error) => return Err(wav_fault(error)),
        }
        summed += 1;
        if summed == channels {
            if mono.len() == most {
                return Err(SoundFault::TooLong);
            }
            let mean = sum.div_euclid(channels as i64);
            mono.push(mean.clamp(i16::MIN.into(), i16::MAX.into()) as i16);
            (sum, summed) = (0, 0);
        }
    }
    Ok(mono)
}

fn ogg_fault(error: OggReadError) -> SoundFault {
    match error {
        OggReadError::ReadError(error) if error.kind() != io::ErrorKind::UnexpectedEof => unreadable(&error),
        _ => SoundFault::Malformed,
    }
}

/// The first packet (RFC 7845 §5.1).
struct Head {
    /// Samples of 48 kHz to be cut at the beginning.
    pre_skip: u64,
    /// A factor of 1 for none.
    gain: f32,
}

impl Head {
    fn parse(packet: &[u8]) -> Result<Head, SoundFault> {
        let Some(fields) = packet.strip_prefix(b"OpusHead").and_then(<[u8]>::first_chunk::<11>) else {
            return Err(SoundFault::Unsupported);
        };
        let [version, channels, skip_low, skip_high, _, _, _, _, gain_low, gain_high, family] = *fields;
        // Versions up to 15 can be read by whoever reads version 1.
        if version >= 16 || family != 0 || !(1..=2).contains(&channels) {
            return Err(SoundFault::Unsupported);
        }
        let decibels = f32::from(i16::from_le_bytes([gain_low, gain_high])) / 256.0;
        let pre_skip = u16::from_le_bytes([skip_low, skip_high]).into();
        Ok(Head { pre_skip, gain: 10_f32.powf(decibels / 20.0) })
    }
}

fn decode_opus(file: impl Read + Seek, rate: SampleRate, longest: Duration) -> Result<Vec<i16>, SoundFault> {
    let decoded_at = match rate {
        SampleRate::Hz8000
        | SampleRate::Hz12000
        | SampleRate::Hz16000
        | SampleRate::Hz24000
        | SampleRate::Hz48000 => rate,
        SampleRate::Hz32000 | SampleRate::Hz44100 => SampleRate::Hz48000,
    };
    let mut reader = PacketReader::new(file);
    let first = reader.read_packet_expected().map_err(ogg_fault)?;
    let head = Head::parse(&first.data)?;
    let mut decoder = Decoder::new(decoded_at).map_err(|_| SoundFault::Unsupported)?;
    let most = usize::try_from(u64::from(decoded_at.hertz()) * longest.as_secs()).unwrap_or(usize::MAX);
    let scale = u64::from(48_000 / decoded_at.hertz());
    let (mut samples, mut first_position, mut end) = (Vec::new(), None, None);
    let mut frame = vec![0; PACKET];
    let mut comments = true;
    // A page that is cut off is the end of a file whose writer was killed.
    while let Ok(Some(packet)) = reader.read_packet() {
        if packet.stream_serial() != first.stream_serial() {
            continue;
        }
        if core::mem::take(&mut comments) {
            continue;
        }
        if Toc::parse(&packet.data).is_some() {
            let length = decoder.decode(&packet.data, &mut frame).map_err(|_| SoundFault::Malformed)?;
            samples.extend_from_slice(frame.get(..length).unwrap_or_default());
        }
        let taken = samples.len() as u64 * scale;
        if packet.last_in_page() && first_position.is_none() {
            // §4.3: where the stream begins, if not at zero.
            first_position = Some(packet.absgp_page().saturating_sub(taken));
        }
        if packet.last_in_stream() {
            end = Some(packet.absgp_page().saturating_sub(first_position.unwrap_or(0)));
            break;
        }
        if samples.len() > most {
            return Err(SoundFault::TooLong);
        }
    }
    // §4.4: the last position cuts the end.
    if let Some(end) = end {
        samples.truncate(usize::try_from(end / scale).unwrap_or(usize::MAX));
    }
    samples.drain(..samples.len().min((head.pre_skip / scale) as usize));
    if head.gain != 1.0 {
        samples.iter_mut().for_each(|sample| *sample = (f32::from(*sample) * head.gain).round() as i16);
    }
    convert(&samples, decoded_at.hertz(), rate.hertz()).ok_or(SoundFault::Unsupported)
}

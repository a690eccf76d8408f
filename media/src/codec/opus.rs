//! Opus (RFC 6716, RFC 7587) through libopus, which the crate `opus` brings along and compiles.
//!
//! Audio is mono on our side, at 8, 12, 16, 24 or 48 kHz whatever the stream has: libopus mixes a stereo stream down and
//! converts the rate as part of decoding.
//!
//! The state of an encoder or decoder is native memory. It is allocated at construction and nowhere else, and does not
//! serialise: what is stored are the settings, and **a restored codec starts afresh**, which a listener may hear as one
//! concealed frame.
//!
//! Left out on purpose: stereo towards the peer, frames of 2.5 and 5 ms and beyond 60 ms in sending, deep redundancy (DRED).

use std::fmt;

use opus::{Application, Bandwidth, Bitrate, ErrorCode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::opus_packet::{Toc, has_fec};
use super::{CreateError, DecodeError, EncodeError};
use crate::dsp::SampleRate;

/// Payloads of up to so many octets need not be sent: with [`Settings::dtx`] they say that nothing has changed
/// (RFC 7587 §3.1.3). The RTP timestamp goes on.
pub const DTX_PAYLOAD: usize = 2;

/// How an encoder works.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Bits a second, 6,000 to 510,000, on average (the rate is variable).
    pub bitrate: u32,
    /// Effort, 0 to 10.
    pub complexity: u8,
    /// Repeats each frame of speech in the next packet when loss is expected (`useinbandfec`, RFC 7587 §6.1).
    pub fec: bool,
    /// Packets in a hundred the network is expected to lose, 0 to 100. Without any there is no redundancy.
    pub expected_loss: u8,
    /// Goes quiet in silence (`usedtx`).
    pub dtx: bool,
    /// Every packet has the same length (`cbr`), against those who read speech from lengths (RFC 6562).
    pub constant_bitrate: bool,
    /// The rate the peer can play, in hertz (`maxplaybackrate`): no bits are spent on what lies above half of it.
    pub max_playback_rate: u32,
}

impl Default for Settings {
    /// 24 kbit/s, complexity 5, redundancy against 5 % loss, no silence suppression, variable bit rate, full band.
    fn default() -> Settings {
        Settings {
            bitrate: 24_000,
            complexity: 5,
            fec: true,
            expected_loss: 5,
            dtx: false,
            constant_bitrate: false,
            max_playback_rate: 48_000,
        }
    }
}

impl Settings {
    fn are_in_range(&self) -> bool {
        (6000..=510_000).contains(&self.bitrate) && self.complexity <= 10 && self.expected_loss <= 100
    }

    /// The bandwidth for a peer's playback rate (RFC 7587 §6.1).
    fn bandwidth(&self) -> Bandwidth {
        match self.max_playback_rate {
            ..12_000 => Bandwidth::Narrowband,
            12_000..16_000 => Bandwidth::Mediumband,
            16_000..24_000 => Bandwidth::Wideband,
            24_000..48_000 => Bandwidth::Superwideband,
            48_000.. => Bandwidth::Fullband,
        }
    }
}

/// An encoder of mono speech. Owns about 25 KB of native memory.
pub struct Encoder {
    rate: SampleRate,
    settings: Settings,
    native: opus::Encoder,
}

impl Encoder {
    /// An encoder for samples at `rate`. Allocates.
    ///
    /// # Errors
    /// [`CreateError::Rate`] for rates Opus does not have, [`CreateError::Setting`] for settings out of range.
    pub fn new(rate: SampleRate, settings: Settings) -> Result<Encoder, CreateError> {
        check_rate(rate)?;
        if !settings.are_in_range() {
            return Err(CreateError::Setting);
        }
        let native = opus::Encoder::new(rate.hertz(), opus::Channels::Mono, Application::Voip);
        let mut encoder = Encoder { rate, settings, native: native.map_err(create_error)? };
        encoder.apply().map_err(create_error)?;
        Ok(encoder)
    }

    /// The settings in force.
    #[must_use]
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// Rate of the samples handed in.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Changes the settings between two frames; the stream goes on without a gap. Does not allocate.
    ///
    /// # Errors
    /// [`CreateError::Setting`] for settings out of range; then nothing has changed.
    pub fn configure(&mut self, settings: Settings) -> Result<(), CreateError> {
        if !settings.are_in_range() {
            return Err(CreateError::Setting);
        }
        self.settings = settings;
        self.apply().map_err(create_error)
    }

    fn apply(&mut self) -> opus::Result<()> {
        let settings = self.settings;
        self.native.set_bitrate(Bitrate::Bits(settings.bitrate as i32))?;
        self.native.set_complexity(i32::from(settings.complexity))?;
        self.native.set_inband_fec(settings.fec)?;
        self.native.set_packet_loss_perc(i32::from(settings.expected_loss))?;
        self.native.set_vbr(!settings.constant_bitrate)?;
        self.native.set_max_bandwidth(settings.bandwidth())?;
        self.native.set_dtx(settings.dtx)
    }

    /// Encodes one frame of 10, 20, 40 or 60 ms and returns the number of octets, never more than `out` has. See
    /// [`DTX_PAYLOAD`]. Costs about 120 µs for 20 ms at 48 kHz and complexity 5, 67 µs at 8 kHz.
    ///
    /// # Errors
    /// [`EncodeError::FrameLength`] for other durations, [`EncodeError::OutputTooShort`].
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, EncodeError> {
        let fits = [10, 20, 40, 60].iter().any(|ms| self.rate.samples(*ms) == samples.len());
        if !fits {
            return Err(EncodeError::FrameLength { samples: samples.len() });
        }
        self.native.encode(samples, out).map_err(|error| match error.code() {
            ErrorCode::BufferTooSmall | ErrorCode::BadArg => EncodeError::OutputTooShort,
            _ => EncodeError::Library,
        })
    }

    /// Forgets the signal so far.
    pub fn reset(&mut self) {
        // libopus has no way to fail here.
        let _ = self.native.reset_state();
    }
}

/// A decoder to mono. Owns about 20 KB of native memory.
pub struct Decoder {
    rate: SampleRate,
    native: opus::Decoder,
}

impl Decoder {
    /// A decoder to samples at `rate`. Allocates.
    ///
    /// # Errors
    /// [`CreateError::Rate`] for rates Opus does not have.
    pub fn new(rate: SampleRate) -> Result<Decoder, CreateError> {
        check_rate(rate)?;
        let native = opus::Decoder::new(rate.hertz(), opus::Channels::Mono);
        Ok(Decoder { rate, native: native.map_err(create_error)? })
    }

    /// Rate of the samples handed out.
    #[must_use]
    pub fn rate(&self) -> SampleRate {
        self.rate
    }

    /// Decodes a packet and returns the number of samples. Costs about 20 µs for 20 ms at 48 kHz.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] for what is no Opus packet, [`DecodeError::OutputTooShort`].
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        let needed = Toc::parse(payload).ok_or(DecodeError::Malformed)?.samples(self.rate);
        let out = out.get_mut(..needed).ok_or(DecodeError::OutputTooShort { needed })?;
        self.native.decode(payload, out, false).map_err(|_| DecodeError::Malformed)
    }

    /// Fills `out` with what a lost packet may have been, which in silence is comfort noise. True if `out` is 2.5 to 120 ms
    /// in steps of 2.5 ms; otherwise nothing is done.
    pub fn conceal(&mut self, out: &mut [i16]) -> bool {
        self.is_duration(out.len()) && self.native.decode(&[], out, false).is_ok()
    }

    /// Fills `out` with the packet lost before `next_payload`, from the redundancy in it, and returns the number of samples.
    /// `out` has the duration that was lost: if it is longer than the redundancy, its beginning is concealed. None if there
    /// is no redundancy; then nothing is done, and [`Decoder::conceal`] is the way. `next_payload` is decoded afterwards as usual.
    pub fn decode_fec(&mut self, next_payload: &[u8], out: &mut [i16]) -> Option<usize> {
        if !has_fec(next_payload) || !self.is_duration(out.len()) {
            return None;
        }
        self.native.decode(next_payload, out, true).ok()
    }

    /// Forgets the signal so far.
    pub fn reset(&mut self) {
        // libopus has no way to fail here.
        let _ = self.native.reset_state();
    }

    fn is_duration(&self, samples: usize) -> bool {
        let step = self.rate.hertz() as usize / 400;
        samples > 0 && samples.is_multiple_of(step) && samples <= 48 * step
    }
}

fn check_rate(rate: SampleRate) -> Result<(), CreateError> {
    match rate {
        SampleRate::Hz8000
        | SampleRate::Hz12000
        | SampleRate::Hz16000
        | SampleRate::Hz24000
        | SampleRate::Hz48000 => Ok(()),
        SampleRate::Hz32000 | SampleRate::Hz44100 => Err(CreateError::Rate(rate)),
    }
}

fn create_error(error: opus::Error) -> CreateError {
    match error.code() {
        ErrorCode::BadArg | ErrorCode::Unimplemented => CreateError::Setting,
        _ => CreateError::Library,
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoder")
            .field("rate", &self.rate)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoder").field("rate", &self.rate).finish_non_exhaustive()
    }
}

impl Serialize for Encoder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.rate, self.settings).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Encoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Encoder, D::Error> {
        let (rate, settings) = Deserialize::deserialize(deserializer)?;
        Encoder::new(rate, settings).map_err(D::Error::custom)
    }
}

impl Serialize for Decoder {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.rate.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Decoder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Decoder, D::Error> {
        Decoder::new(Deserialize::deserialize(deserializer)?).map_err(D::Error::custom)
    }
}

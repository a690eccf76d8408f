//! Opus for files: an encoder of mono or stereo, without what a network asks for (RFC 7845 §4).
//!
//! Left out on purpose: surround sound (mapping families other than 0).

use std::fmt;

use opus::{Application, Bitrate, ErrorCode};

use super::error::{CreateError, EncodeError};
use crate::dsp::SampleRate;

/// Bits per second of mono and of stereo: speech is transparent, music is good.
const BITRATE: [i32; 2] = [32_000, 48_000];

/// An encoder of frames of 20 ms. Owns 25 to 50 KB of native memory.
pub struct FileEncoder {
    rate: SampleRate,
    channels: usize,
    native: opus::Encoder,
}

impl FileEncoder {
    /// An encoder for 1 or 2 channels at `rate`. Allocates.
    ///
    /// # Errors
    /// [`CreateError::Rate`] for rates Opus does not have, [`CreateError::Setting`] for other numbers of channels.
    pub fn new(rate: SampleRate, channels: usize) -> Result<FileEncoder, CreateError> {
        match rate {
            SampleRate::Hz8000
            | SampleRate::Hz12000
            | SampleRate::Hz16000
            | SampleRate::Hz24000
            | SampleRate::Hz48000 => {}
            SampleRate::Hz32000 | SampleRate::Hz44100 => return Err(CreateError::Rate(rate)),
        }
        let (layout, bitrate) = match channels {
            1 => (opus::Channels::Mono, BITRATE[0]),
            2 => (opus::Channels::Stereo, BITRATE[1]),
            _ => return Err(CreateError::Setting),
        };
        let create = || {
            let mut native = opus::Encoder::new(rate.hertz(), layout, Application::Audio)?;
            native.set_bitrate(Bitrate::Bits(bitrate))?;
            native.set_complexity(5)?;
            Ok(native)
        };
        let native = create().map_err(|error: opus::Error| match error.code() {
            ErrorCode::BadArg | ErrorCode::Unimplemented => CreateError::Setting,
            _ => CreateError::Library,
        })?;
        Ok(FileEncoder { rate, channels, native })
    }

    /// Samples of all channels in a frame.
    #[must_use]
    pub fn frame(&self) -> usize {
        self.rate.samples(20) * self.channels
    }

    /// How much the decoder's output has to be cut at its beginning, in samples of 48 kHz (RFC 7845 §4.2).
    pub fn pre_skip(&mut self) -> u16 {
        let lookahead = self.native.get_lookahead().unwrap_or(0).max(0) as u32;
        (lookahead * (48_000 / self.rate.hertz())) as u16
    }

    /// Encodes one frame, interleaved, and returns the number of octets. 1,500 are enough for any.
    ///
    /// # Errors
    /// [`EncodeError::FrameLength`] for other durations, [`EncodeError::OutputTooShort`].
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, EncodeError> {
        if samples.len() != self.frame() {
            return Err(EncodeError::FrameLength { samples: samples.len() });
        }
        self.native.encode(samples, out).map_err(|error| match error.code() {
            ErrorCode::BufferTooSmall | ErrorCode::BadArg => EncodeError::OutputTooShort,
            _ => EncodeError::Library,
        })
    }
}

impl fmt::Debug for FileEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileEncoder")
            .field("rate", &self.rate)
            .field("channels", &self.channels)
            .finish_non_exhaustive()
    }
}

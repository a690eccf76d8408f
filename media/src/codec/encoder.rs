//! Samples to payloads, whatever the codec: one `match`, no dynamic dispatch.

use serde::{Deserialize, Serialize};

use super::{Channels, Codec, CreateError, EncodeError, g711, g722, l16, opus};

/// The encoder of one stream. Serialises; Opus without its past (see [`opus`]).
#[derive(Debug, Serialize, Deserialize)]
pub enum Encoder {
    /// G.711 µ-law, which has no past.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722(Box<g722::Encoder>),
    /// Opus.
    Opus(opus::Encoder),
    /// Linear samples for so many channels.
    L16(Channels),
}

impl Encoder {
    /// An encoder for `codec`; `settings` concern Opus alone. Allocates for G.722 and Opus.
    ///
    /// # Errors
    /// [`CreateError::Rate`] and [`CreateError::Setting`] for Opus.
    pub fn new(codec: Codec, settings: opus::Settings) -> Result<Encoder, CreateError> {
        Ok(match codec {
            Codec::Pcmu => Encoder::Pcmu,
            Codec::Pcma => Encoder::Pcma,
            Codec::G722 => Encoder::G722(Box::default()),
            Codec::Opus { rate } => Encoder::Opus(opus::Encoder::new(rate, settings)?),
            Codec::L16 { channels, .. } => Encoder::L16(channels),
        })
    }

    /// Encodes one frame of mono samples at [`Codec::sample_rate`] and returns the number of octets, at most
    /// [`Codec::max_payload`]. Opus takes 10, 20, 40 and 60 ms, G.722 an even number of samples, the others any number.
    /// Of Opus with silence suppression, [`opus::DTX_PAYLOAD`] octets or less need not be sent. Does not allocate.
    ///
    /// # Errors
    /// [`EncodeError::FrameLength`] for frames the codec does not have, [`EncodeError::OutputTooShort`].
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> Result<usize, EncodeError> {
        match self {
            Encoder::Pcmu => each(samples, out, g711::encode_ulaw),
            Encoder::Pcma => each(samples, out, g711::encode_alaw),
            Encoder::G722(encoder) => {
                if !samples.len().is_multiple_of(2) {
                    return Err(EncodeError::FrameLength { samples: samples.len() });
                }
                let out = out.get_mut(..samples.len() / 2).ok_or(EncodeError::OutputTooShort)?;
                Ok(encoder.encode(samples, out))
            }
            Encoder::Opus(encoder) => encoder.encode(samples, out),
            Encoder::L16(channels) => l16::encode(samples, *channels, out),
        }
    }

    /// Changes the settings of Opus between two frames; nothing for other codecs. Does not allocate.
    ///
    /// # Errors
    /// [`CreateError::Setting`] for settings out of range; then nothing has changed.
    pub fn configure(&mut self, settings: opus::Settings) -> Result<(), CreateError> {
        match self {
            Encoder::Opus(encoder) => encoder.configure(settings),
            Encoder::Pcmu | Encoder::Pcma | Encoder::G722(_) | Encoder::L16(_) => Ok(()),
        }
    }

    /// Forgets the signal so far. Does not allocate.
    pub fn reset(&mut self) {
        match self {
            Encoder::G722(encoder) => **encoder = g722::Encoder::new(),
            Encoder::Opus(encoder) => encoder.reset(),
            Encoder::Pcmu | Encoder::Pcma | Encoder::L16(_) => {}
        }
    }
}

fn each(samples: &[i16], out: &mut [u8], encode: impl Fn(i16) -> u8) -> Result<usize, EncodeError> {
    let out = out.get_mut(..samples.len()).ok_or(EncodeError::OutputTooShort)?;
    for (octet, sample) in out.iter_mut().zip(samples) {
        *octet = encode(*sample);
    }
    Ok(samples.len())
}

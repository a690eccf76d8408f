//! Payloads to samples, whatever the codec: one `match`, no dynamic dispatch.
//!
//! Concealment is Opus' own alone; for the other codecs it belongs to the jitter buffer.

use serde::{Deserialize, Serialize};

use super::{Channels, Codec, CreateError, DecodeError, g711, g722, l16, opus};

/// The decoder of one stream. Serialises; Opus without its past (see [`opus`]).
#[derive(Debug, Serialize, Deserialize)]
pub enum Decoder {
    /// G.711 µ-law, which has no past.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722.
    G722(Box<g722::Decoder>),
    /// Opus.
    Opus(opus::Decoder),
    /// Linear samples with so many channels.
    L16(Channels),
}

impl Decoder {
    /// A decoder for `codec`. Allocates for G.722 and Opus.
    ///
    /// # Errors
    /// [`CreateError::Rate`] for Opus at a rate it does not have.
    pub fn new(codec: Codec) -> Result<Decoder, CreateError> {
        Ok(match codec {
            Codec::Pcmu => Decoder::Pcmu,
            Codec::Pcma => Decoder::Pcma,
            Codec::G722 => Decoder::G722(Box::new(g722::Decoder::new(g722::Mode::Rate64))),
            Codec::Opus { rate } => Decoder::Opus(opus::Decoder::new(rate)?),
            Codec::L16 { channels, .. } => Decoder::L16(channels),
        })
    }

    /// Decodes a payload to mono samples at [`Codec::sample_rate`], as many as [`Codec::samples_in`] says, and returns their
    /// number. Durations may change from one payload to the next. Does not allocate.
    ///
    /// # Errors
    /// [`DecodeError::Malformed`] if it is no payload of the codec, [`DecodeError::OutputTooShort`]; in both cases the
    /// content of `out` is of no use.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> Result<usize, DecodeError> {
        match self {
            Decoder::Pcmu => each(payload, out, g711::decode_ulaw),
            Decoder::Pcma => each(payload, out, g711::decode_alaw),
            Decoder::G722(decoder) => {
                let needed = 2 * payload.len();
                let out = out.get_mut(..needed).ok_or(DecodeError::OutputTooShort { needed })?;
                Ok(decoder.decode(payload, out))
            }
            Decoder::Opus(decoder) => decoder.decode(payload, out),
            Decoder::L16(channels) => l16::decode(payload, *channels, out),
        }
    }

    /// Fills `out` with what a lost packet may have been, if the codec has a way of its own; see [`opus::Decoder::conceal`].
    /// False for every codec but Opus.
    pub fn conceal(&mut self, out: &mut [i16]) -> bool {
        match self {
            Decoder::Opus(decoder) => decoder.conceal(out),
            Decoder::Pcmu | Decoder::Pcma | Decoder::G722(_) | Decoder::L16(_) => false,
        }
    }

    /// Fills `out` with the packet lost before `next_payload`, if that one repeats it; see [`opus::Decoder::decode_fec`].
    /// None for every codec but Opus.
    pub fn decode_fec(&mut self, next_payload: &[u8], out: &mut [i16]) -> Option<usize> {
        match self {
            Decoder::Opus(decoder) => decoder.decode_fec(next_payload, out),
            Decoder::Pcmu | Decoder::Pcma | Decoder::G722(_) | Decoder::L16(_) => None,
        }
    }

    /// Forgets the signal so far, as for another source. Does not allocate.
    pub fn reset(&mut self) {
        match self {
            Decoder::G722(decoder) => **decoder = g722::Decoder::new(g722::Mode::Rate64),
            Decoder::Opus(decoder) => decoder.reset(),
            Decoder::Pcmu | Decoder::Pcma | Decoder::L16(_) => {}
        }
    }
}

fn each(payload: &[u8], out: &mut [i16], decode: impl Fn(u8) -> i16) -> Result<usize, DecodeError> {
    let needed = payload.len();
    let out = out.get_mut(..needed).ok_or(DecodeError::OutputTooShort { needed })?;
    for (sample, octet) in out.iter_mut().zip(payload) {
        *sample = decode(*octet);
    }
    Ok(needed)
}

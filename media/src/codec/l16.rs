//! L16: uncompressed 16-bit samples in network byte order (RFC 3551 §4.5.11), one or two channels interleaved.
//!
//! Inside the engine audio is mono: two channels are heard as their mean, and a mono signal is sent on both. Left out on
//! purpose: more than two channels, and the pre-emphasis parameter of RFC 3555.

use super::{Channels, DecodeError, EncodeError};

/// Samples (pairs of them in stereo) in a payload of `octets` octets; none if it ends within one.
#[must_use]
pub fn samples_in(octets: usize, channels: Channels) -> Option<usize> {
    let frame = 2 * channels.count();
    octets.is_multiple_of(frame).then_some(octets / frame)
}

/// Decodes a payload to mono and returns the number of samples.
///
/// # Errors
/// [`DecodeError::Malformed`] if the payload ends within a sample; [`DecodeError::OutputTooShort`].
pub fn decode(payload: &[u8], channels: Channels, out: &mut [i16]) -> Result<usize, DecodeError> {
    let needed = samples_in(payload.len(), channels).ok_or(DecodeError::Malformed)?;
    let out = out.get_mut(..needed).ok_or(DecodeError::OutputTooShort { needed })?;
    match channels {
        Channels::Mono => {
            for (sample, octets) in out.iter_mut().zip(payload.as_chunks().0) {
                *sample = i16::from_be_bytes(*octets);
            }
        }
        Channels::Stereo => {
            for (sample, &[l0, l1, r0, r1]) in out.iter_mut().zip(payload.as_chunks().0) {
                let sum = i32::from(i16::from_be_bytes([l0, l1])) + i32::from(i16::from_be_bytes([r0, r1]));
                *sample = (sum >> 1) as i16;
            }
        }
    }
    Ok(needed)
}

/// Encodes mono samples and returns the number of octets.
///
/// # Errors
/// [`EncodeError::OutputTooShort`].
pub fn encode(samples: &[i16], channels: Channels, out: &mut [u8]) -> Result<usize, EncodeError> {
    let octets = 2 * channels.count() * samples.len();
    let out = out.get_mut(..octets).ok_or(EncodeError::OutputTooShort)?;
    match channels {
        Channels::Mono => {
            for (octets, sample) in out.as_chunks_mut().0.iter_mut().zip(samples) {
                *octets = sample.to_be_bytes();
            }
        }
        Channels::Stereo => {
            for (octets, sample) in out.as_chunks_mut().0.iter_mut().zip(samples) {
                let [high, low] = sample.to_be_bytes();
                *octets = [high, low, high, low];
            }
        }
    }
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_travel_in_network_order() {
        let mut out = [0; 4];
        assert_eq!(encode(&[0x1234, -2], Channels::Mono, &mut out), Ok(4));
        assert_eq!(out, [0x12, 0x34, 0xff, 0xfe]);
        let mut samples = [0; 3];
        assert_eq!(decode(&out, Channels::Mono, &mut samples), Ok(2));
        assert_eq!(samples, [0x1234, -2, 0]);
    }

    #[test]
    fn stereo_is_heard_as_its_mean_and_sent_on_both_channels() {
        let mut samples = [0; 3];
        let payload = [0x7f, 0xff, 0x7f, 0xff, 0x80, 0, 0x80, 0, 0x40, 0, 0xc0, 0];
        assert_eq!(decode(&payload, Channels::Stereo, &mut samples), Ok(3));
        assert_eq!(samples, [i16::MAX, i16::MIN, 0]);
        let mut out = [0; 4];
        assert_eq!(encode(&[0x0102], Channels::Stereo, &mut out), Ok(4));
        assert_eq!(out, [1, 2, 1, 2]);
    }

    #[test]
    fn a_payload_that_ends_within_a_sample_is_malformed() {
        let mut out = [0; 8];
        assert_eq!(decode(&[1, 2, 3], Channels::Mono, &mut out), Err(DecodeError::Malformed));
        assert_eq!(decode(&[1, 2, 3, 4, 5, 6], Channels::Stereo, &mut out), Err(DecodeError::Malformed));
    }

    #[test]
    fn what_has_no_room_is_refused_whole() {
        let too_short = DecodeError::OutputTooShort { needed: 2 };
        assert_eq!(decode(&[1, 2, 3, 4], Channels::Mono, &mut [0; 1]), Err(too_short));
        assert_eq!(encode(&[1, 2], Channels::Mono, &mut [0; 3]), Err(EncodeError::OutputTooShort));
    }
}

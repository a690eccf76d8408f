//! G.711: µ-law and A-law to and from 16-bit linear samples, and from one law to the other (ITU-T G.711, 11/88).
//!
//! Linear values are the Recommendation's decoder output values scaled to 16 bits: µ-law's 14-bit values times four,
//! A-law's 13-bit values times eight, as in the ITU's own software tools (G.191). The laws convert into each other by tables
//! 3 and 4 of the Recommendation, which differ from decoding and encoding again: they keep tandem conversions transparent
//! but for the last bit.
//!
//! Left out on purpose: appendices I and II (concealment, comfort noise), which belong to the jitter buffer.

/// Decoder output by µ-law character signal.
static ULAW_LINEAR: [i16; 256] = tabulate_linear(true);
/// Decoder output by A-law character signal.
static ALAW_LINEAR: [i16; 256] = tabulate_linear(false);
/// A-law character signal by µ-law character signal.
static ULAW_ALAW: [u8; 256] = tabulate_conversion(true);
/// µ-law character signal by A-law character signal.
static ALAW_ULAW: [u8; 256] = tabulate_conversion(false);

/// µ-law inverts all bits on the line (G.711 table 2, note 2).
const ULAW_INVERSION: u8 = 0xff;
/// A-law inverts the even bits on the line (G.711 table 1, note 2); the sign bit is set for positive values.
const ALAW_INVERSION: u8 = 0xd5;
const SIGN: u8 = 0x80;

/// The 16-bit sample of a µ-law octet, −32124 to 32124. One table look-up.
#[must_use]
pub fn decode_ulaw(octet: u8) -> i16 {
    ULAW_LINEAR[usize::from(octet)]
}

/// The 16-bit sample of an A-law octet, −32256 to 32256. One table look-up.
#[must_use]
pub fn decode_alaw(octet: u8) -> i16 {
    ALAW_LINEAR[usize::from(octet)]
}

/// The µ-law octet of a 16-bit sample. Values beyond the last decision value are clipped to it.
#[must_use]
pub fn encode_ulaw(sample: i16) -> u8 {
    let (sign, magnitude) = split_sign(sample >> 2);
    // The decision values of table 2 lie 33 below powers of two; 0x1fff is the last of them after the shift.
    let biased = (magnitude + 33).min(0x1fff);
    let segment = biased.ilog2() - 5;
    let interval = (biased >> (segment + 1)) & 0x0f;
    (sign | (segment << 4 | interval) as u8) ^ ULAW_INVERSION
}

/// The A-law octet of a 16-bit sample.
#[must_use]
pub fn encode_alaw(sample: i16) -> u8 {
    let (sign, magnitude) = split_sign(sample >> 3);
    // Segments 0 and 1 share one step size (table 1), so the first has no leading one.
    let segment = (magnitude | 0x1f).ilog2() - 4;
    let interval = (magnitude >> segment.max(1)) & 0x0f;
    (sign | (segment << 4 | interval) as u8) ^ ALAW_INVERSION
}

/// Encodes samples to µ-law, one octet each, as far as the shorter of the two slices goes.
///
/// As [`encode_ulaw`], without a branch or a look-up, so that it runs on vectors: the exponent of a floating-point number
/// is its segment, the first four bits behind the leading one are its interval.
pub fn encode_ulaw_into(samples: &[i16], octets: &mut [u8]) {
    for (octet, sample) in octets.iter_mut().zip(samples) {
        let scaled = i32::from(*sample) >> 2;
        let sign = scaled >> 31;
        let biased = ((scaled ^ sign) + 33).min(0x1fff);
        *octet = ((sign & 0x80) | (segment_and_interval(biased) - (5 << 4))) as u8 ^ ULAW_INVERSION;
    }
}

/// Encodes samples to A-law, one octet each, as far as the shorter of the two slices goes; see [`encode_ulaw_into`].
pub fn encode_alaw_into(samples: &[i16], octets: &mut [u8]) {
    for (octet, sample) in octets.iter_mut().zip(samples) {
        let scaled = i32::from(*sample) >> 3;
        let sign = scaled >> 31;
        let magnitude = scaled ^ sign;
        // Segment 0 has no leading one: its values are the intervals of segment 1, less the bit that tells it apart.
        let linear = magnitude >> 1;
        let curved = segment_and_interval(magnitude.max(0x20)) - (4 << 4);
        let number = if magnitude < 0x20 { linear } else { curved };
        *octet = ((sign & 0x80) | number) as u8 ^ ALAW_INVERSION;
    }
}

/// `value.ilog2() << 4 | interval` of a value from 1 to 2^24, exact in a float of 24 significant bits.
#[inline]
fn segment_and_interval(value: i32) -> i32 {
    const EXPONENT_BIAS: i32 = 127 << 4;
    ((value as f32).to_bits() >> (f32::MANTISSA_DIGITS - 1 - 4)).cast_signed() - EXPONENT_BIAS
}

/// Decodes µ-law octets, one sample each, as far as the shorter of the two slices goes.
pub fn decode_ulaw_into(octets: &[u8], samples: &mut [i16]) {
    for (sample, octet) in samples.iter_mut().zip(octets) {
        *sample = decode_ulaw(*octet);
    }
}

/// Decodes A-law octets, one sample each, as far as the shorter of the two slices goes.
pub fn decode_alaw_into(octets: &[u8], samples: &mut [i16]) {
    for (sample, octet) in samples.iter_mut().zip(octets) {
        *sample = decode_alaw(*octet);
    }
}

/// The A-law octet that stands for a µ-law octet (G.711 table 3).
#[must_use]
pub fn ulaw_to_alaw(octet: u8) -> u8 {
    ULAW_ALAW[usize::from(octet)]
}

/// The µ-law octet that stands for an A-law octet (G.711 table 4).
#[must_use]
pub fn alaw_to_ulaw(octet: u8) -> u8 {
    ALAW_ULAW[usize::from(octet)]
}

/// Converts a µ-law payload to A-law in place.
pub fn convert_ulaw_to_alaw(payload: &mut [u8]) {
    for octet in payload {
        *octet = ulaw_to_alaw(*octet);
    }
}

/// Converts an A-law payload to µ-law in place.
pub fn convert_alaw_to_ulaw(payload: &mut [u8]) {
    for octet in payload {
        *octet = alaw_to_ulaw(*octet);
    }
}

/// The sign bit and the magnitude of a scaled sample. Negative values are complemented, so that their intervals mirror the
/// positive ones without a second zero.
fn split_sign(scaled: i16) -> (u8, u32) {
    let magnitude = if scaled < 0 { !scaled } else { scaled };
    (if scaled < 0 { SIGN } else { 0 }, u32::from(magnitude.unsigned_abs()))
}

const fn tabulate_linear(ulaw: bool) -> [i16; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let code = octet as u8 ^ if ulaw { ULAW_INVERSION } else { ALAW_INVERSION };
        let number = code & !SIGN;
        let value = if ulaw { ulaw_value(number) } else { alaw_value(number) };
        table[octet] = if code & SIGN == 0 { value } else { -value };
        octet += 1;
    }
    table
}

/// Decoder output value number `number` of table 2, 0 to 127, in 16 bits.
const fn ulaw_value(number: u8) -> i16 {
    let (segment, interval) = (number >> 4, (number & 0x0f) as i16);
    (((2 * interval + 33) << segment) - 33) << 2
}

/// Decoder output value number `number` + 1 of table 1, in 16 bits.
const fn alaw_value(number: u8) -> i16 {
    let (segment, interval) = (number >> 4, (number & 0x0f) as i16);
    if segment == 0 { (2 * interval + 1) << 3 } else { (2 * interval + 33) << (segment + 2) }
}

const fn tabulate_conversion(from_ulaw: bool) -> [u8; 256] {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        table[octet] = if from_ulaw {
            let code = octet as u8 ^ ULAW_INVERSION;
            ((code & SIGN) | (table_3(code & !SIGN) - 1)) ^ ALAW_INVERSION
        } else {
            let code = octet as u8 ^ ALAW_INVERSION;
            ((code & SIGN) | table_4((code & !SIGN) + 1)) ^ ULAW_INVERSION
        };
        octet += 1;
    }
    table
}

/// Table 3: the A-law output value number, 1 to 128, for a µ-law output value number, 0 to 127.
const fn table_3(ulaw: u8) -> u8 {
    match ulaw {
        0..=15 => ulaw / 2 + 1,
        16..=32 => ulaw - 7,
        33..=36 => 2 * ulaw - 39,
        37..=47 => ulaw - 3,
        48 => 46,
        49..=63 => ulaw - 1,
        64..=79 => ulaw,
        80..=u8::MAX => ulaw + 1,
    }
}

/// Table 4: the µ-law output value number, 0 to 127, for an A-law output value number, 1 to 128.
const fn table_4(alaw: u8) -> u8 {
    match alaw {
        0..=8 => 2 * alaw - 1,
        9..=24 => alaw + 7,
        25..=32 => 32 + (alaw - 25) / 2,
        33..=44 => alaw + 3,
        45..=48 => 48 + (alaw - 45) / 2,
        49..=62 => alaw + 1,
        63..=64 => 64,
        65..=79 => alaw,
        80..=u8::MAX => alaw - 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use audio_codec_algorithms as oracle;

    #[test]
    fn every_octet_decodes_to_the_output_value_of_tables_1_and_2() {
        for octet in 0..=255 {
            assert_eq!(decode_ulaw(octet), oracle::decode_ulaw(octet), "mu {octet}");
            assert_eq!(decode_alaw(octet), oracle::decode_alaw(octet), "A {octet}");
        }
    }

    #[test]
    fn every_sample_encodes_as_the_itu_software_tools_do() {
        for sample in i16::MIN..=i16::MAX {
            assert_eq!(encode_ulaw(sample), oracle::encode_ulaw(sample), "mu {sample}");
            assert_eq!(encode_alaw(sample), oracle::encode_alaw(sample), "A {sample}");
        }
    }

    #[test]
    fn whole_frames_are_coded_as_single_samples_are() {
        let samples: Vec<i16> = (i16::MIN..=i16::MAX).collect();
        let mut octets = vec![0; samples.len()];
        encode_ulaw_into(&samples, &mut octets);
        assert!(samples.iter().zip(&octets).all(|(sample, octet)| encode_ulaw(*sample) == *octet));
        encode_alaw_into(&samples, &mut octets);
        assert!(samples.iter().zip(&octets).all(|(sample, octet)| encode_alaw(*sample) == *octet));
        let octets: [u8; 256] = std::array::from_fn(|octet| octet as u8);
        let mut samples = [0; 256];
        decode_ulaw_into(&octets, &mut samples);
        assert_eq!(samples, octets.map(decode_ulaw));
        decode_alaw_into(&octets, &mut samples);
        assert_eq!(samples, octets.map(decode_alaw));
    }

    #[test]
    fn every_octet_converts_by_tables_3_and_4() {
        for octet in 0..=255 {
            assert_eq!(ulaw_to_alaw(octet), oracle::convert_ulaw_to_alaw(octet), "mu {octet}");
            assert_eq!(alaw_to_ulaw(octet), oracle::convert_alaw_to_ulaw(octet), "A {octet}");
        }
    }

    #[test]
    fn decoding_and_encoding_again_changes_nothing_but_the_negative_zero_of_mu_law() {
        for octet in 0..=255 {
            let again = encode_ulaw(decode_ulaw(octet));
            assert_eq!(again, if octet == 0x7f { 0xff } else { octet });
            assert_eq!(encode_alaw(decode_alaw(octet)), octet);
        }
    }

    #[test]
    fn mu_a_mu_raises_the_even_numbers_up_to_14_by_one_and_keeps_the_rest() {
        for octet in 0..=255u8 {
            let number = (octet ^ ULAW_INVERSION) & !SIGN;
            let changed = number <= 14 && number.is_multiple_of(2);
            assert_eq!(alaw_to_ulaw(ulaw_to_alaw(octet)), if changed { octet ^ 1 } else { octet });
        }
    }

    #[test]
    fn a_mu_a_changes_the_last_bit_of_eight_numbers_alone() {
        for octet in 0..=255u8 {
            let number = ((octet ^ ALAW_INVERSION) & !SIGN) + 1;
            let changed = [26, 28, 30, 32, 45, 47, 63, 80].contains(&number);
            assert_eq!(ulaw_to_alaw(alaw_to_ulaw(octet)), if changed { octet ^ 1 } else { octet });
        }
    }

    #[test]
    fn payloads_convert_in_place() {
        let mut payload = [0xff, 0x7f, 0x00, 0x80];
        convert_ulaw_to_alaw(&mut payload);
        assert_eq!(payload, [0xd5, 0x55, 0x2a, 0xaa]);
        convert_alaw_to_ulaw(&mut payload);
        assert_eq!(payload, [0xfe, 0x7e, 0x00, 0x80]);
    }
}

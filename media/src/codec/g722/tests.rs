//! G.722 against the figures of a reference implementation (`tests/corpora/g722`), and rules of its own.

use super::*;

const SAMPLES: usize = 32_000;

/// The generator of the reference program: 16 bits a step.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.0 as i32 >> 16
    }
}

fn triangle(phase: u32) -> i32 {
    let phase = (phase & 0xffff) as i32;
    if phase < 32768 { 2 * phase - 32768 } else { 98303 - 2 * phase }
}

/// The signals of the reference program: noise, a sweep, noise at fourteen levels, near silence, tones in noise, a square wave.
fn signal(number: usize) -> Vec<i16> {
    let (mut noise, mut phase) = (Noise(1), 0u32);
    let sample = |n: usize| {
        let random = noise.next();
        let value = match number {
            0 => random >> 2,
            1 => {
                phase = phase.wrapping_add(n as u32);
                triangle(phase) / 2
            }
            2 => random >> (2 + n / 1000 % 14),
            3 => random % 5,
            4 => {
                phase = phase.wrapping_add(1800 + (n as u32 / 4000) * 900);
                triangle(phase) * 3 / 8 + (random >> 6)
            }
            _ => [-15000, 15000][n / 37 % 2],
        };
        saturate(value) as i16
    };
    (0..SAMPLES).map(sample).collect()
}

/// Octets of the reference program: noise, octets that repeat, noise with runs of the outermost codewords.
fn octets(number: usize) -> Vec<u8> {
    let mut noise = Noise(7);
    let octet = |n: usize| {
        let random = noise.next() as u8;
        match number {
            1 => (n / 5 * 37) as u8,
            2 if n / 100 % 2 == 1 => [0xa0, 0x84][usize::from(random & 1)],
            _ => random,
        }
    };
    (0..SAMPLES / 2).map(octet).collect()
}

fn fnv(octets: impl IntoIterator<Item = u8>) -> u64 {
    let step = |hash: u64, octet| (hash ^ u64::from(octet)).wrapping_mul(0x100_0000_01b3);
    octets.into_iter().fold(0xcbf2_9ce4_8422_2325, step)
}

fn hash(samples: &[i16]) -> u64 {
    fnv(samples.iter().flat_map(|sample| sample.to_le_bytes()))
}

/// Encodes in payloads of `octets` octets.
fn encode(samples: &[i16], octets: usize) -> Vec<u8> {
    let mut encoder = Encoder::new();
    let mut out = vec![0; samples.len() / 2];
    for (samples, out) in samples.chunks(2 * octets).zip(out.chunks_mut(octets)) {
        assert_eq!(encoder.encode(samples, out), out.len());
    }
    out
}

fn decode(mode: Mode, octets: &[u8]) -> Vec<i16> {
    let mut decoder = Decoder::new(mode);
    let mut out = vec![0; 2 * octets.len()];
    for (octets, out) in octets.chunks(160).zip(out.chunks_mut(320)) {
        assert_eq!(decoder.decode(octets, out), out.len());
    }
    out
}

/// Decodes without the band filters: the lower and the higher band in turn, 15 bits each.
fn decode_bands(decoder: &mut Decoder, octets: &[u8]) -> Vec<i16> {
    let pair = |octet: &u8| {
        let (low, high) = decoder.decode_bands(*octet);
        [2 * low as i16, 2 * high as i16]
    };
    octets.iter().flat_map(pair).collect()
}

/// Hashes of the octets of each signal, and of what the three modes decode of them.
const SIGNALS: [[u64; 4]; 6] = [
    [0xd3a5_b487_aae7_61bf, 0x067a_9171_8d23_e6fa, 0x4c22_7299_1b96_0893, 0x50e3_a673_def9_72f4],
    [0x0195_3929_ab4c_775a, 0x53e1_e7a4_a6a9_8ed9, 0x03f1_74db_feb4_2320, 0x116b_3704_c71c_3351],
    [0x71e5_c40a_e700_9714, 0xaf94_e7f0_d0e4_e32a, 0xaffc_8501_fa91_6c8b, 0x63d0_1d41_563f_e53e],
    [0x4a07_a42c_9043_ea5f, 0x2372_b003_b9c5_fdcd, 0x1c8e_158e_4a12_3d40, 0xf5f4_bd14_9618_ddb5],
    [0x2a09_013c_c305_311b, 0x246e_6d56_3855_6df9, 0x4bfd_bd8b_4f61_7eef, 0x7244_0a4f_35b6_8583],
    [0x7a3e_c7f6_7850_7f0f, 0x04f8_8f67_2381_c0dd, 0x52ff_9bba_6c61_52ec, 0xf27e_4e40_2d89_0a34],
];

/// Hashes of what the three modes decode of each row of octets.
const OCTETS: [[u64; 3]; 3] = [
    [0x7fe8_2b24_b1eb_220e, 0xabc5_0250_07ae_1df6, 0xa1c3_f725_e8d3_c58a],
    [0x5dc8_1681_f62e_fa3f, 0x4e7b_dd48_23d8_66a2, 0x8844_4298_aef2_cd33],
    [0x3549_0bd9_67af_1adc, 0x0155_d2ca_6860_4191, 0x40a5_4e6d_aebf_26a7],
];

const MODES: [Mode; 3] = [Mode::Rate64, Mode::Rate56, Mode::Rate48];

#[test]
fn every_signal_encodes_and_decodes_bit_for_bit_as_the_reference_does() {
    for (number, [encoded, decoded @ ..]) in SIGNALS.into_iter().enumerate() {
        let octets = encode(&signal(number), 160);
        assert_eq!(fnv(octets.iter().copied()), encoded, "signal {number}");
        for (mode, decoded) in MODES.into_iter().zip(decoded) {
            assert_eq!(hash(&decode(mode, &octets)), decoded, "signal {number} {mode:?}");
        }
    }
}

#[test]
fn octets_that_no_encoder_makes_decode_as_the_reference_decodes_them() {
    for (number, decoded) in OCTETS.into_iter().enumerate() {
        for (mode, decoded) in MODES.into_iter().zip(decoded) {
            let samples = decode_bands(&mut Decoder::new(mode), &octets(number));
            assert_eq!(hash(&samples), decoded, "octets {number} {mode:?}");
        }
    }
}

/// As the ITU's digital test sequences are run: the band filters are bypassed, the same value goes to both bands.
#[test]
fn the_bands_alone_are_bit_exact_under_noise_and_under_overload() {
    let expected =
        [(0x518f_fbfc_7e7a_1c91, 0x8b2b_6e75_6a31_3961), (0xee54_bcda_05e6_660a, 0x12e3_9e31_12d9_b9b6)];
    for (overload, (encoded, decoded)) in [false, true].into_iter().zip(expected) {
        let mut noise = Noise(3);
        let mut encoder = Encoder::new();
        let octet = |n: usize| {
            let sample = if !overload {
                (noise.next() >> (n / 500 % 12)) & !1
            } else if noise.next() > 0 {
                32766
            } else {
                -32768
            };
            encoder.encode_bands(sample >> 1, sample >> 1)
        };
        let octets: Vec<u8> = (0..SAMPLES).map(octet).collect();
        assert_eq!(fnv(octets.iter().copied()), encoded, "overload {overload}");
        let samples = decode_bands(&mut Decoder::new(Mode::Rate64), &octets);
        assert_eq!(hash(&samples), decoded, "overload {overload}");
    }
}

/// Sequence T1C2 of G.722 Appendix II, which a rule describes, and the hash of its answer T2R2. Both bands get the input, at 15
/// bits.
#[test]
fn the_itu_sequence_of_overload_is_answered_as_the_itu_says() {
    let input = (0..768usize).map(|n| match n {
        639 => 0,
        640 => 0xb1e0_u16 as i16,
        641 => 0xc000_u16 as i16,
        ..639 => [i16::MIN, 0x7ffe][n % 2],
        _ => [i16::MIN, 0x7ffe, i16::MIN][(n - 642) % 3],
    });
    let mut encoder = Encoder::new();
    let octets = input.map(|sample| encoder.encode_bands(i32::from(sample) >> 1, i32::from(sample) >> 1));
    assert_eq!(fnv(octets), 0xd525_ad28_cad5_30ce);
}

#[test]
fn the_length_of_a_payload_changes_no_bit() {
    let samples = signal(4);
    let whole = encode(&samples, samples.len() / 2);
    for octets in [1, 7, 39, 40, 41, 80, 480] {
        assert_eq!(encode(&samples, octets), whole, "{octets}");
    }
}

#[test]
fn sub_bands_beyond_15_bits_are_limited_and_do_not_wrap() {
    let samples: Vec<i16> = (0..640).map(|n| [i16::MIN, i16::MAX][n / 8 % 2]).collect();
    let decoded = decode(Mode::Rate64, &encode(&samples, 160));
    let wrong = samples.iter().zip(&decoded[22..]).skip(64).filter(|(sample, heard)| {
        i32::from(**sample).signum() != i32::from(**heard).signum() && heard.unsigned_abs() > 20_000
    });
    assert_eq!(wrong.count(), 0);
}

#[test]
fn what_has_no_room_is_left_alone() {
    let mut octets = [7; 3];
    assert_eq!(Encoder::new().encode(&[1000; 5], &mut octets), 2);
    assert_eq!(octets[2], 7);
    assert_eq!(Encoder::new().encode(&[1000; 320], &mut octets), 3);
    let mut samples = [7; 5];
    assert_eq!(Decoder::new(Mode::Rate64).decode(&[0; 160], &mut samples), 4);
    assert_eq!(samples[4], 7);
}

#[test]
fn a_restored_codec_goes_on_as_the_first_one_does() {
    let samples = signal(4);
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(Mode::Rate64));
    let (mut octets, mut heard) = ([0; 160], [0; 320]);
    encoder.encode(&samples[..320], &mut octets);
    decoder.decode(&octets, &mut heard);
    let stored = postcard::to_allocvec(&(&encoder, &decoder)).unwrap();
    let (mut encoder2, mut decoder2): (Encoder, Decoder) = postcard::from_bytes(&stored).unwrap();
    let (mut octets2, mut heard2) = (octets, heard);
    encoder.encode(&samples[320..640], &mut octets);
    encoder2.encode(&samples[320..640], &mut octets2);
    decoder.decode(&octets, &mut heard);
    decoder2.decode(&octets2, &mut heard2);
    assert_eq!((octets, heard), (octets2, heard2));
}

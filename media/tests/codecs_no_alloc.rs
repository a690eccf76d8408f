//! Codecs, resampler and comfort noise allocate when they are made and never after that, under a counting allocator. libopus
//! itself takes its memory in one piece at construction and works on the stack, which the allocator of Rust does not see.

use allocation_counter::measure;
use media::codec::comfort_noise::{Analyser, Description, Generator, MAX_PAYLOAD};
use media::codec::opus::Settings;
use media::codec::{Channels, Codec, Decoder, Encoder};
use media::dsp::{DriftCorrector, Resampler, SampleRate};

/// Longest frame here: 60 ms at 48 kHz.
const LONGEST: usize = 2880;

fn codecs() -> [Codec; 6] {
    let (narrow, full) = (SampleRate::Hz8000, SampleRate::Hz48000);
    [
        Codec::Pcmu,
        Codec::Pcma,
        Codec::G722,
        Codec::Opus { rate: narrow },
        Codec::Opus { rate: full },
        Codec::L16 { rate: full, channels: Channels::Stereo },
    ]
}

fn sawtooth() -> Vec<i16> {
    (0..LONGEST).map(|n| (n * 173 % 9000) as i16).collect()
}

#[test]
fn encoding_decoding_concealing_and_changing_settings_allocate_nothing() {
    let samples = sawtooth();
    for codec in codecs() {
        let mut encoder = Encoder::new(codec, Settings::default()).unwrap();
        let mut decoder = Decoder::new(codec).unwrap();
        let (mut payload, mut out) = ([0; 4 * LONGEST], [0; LONGEST]);
        let info = measure(|| {
            for ms in [20, 60, 10, 40, 20, 20] {
                let frame = &samples[..codec.sample_rate().samples(ms)];
                let octets = encoder.encode(frame, &mut payload).unwrap();
                assert_eq!(codec.samples_in(&payload[..octets]), Some(frame.len()));
                decoder.decode(&payload[..octets], &mut out).unwrap();
                decoder.decode_fec(&payload[..octets], &mut out[..frame.len()]);
                decoder.conceal(&mut out[..frame.len()]);
                let _ = decoder.decode(&[0xff; 7], &mut out[..3]);
                encoder.configure(Settings { expected_loss: ms as u8, ..Settings::default() }).unwrap();
            }
            encoder.reset();
            decoder.reset();
        });
        assert_eq!(info.count_total, 0, "{codec:?}");
    }
}

#[test]
fn resampling_allocates_nothing() {
    let samples = sawtooth();
    for from in SampleRate::ALL {
        for to in SampleRate::ALL {
            let mut resampler = Resampler::new(from, to);
            let mut out = [0; LONGEST];
            let info = measure(|| {
                for ms in [20, 60, 10] {
                    resampler.resample(&samples[..from.samples(ms)], &mut out);
                }
                resampler.reset();
            });
            assert_eq!(info.count_total, 0, "{from:?} to {to:?}");
        }
    }
}

#[test]
fn correcting_drift_allocates_nothing() {
    let samples = sawtooth();
    let (mut corrector, mut out) = (DriftCorrector::new(), [0; LONGEST]);
    let info = measure(|| {
        corrector.set_ppm(-200);
        corrector.correct(&samples[..960], &mut out);
    });
    assert_eq!(info.count_total, 0);
}

#[test]
fn comfort_noise_allocates_nothing() {
    let samples = sawtooth();
    let (mut analyser, mut generator) = (Analyser::new(10), Generator::new(1));
    let (mut payload, mut out) = ([0; MAX_PAYLOAD], [0; 160]);
    let info = measure(|| {
        analyser.observe(&samples[..160]);
        let octets = analyser.describe().write(&mut payload);
        if let Some(description) = Description::parse(&payload[..octets]) {
            generator.describe(&description);
        }
        generator.generate(&mut out);
    });
    assert_eq!(info.count_total, 0);
    assert!(out.iter().any(|sample| *sample != 0));
}

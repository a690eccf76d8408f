//! Codecs, resampler and comfort noise per frame of 20 ms, and transcoding between Opus and G.711 beside libopus alone.

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use media::codec::comfort_noise::{Analyser, Description, Generator};
use media::codec::opus::Settings;
use media::codec::{Channels, Codec, Decoder, Encoder};
use media::dsp::{Resampler, SampleRate};

/// Frames of a signal, used in turn.
const FRAMES: usize = 50;
/// Room for any payload here.
const PAYLOAD: usize = 4000;

/// One second of something like a voice: tones over a swelling fundamental, with a little noise.
fn voice(rate: SampleRate) -> Vec<Vec<i16>> {
    let mut random = 1u32;
    let sample = |n: usize| {
        random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let t = n as f32 / rate.hertz() as f32;
        let tones: f32 = (1..12).map(|k| (1256.6 * k as f32 * t).sin() / k as f32).sum();
        (tones * (0.6 + 0.4 * (18.8 * t).sin()) * 5000.0) as i16 + (random >> 24) as i16
    };
    let samples: Vec<i16> = (0..rate.samples(20) * FRAMES).map(sample).collect();
    samples.chunks(rate.samples(20)).map(<[i16]>::to_vec).collect()
}

fn encoder(codec: Codec) -> Encoder {
    Encoder::new(codec, Settings::default()).expect("the codec runs at this rate")
}

fn decoder(codec: Codec) -> Decoder {
    Decoder::new(codec).expect("the codec runs at this rate")
}

/// The payloads of the voice.
fn payloads(codec: Codec) -> Vec<Vec<u8>> {
    let mut encoder = encoder(codec);
    let encode = |frame: Vec<i16>| {
        let mut payload = vec![0; PAYLOAD];
        let octets = encoder.encode(&frame, &mut payload).expect("20 ms are a frame");
        payload.truncate(octets);
        payload
    };
    voice(codec.sample_rate()).into_iter().map(encode).collect()
}

fn codecs(criterion: &mut Criterion) {
    let opus = |rate| Codec::Opus { rate };
    let codecs = [
        ("pcmu", Codec::Pcmu),
        ("pcma", Codec::Pcma),
        ("g722", Codec::G722),
        ("opus_8k", opus(SampleRate::Hz8000)),
        ("opus_16k", opus(SampleRate::Hz16000)),
        ("opus_48k", opus(SampleRate::Hz48000)),
        ("l16_48k_stereo", Codec::L16 { rate: SampleRate::Hz48000, channels: Channels::Stereo }),
    ];
    for (name, codec) in codecs {
        let (frames, mut encoder, mut payload) =
            (voice(codec.sample_rate()), encoder(codec), vec![0; PAYLOAD]);
        let mut turn = frames.iter().cycle();
        criterion.bench_function(&format!("encode_20ms/{name}"), |bencher| {
            bencher.iter(|| turn.next().map(|frame| encoder.encode(black_box(frame), &mut payload)));
        });
        let (payloads, mut decoder, mut out) = (payloads(codec), decoder(codec), vec![0; 960]);
        let mut turn = payloads.iter().cycle();
        criterion.bench_function(&format!("decode_20ms/{name}"), |bencher| {
            bencher.iter(|| turn.next().map(|payload| decoder.decode(black_box(payload), &mut out)));
        });
    }
}

/// What a leg with Opus and one with G.711 cost together, and what of it is libopus.
fn transcoding(criterion: &mut Criterion) {
    let codec = Codec::Opus { rate: SampleRate::Hz8000 };
    let (rate, channels) = (SampleRate::Hz8000.hertz(), opus::Channels::Mono);
    let payloads = payloads(Codec::Opus { rate: SampleRate::Hz48000 });
    let (mut samples, mut octets) = (vec![0i16; 160], vec![0u8; PAYLOAD]);

    let mut native = opus::Decoder::new(rate, channels).expect("8 kHz is a rate of Opus");
    let mut turn = payloads.iter().cycle();
    criterion.bench_function("transcode_20ms/opus_to_pcmu/libopus_alone", |bencher| {
        bencher.iter(|| turn.next().map(|payload| native.decode(black_box(payload), &mut samples, false)));
    });
    let (mut from, mut to) = (decoder(codec), encoder(Codec::Pcmu));
    let mut turn = payloads.iter().cycle();
    criterion.bench_function("transcode_20ms/opus_to_pcmu/ours", |bencher| {
        bencher.iter(|| {
            let decoded = turn.next().map(|payload| from.decode(black_box(payload), &mut samples));
            (decoded, to.encode(&samples, &mut octets))
        });
    });

    let frames = voice(SampleRate::Hz8000);
    let settings = Settings::default();
    let mut native =
        opus::Encoder::new(rate, channels, opus::Application::Voip).expect("8 kHz is a rate of Opus");
    native.set_bitrate(opus::Bitrate::Bits(settings.bitrate as i32)).expect("in range");
    native.set_complexity(settings.complexity.into()).expect("in range");
    native.set_inband_fec(settings.fec).expect("in range");
    native.set_packet_loss_perc(settings.expected_loss.into()).expect("in range");
    let mut turn = frames.iter().cycle();
    criterion.bench_function("transcode_20ms/pcmu_to_opus/libopus_alone", |bencher| {
        bencher.iter(|| turn.next().map(|frame| native.encode(black_box(frame), &mut octets)));
    });
    let pcmu = self::payloads(Codec::Pcmu);
    let (mut from, mut to) = (decoder(Codec::Pcmu), encoder(codec));
    let mut turn = pcmu.iter().cycle();
    criterion.bench_function("transcode_20ms/pcmu_to_opus/ours", |bencher| {
        bencher.iter(|| {
            let decoded = turn.next().map(|payload| from.decode(black_box(payload), &mut samples));
            (decoded, to.encode(&samples, &mut octets))
        });
    });
}

fn resampling(criterion: &mut Criterion) {
    for (from, to) in
        [(8000, 16_000), (16_000, 8000), (8000, 48_000), (48_000, 8000), (16_000, 48_000), (48_000, 16_000)]
    {
        let (Some(from_rate), Some(to_rate)) = (SampleRate::from_hertz(from), SampleRate::from_hertz(to))
        else {
            continue;
        };
        let (frames, mut out) = (voice(from_rate), vec![0; 960]);
        let mut resampler = Resampler::new(from_rate, to_rate);
        let mut turn = frames.iter().cycle();
        criterion.bench_function(&format!("resample_20ms/{from}_to_{to}"), |bencher| {
            bencher.iter(|| turn.next().map(|frame| resampler.resample(black_box(frame), &mut out)));
        });
    }
}

fn comfort_noise(criterion: &mut Criterion) {
    let (frames, mut analyser) = (voice(SampleRate::Hz8000), Analyser::new(10));
    let mut turn = frames.iter().cycle();
    criterion.bench_function("comfort_noise/observe_20ms_8k", |bencher| {
        bencher.iter(|| turn.next().map(|frame| analyser.observe(black_box(frame))));
    });
    let (mut generator, mut out) = (Generator::new(1), [0; 160]);
    let description = Description::parse(&[40, 100, 140, 120, 130, 125, 127, 130, 127, 127, 127]);
    generator.describe(&description.expect("the payload is not empty"));
    criterion.bench_function("comfort_noise/generate_20ms_8k", |bencher| {
        bencher.iter(|| generator.generate(black_box(&mut out)));
    });
}

criterion_group!(benches, codecs, transcoding, resampling, comfort_noise);
criterion_main!(benches);

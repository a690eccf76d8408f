//! Every codec through [`Encoder`] and [`Decoder`]: quality, durations, restored states; Opus against libopus' own decoder, with
//! redundancy, silence and stereo.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use std::f64::consts::TAU;

use media::codec::opus::{DTX_PAYLOAD, Settings};
use media::codec::opus_packet::has_fec;
use media::codec::{Channels, Codec, CreateError, DecodeError, Decoder, EncodeError, Encoder};
use media::dsp::SampleRate;
use proptest::prelude::*;

const OPUS_RATES: [SampleRate; 5] =
    [SampleRate::Hz8000, SampleRate::Hz12000, SampleRate::Hz16000, SampleRate::Hz24000, SampleRate::Hz48000];

fn codecs() -> Vec<Codec> {
    let mut codecs = vec![Codec::Pcmu, Codec::Pcma, Codec::G722];
    codecs.extend(OPUS_RATES.map(|rate| Codec::Opus { rate }));
    for rate in SampleRate::ALL {
        codecs.extend([Channels::Mono, Channels::Stereo].map(|channels| Codec::L16 { rate, channels }));
    }
    codecs
}

/// A voice-like sound: a tone of 200 Hz with overtones, swelling and fading.
fn voice(rate: SampleRate, ms: u32) -> Vec<i16> {
    let hertz = f64::from(rate.hertz());
    let sample = |n: usize| {
        let t = n as f64 / hertz;
        let tones: f64 = (1..12).map(|k| (TAU * 200.0 * f64::from(k) * t).sin() / f64::from(k)).sum();
        (tones * (0.6 + 0.4 * (TAU * 3.0 * t).sin()) * 5000.0) as i16
    };
    (0..rate.samples(ms)).map(sample).collect()
}

fn encoder(codec: Codec) -> Encoder {
    Encoder::new(codec, Settings::default()).unwrap()
}

/// The payloads of a signal in packets of `ptime` ms.
fn payloads(encoder: &mut Encoder, codec: Codec, samples: &[i16], ptime: u32) -> Vec<Vec<u8>> {
    let frame = |samples: &[i16]| {
        let mut payload = vec![0; codec.max_payload(ptime)];
        let octets = encoder.encode(samples, &mut payload).unwrap();
        payload.truncate(octets);
        payload
    };
    samples.chunks_exact(codec.sample_rate().samples(ptime)).map(frame).collect()
}

fn decoded(decoder: &mut Decoder, codec: Codec, payloads: &[Vec<u8>]) -> Vec<i16> {
    let mut heard = Vec::new();
    for payload in payloads {
        let mut out = vec![0; codec.samples_in(payload).unwrap()];
        assert_eq!(decoder.decode(payload, &mut out), Ok(out.len()), "{codec:?}");
        heard.extend(out);
    }
    heard
}

/// Share of the energy of `heard` that is the signal, delayed by the best of up to 20 ms, in dB over the rest.
fn fidelity(signal: &[i16], heard: &[i16], rate: SampleRate) -> f64 {
    let at = |delay: usize| {
        let pairs = signal.iter().zip(&heard[delay..]).skip(rate.samples(100));
        let (mut cross, mut own, mut theirs) = (0.0, 0.0, 0.0);
        for (a, b) in pairs {
            let (a, b) = (f64::from(*a), f64::from(*b));
            (cross, own, theirs) = (cross + a * b, own + a * a, theirs + b * b);
        }
        let alike = cross * cross / (own * theirs + 1.0);
        10.0 * (alike / (1.0 - alike + 1e-9)).log10()
    };
    (0..rate.samples(20)).map(at).fold(f64::MIN, f64::max)
}

#[test]
fn every_codec_carries_a_voice_at_every_duration_it_has() {
    for codec in codecs() {
        let floor = match codec {
            Codec::L16 { .. } => 80.0,
            Codec::Pcmu | Codec::Pcma => 30.0,
            Codec::G722 => 20.0,
            Codec::Opus { .. } => 6.0,
        };
        for ptime in (10..=60).step_by(10).filter(|ms| codec.ptime_ms(*ms) == *ms) {
            let samples = voice(codec.sample_rate(), 600);
            let sent = payloads(&mut encoder(codec), codec, &samples, ptime);
            let heard = decoded(&mut Decoder::new(codec).unwrap(), codec, &sent);
            let fidelity = fidelity(&samples, &heard, codec.sample_rate());
            assert!(fidelity > floor, "{codec:?} at {ptime} ms: {fidelity:.1} dB");
        }
    }
}

#[test]
fn durations_may_differ_between_the_two_directions_and_change_on_the_way() {
    for codec in codecs() {
        let samples = voice(codec.sample_rate(), 480);
        let (mut sender, mut receiver) = (encoder(codec), Decoder::new(codec).unwrap());
        let (mut heard, mut rest) = (0, &samples[..]);
        for ptime in [20, 60, 10, 40, 10, 20, 60, 20, 60].map(|ms| codec.ptime_ms(ms)) {
            let (frame, after) = rest.split_at(codec.sample_rate().samples(ptime));
            let sent = payloads(&mut sender, codec, frame, ptime);
            heard += decoded(&mut receiver, codec, &sent).len();
            rest = after;
        }
        assert_eq!(heard, samples.len() - rest.len(), "{codec:?}");
    }
}

#[test]
fn opus_decodes_bit_for_bit_as_libopus_does_at_every_rate_mono_and_stereo() {
    for channels in [opus::Channels::Mono, opus::Channels::Stereo] {
        let mut native = opus::Encoder::new(48_000, channels, opus::Application::Audio).unwrap();
        native.set_bitrate(opus::Bitrate::Bits(40_000)).unwrap();
        let voice = voice(SampleRate::Hz48000, 1000);
        let stereo: Vec<i16> = voice.iter().flat_map(|sample| [*sample, sample / 2]).collect();
        let signal = if channels == opus::Channels::Mono { voice } else { stereo };
        let frames = signal.chunks_exact(960 * channels as usize);
        let sent: Vec<_> = frames.map(|frame| native.encode_vec(frame, 1275).unwrap()).collect();
        for rate in OPUS_RATES {
            let codec = Codec::Opus { rate };
            let heard = decoded(&mut Decoder::new(codec).unwrap(), codec, &sent);
            let mut reference = opus::Decoder::new(rate.hertz(), opus::Channels::Mono).unwrap();
            let mut expected = vec![0; rate.samples(20)];
            for (payload, heard) in sent.iter().zip(heard.chunks_exact(rate.samples(20))) {
                assert_eq!(reference.decode(payload, &mut expected, false).unwrap(), expected.len());
                assert_eq!(heard, expected);
            }
        }
    }
}

#[test]
fn both_channels_of_an_opus_stream_are_heard() {
    let voice = voice(SampleRate::Hz48000, 400);
    for side in 0..2 {
        let mut native =
            opus::Encoder::new(48_000, opus::Channels::Stereo, opus::Application::Audio).unwrap();
        native.set_bitrate(opus::Bitrate::Bits(96_000)).unwrap();
        let pair = |sample: &i16| if side == 0 { [*sample, 0] } else { [0, *sample] };
        let signal: Vec<i16> = voice.iter().flat_map(pair).collect();
        let sent: Vec<_> =
            signal.chunks_exact(1920).map(|frame| native.encode_vec(frame, 1275).unwrap()).collect();
        let codec = Codec::Opus { rate: SampleRate::Hz48000 };
        let heard = decoded(&mut Decoder::new(codec).unwrap(), codec, &sent);
        assert!(fidelity(&voice, &heard, SampleRate::Hz48000) > 10.0, "channel {side}");
        let loudest = |samples: &[i16]| samples.iter().map(|sample| sample.unsigned_abs()).max().unwrap();
        let ratio = f64::from(loudest(&heard)) / f64::from(loudest(&voice));
        assert!((0.4..0.6).contains(&ratio), "channel {side} is mixed with a gain of {ratio}");
    }
}

/// A lost packet of a voice, recovered or concealed: fidelity of the 20 ms in its place.
fn recovered(settings: Settings, fec: bool) -> Option<f64> {
    let (rate, codec) = (SampleRate::Hz16000, Codec::Opus { rate: SampleRate::Hz16000 });
    let samples = voice(rate, 1000);
    let sent = payloads(&mut Encoder::new(codec, settings).unwrap(), codec, &samples, 20);
    let lost = (20..40).find(|lost| has_fec(&sent[lost + 1])).unwrap_or(30);
    let (mut whole, mut lossy) = (Decoder::new(codec).unwrap(), Decoder::new(codec).unwrap());
    let expected = decoded(&mut whole, codec, &sent[..=lost]);
    let expected = &expected[lost * 320..];
    decoded(&mut lossy, codec, &sent[..lost]);
    let mut out = vec![0; 320];
    if fec {
        assert_eq!(lossy.decode_fec(&sent[lost + 1], &mut out)?, 320);
    } else {
        assert!(lossy.conceal(&mut out));
    }
    let error = |(a, b): (&i16, &i16)| (f64::from(*a) - f64::from(*b)).powi(2);
    let distance: f64 = expected.iter().zip(&out).map(error).sum();
    let energy: f64 = expected.iter().map(|a| f64::from(*a).powi(2)).sum();
    let rest = &sent[lost + 1..];
    assert_eq!(decoded(&mut lossy, codec, rest).len(), 320 * rest.len());
    Some(10.0 * (energy / distance).log10())
}

#[test]
fn a_lost_packet_is_recovered_from_the_next_one_where_the_encoder_expects_loss() {
    let expecting = Settings { fec: true, expected_loss: 20, ..Settings::default() };
    let distance = recovered(expecting, true).expect("the next packet repeats it");
    assert!(distance > 6.0, "{distance:.1} dB");
    let none = Settings { fec: false, ..Settings::default() };
    assert_eq!(recovered(none, true), None);
    assert!(recovered(none, false).is_some());
}

#[test]
fn redundancy_is_switched_on_between_two_frames_and_off_again() {
    let codec = Codec::Opus { rate: SampleRate::Hz16000 };
    let settings = |expected_loss| Settings { expected_loss, ..Settings::default() };
    let mut encoder = Encoder::new(codec, settings(0)).unwrap();
    let samples = voice(SampleRate::Hz16000, 3000);
    let mut redundant = Vec::new();
    for (frame, loss) in samples.chunks_exact(320).zip([0, 20, 0].into_iter().flat_map(|loss| [loss; 50])) {
        encoder.configure(settings(loss)).unwrap();
        let payload = payloads(&mut encoder, codec, frame, 20).remove(0);
        redundant.push(has_fec(&payload));
    }
    assert!(redundant[..50].iter().all(|redundant| !redundant));
    assert!(redundant[52..100].iter().any(|redundant| *redundant));
    assert!(redundant[102..].iter().all(|redundant| !redundant));
    assert_eq!(encoder.configure(settings(101)), Err(CreateError::Setting));
}

#[test]
fn silence_is_not_sent_with_dtx_and_is_filled_by_the_decoder() {
    let codec = Codec::Opus { rate: SampleRate::Hz16000 };
    let settings = Settings { dtx: true, ..Settings::default() };
    let mut samples = voice(SampleRate::Hz16000, 400);
    samples.resize(SampleRate::Hz16000.samples(2400), 0);
    let sent = payloads(&mut Encoder::new(codec, settings).unwrap(), codec, &samples, 20);
    let silent = sent.iter().filter(|payload| payload.len() <= DTX_PAYLOAD).count();
    assert!(silent > 60, "{silent} of 120 frames are not sent");
    assert!(sent[..20].iter().all(|payload| payload.len() > DTX_PAYLOAD));
    let mut decoder = Decoder::new(codec).unwrap();
    let mut heard = Vec::new();
    for payload in &sent {
        let mut out = vec![0; 320];
        if payload.len() <= DTX_PAYLOAD {
            assert!(decoder.conceal(&mut out));
        } else {
            decoder.decode(payload, &mut out).unwrap();
        }
        heard.extend(out);
    }
    assert!(heard[heard.len() / 2..].iter().all(|sample| sample.unsigned_abs() < 100));
}

#[test]
fn opus_runs_at_its_own_rates_and_frames_alone() {
    for rate in [SampleRate::Hz32000, SampleRate::Hz44100] {
        assert_eq!(Decoder::new(Codec::Opus { rate }).err(), Some(CreateError::Rate(rate)));
    }
    let mut encoder = encoder(Codec::Opus { rate: SampleRate::Hz8000 });
    let refused = EncodeError::FrameLength { samples: 240 };
    assert_eq!(encoder.encode(&[0; 240], &mut [0; 1275]), Err(refused));
    let mut decoder = Decoder::new(Codec::Opus { rate: SampleRate::Hz8000 }).unwrap();
    assert!(!decoder.conceal(&mut [0; 161]));
    assert_eq!(decoder.decode(&[], &mut [0; 960]), Err(DecodeError::Malformed));
    assert_eq!(decoder.decode(&[8], &mut [0; 10]), Err(DecodeError::OutputTooShort { needed: 160 }));
}

#[test]
fn a_constant_bit_rate_makes_payloads_of_one_length() {
    let codec = Codec::Opus { rate: SampleRate::Hz16000 };
    let settings = Settings { constant_bitrate: true, ..Settings::default() };
    let mut encoder = Encoder::new(codec, settings).unwrap();
    let sent = payloads(&mut encoder, codec, &voice(SampleRate::Hz16000, 1000), 20);
    assert!(sent.iter().all(|payload| payload.len() == 24_000 / 8 / 50));
}

#[test]
fn nothing_is_sent_above_what_the_peer_can_play() {
    let codec = Codec::Opus { rate: SampleRate::Hz48000 };
    for (max_playback_rate, bandwidth) in [
        (8000, opus::Bandwidth::Narrowband),
        (16_000, opus::Bandwidth::Wideband),
        (24_000, opus::Bandwidth::Superwideband),
    ] {
        let settings = Settings { bitrate: 64_000, max_playback_rate, ..Settings::default() };
        let mut encoder = Encoder::new(codec, settings).unwrap();
        let sent = payloads(&mut encoder, codec, &voice(SampleRate::Hz48000, 400), 20);
        for payload in &sent {
            assert_eq!(opus::packet::get_bandwidth(payload).unwrap(), bandwidth, "{max_playback_rate}");
        }
    }
}

#[test]
fn an_opus_payload_stays_within_the_room_it_is_given() {
    let codec = Codec::Opus { rate: SampleRate::Hz48000 };
    let settings = Settings { bitrate: 510_000, ..Settings::default() };
    let mut encoder = Encoder::new(codec, settings).unwrap();
    for frame in voice(SampleRate::Hz48000, 600).chunks_exact(2880) {
        assert!(encoder.encode(frame, &mut [0; 200]).unwrap() <= 200);
    }
}

#[test]
fn a_codec_that_is_stored_and_restored_goes_on() {
    for codec in codecs() {
        let samples = voice(codec.sample_rate(), 40);
        let (mut sender, mut receiver) = (encoder(codec), Decoder::new(codec).unwrap());
        let ptime = codec.ptime_ms(20);
        let sent = payloads(&mut sender, codec, &samples, ptime);
        decoded(&mut receiver, codec, &sent);
        let stored = postcard::to_allocvec(&(&sender, &receiver)).unwrap();
        let (mut sender2, mut receiver2): (Encoder, Decoder) = postcard::from_bytes(&stored).unwrap();
        if matches!(codec, Codec::Opus { .. }) {
            // It starts afresh, as one that is reset does.
            sender.reset();
            receiver.reset();
        }
        let (sent, sent2) =
            (payloads(&mut sender, codec, &samples, ptime), payloads(&mut sender2, codec, &samples, ptime));
        assert_eq!(sent, sent2, "{codec:?}");
        assert_eq!(decoded(&mut receiver, codec, &sent), decoded(&mut receiver2, codec, &sent), "{codec:?}");
    }
}

proptest! {
    #[test]
    fn no_payload_panics_any_decoder_and_none_writes_more_than_it_says(
        payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 1..20),
        room in 0usize..3000,
    ) {
        for codec in codecs() {
            let mut decoder = Decoder::new(codec).unwrap();
            for payload in &payloads {
                let mut out = vec![0; room];
                match decoder.decode(payload, &mut out) {
                    Ok(samples) => prop_assert_eq!(Some(samples), codec.samples_in(payload)),
                    Err(DecodeError::OutputTooShort { needed }) => {
                        prop_assert_eq!(Some(needed), codec.samples_in(payload));
                    }
                    Err(DecodeError::Malformed) => {}
                }
                decoder.decode_fec(payload, &mut out);
                decoder.conceal(&mut out);
            }
        }
    }

    #[test]
    fn no_samples_panic_any_encoder(
        samples in prop::collection::vec(any::<i16>(), 0..3000),
        room in 0usize..2000,
    ) {
        for codec in codecs() {
            let mut encoder = encoder(codec);
            for length in [samples.len(), codec.sample_rate().samples(10).min(samples.len())] {
                let mut out = vec![0; room];
                if let Ok(octets) = encoder.encode(&samples[..length], &mut out) {
                    prop_assert!(octets <= room);
                }
            }
        }
    }
}

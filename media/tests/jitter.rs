//! What the jitter buffer does with what comes: rules, one each, in virtual time.

mod line;

use allocation_counter::measure;
use line::{Arrival, CN, Line, Linear, Random, UNKNOWN, Ulaw, heard_undisturbed, regular, tone, voice};
use media::Time;
use media::jitter::{Decode, Inserted, JitterBuffer, JitterConfig, Packet, PayloadKind};
use proptest::prelude::*;

const SECOND: u64 = 1_000_000;

#[test]
fn regular_packets_are_heard_unchanged_wherever_the_ticks_fall() {
    let sound = voice(10, 1);
    let expected = heard_undisturbed(&sound);
    for phase in 0..20 {
        let mut line = Line::narrow(phase * 1000);
        line.run(&regular(&sound), 10 * SECOND);
        let start = line.out.iter().position(|sample| *sample != 0).unwrap();
        let begin = expected.iter().position(|sample| *sample != 0).unwrap();
        let length = (line.out.len() - start).min(expected.len() - begin);
        assert_eq!(line.out[start..start + length], expected[begin..begin + length], "phase {phase}");
        let figures = line.figures();
        assert_eq!((figures.concealed, figures.lost, line.made_up()), (0, 0, 0), "phase {phase}");
        assert!(figures.target_us < 8000 && figures.max_delay_us < 28_000, "phase {phase}: {figures:?}");
    }
}

#[test]
fn packets_and_ticks_that_waver_by_two_milliseconds_make_nothing_missing() {
    let sound = voice(30, 17);
    for phase in 0..20 {
        let mut random = Random::new(phase);
        let mut arrivals = regular(&sound);
        for arrival in &mut arrivals {
            arrival.at_us += (random.uniform() * 2000.0) as u64;
        }
        let mut line = Line::narrow(phase * 1000);
        line.run_unsteadily(&arrivals, 30 * SECOND, || (random.uniform() * 2000.0) as u64);
        let figures = line.figures();
        assert_eq!(
            (figures.concealed, figures.late, line.made_up()),
            (0, 0, 0),
            "phase {phase}: {figures:?}"
        );
        assert!(figures.target_us < 8000 && figures.max_delay_us < 30_000, "phase {phase}: {figures:?}");
        assert!(figures.inserted + figures.removed <= 400, "phase {phase}: {figures:?}");
    }
}

#[test]
fn the_delay_told_is_the_delay_heard() {
    for phase in [0, 3, 7, 12, 19] {
        let mut sound = vec![0; 8000];
        sound[4000] = 20_000;
        let mut line = Line::narrow(phase * 1000);
        line.run(&regular(&sound), SECOND);
        let heard = line.out.iter().position(|sample| *sample != 0).unwrap();
        // Sample 4000 is the first of its packet, which comes at 500 ms.
        let heard_us = phase * 1000 + heard as u64 * 125;
        assert_eq!(u64::from(line.delays[30].0), heard_us - 500_000);
    }
}

#[test]
fn late_duplicate_and_lost_packets_are_counted_as_what_they_are() {
    let mut arrivals = regular(&voice(4, 2));
    arrivals[60].at_us += 150_000;
    let mut again = arrivals[80].clone();
    again.at_us += 5000;
    let mut much_later = arrivals[90].clone();
    much_later.at_us += 300_000;
    arrivals.remove(100);
    arrivals.extend([again, much_later]);
    let mut line = Line::narrow(8000);
    line.run(&arrivals, 4 * SECOND);
    let figures = line.figures();
    assert_eq!((figures.late, figures.duplicate, figures.lost), (1, 2, 1), "{figures:?}");
    assert_eq!(figures.received, 201);
    assert!(figures.concealed >= 320, "{figures:?}");
}

#[test]
fn a_late_packet_with_nothing_behind_it_is_played_and_the_rest_later() {
    let sound = voice(2, 3);
    let mut arrivals = regular(&sound);
    for arrival in &mut arrivals[20..] {
        arrival.at_us += 30_000;
    }
    let mut line = Line::narrow(8000);
    line.run(&arrivals, 2 * SECOND);
    let figures = line.figures();
    assert_eq!((figures.late, figures.lost, figures.discarded), (0, 0, 0), "{figures:?}");
    assert!(figures.concealed <= 2 * 160, "{figures:?}");
}

#[test]
fn the_target_rises_with_the_second_late_packet_and_comes_down_again() {
    let mut arrivals = regular(&voice(30, 4));
    for index in [500, 510] {
        arrivals[index].at_us += 45_000;
    }
    let mut line = Line::narrow(9000);
    line.run(&arrivals, 30 * SECOND);
    let target = |tick: usize| line.delays[tick].1;
    assert!(target(490) < 8000);
    assert!((45_000..50_000).contains(&target(514)), "{}", target(514));
    assert!(target(1400) < 8000, "{}", target(1400));
    let delay = line.delays[1400].0;
    assert!(delay < 28_000, "{delay}");
}

#[test]
fn a_step_of_the_path_is_followed_with_little_concealment() {
    let mut arrivals = regular(&voice(40, 5));
    for arrival in &mut arrivals[500..] {
        arrival.at_us += 70_000;
    }
    let mut line = Line::narrow(5000);
    line.run(&arrivals, 40 * SECOND);
    let figures = line.figures();
    assert!(figures.concealed <= 4 * 160 && figures.late == 0, "{figures:?}");
    assert!(figures.delay_us < 30_000, "what is the rule now is no delay any more: {figures:?}");
}

#[test]
fn reordered_packets_are_heard_in_order() {
    let sound = voice(5, 6);
    let mut arrivals = regular(&sound);
    for pair in arrivals.chunks_exact_mut(2) {
        pair[0].at_us += 25_000;
    }
    let mut line = Line::narrow(3000);
    line.run(&arrivals, 5 * SECOND);
    let figures = line.figures();
    assert_eq!((figures.lost, figures.late), (0, 0), "{figures:?}");
    assert!(figures.concealed <= 3 * 160, "{figures:?}");
}

/// Three spurts of half a second with pauses of 0.7 s between them; the second begins with a marker.
fn spurts() -> Vec<Arrival> {
    let mut arrivals = regular(&voice(2, 7)[..75 * 160]);
    for (index, arrival) in arrivals.iter_mut().enumerate() {
        let pauses = index as u64 / 25;
        arrival.at_us += pauses * 700_000;
        arrival.timestamp = arrival.timestamp.wrapping_add(pauses as u32 * 5600);
        arrival.marker = index % 25 == 0;
    }
    arrivals
}

#[test]
fn a_pause_of_the_sender_is_not_loss() {
    let mut line = Line::narrow(9000);
    line.run(&spurts(), 3 * SECOND);
    let figures = line.figures();
    assert_eq!((figures.lost, figures.late, figures.discarded), (0, 0, 0));
    assert_eq!(figures.concealed, 0, "{figures:?}");
    assert_eq!(figures.received, 75);
    assert!(figures.delay_us < 28_000);
}

#[test]
fn described_noise_fills_the_pause() {
    let mut arrivals = spurts();
    for arrival in &mut arrivals {
        arrival.sequence += (arrival.sequence - 70_000) / 25;
    }
    for spurt in 0..3u64 {
        let last =
            arrivals.iter().find(|arrival| arrival.sequence == 70_000 + spurt * 26 + 24).unwrap().clone();
        arrivals.push(Arrival {
            at_us: last.at_us + 20_000,
            sequence: last.sequence + 1,
            timestamp: last.timestamp.wrapping_add(160),
            payload_type: CN,
            payload: vec![55],
            ..last
        });
    }
    let mut line = Line::narrow(9000);
    line.run(&arrivals, 3 * SECOND);
    let figures = line.figures();
    assert_eq!((figures.lost, figures.concealed, line.made_up()), (0, 0, 0), "{figures:?}");
    let noise = line.out.iter().filter(|sample| **sample == 55).count();
    assert!(noise > 8000, "{noise}");
}

#[test]
fn packets_that_are_not_sound_take_their_number_and_are_not_loss() {
    let mut arrivals = regular(&voice(3, 8));
    for arrival in &mut arrivals[50..60] {
        arrival.payload.clear();
    }
    arrivals[80].payload_type = UNKNOWN;
    let mut line = Line::narrow(9000);
    line.run(&arrivals, 3 * SECOND);
    let figures = line.figures();
    assert_eq!((figures.lost, figures.concealed, figures.late), (0, 0, 0), "{figures:?}");
}

#[test]
fn an_event_or_packets_sent_twice_do_not_raise_the_target() {
    let mut arrivals = regular(&voice(6, 16));
    let mut doubled = arrivals[100..200].to_vec();
    for again in &mut doubled {
        again.at_us += 15_000;
    }
    let beginning = arrivals[220].timestamp;
    for event in &mut arrivals[220..245] {
        event.payload.clear();
        event.timestamp = beginning;
    }
    arrivals.extend(doubled);
    let mut line = Line::narrow(9000);
    line.run(&arrivals, 6 * SECOND);
    let figures = line.figures();
    assert_eq!((figures.duplicate, figures.concealed, figures.lost), (100, 0, 0), "{figures:?}");
    assert!(line.delays.iter().all(|(delay, target)| *delay < 28_000 && *target < 8000), "{figures:?}");
}

#[test]
fn a_new_stream_begins_anew_at_once() {
    let mut arrivals = regular(&voice(4, 9));
    for arrival in &mut arrivals[100..] {
        arrival.stream = 2;
        arrival.sequence = arrival.sequence.wrapping_add(3_000_000);
        arrival.timestamp = arrival.timestamp.wrapping_mul(77);
    }
    for (index, arrival) in (0u32..).zip(&mut arrivals[100..]) {
        arrival.timestamp = 123 + 160 * index;
    }
    let mut line = Line::narrow(9000);
    line.run(&arrivals, 4 * SECOND);
    let figures = line.figures();
    assert_eq!((figures.lost, figures.late, figures.restarts), (0, 0, 1), "{figures:?}");
    assert!(figures.concealed + figures.paused <= 320 + 320, "{figures:?}");
    assert!(figures.delay_us < 28_000, "{figures:?}");
}

#[test]
fn a_jump_of_timestamps_within_a_stream_is_no_delay() {
    for jump in [-90_000i32, -700, 700, 90_000, i32::MAX] {
        let mut arrivals = regular(&voice(20, 10));
        for arrival in &mut arrivals[100..] {
            arrival.timestamp = arrival.timestamp.wrapping_add_signed(jump);
        }
        let mut line = Line::narrow(9000);
        line.run(&arrivals, 20 * SECOND);
        let figures = line.figures();
        assert_eq!((figures.lost, figures.late, figures.discarded), (0, 0, 0), "{jump}: {figures:?}");
        assert!(figures.delay_us < 30_000, "{jump}: {figures:?}");
        assert!(figures.concealed + figures.paused <= 8 * 160, "{jump}: {figures:?}");
    }
}

#[test]
fn a_jump_of_the_sequence_passes_over_what_never_came() {
    let mut arrivals = regular(&voice(8, 11));
    for arrival in &mut arrivals[100..] {
        arrival.sequence += 500;
    }
    arrivals.drain(200..300);
    let mut line = Line::narrow(9000);
    line.run(&arrivals, 8 * SECOND);
    let figures = line.figures();
    assert_eq!((figures.lost, figures.late), (600, 0), "{figures:?}");
    assert!(figures.concealed < 2000 && figures.delay_us < 28_000, "{figures:?}");
}

#[test]
fn a_burst_after_a_stall_is_caught_up_with() {
    let mut arrivals = regular(&voice(30, 12));
    for arrival in &mut arrivals[200..220] {
        arrival.at_us = arrivals_end();
    }
    let mut line = Line::narrow(9000);
    line.run(&arrivals, 30 * SECOND);
    let figures = line.figures();
    assert!(figures.max_delay_us <= 420_000, "{figures:?}");
    assert!(figures.delay_us < 30_000, "{figures:?}");
    assert_eq!(figures.lost, 0, "{figures:?}");
}

/// When packet 220 comes.
const fn arrivals_end() -> u64 {
    220 * 20_000
}

#[test]
fn clocks_that_drift_an_hour_leave_the_delay_steady_without_clicks() {
    let second = tone(1);
    for ppm in [-200i64, 200] {
        let mut line = Line::narrow(9000);
        let packets = regular(&second);
        let mut allowed = 0;
        for index in 0..180_000u64 {
            // The sender's 20 ms are a little longer or shorter than ours.
            let at_us = (index as i64 * 20_000 * (1_000_000 - ppm) / 1_000_000) as u64;
            while line.now_us < at_us {
                line.tick();
            }
            let packet = &packets[(index % 50) as usize];
            let timestamp = 160 * index as u32;
            line.buffer.insert(
                Time(at_us * 1000),
                &Packet { sequence: 70_000 + index, timestamp, ..packet.packet() },
            );
            if index == 5000 {
                allowed = line.largest_step(160 * 100);
                line.out.clear();
            }
        }
        let figures = line.figures();
        assert_eq!((figures.concealed, figures.late, figures.discarded), (0, 0, 0), "{ppm}: {figures:?}");
        assert!(line.delays.iter().all(|(delay, _)| *delay < 32_000), "{ppm}: {figures:?}");
        assert!((figures.drift_ppm as i64 - ppm).abs() < 30, "{ppm}: {figures:?}");
        assert!(line.largest_step(0) <= allowed + 400, "{ppm}: {} {allowed}", line.largest_step(0));
        let changed = figures.inserted + figures.removed;
        assert!((5000..8000).contains(&changed), "{ppm}: 720 ms are 5760 samples: {figures:?}");
    }
}

/// Six seconds of a tone as 16-bit samples, in packets of `packet_ms`, and a buffer with ticks of `tick_ms` for them.
fn linear(rate: u32, clock: u32, packet_ms: u32, tick_ms: u32) -> (Line<Linear>, Vec<Arrival>) {
    let config =
        JitterConfig { payload_octets: 32_768, longest_packet_ms: 120, ..JitterConfig::narrow(rate, clock) };
    let wave = |index: u32| ((f64::from(index) * 0.05).sin() * 9000.0) as i16;
    let sound: Vec<i16> = (0..rate * 6).map(wave).collect();
    let arrivals = (0u32..).zip(sound.chunks_exact((rate * packet_ms / 1000) as usize));
    let arrivals = arrivals.map(|(index, samples)| Arrival {
        at_us: u64::from(index * packet_ms) * 1000,
        stream: 1,
        sequence: 70_000 + u64::from(index),
        timestamp: index * packet_ms * (clock / 1000),
        marker: false,
        payload_type: 96,
        payload: samples.iter().flat_map(|sample| sample.to_be_bytes()).collect(),
    });
    (Line::new(config, Linear, (rate * tick_ms / 1000) as usize, 7000), arrivals.collect())
}

#[test]
fn any_length_of_packet_and_tick_goes_together() {
    for (rate, clock, packet_ms, tick_ms) in [
        (8000, 8000, 10, 20),
        (8000, 8000, 30, 20),
        (8000, 8000, 60, 20),
        (16_000, 8000, 20, 10),
        (16_000, 16_000, 120, 20),
        (48_000, 48_000, 20, 20),
        (16_000, 48_000, 10, 10),
    ] {
        let (mut line, arrivals) = linear(rate, clock, packet_ms, tick_ms);
        line.run(&arrivals, 5_800_000);
        let figures = line.figures();
        let case = format!("{rate} {clock} {packet_ms} {tick_ms}: {figures:?}");
        assert_eq!((figures.concealed, figures.lost, figures.discarded), (0, 0, 0), "{case}");
        assert!(figures.delay_us < 30_000 + 1000 * tick_ms, "{case}");
        assert!(line.largest_step(rate as usize / 2) < 900, "{case}");
    }
}

#[test]
fn one_lost_packet_is_one_packet_of_concealment_at_any_clock() {
    for (rate, clock) in [(8000, 8000), (16_000, 8000), (16_000, 48_000), (48_000, 48_000)] {
        let (mut line, mut arrivals) = linear(rate, clock, 20, 20);
        arrivals.remove(100);
        line.run(&arrivals, 5_800_000);
        let figures = line.figures();
        assert_eq!(
            (figures.lost, figures.concealed),
            (1, u64::from(rate) / 50),
            "{rate} {clock}: {figures:?}"
        );
        assert_eq!((figures.inserted, figures.removed), (0, 0), "{rate} {clock}");
    }
}

/// A codec with concealment and redundancy of its own: constant values, so that they can be told apart.
struct Own {
    redundancy: bool,
}

impl Decode for Own {
    fn kind(&self, _payload_type: u8, _payload: &[u8]) -> PayloadKind {
        PayloadKind::Audio(160)
    }

    fn decode(&mut self, _payload_type: u8, _payload: &[u8], out: &mut [i16]) -> usize {
        out.fill(100);
        out.len()
    }

    fn conceal(&mut self, out: &mut [i16]) -> bool {
        out.fill(50);
        true
    }

    fn recover(&mut self, _payload_type: u8, _payload: &[u8], out: &mut [i16]) -> bool {
        out.fill(75);
        self.redundancy
    }
}

#[test]
fn the_concealment_and_redundancy_of_the_codec_go_first() {
    let mut arrivals = regular(&voice(3, 13));
    // One in ten comes late, so that the others wait, and the successor of the lost one is there.
    for arrival in arrivals.iter_mut().step_by(10) {
        arrival.at_us += 45_000;
    }
    arrivals.remove(105);
    for redundancy in [false, true] {
        let mut line = Line::new(JitterConfig::narrow(8000, 8000), Own { redundancy }, 160, 9000);
        line.run(&arrivals, 3 * SECOND);
        let count = |value: i16| line.out.iter().filter(|sample| **sample == value).count();
        assert!(count(50) >= 160 && count(100) > 16_000);
        assert_eq!(line.figures().lost, 1);
        // Blending passes through the values between two.
        assert!(if redundancy { count(75) >= 150 } else { count(75) < 10 }, "{}", count(75));
    }
}

#[test]
fn a_restored_buffer_goes_on_identically() {
    let mut random = Random::new(3);
    let mut arrivals = regular(&voice(8, 14));
    arrivals.retain(|_| random.uniform() > 0.05);
    for arrival in &mut arrivals {
        arrival.at_us += (random.uniform() * 50_000.0) as u64;
    }
    for cut in [0, 100_000, 1_234_000, 4_000_000] {
        let mut line = Line::narrow(9000);
        let (early, late): (Vec<_>, Vec<_>) =
            arrivals.iter().cloned().partition(|arrival| arrival.at_us <= cut);
        line.run(&early, cut);
        let stored = postcard::to_allocvec(&line.buffer).unwrap();
        let mut restored = Line::narrow(line.now_us);
        restored.buffer = postcard::from_bytes(&stored).unwrap();
        assert_eq!(restored.buffer, line.buffer);
        line.out.clear();
        line.run(&late, 8 * SECOND);
        restored.run(&late, 8 * SECOND);
        assert_eq!(restored.out, line.out);
        assert_eq!(restored.figures(), line.figures());
    }
}

#[test]
fn packets_and_ticks_allocate_nothing() {
    let mut random = Random::new(9);
    let mut arrivals = regular(&voice(10, 15));
    arrivals.retain(|_| random.uniform() > 0.1);
    for arrival in &mut arrivals {
        arrival.at_us += (random.uniform() * 80_000.0) as u64;
    }
    arrivals.sort_by_key(|arrival| arrival.at_us);
    let (mut buffer, mut decoder, mut out) =
        (JitterBuffer::new(JitterConfig::narrow(8000, 8000)), Ulaw::default(), [0; 160]);
    let info = measure(|| {
        let mut next = arrivals.iter().peekable();
        for tick in 0..520u64 {
            let now = Time(tick * 20_000_000);
            while let Some(arrival) = next.next_if(|arrival| arrival.at_us * 1000 <= now.0) {
                buffer.insert(Time(arrival.at_us * 1000), &arrival.packet());
            }
            buffer.play(now, &mut decoder, &mut out);
        }
    });
    assert_eq!(info.count_total, 0);
    assert!(buffer.figures().concealed > 0);
}

#[test]
fn a_buffer_takes_less_than_11_kib_at_8_khz_and_13_at_16() {
    for (rate, kib) in [(8000, 11), (16_000, 13)] {
        let mut buffer = None;
        let info = measure(|| buffer = Some(JitterBuffer::new(JitterConfig::narrow(rate, 8000))));
        let bytes = info.bytes_current as usize + size_of::<JitterBuffer>();
        assert!(bytes <= kib * 1024, "{rate}: {bytes}");
        drop(buffer);
    }
}

#[derive(Clone, Debug)]
enum Step {
    Packet { stream: u8, sequence: u64, timestamp: u32, payload_type: u8, length: usize },
    Next { skip: u8, length: usize },
    Tick { samples: usize, us: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        1 => (0..2u8, 0..200u64, any::<u32>(), 0..16u8, 0..400usize).prop_map(|(stream, sequence, timestamp, payload_type, length)| Step::Packet {
            stream,
            sequence: 65_536 + sequence,
            timestamp,
            payload_type,
            length
        }),
        6 => (0..4u8, prop_oneof![Just(160), Just(0), 1..3000usize]).prop_map(|(skip, length)| Step::Next { skip, length }),
        6 => (prop_oneof![Just(160), 0..2000usize], 0..60_000u32).prop_map(|(samples, us)| Step::Tick { samples, us }),
    ]
}

/// Does the steps with a buffer; `Err` when what it says cannot be.
fn walk(config: JitterConfig, mut decoder: impl Decode, steps: &[Step]) -> Result<(), TestCaseError> {
    let mut buffer = JitterBuffer::new(config);
    let (mut now, mut number, mut time, mut asked) = (0u64, 65_600, 0u32, 0);
    for step in steps {
        match *step {
            Step::Packet { stream, sequence, timestamp, payload_type, length } => {
                let (stream, payload) = (stream.into(), vec![0x3c; length]);
                let packet = Packet {
                    stream,
                    sequence,
                    timestamp,
                    marker: length % 2 == 0,
                    payload_type,
                    payload: &payload,
                };
                buffer.insert(Time(now), &packet);
            }
            Step::Next { skip, length } => {
                number += u64::from(skip);
                time = time.wrapping_add(u32::from(skip) * 160);
                let (sequence, timestamp, payload) = (number, time, vec![0x1c; length]);
                let packet = Packet {
                    stream: 1,
                    sequence,
                    timestamp,
                    marker: false,
                    payload_type: 0,
                    payload: &payload,
                };
                let inserted = buffer.insert(Time(now), &packet);
                prop_assert!(inserted != Inserted::Overflow || length > 512);
            }
            Step::Tick { samples, us } => {
                now += u64::from(us) * 1000;
                asked += samples as u64;
                let played = buffer.play(Time(now), &mut decoder, &mut vec![1; samples]);
                prop_assert!(played.removed <= 10_000 && played.inserted <= 10_000);
            }
        }
        let figures = buffer.figures();
        prop_assert!(figures.played <= asked && figures.delay_us < 1_000_000);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_packets_and_ticks_whatever_make_it_panic(steps in prop::collection::vec(step(), 1..300)) {
        walk(JitterConfig::narrow(8000, 8000), Ulaw::default(), &steps)?;
        walk(JitterConfig::narrow(48_000, 48_000), Linear, &steps)?;
        walk(JitterConfig::narrow(16_000, 8000), Own { redundancy: true }, &steps)?;
        walk(JitterConfig { payload_octets: 0, max_delay_ms: 0, longest_packet_ms: 0, sample_rate: 0, clock_rate: 0 }, Linear, &steps)?;
    }
}

//! A voice that is agreed on allocates nothing for a frame or a packet.

use media::codec::opus;
use media::dsp::SampleRate;
use sip_stack::Time;
use softphone::phone::{Codec, EventFormat, Stream, Tones};
use softphone::voice::{Port, Voice, VoiceConfig};
use std::net::SocketAddr;
use std::time::Duration;

#[test]
fn frames_packets_reports_and_keys_allocate_nothing() {
    for (codec, payload_type) in [(Codec::Pcmu, 0), (Codec::G722, 9), (Codec::Opus, 111)] {
        let peer: SocketAddr = ([192, 0, 2, 1], 4_000).into();
        let events = EventFormat { payload_type: 101, clock_rate: 8_000 };
        let stream = Stream {
            remote: Some(peer),
            remote_rtcp: Some(([192, 0, 2, 1], 4_001).into()),
            codec,
            payload_type,
            telephone_event: Some(events),
            receives: vec![(payload_type, codec)],
            receives_telephone_events: vec![events],
            ptime_ms: 20,
            send: true,
            receive: true,
            held: false,
        };
        let rate = SampleRate::Hz48000;
        let config = VoiceConfig { rate, opus: opus::Settings::default(), server: peer.ip(), seed: 1 };
        let mut voice = Voice::new(Time(0), config);
        voice.configure(&stream).unwrap();
        let (mut now, mut frame) = (Time(0), vec![0; rate.samples(10)]);
        let (mut packet, mut length) = ([0; 1_500], 0);
        let mut second = |voice: &mut Voice| {
            for n in 0..100_i16 {
                frame
                    .iter_mut()
                    .enumerate()
                    .for_each(|(at, sample)| *sample = n.wrapping_mul(at as i16 + 77));
                voice.capture(now, &mut frame, |_, sent| {
                    packet[..sent.len()].copy_from_slice(sent);
                    length = sent.len();
                });
                // Its own packets come back to it, as from a peer that echoes.
                if length > 0 {
                    voice.handle_datagram(now, Port::Rtp, peer, &packet[..length]);
                    length = 0;
                }
                voice.play(now, &mut frame);
                while voice.poll_timeout().is_some_and(|due| due <= now) {
                    voice.handle_timeout(now, |_, _| {});
                }
                while voice.poll_key().is_some() {}
                now = now + Duration::from_millis(10);
            }
        };
        // Filters that all share are designed once.
        second(&mut voice);
        voice.dial("12", Tones::Events).unwrap();
        let counted = allocation_counter::measure(|| (0..12).for_each(|_| second(&mut voice)));
        assert_eq!(counted.count_total, 0, "{codec:?}");
        assert!(voice.figures().packets_in > 600, "{codec:?}");
    }
}

//! The callbacks of a device allocate nothing, and neither does the call's side of them.

use media::dsp::SampleRate;
use sip_stack::Time;
use softphone::audio::{Audio, VirtualDevice, link};

#[test]
fn a_callback_allocates_nothing() {
    let rate = SampleRate::Hz48000;
    let (microphone, speaker, mut audio) = link(rate);
    let mut device = VirtualDevice::new(Time(0), (microphone, speaker), rate, 512, 100);
    let mut frame = vec![0; rate.samples(10)];
    let mut run = |from: u64, to: u64| {
        for tick in from..to {
            let now = Time(tick * 10_000_000);
            device.handle_timeout(now, |played, microphone| microphone.copy_from_slice(played));
            audio.play(now, &frame);
            audio.record(now, &mut frame);
        }
    };
    run(0, 100);
    let counted = allocation_counter::measure(|| run(100, 1_000));
    assert_eq!(counted.count_total, 0);
}

//! The reference model of the switch for as long as one likes: `cargo run -p tests --example office -- [DEEDS [FIRST SEED]]`, 100,000 deeds without an argument.
//!
//! It prints what was done, and for a run with a complaint the seed, the fewest deeds that it takes, what happened last, and the complaint.

use std::time::Instant;
use tests::office::{self, Report};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().expect("a number"));
    let deeds = arguments.next().unwrap_or(100_000) as usize;
    let first = arguments.next().unwrap_or(1);
    let began = Instant::now();
    let (mut all, mut seed, mut faults) = (Report::default(), first, 0);
    while all.drawn < deeds {
        let report = office::run(seed, office::DEEDS, None);
        if let Some(complaint) = &report.complaint {
            faults += 1;
            println!("{complaint}");
        }
        all.add(&report);
        seed += 1;
    }
    println!(
        "seeds {first} to {}: {} deeds drawn, {} done; {} looks, {} ends listened to; {} calls; {faults} runs with a complaint; {:.0} s",
        seed - 1,
        all.drawn,
        all.done,
        all.looks,
        all.ends,
        all.calls,
        began.elapsed().as_secs_f64()
    );
    assert_eq!(faults, 0, "runs with a complaint");
}

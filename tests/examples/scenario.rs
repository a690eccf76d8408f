//! Plays scenario files in the simulated world: `cargo run --release -p tests --example scenario -- [--loss 5] [--seed 7] [--seeds 20] FILE…`.
//!
//! Exit codes: 0 all went as they say, 1 one did not, 2 wrong usage or a file that is wrong.

use softphone::scenario::read;
use std::process::ExitCode;
use tests::sim::{Faults, stage};

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<bool, Box<dyn std::error::Error>> {
    let (mut files, mut seed, mut seeds, mut loss) = (Vec::new(), 1u64, 1u64, 0);
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut value = || arguments.next().ok_or(format!("{argument} needs a number"));
        match &*argument {
            "--seed" => seed = value()?.parse()?,
            "--seeds" => seeds = value()?.parse()?,
            "--loss" => loss = value()?.parse()?,
            _ => files.push(argument),
        }
    }
    if files.is_empty() {
        return Err("usage: scenario [--loss PERCENT] [--seed NUMBER] [--seeds COUNT] FILE...".into());
    }
    let faults = if loss == 0 { Faults::NONE } else { Faults::lossy(loss) };
    let mut passed = true;
    for file in files {
        let text = std::fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
        let scenario = read(&file, &text)?;
        for seed in seed..seed + seeds {
            let report = stage::play(&scenario, seed, faults)?;
            println!("{report}, seed {seed}");
            passed &= report.failure.is_none();
        }
    }
    Ok(passed)
}

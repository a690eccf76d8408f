//! `softphone register --check`.

use super::account::{AccountOptions, seed, trust};
use super::{DONE, NO_ANSWER, REFUSED};
use crate::io::{Outcome, check_registration};
use anyhow::Result;
use clap::Args;

#[derive(Debug, Args)]
pub(super) struct Register {
    /// Register, remove the registration again, and say how that went.
    #[arg(long, required = true)]
    check: bool,
    #[command(flatten)]
    account: AccountOptions,
}

pub(super) fn run(arguments: &Register) -> Result<u8> {
    debug_assert!(arguments.check, "required by its declaration");
    let (config, servers) = arguments.account.load()?;
    let mut worst = DONE;
    for server in servers {
        let code = match check_registration(&server, trust(&config)?, seed()?)? {
            Outcome::Registered { expires_s } => {
                println!("Registered for {expires_s} s, and removed again.");
                DONE
            }
            Outcome::Refused(reason) => told(&reason, REFUSED),
            Outcome::NoAnswer(reason) => told(&reason, NO_ANSWER),
        };
        worst = worst.max(code);
    }
    Ok(worst)
}

fn told(what: &dyn std::fmt::Display, code: u8) -> u8 {
    eprintln!("softphone: {what}");
    code
}

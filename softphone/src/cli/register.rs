//! `softphone register --check`.

use super::account::{AccountOptions, seed};
use super::{DONE, NO_ANSWER, REFUSED, USAGE};
use crate::io::{CheckError, Outcome, check_registration};
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
    let (_, servers) = arguments.account.load()?;
    let mut worst = DONE;
    for server in servers {
        let code = match check_registration(&server, seed()?) {
            Ok(Outcome::Registered { expires_s }) => {
                println!("Registered for {expires_s} s, and removed again.");
                DONE
            }
            Ok(Outcome::Refused(reason)) => told(&reason, REFUSED),
            Ok(Outcome::NoAnswer(reason)) => told(&reason, NO_ANSWER),
            Err(error @ CheckError::Account(_)) => told(&error, USAGE),
            Err(error @ (CheckError::Udp(_) | CheckError::Receive(_))) => told(&error, NO_ANSWER),
        };
        worst = worst.max(code);
    }
    Ok(worst)
}

fn told(what: &dyn std::fmt::Display, code: u8) -> u8 {
    eprintln!("softphone: {what}");
    code
}

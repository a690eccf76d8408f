//! `register --check`: registers, removes the registration again, and says how that went.

use super::{Server, Udp, UdpError, now};
use crate::phone::{Account, AccountError, Command, Event, Input, Output, Phone, Reason, Settings};
use sip_stack::Time;
use std::io;
use std::time::Duration;

/// A lifetime that is over soon if the registration could not be removed again.
const EXPIRES_S: u32 = 60;
/// The longest wait between two looks at the clock.
const PATIENCE: Duration = Duration::from_secs(1);

/// How the check went.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Registered, and removed again.
    Registered {
        /// The lifetime the registrar granted.
        expires_s: u32,
    },
    /// The server answered and did not do it.
    Refused(Reason),
    /// There was no answer.
    NoAnswer(Reason),
}

/// Why there was no check.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The account cannot be written.
    #[error(transparent)]
    Account(#[from] AccountError),
    /// There is no way to the server.
    #[error(transparent)]
    Udp(#[from] UdpError),
    /// Receiving failed.
    #[error("receiving failed: {0}")]
    Receive(#[from] io::Error),
}

/// Registers and unregisters once over a UDP socket of its own; at most 64 s, usually a few milliseconds.
///
/// # Errors
/// [`CheckError`], when it could not even be tried.
pub fn check_registration(server: &Server, seed: [u8; 32]) -> Result<Outcome, CheckError> {
    let mut udp = Udp::towards(&server.host, server.port)?;
    let account = Account {
        user: server.user.as_str().into(),
        domain: server.domain.as_deref().unwrap_or(&server.host).into(),
        display_name: None,
        password: server.password.clone(),
        server: udp.flow(),
        expires_s: EXPIRES_S,
    };
    let mut phone = Phone::new(seed, account, Settings::default())?;
    let (mut granted, mut under_way) = (None, None);
    command(&mut phone, now(), Command::Register);
    loop {
        while let Some(output) = phone.poll_output() {
            match output {
                Output::Transmit(transmit) => {
                    under_way = transmit.transaction;
                    if udp.send(&transmit).is_err() {
                        unsent(&mut phone, now(), under_way);
                    }
                }
                Output::Event(Event::Registered { expires_s, .. }) => {
                    granted = Some(expires_s);
                    command(&mut phone, now(), Command::Unregister);
                }
                Output::Event(Event::Unregistered { .. }) => {
                    return Ok(Outcome::Registered { expires_s: granted.unwrap_or(EXPIRES_S) });
                }
                Output::Event(Event::RegistrationFailed { reason, .. }) => return Ok(outcome(reason)),
                Output::Event(
                    Event::Calling { .. }
                    | Event::Ringing { .. }
                    | Event::Incoming { .. }
                    | Event::TurnedAway { .. }
                    | Event::Connected { .. }
                    | Event::Held { .. }
                    | Event::HoldFailed { .. }
                    | Event::HeldByPeer { .. }
                    | Event::Transferred { .. }
                    | Event::Message { .. }
                    | Event::MessageTaken { .. }
                    | Event::MessageFailed { .. }
                    | Event::TransferFailed { .. }
                    | Event::Muted { .. }
                    | Event::Digit { .. }
                    | Event::Ended { .. },
                )
                | Output::Media(_) => {}
            }
        }
        let time = now();
        let patience = phone.poll_timeout().map_or(PATIENCE, |due| due.since(time).min(PATIENCE));
        match udp.receive(patience) {
            Ok(Some((flow, bytes))) => {
                phone
                    .handle_input(now(), Input::Received { flow, bytes })
                    .expect("only commands are refused");
            }
            Ok(None) => {}
            Err(error) if is_refusal(&error) => unsent(&mut phone, now(), under_way),
            Err(error) => return Err(error.into()),
        }
        phone.handle_timeout(now());
    }
}

fn command(phone: &mut Phone, now: Time, command: Command) {
    phone
        .handle_input(now, Input::Command(command))
        .expect("registering needs nothing that could be missing");
}

fn unsent(phone: &mut Phone, now: Time, transaction: Option<u64>) {
    if let Some(transaction) = transaction {
        phone.handle_input(now, Input::Unsent { transaction }).expect("only commands are refused");
    }
}

/// Whether the system heard that nobody listens there (ICMP port unreachable), which Windows calls a reset.
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionReset)
}

fn outcome(reason: Reason) -> Outcome {
    match reason {
        Reason::NoAnswer | Reason::Unreachable => Outcome::NoAnswer(reason),
        refused => Outcome::Refused(refused),
    }
}

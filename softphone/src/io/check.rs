//! `register --check`: registers, removes the registration again, and says how that went.

use super::{Engine, EngineConfig, EngineError, Server};
use crate::audio::Silence;
use crate::phone::{Command, Event, Reason, Settings};
use media::codec::opus;
use media::dsp::SampleRate;
use media::source::Country;
use sip_stack::io::Trust;
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

/// Registers and unregisters once, over sockets of its own; at most 64 s for each server, usually a few milliseconds.
///
/// # Errors
/// [`EngineError`], when it could not even be tried.
pub fn check_registration(server: &Server, trust: Trust, seed: [u8; 32]) -> Result<Outcome, EngineError> {
    let country = Country::of("us").expect("a country that is in the table");
    let mut engine = Engine::new(EngineConfig {
        servers: vec![server.clone()],
        settings: Settings::default(),
        audio: Box::new(Silence(SampleRate::Hz8000)),
        ports: 40_000..=40_999,
        country,
        opus: opus::Settings::default(),
        expires_s: EXPIRES_S,
        trust,
        seed,
    })?;
    let mut granted = None;
    let _always_possible = engine.command(Command::Register);
    loop {
        while let Some(event) = engine.poll_event() {
            match event {
                Event::Registered { expires_s, .. } => {
                    granted = Some(expires_s);
                    let _always_possible = engine.command(Command::Unregister);
                }
                Event::Unregistered { .. } => {
                    return Ok(Outcome::Registered { expires_s: granted.unwrap_or(EXPIRES_S) });
                }
                Event::RegistrationFailed { reason, .. } => return Ok(outcome(reason)),
                Event::Calling { .. }
                | Event::Ringing { .. }
                | Event::Incoming { .. }
                | Event::TurnedAway { .. }
                | Event::Connected { .. }
                | Event::Held { .. }
                | Event::HoldFailed { .. }
                | Event::HeldByPeer { .. }
                | Event::Transferred { .. }
                | Event::TransferFailed { .. }
                | Event::Message { .. }
                | Event::Watch { .. }
                | Event::MessageTaken { .. }
                | Event::MessageFailed { .. }
                | Event::Muted { .. }
                | Event::Digit { .. }
                | Event::Ended { .. } => {}
            }
        }
        engine.turn(PATIENCE)?;
    }
}

fn outcome(reason: Reason) -> Outcome {
    if reason.is_of_the_way() { Outcome::NoAnswer(reason) } else { Outcome::Refused(reason) }
}

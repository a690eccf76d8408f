//! Calling back the phone that has sent its partner to somebody else and hung up, when nobody else answers: the partner, who
//! waits, is not to be lost.
//!
//! That needs a media port of its own where the other call had none. When none is free the switch asks again, each second, ten
//! times; ports rest for a while after their calls, and then there are some. After that the partner is told why by BYE.

use super::call::{Call, Destination, Phase, Side};
use crate::core::environment::Environment;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;

/// How often a port is asked for again.
const TRIES: u8 = 10;
/// After so long.
const PAUSE: Duration = Duration::from_secs(1);

/// How far a phone's being called back has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Recalling {
    tries: u8,
    /// When a port is asked for again; `None`: it is asked for, or there.
    again: Option<Time>,
}

impl Call {
    /// The phone rings, or a port for it is asked for.
    pub(super) fn recall(&mut self, env: &mut Environment, phone: Destination) {
        self.abandon_location(env);
        self.uncount_but_caller(env);
        self.destination = phone;
        self.callee = self.destination.user.clone();
        if self.media(Side::Callee).port != 0 {
            return self.ring(env);
        }
        self.phase = Phase::Reserving;
        self.reserve(env);
    }

    fn recalling(&mut self) -> Option<&mut Recalling> {
        self.referred.as_mut()?.recalling.as_mut()
    }

    /// When a port is asked for again.
    pub(super) fn recall_deadline(&self) -> Option<Time> {
        self.referred.as_ref()?.recalling?.again
    }

    /// There is no port; whether it will be asked for again.
    pub(super) fn waits_for_port(&mut self, env: &Environment) -> bool {
        let now = env.now;
        let Some(recalling) = self.recalling().filter(|recalling| recalling.tries < TRIES) else {
            return false;
        };
        *recalling = Recalling { tries: recalling.tries + 1, again: Some(now + PAUSE) };
        true
    }

    /// A port is asked for again.
    pub(super) fn reserve_again(&mut self, env: &mut Environment) {
        if let Some(recalling) = self.recalling() {
            recalling.again = None;
            self.reserve(env);
        }
    }
}

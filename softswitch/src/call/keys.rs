//! Keys that a user presses during a call (`[features] keys = true`): `##` and a number sends the partner there and lets the user go, `*2` and a
//! number asks somebody first (`consult`), after which `*1` goes back to the partner and `*3` brings all three together, `#7` parks the partner
//! and says where, `#3` begins and ends the recording, where the user may.
//!
//! A code is what is pressed within [`PAUSE`] between any two keys. The number ends with `#`, or [`NUMBER_PAUSE`] after its last key;
//! meanwhile the partner is on hold. What is done is what a REFER, a command and the record key do, so a transfer that fails
//! calls the user back. The partner's phone gets the keys, too. Only users have codes, not parties behind peers.

use super::call::{Call, CallId, Phase, Side};
use super::calls::Calls;
use super::speech::About;
use crate::config::Recording;
use crate::core::environment::Environment;
use crate::registrar::Registrar;
use core::time::Duration;
use media::dtmf::Digit;
use serde::{Deserialize, Serialize};
use sip_stack::Time;

/// Between two keys of a code at most.
const PAUSE: Duration = Duration::from_secs(2);
/// After the last key of a number.
const NUMBER_PAUSE: Duration = Duration::from_secs(4);
/// How long the first key of a number is waited for.
const FIRST_KEY: Duration = Duration::from_secs(10);
/// Keys of a number at most.
const NUMBER: usize = 32;

/// What a user has pressed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Keys {
    side: Side,
    pressed: Box<str>,
    last: Time,
    /// A number is being dialled, until then.
    until: Option<Time>,
}

/// What a code asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Code {
    Transfer,
    Consult,
    Park,
    Record,
    /// Of those below while somebody is asked.
    Return,
    Three,
}

/// What the calls have to do.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Order {
    Transfer(Side, Box<str>),
    Consult(Side, Box<str>),
    Park(Side),
    Record(Side),
    Return,
    Three,
}

impl Call {
    /// Who dials a number with its keys.
    pub(super) fn dials(&self) -> Option<Side> {
        self.keys.as_ref().filter(|keys| keys.is_open()).map(|keys| keys.side)
    }

    /// When something has to be done about what was pressed.
    pub(super) fn keys_deadline(&self) -> Option<Time> {
        self.keys.as_ref().and_then(|keys| keys.until)
    }

    /// A user has pressed a key.
    pub(super) fn handle_key(&mut self, env: &Environment, side: Side, digit: Digit) {
        if side == Side::Caller && digit.code.to_char().is_some_and(|key| self.press_in_conference(key)) {
            return;
        }
        let features = &env.config.call_features;
        let is_user = self.leg_mut(side).is_some_and(|leg| !leg.is_peer);
        let is_up = matches!(self.phase, Phase::Talking { .. }) && self.parking.is_none();
        let Some(key) = digit.code.to_char().filter(|_| features.keys && is_user && is_up) else { return };
        if let Some(keys) = self.keys.as_mut().filter(|keys| keys.until.is_some()) {
            if keys.side == side {
                keys.dial(key, env.now);
            }
            return;
        }
        let known = self.keys.take().filter(|keys| keys.side == side && keys.last + PAUSE > env.now);
        let mut pressed: String = known.map(|keys| keys.pressed.into()).unwrap_or_default();
        pressed.push(key);
        // Who asks somebody goes back or brings all together; who waits, or is asked, has no codes then.
        let codes: &[(&str, Code)] = match self.asks() {
            Some((user, _)) if user != side => &[],
            Some((_, false)) => &[(&features.key_return, Code::Return)],
            Some((_, true)) => &[(&features.key_return, Code::Return), (&features.key_three, Code::Three)],
            None => &[
                (&features.key_transfer, Code::Transfer),
                (&features.key_consult, Code::Consult),
                (&features.key_park, Code::Park),
                (&features.key_record, Code::Record),
            ],
        };
        let begins = |text: &str| codes.iter().any(|(code, _)| !code.is_empty() && code.starts_with(text));
        while !pressed.is_empty() && !begins(&pressed) {
            pressed.remove(0);
        }
        let meant =
            codes.iter().find(|(code, _)| !code.is_empty() && *code == pressed).map(|(_, code)| *code);
        let keys = Keys { side, pressed: pressed.into(), last: env.now, until: None };
        self.keys = Some(Box::new(match meant {
            None => keys,
            Some(code @ (Code::Transfer | Code::Consult)) => {
                let files = self.prompt(env, "ivr/enter-number");
                // Without words the partner's music says that it is time.
                let _is_said = self.can_be_mixed() && self.speech.add_to(Some(side), About::Command, files);
                let pressed = if code == Code::Transfer { OPEN } else { ASK };
                Keys { pressed: pressed.into(), until: Some(env.now + FIRST_KEY), ..keys }
            }
            Some(Code::Return) => Keys { pressed: RETURN.into(), until: Some(env.now), ..keys },
            Some(Code::Three) => Keys { pressed: THREE.into(), until: Some(env.now), ..keys },
            Some(Code::Park) => Keys { pressed: PARK.into(), until: Some(env.now), ..keys },
            Some(Code::Record) => Keys { pressed: RECORD.into(), until: Some(env.now), ..keys },
        }));
    }

    /// What is due of what was pressed.
    fn take_order(&mut self, now: Time) -> Option<Order> {
        let keys = self.keys.take_if(|keys| keys.until.is_some_and(|until| until <= now))?;
        match &*keys.pressed {
            PARK => Some(Order::Park(keys.side)),
            RECORD => Some(Order::Record(keys.side)),
            RETURN => Some(Order::Return),
            THREE => Some(Order::Three),
            pressed => {
                let asks = pressed.strip_prefix(ASK);
                let number = asks.or(pressed.strip_prefix(OPEN)).filter(|number| !number.is_empty())?;
                Some(match asks {
                    Some(_) => Order::Consult(keys.side, number.into()),
                    None => Order::Transfer(keys.side, number.into()),
                })
            }
        }
    }
}

/// Before the keys of a number, which have no such letters.
const OPEN: &str = "n";
const ASK: &str = "a";
const RETURN: &str = "b";
const THREE: &str = "t";
const PARK: &str = "p";
const RECORD: &str = "r";

impl Keys {
    /// Whether a number is being dialled.
    fn is_open(&self) -> bool {
        self.pressed.starts_with(OPEN) || self.pressed.starts_with(ASK)
    }

    /// A key of the number.
    fn dial(&mut self, key: char, now: Time) {
        if key == '#' || self.pressed.len() > NUMBER {
            self.until = Some(now);
            return;
        }
        let mut pressed = String::from(core::mem::take(&mut self.pressed));
        pressed.push(key);
        (self.pressed, self.until) = (pressed.into(), Some(now + NUMBER_PAUSE));
    }
}

impl Calls {
    /// Does what keys have asked for.
    pub(super) fn attend_keys(&mut self, env: &mut Environment, registrar: &Registrar, id: CallId) {
        let order = self.table.get_mut(id).and_then(|call| call.take_order(env.now));
        match order {
            None => {}
            Some(Order::Transfer(side, number)) => {
                if self.transfer(env, registrar, (id, side), &number).is_ok() {
                    // Who was connected at once has no partner any more.
                    let _has_left = self.send_away(env, id, side);
                } else if let Some(call) = self.table.get_mut(id) {
                    let files = call.prompt(env, "call/transfer-failed");
                    let _is_said =
                        call.can_be_mixed() && call.speech.add_to(Some(side), About::Command, files);
                }
            }
            Some(Order::Consult(side, number)) => {
                if self.ask(env, registrar, (id, side), &number).is_err()
                    && let Some(call) = self.table.get_mut(id)
                {
                    let files = call.prompt(env, "call/transfer-failed");
                    let _is_said =
                        call.can_be_mixed() && call.speech.add_to(Some(side), About::Command, files);
                }
            }
            Some(Order::Return) => self.go_back(env, id),
            Some(Order::Three) => self.bring_three_together(env, id),
            Some(Order::Park(side)) => {
                // What cannot be parked stays where it is.
                let _slot = self.park(env, (id, side), None);
            }
            Some(Order::Record(side)) => self.record_by_key(env, (id, side)),
        }
    }

    fn record_by_key(&mut self, env: &mut Environment, (id, side): (CallId, Side)) {
        let Some(call) = self.table.get(id) else { return };
        let Some(form) = call.form_on_request(env, side) else { return };
        let wanted: Option<Recording> = call.recorded.wish().is_none().then_some(form);
        let prompt = if wanted.is_some() { "feature/recording-on" } else { "feature/recording-off" };
        let is_done = self.record(env, id, wanted).is_ok();
        if let Some(call) = self.table.get_mut(id).filter(|_| is_done) {
            let files = call.prompt(env, prompt);
            let _is_said = call.can_be_mixed() && call.speech.add_to(Some(side), About::Command, files);
        }
        self.settle(env, Some(id));
    }
}

//! What a phone does: the call that is meant, and the command for it.

use super::actor::{Actor, State, View};
use super::script::{Deed, Peer};
use crate::phone::{AccountId, CallId, Command, CommandError, Rejection};
use sip_stack::Time;

/// Why a deed could not be done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("there is no call {0}; write a step before that waits for it")]
    NoCall(&'static str),
    #[error("{0}")]
    Phone(#[from] CommandError),
}

/// The calls in such a state, the oldest first.
pub(super) fn live(actor: &Actor, state: impl Fn(&View) -> bool, peer: &Peer) -> Vec<CallId> {
    let calls = actor.calls.iter().filter(|view| view.is_live() && state(view) && view.is_with(peer));
    calls.map(|view| view.call).collect()
}

pub(super) fn perform(now: Time, actor: &mut Actor, deed: &Deed) -> Result<(), Refusal> {
    let rings = |view: &View| view.state == State::Rings;
    let up = |view: &View| view.state == State::Up;
    let reached = |view: &View| matches!(view.state, State::Up | State::HearsRinging);
    let first = |actor: &Actor, state: &dyn Fn(&View) -> bool, peer: &Peer, what| {
        live(actor, state, peer).first().copied().ok_or(Refusal::NoCall(what))
    };
    let last = |actor: &Actor, state: &dyn Fn(&View) -> bool, peer: &Peer, what| {
        live(actor, state, peer).last().copied().ok_or(Refusal::NoCall(what))
    };
    let command = match deed {
        Deed::Register => Command::Register,
        Deed::Unregister => Command::Unregister,
        Deed::Call(target) => Command::Call { account: AccountId::FIRST, target: target.clone() },
        Deed::Redial => Command::Redial,
        Deed::Answer(peer) => Command::Answer { call: first(actor, &rings, peer, "that rings")? },
        Deed::Reject(peer) => {
            Command::Reject { call: first(actor, &rings, peer, "that rings")?, rejection: Rejection::Busy }
        }
        Deed::Decline(peer) => {
            Command::Reject { call: first(actor, &rings, peer, "that rings")?, rejection: Rejection::Decline }
        }
        Deed::HangUp(peer) => Command::HangUp { call: last(actor, &|_| true, peer, "to be ended")? },
        Deed::Hold(peer) => Command::Hold {
            call: last(actor, &|view| up(view) && !view.holding, peer, "that could be held")?,
        },
        Deed::Transfer(who, target) => Command::Transfer {
            call: last(actor, &up, &Some(who.clone()), "that could be transferred")?,
            target: target.clone(),
        },
        Deed::Join(who, other) => Command::TransferTo {
            call: last(actor, &up, &Some(who.clone()), "that could be transferred")?,
            other: last(actor, &reached, &Some(other.clone()), "that it could be transferred to")?,
        },
        Deed::Merge(who, other) => Command::Merge {
            call: last(actor, &up, &Some(who.clone()), "that could be merged with")?,
            other: last(actor, &up, &Some(other.clone()), "that could be merged")?,
        },
        Deed::Write(target, text) => {
            Command::Write { account: AccountId::FIRST, target: target.clone(), text: text.clone() }
        }
        Deed::Resume(peer) => Command::Resume { call: first(actor, &up, peer, "to go on with")? },
        Deed::Mute(muted) => {
            Command::Mute { call: last(actor, &up, &None, "that is connected")?, muted: *muted }
        }
        Deed::Press(digits, way) => Command::Dial {
            call: last(actor, &up, &None, "that is connected")?,
            digits: digits.clone(),
            way: *way,
        },
        Deed::Away(away) => Command::Away(*away),
        Deed::Watch(target, wanted) => {
            Command::Watch { account: AccountId::FIRST, target: target.clone(), wanted: *wanted }
        }
        Deed::DoNotDisturb(wanted) => Command::DoNotDisturb(*wanted),
        Deed::Talk(talks) => {
            actor.talks = *talks;
            return Ok(());
        }
        Deed::Online(online) => {
            actor.online = *online;
            return Ok(());
        }
    };
    Ok(actor.command(now, command)?)
}

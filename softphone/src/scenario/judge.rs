//! Whether something is true of the phones and of the switch at this moment, and what is true instead.

use super::actor::{Actor, State, View};
use super::runner::Inside;
use super::script::{Claim, Fact, How, Peer, Sight};
use crate::phone::{AccountId, Availability, Ending, Lamp, Reason, Unreached};
use core::fmt::Write as _;

/// Whether the claim holds now.
pub(super) fn holds(claim: &Claim, actors: &[Actor], inside: Option<&Inside>) -> bool {
    claim
        .facts
        .iter()
        .all(|fact| if claim.wanted { is_true(fact, actors, inside) } else { is_false(fact, actors, inside) })
}

fn is_true(fact: &Fact, actors: &[Actor], inside: Option<&Inside>) -> bool {
    let live = |phone: &usize, state: &dyn Fn(&View) -> bool, peer: &Peer| {
        let mut calls = actors.get(*phone).into_iter().flat_map(|actor| &actor.calls);
        calls.any(|view| view.is_live() && view.is_with(peer) && state(view))
    };
    let of = |phone: &usize, true_of: &dyn Fn(&Actor) -> bool| actors.get(*phone).is_some_and(true_of);
    match fact {
        Fact::Registered(phone) => of(phone, &|actor| actor.phone.is_registered()),
        Fact::Rings(phone, peer) => live(phone, &|view| view.state == State::Rings, peer),
        Fact::HearsRinging(phone) => live(phone, &|view| view.state == State::HearsRinging, &None),
        Fact::Connected(phone, peer) => live(phone, &|view| view.state == State::Up, peer),
        Fact::Idle(phone) => of(phone, &|actor| !actor.has_calls()),
        Fact::Holding(phone, peer) => live(phone, &|view| view.holding, peer),
        Fact::OnHold(phone, peer) => live(phone, &|view| view.on_hold, peer),
        Fact::Waiting(phone, peer) => live(phone, &|view| view.waiting && view.state == State::Rings, peer),
        Fact::TurnedAway(phone, peer) => of(phone, &|actor| {
            actor.turned_away.iter().any(|number| peer.as_ref().is_none_or(|peer| peer == number))
        }),
        Fact::Digits(phone, keys) => live(phone, &|view| *view.digits == **keys, &None),
        Fact::Received(phone, wire) => of(phone, &|actor| actor.received.contains(wire)),
        Fact::Ended(phone, peer, how) => of(phone, &|actor| {
            let last = actor.calls.iter().rev().find(|view| view.is_with(peer));
            last.is_some_and(|view| has_ended(&view.state, how))
        }),
        Fact::NotTransferred(phone, how) => {
            of(phone, &|actor| actor.untransferred.as_ref().is_some_and(|reason| has_failed(reason, how)))
        }
        Fact::NotRegistered(phone, how) => {
            of(phone, &|actor| actor.trouble.as_ref().is_some_and(|reason| has_failed(reason, how)))
        }
        Fact::NotWritten(phone, how) => {
            of(phone, &|actor| actor.unwritten.as_ref().is_some_and(|reason| has_failed(reason, how)))
        }
        Fact::Read(phone, text, peer) => of(phone, &|actor| {
            let is_from = |from: &str| peer.as_ref().is_none_or(|peer| **peer == *from);
            actor.texts.iter().any(|(from, read)| read == text && is_from(from))
        }),
        Fact::Sees(phone, target, sight) => of(phone, &|actor| sees(actor, target, *sight)),
        Fact::Messages(phone, new) => of(phone, &|actor| {
            actor.phone.mailbox(AccountId::FIRST).is_some_and(|mailbox| mailbox.new == *new)
        }),
        Fact::Hears(phone, tone) => of(phone, &|actor| actor.meter.hears(*tone)),
        Fact::HearsOnly(phone, tones) => of(phone, &|actor| actor.meter.hears_only(tones)),
        Fact::HearsNothing(phone) => of(phone, &|actor| actor.meter.is_silent()),
        Fact::HearsMusic(phone) => of(phone, &|actor| actor.meter.hears_music()),
        Fact::SwitchCalls(calls) => inside.is_some_and(|inside| inside.calls == *calls),
        Fact::Missed(calls) => inside.is_some_and(|inside| inside.missed == *calls),
        Fact::Recorded(status, ended_by) => inside.and_then(|inside| inside.record).is_some_and(|record| {
            record.status == *status && ended_by.is_none_or(|ended_by| record.ended_by == ended_by)
        }),
    }
}

/// Sound may be neither there nor not there.
fn is_false(fact: &Fact, actors: &[Actor], inside: Option<&Inside>) -> bool {
    match fact {
        Fact::Hears(phone, tone) => actors.get(*phone).is_some_and(|actor| actor.meter.misses(*tone)),
        Fact::HearsOnly(..)
        | Fact::HearsNothing(_)
        | Fact::HearsMusic(_)
        | Fact::Registered(_)
        | Fact::Rings(..)
        | Fact::HearsRinging(_)
        | Fact::Connected(..)
        | Fact::Idle(_)
        | Fact::Holding(..)
        | Fact::OnHold(..)
        | Fact::Waiting(..)
        | Fact::TurnedAway(..)
        | Fact::Digits(..)
        | Fact::Received(..)
        | Fact::Ended(..)
        | Fact::NotTransferred(..)
        | Fact::NotRegistered(..)
        | Fact::NotWritten(..)
        | Fact::Read(..)
        | Fact::Sees(..)
        | Fact::Messages(..)
        | Fact::SwitchCalls(_)
        | Fact::Missed(_)
        | Fact::Recorded(..) => !is_true(fact, actors, inside),
    }
}

/// What a phone sees of a number; one that it does not watch it does not see.
fn sees(actor: &Actor, target: &str, sight: Sight) -> bool {
    let row = actor.phone.watched().into_iter().find(|row| *row.target == *target);
    let (lamp, availability) = row.map_or((None, None), |row| (row.lamp, row.availability));
    match sight {
        Sight::Calls(wanted) => lamp == Some(wanted),
        Sight::Presence(wanted) => availability == Some(wanted),
        Sight::Nothing => lamp.is_none() && availability.is_none(),
    }
}

fn has_ended(state: &State, how: &How) -> bool {
    let State::Over(ending) = state else { return false };
    match (how, ending) {
        (How::Anyhow, Ending::Ours | Ending::Theirs | Ending::Elsewhere | Ending::Failed(_))
        | (How::Here, Ending::Ours)
        | (How::Elsewhere, Ending::Elsewhere)
        | (How::There, Ending::Theirs) => true,
        (How::Fails(_), Ending::Failed(reason)) => has_failed(reason, how),
        (
            How::Here | How::There | How::Elsewhere,
            Ending::Ours | Ending::Theirs | Ending::Elsewhere | Ending::Failed(_),
        )
        | (How::Fails(_), Ending::Ours | Ending::Theirs | Ending::Elsewhere) => false,
    }
}

fn has_failed(reason: &Reason, how: &How) -> bool {
    let (name, status) = name(reason);
    match how {
        How::Fails(words) => *name == **words || status.is_some_and(|status| status.to_string() == **words),
        How::Anyhow | How::Here | How::There | How::Elsewhere => false,
    }
}

/// A reason as scenarios say it, and its status where that tells more.
fn name(reason: &Reason) -> (&'static str, Option<u16>) {
    match reason {
        Reason::WrongPassword => ("wrong password", None),
        Reason::UnknownAuthentication | Reason::Nonsense => ("nonsense", None),
        Reason::UnknownUser | Reason::UnknownNumber => ("unknown number", None),
        Reason::Forbidden => ("forbidden", None),
        Reason::Unreached(Unreached::NoAnswer) => ("no answer of the server", None),
        Reason::Unreached(_) => ("server unreachable", None),
        Reason::Busy => ("busy", None),
        Reason::Declined => ("declined", None),
        Reason::Unavailable => ("unavailable", None),
        Reason::NotAnswered => ("not answered", None),
        Reason::NoCommonFormat => ("no common format", None),
        Reason::Terminated => ("cancelled", None),
        Reason::Moved => ("moved", None),
        Reason::ServerBusy => ("server busy", None),
        Reason::NotOffered => ("not offered", None),
        Reason::ServerFailed(status) => ("server failed", Some(*status)),
        Reason::Lost => ("lost", None),
        Reason::NoMediaPort => ("no port for the sound", None),
        Reason::Other { status, .. } => ("another status", Some(*status)),
    }
}

/// What is true of the phones and of the switch, for somebody whose claim did not come true.
pub(super) fn describe(actors: &[Actor], inside: Option<&Inside>) -> String {
    let mut text = String::new();
    for actor in actors {
        let _memory = write!(text, "  {}", actor.name);
        if !actor.phone.is_registered() {
            text.push_str(", not registered");
        }
        if !actor.online {
            text.push_str(", offline");
        }
        for view in actor.calls.iter().rev().take(3) {
            let _memory = write!(text, "; call with {}: {}", view.peer.escape_default(), state(&view.state));
            for (is, what) in [
                (view.waiting && view.state == State::Rings, "waiting"),
                (view.holding, "holding"),
                (view.on_hold, "on hold"),
            ] {
                if is && view.is_live() {
                    let _memory = write!(text, ", {what}");
                }
            }
            if !view.digits.is_empty() {
                let _memory = write!(text, ", digits {}", view.digits);
            }
        }
        for row in actor.phone.watched() {
            let lamp = row.lamp.map_or("no calls known", Lamp::word);
            let availability = row.availability.map_or("no presence known", Availability::words);
            let _memory = write!(text, "; sees {}: {lamp}, {availability}", row.target.escape_default());
            if let Some(reason) = row.fault {
                let _memory = write!(text, " ({reason})");
            }
        }
        if let Some(mailbox) = actor.phone.mailbox(AccountId::FIRST) {
            let _memory = write!(text, "; {mailbox}");
        }
        let _memory = writeln!(text, "; hears {}", actor.meter);
    }
    if let Some(inside) = inside {
        let _memory = writeln!(text, "  switch: {inside}");
    }
    text
}

fn state(state: &State) -> String {
    match state {
        State::Calling => "calling".to_owned(),
        State::HearsRinging => "rings there".to_owned(),
        State::Rings => "rings here".to_owned(),
        State::Up => "connected".to_owned(),
        State::Over(Ending::Ours) => "hung up here".to_owned(),
        State::Over(Ending::Theirs) => "hung up by the other side".to_owned(),
        State::Over(Ending::Elsewhere) => "answered elsewhere".to_owned(),
        State::Over(Ending::Failed(reason)) => match name(reason) {
            (name, None) => format!("failed: {name}"),
            (name, Some(status)) => format!("failed: {name} ({status})"),
        },
    }
}

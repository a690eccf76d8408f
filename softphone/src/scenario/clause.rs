//! What follows the verb of a sentence: times, keys, reasons, what the network does.

use super::fault::{Fault, nearest};
use super::network::Faults;
use super::script::{Claim, Deed, Fact, How, REASONS, RecordedEnd, Sight, StepKind, Wire};
use super::words::Words;
use crate::phone::{Availability, DigitWay, Lamp};
use std::time::Duration;

/// How long a claim about signalling may take to begin to hold, where nothing else is said.
const SIGNALLING: Duration = Duration::from_secs(2);
/// How long sound may take to begin or to end, where nothing else is said.
const SOUND: Duration = Duration::from_secs(1);
/// How late reordered datagrams come, where nothing else is said.
const LATE: Duration = Duration::from_millis(400);

/// A claim with what stands at its end: `within 500 ms`, `for 2 s`.
pub(super) fn claim(facts: Vec<Fact>, wanted: bool, words: &mut Words<'_>) -> Result<StepKind, Fault> {
    let sound = facts.iter().any(Fact::is_sound);
    // What is denied of signalling has to hold at once, or it would have been enough that it was over.
    let default = match (sound, wanted) {
        (true, true | false) => SOUND,
        (false, true) => SIGNALLING,
        (false, false) => Duration::ZERO,
    };
    let mut claim = Claim { facts, wanted, within: default, lasting: Duration::ZERO };
    loop {
        if words.eat("within") {
            claim.within = words.duration("bob rings within 2 s")?;
        } else if words.eat("for") {
            claim.lasting = words.duration("bob does not ring for 2 s")?;
        } else {
            return Ok(StepKind::Claim(claim));
        }
    }
}

pub(super) fn keys(words: &mut Words<'_>, example: &'static str) -> Result<Box<str>, Fault> {
    let fault = words.expected("keys: 0 to 9, *, #, A to D", example);
    let keys = words.next();
    let good = !keys.is_empty() && keys.chars().all(|key| "0123456789*#ABCD".contains(key));
    if good { Ok(keys.into()) } else { Err(fault) }
}

pub(super) fn presses(words: &mut Words<'_>) -> Result<Deed, Fault> {
    const EXAMPLE: &str = "alice presses 12# as tones";
    let keys = keys(words, EXAMPLE)?;
    let way = if !words.eat("as") {
        DigitWay::Best
    } else if words.eat("events") {
        DigitWay::Events
    } else if words.eat("info") {
        DigitWay::Info
    } else if words.eat("tones") {
        DigitWay::Tones
    } else {
        return Err(words.expected("events, info or tones", EXAMPLE));
    };
    Ok(Deed::Press(keys, way))
}

pub(super) fn wire(words: &mut Words<'_>) -> Result<Wire, Fault> {
    let fault = words.expected("a status or a method", "alice receives 486");
    let word = words.next();
    let method = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
    match word.parse() {
        Ok(status @ 100..=699) => Ok(Wire::Status(status)),
        Ok(_) | Err(_) if method => Ok(Wire::Method(word.into())),
        Ok(_) | Err(_) => Err(fault),
    }
}

pub(super) fn reason(words: &mut Words<'_>) -> Result<How, Fault> {
    const EXAMPLE: &str = "alice's call fails: busy";
    if !words.eat(":") {
        return Err(words.expected("a colon and the reason", EXAMPLE));
    }
    let known = REASONS.into_iter().find(|reason| words.eat(reason));
    let status: Option<u16> = words.peek().parse().ok();
    match (known, status) {
        (Some(reason), _) => Ok(How::Fails(reason.into())),
        (None, Some(_)) => Ok(How::Fails(words.next().into())),
        (None, None) => {
            let (found, known) = (words.rest(), REASONS.to_vec());
            let nearest = nearest(&found.0, &known)
                .and_then(|nearest| REASONS.into_iter().find(|reason| *reason == nearest));
            Err(Fault::NoSuchSentence { subject: "a call, by its reason,", found, nearest, known })
        }
    }
}

/// How a number is seen.
pub(super) fn sight(words: &mut Words<'_>) -> Result<Sight, Fault> {
    const SIGHTS: [(&str, Sight); 9] = [
        ("idle", Sight::Calls(Lamp::Idle)),
        ("calling", Sight::Calls(Lamp::Calling)),
        ("ringing", Sight::Calls(Lamp::Ringing)),
        ("talking", Sight::Calls(Lamp::Talking)),
        ("available", Sight::Presence(Availability::Available)),
        ("away", Sight::Presence(Availability::Away)),
        ("busy", Sight::Presence(Availability::DoNotDisturb)),
        ("on the phone", Sight::Presence(Availability::OnThePhone)),
        ("offline", Sight::Presence(Availability::Offline)),
    ];
    match SIGHTS.into_iter().find(|(phrase, _)| words.eat(phrase)) {
        Some((_, sight)) => Ok(sight),
        None => {
            let (found, known) = (words.rest(), SIGHTS.map(|(phrase, _)| phrase).to_vec());
            let nearest =
                nearest(&found.0, &known).and_then(|near| known.iter().copied().find(|sight| *sight == near));
            Err(Fault::NoSuchSentence { subject: "what is seen of a number", found, nearest, known })
        }
    }
}

/// `2 new messages`, `no new messages`.
pub(super) fn messages(words: &mut Words<'_>) -> Result<u32, Fault> {
    const EXAMPLE: &str = "alice has 2 new messages";
    let new = if words.eat("no") { 0 } else { words.number("a number of messages", EXAMPLE)? };
    if !words.eat_any(&["new messages", "new message"]) {
        return Err(words.expected("new messages", EXAMPLE));
    }
    Ok(new)
}

pub(super) fn recorded_end(words: &mut Words<'_>) -> Result<Option<RecordedEnd>, Fault> {
    const EXAMPLE: &str = "switch records status 487, ended by the caller";
    if !words.eat(",") {
        return Ok(None);
    }
    let ended_by = words.eat("ended by the");
    match words.next() {
        "caller" if ended_by => Ok(Some(RecordedEnd::Caller)),
        "callee" if ended_by => Ok(Some(RecordedEnd::Callee)),
        "switch" if ended_by => Ok(Some(RecordedEnd::Switch)),
        _ => Err(words.expected("ended by the caller, the callee or the switch", EXAMPLE)),
    }
}

/// `is good`, or any of `loses 5 %, doubles 5 %, delays 5 ms to 45 ms, reorders 5 %`.
pub(super) fn network(words: &mut Words<'_>) -> Result<Faults, Fault> {
    const EXAMPLE: &str = "network loses 5 %, doubles 2 %, delays 5 ms to 45 ms, reorders 5 %";
    if words.eat("is good") {
        return Ok(Faults::NONE);
    }
    let mut faults = Faults::NONE;
    loop {
        if words.eat("loses") {
            faults.loss_percent = words.percent(EXAMPLE)?;
        } else if words.eat("doubles") {
            faults.duplicate_percent = words.percent(EXAMPLE)?;
        } else if words.eat("reorders") {
            faults.late_percent = words.percent(EXAMPLE)?;
            faults.late = if words.eat("by") { words.duration(EXAMPLE)? } else { LATE };
        } else if words.eat("delays") {
            faults.latency = words.duration(EXAMPLE)?;
            let most = if words.eat("to") { words.duration(EXAMPLE)? } else { faults.latency };
            faults.jitter = most.saturating_sub(faults.latency);
        } else {
            let known =
                vec!["is good", "loses 5 %", "doubles 5 %", "delays 5 ms to 45 ms", "reorders 5 % by 40 ms"];
            let found = words.rest();
            return Err(Fault::NoSuchSentence { subject: "the network", found, nearest: None, known });
        }
        if !words.eat_any(&[",", "and"]) {
            return Ok(faults);
        }
    }
}

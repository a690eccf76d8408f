//! The sentences of a scenario: who, then a phrase of [`PHRASES`], then what it asks for.

use super::fault::{Fault, Quoted, nearest};
use super::network::Faults;
use super::read::SIGNALLING;
use super::script::{Claim, Deed, Fact, How, Peer, REASONS, RecordedEnd, StepKind, Wire};
use super::words::Words;
use crate::phone::DigitWay;
use std::time::Duration;

/// How long sound may take to begin or to end, where nothing else is said.
const SOUND: Duration = Duration::from_secs(1);
const LATE: Duration = Duration::from_millis(400);

/// Who and what has a name.
#[derive(Debug, Default)]
pub(super) struct Cast {
    phones: Vec<Named>,
    numbers: Vec<Named>,
}

#[derive(Debug)]
struct Named {
    name: Box<str>,
    number: Box<str>,
    tone_hz: u32,
    line: u32,
}

/// What may follow the name of a phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verb {
    Registers,
    Unregisters,
    CallsAgain,
    Calls,
    Answers,
    Rejects,
    Declines,
    HangsUp,
    Holds,
    Resumes,
    Mutes,
    Unmutes,
    Presses,
    Talks,
    FallsSilent,
    GoesOffline,
    ComesOnline,
    WantsRest,
    TakesCalls,
    Rings,
    HearsRinging,
    HearsNothing,
    HearsOnly,
    HearsEachOther,
    Hears,
    Gets,
    Receives,
    TurnsAway,
    HasWaiting,
    IsRegistered,
    IsConnected,
    IsIdle,
    IsHolding,
    IsOnHold,
    CallEnds,
    CallFails,
}

/// Phrases as one phone does it and as several do; a longer one stands before those that it begins with.
const PHRASES: [(&str, &str, Verb); 36] = [
    ("registers", "register", Verb::Registers),
    ("unregisters", "unregister", Verb::Unregisters),
    ("calls again", "call again", Verb::CallsAgain),
    ("calls", "call", Verb::Calls),
    ("answers", "answer", Verb::Answers),
    ("rejects", "reject", Verb::Rejects),
    ("declines", "decline", Verb::Declines),
    ("hangs up", "hang up", Verb::HangsUp),
    ("holds", "hold", Verb::Holds),
    ("resumes", "resume", Verb::Resumes),
    ("mutes", "mute", Verb::Mutes),
    ("unmutes", "unmute", Verb::Unmutes),
    ("presses", "press", Verb::Presses),
    ("talks", "talk", Verb::Talks),
    ("falls silent", "fall silent", Verb::FallsSilent),
    ("goes offline", "go offline", Verb::GoesOffline),
    ("comes online", "come online", Verb::ComesOnline),
    ("wants no calls", "want no calls", Verb::WantsRest),
    ("takes calls", "take calls", Verb::TakesCalls),
    ("rings", "ring", Verb::Rings),
    ("hears ringing", "hear ringing", Verb::HearsRinging),
    ("hears nothing", "hear nothing", Verb::HearsNothing),
    ("hears only", "hear only", Verb::HearsOnly),
    ("hears each other", "hear each other", Verb::HearsEachOther),
    ("hears", "hear", Verb::Hears),
    ("gets", "get", Verb::Gets),
    ("receives", "receive", Verb::Receives),
    ("turns away", "turn away", Verb::TurnsAway),
    ("has a call waiting", "have a call waiting", Verb::HasWaiting),
    ("is registered", "are registered", Verb::IsRegistered),
    ("is connected", "are connected", Verb::IsConnected),
    ("is idle", "are idle", Verb::IsIdle),
    ("is holding", "are holding", Verb::IsHolding),
    ("is on hold", "are on hold", Verb::IsOnHold),
    ("'s call ends", "'s calls end", Verb::CallEnds),
    ("'s call fails", "'s calls fail", Verb::CallFails),
];

impl Cast {
    pub(super) fn add_phone(&mut self, name: &str, number: &str, tone_hz: u32, line: u32) {
        self.phones.push(Named { name: name.into(), number: number.into(), tone_hz, line });
    }

    /// The last phone says another tone.
    pub(super) fn retune(&mut self, tone_hz: u32) {
        if let Some(phone) = self.phones.last_mut() {
            phone.tone_hz = tone_hz;
        }
    }

    pub(super) fn add_number(&mut self, name: &str, number: &str, line: u32) {
        self.numbers.push(Named { name: name.into(), number: number.into(), tone_hz: 0, line });
    }

    /// The line in which a name was given.
    pub(super) fn introduced(&self, name: &str) -> Option<u32> {
        self.named(name).map(|named| named.line)
    }

    fn named(&self, name: &str) -> Option<&Named> {
        self.phones.iter().chain(&self.numbers).find(|named| *named.name == *name)
    }

    fn unknown(&self, word: &str) -> Fault {
        let known: Vec<Box<str>> =
            self.phones.iter().chain(&self.numbers).map(|named| named.name.clone()).collect();
        let nearest = nearest(word, &known).map(Box::from);
        Fault::Unknown { word: Quoted(word.into()), nearest, known }
    }

    /// What a sentence means.
    pub(super) fn sentence(&self, mut words: Words<'_>) -> Result<StepKind, Fault> {
        let kind = if words.eat("wait") {
            StepKind::Wait(words.duration("wait 2 s")?)
        } else if words.eat("network") {
            StepKind::Network(network(&mut words)?)
        } else if words.eat("switch") {
            self.switch(&mut words)?
        } else {
            let who = self.subjects(&mut words)?;
            self.of_phones(&who, &mut words)?
        };
        words.end().map(|()| kind)
    }

    fn phone(&self, words: &mut Words<'_>) -> Result<usize, Fault> {
        let word = words.next();
        self.phones.iter().position(|phone| *phone.name == *word).ok_or_else(|| self.unknown(word))
    }

    /// `alice`, `alice and bob`, `alice, bob and carol`, `everybody`.
    fn subjects(&self, words: &mut Words<'_>) -> Result<Vec<usize>, Fault> {
        if words.eat("everybody") {
            return Ok((0..self.phones.len()).collect());
        }
        let mut who = vec![self.phone(words)?];
        while words.eat_any(&[",", "and"]) {
            who.push(self.phone(words)?);
        }
        Ok(who)
    }

    /// A name stands for its number; numbers and URIs stand for themselves.
    fn target(&self, words: &mut Words<'_>) -> Result<Box<str>, Fault> {
        let word = words.next();
        let digits =
            !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_digit() || b"*#+".contains(&byte));
        match self.named(word) {
            Some(named) => Ok(named.number.clone()),
            None if digits || word.contains('@') => Ok(word.into()),
            None => Err(self.unknown(word)),
        }
    }

    /// Whose call is meant, behind a word that announces it.
    fn peer(&self, words: &mut Words<'_>, announced: &str) -> Result<Peer, Fault> {
        let announced = announced.is_empty() || words.eat(announced);
        let ends = words.is_empty() || ["within", "for"].contains(&words.peek());
        if announced && !ends { self.target(words).map(Some) } else { Ok(None) }
    }

    fn of_phones(&self, who: &[usize], words: &mut Words<'_>) -> Result<StepKind, Fault> {
        let start = words.clone();
        let (verb, wanted) = verb(words)?;
        match self.deed(verb, words)? {
            Some(deed) if wanted => return Ok(StepKind::Deed(who.to_vec(), deed)),
            Some(_) => {
                return Err(start.expected("something that can be true or not", "bob does not ring"));
            }
            None => {}
        }
        let mut facts = Vec::new();
        let claims = words.clone();
        for phone in who {
            *words = claims.clone();
            self.facts(verb, *phone, who, words, &mut facts)?;
        }
        claim(facts, wanted, words)
    }

    /// What the verb does, if it is no claim.
    fn deed(&self, verb: Verb, words: &mut Words<'_>) -> Result<Option<Deed>, Fault> {
        Ok(Some(match verb {
            Verb::Registers => Deed::Register,
            Verb::Unregisters => Deed::Unregister,
            Verb::CallsAgain => Deed::Redial,
            Verb::Calls => Deed::Call(self.target(words)?),
            Verb::Answers => Deed::Answer(self.peer(words, "")?),
            Verb::Rejects => Deed::Reject(self.peer(words, "")?),
            Verb::Declines => Deed::Decline(self.peer(words, "")?),
            Verb::HangsUp => Deed::HangUp(self.peer(words, "on")?),
            Verb::Holds => Deed::Hold(self.peer(words, "")?),
            Verb::Resumes => Deed::Resume(self.peer(words, "")?),
            Verb::Mutes => Deed::Mute(true),
            Verb::Unmutes => Deed::Mute(false),
            Verb::Presses => presses(words)?,
            Verb::Talks => Deed::Talk(true),
            Verb::FallsSilent => Deed::Talk(false),
            Verb::GoesOffline => Deed::Online(false),
            Verb::ComesOnline => Deed::Online(true),
            Verb::WantsRest => Deed::DoNotDisturb(true),
            Verb::TakesCalls => Deed::DoNotDisturb(false),
            Verb::Rings
            | Verb::HearsRinging
            | Verb::HearsNothing
            | Verb::HearsOnly
            | Verb::HearsEachOther
            | Verb::Hears
            | Verb::Gets
            | Verb::Receives
            | Verb::TurnsAway
            | Verb::HasWaiting
            | Verb::IsRegistered
            | Verb::IsConnected
            | Verb::IsIdle
            | Verb::IsHolding
            | Verb::IsOnHold
            | Verb::CallEnds
            | Verb::CallFails => return Ok(None),
        }))
    }

    /// What the verb says of one of the phones.
    fn facts(
        &self,
        verb: Verb,
        phone: usize,
        all: &[usize],
        words: &mut Words<'_>,
        facts: &mut Vec<Fact>,
    ) -> Result<(), Fault> {
        let others = || all.iter().filter(move |other| **other != phone);
        facts.push(match verb {
            Verb::Rings => Fact::Rings(phone, self.peer(words, "from")?),
            Verb::HearsRinging => Fact::HearsRinging(phone),
            Verb::HearsNothing => Fact::HearsNothing(phone),
            Verb::HearsOnly => Fact::HearsOnly(phone, self.tones(words)?),
            Verb::HearsEachOther => {
                let tones = others().filter_map(|other| self.phones.get(*other));
                facts.extend(tones.map(|other| Fact::Hears(phone, other.tone_hz)));
                return Ok(());
            }
            Verb::Hears => {
                facts.extend(self.tones(words)?.into_iter().map(|tone| Fact::Hears(phone, tone)));
                return Ok(());
            }
            Verb::Gets => {
                const EXAMPLE: &str = "bob gets digits 12#";
                if !words.eat_any(&["digits", "digit"]) {
                    return Err(words.expected("digits", EXAMPLE));
                }
                Fact::Digits(phone, keys(words, EXAMPLE)?)
            }
            Verb::Receives => Fact::Received(phone, wire(words)?),
            Verb::TurnsAway => Fact::TurnedAway(phone, self.peer(words, "")?),
            Verb::HasWaiting => Fact::Waiting(phone, self.peer(words, "from")?),
            Verb::IsRegistered => Fact::Registered(phone),
            Verb::IsConnected => {
                let told = self.peer(words, "to")?;
                // Two phones that are connected are so with each other.
                let mut other = others().filter_map(|other| self.phones.get(*other));
                let each_other = if all.len() == 2 { other.next() } else { None };
                Fact::Connected(phone, told.or_else(|| each_other.map(|other| other.number.clone())))
            }
            Verb::IsIdle => Fact::Idle(phone),
            Verb::IsHolding => Fact::Holding(phone, self.peer(words, "")?),
            Verb::IsOnHold => Fact::OnHold(phone, self.peer(words, "by")?),
            Verb::CallEnds => Fact::Ended(phone, self.peer(words, "with")?, self.hung_up(phone, words)?),
            Verb::CallFails => Fact::Ended(phone, self.peer(words, "with")?, reason(words)?),
            // These are deeds.
            Verb::Registers
            | Verb::Unregisters
            | Verb::CallsAgain
            | Verb::Calls
            | Verb::Answers
            | Verb::Rejects
            | Verb::Declines
            | Verb::HangsUp
            | Verb::Holds
            | Verb::Resumes
            | Verb::Mutes
            | Verb::Unmutes
            | Verb::Presses
            | Verb::Talks
            | Verb::FallsSilent
            | Verb::GoesOffline
            | Verb::ComesOnline
            | Verb::WantsRest
            | Verb::TakesCalls => return Ok(()),
        });
        Ok(())
    }

    /// `bob`, `bob and carol`, `1004 Hz`.
    fn tones(&self, words: &mut Words<'_>) -> Result<Vec<u32>, Fault> {
        let mut tones = Vec::new();
        loop {
            let mut ahead = words.clone();
            match ahead.next().parse() {
                Ok(hertz) if ahead.eat("Hz") => {
                    *words = ahead;
                    tones.push(hertz);
                }
                Ok(_) | Err(_) => {
                    let phone = self.phone(words)?;
                    tones.extend(self.phones.get(phone).map(|phone| phone.tone_hz));
                }
            }
            if !words.eat_any(&[",", "and"]) {
                return Ok(tones);
            }
        }
    }

    /// `: hung up by bob`, or nothing.
    fn hung_up(&self, phone: usize, words: &mut Words<'_>) -> Result<How, Fault> {
        const EXAMPLE: &str = "alice's call ends: hung up by bob";
        if !words.eat(":") {
            return Ok(How::Anyhow);
        }
        if !words.eat("hung up by") {
            return Err(words.expected("hung up by, and who did", EXAMPLE));
        }
        if words.eat_any(&["the other side", "the switch"]) {
            return Ok(How::There);
        }
        Ok(if self.phone(words)? == phone { How::Here } else { How::There })
    }

    fn switch(&self, words: &mut Words<'_>) -> Result<StepKind, Fault> {
        if words.eat("restarts") {
            return Ok(StepKind::Restart);
        }
        let fact = if words.eat("has no calls") {
            Fact::SwitchCalls(0)
        } else if words.eat("has") {
            let calls = words.number("a number of calls", "switch has 2 calls")?;
            if !words.eat_any(&["calls", "call"]) {
                return Err(words.expected("calls", "switch has 2 calls"));
            }
            Fact::SwitchCalls(calls as usize)
        } else if words.eat("records status") {
            let status = words.number("a status", "switch records status 486")?;
            Fact::Recorded(u16::try_from(status).unwrap_or(0), recorded_end(words)?)
        } else {
            let known =
                vec!["restarts", "has 2 calls", "has no calls", "records status 486, ended by the caller"];
            let found = words.rest();
            return Err(Fault::NoSuchSentence { subject: "the switch", found, nearest: None, known });
        };
        claim(vec![fact], true, words)
    }
}

/// The verb that stands here, and whether it is said, not denied.
fn verb(words: &mut Words<'_>) -> Result<(Verb, bool), Fault> {
    let mut ahead = words.clone();
    let denied = ahead.eat_any(&["does not", "do not"]);
    for (one, many, verb) in PHRASES {
        let said = if denied { ahead.eat(many) } else { ahead.eat(one) || ahead.eat(many) };
        if said {
            *words = ahead;
            return Ok((verb, !denied));
        }
        // "is not", "are no longer", "has no call waiting"
        let (is, rest) = one.split_once(' ').unwrap_or((one, ""));
        let mut negated = words.clone();
        let not = match is {
            "is" => {
                negated.eat_any(&["is not", "are not", "is no longer", "are no longer"]) && negated.eat(rest)
            }
            "has" => negated.eat_any(&["has no call waiting", "have no call waiting"]),
            _ => false,
        };
        if not {
            *words = negated;
            return Ok((verb, false));
        }
    }
    Err(no_such_verb(&ahead))
}

fn no_such_verb(words: &Words<'_>) -> Fault {
    let known: Vec<&'static str> = PHRASES.map(|(one, _, _)| one).to_vec();
    let found = words.rest();
    let close = known.iter().filter_map(|phrase| {
        let start: Vec<&str> = found.0.split(' ').take(phrase.split(' ').count()).collect();
        let score = strsim::jaro_winkler(&start.join(" "), phrase);
        (score > 0.85).then_some((score, *phrase))
    });
    let nearest = close.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, phrase)| phrase);
    Fault::NoSuchSentence { subject: "a phone", found, nearest, known }
}

/// A claim with what stands at its end: `within 500 ms`, `for 2 s`.
fn claim(facts: Vec<Fact>, wanted: bool, words: &mut Words<'_>) -> Result<StepKind, Fault> {
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

fn keys(words: &mut Words<'_>, example: &'static str) -> Result<Box<str>, Fault> {
    let fault = words.expected("keys: 0 to 9, *, #, A to D", example);
    let keys = words.next();
    let good = !keys.is_empty() && keys.chars().all(|key| "0123456789*#ABCD".contains(key));
    if good { Ok(keys.into()) } else { Err(fault) }
}

fn presses(words: &mut Words<'_>) -> Result<Deed, Fault> {
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

fn wire(words: &mut Words<'_>) -> Result<Wire, Fault> {
    let fault = words.expected("a status or a method", "alice receives 486");
    let word = words.next();
    let method = !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_uppercase());
    match word.parse() {
        Ok(status @ 100..=699) => Ok(Wire::Status(status)),
        Ok(_) | Err(_) if method => Ok(Wire::Method(word.into())),
        Ok(_) | Err(_) => Err(fault),
    }
}

fn reason(words: &mut Words<'_>) -> Result<How, Fault> {
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

fn recorded_end(words: &mut Words<'_>) -> Result<Option<RecordedEnd>, Fault> {
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
fn network(words: &mut Words<'_>) -> Result<Faults, Fault> {
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

//! The sentences of a scenario: who, then a phrase (`phrase`), then what it asks for (`clause`).

use super::clause::{claim, keys, messages, network, presses, reason, recorded_end, sight, wire};
use super::fault::{Fault, Quoted, nearest};
use super::order::{self, Order};
use super::phrase::{Verb, verb};
use super::room_order;
use super::script::{Deed, Fact, How, Peer, Sight, StepKind};
use super::words::Words;

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
    pub(super) fn target(&self, words: &mut Words<'_>) -> Result<Box<str>, Fault> {
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
            Verb::Transfers => self
                .two(words, "to", "alice transfers bob to carol")
                .map(|(who, to)| Deed::Transfer(who, to))?,
            Verb::Joins => {
                self.two(words, "and", "alice joins bob and carol").map(|(who, to)| Deed::Join(who, to))?
            }
            Verb::Merges => self
                .two(words, "and", "alice merges bob and carol")
                .map(|(who, other)| Deed::Merge(who, other))?,
            Verb::Writes => Deed::Write(self.target(words)?, words.next().into()),
            Verb::Resumes => Deed::Resume(self.peer(words, "")?),
            Verb::Mutes => Deed::Mute(true),
            Verb::Unmutes => Deed::Mute(false),
            Verb::Presses => presses(words)?,
            Verb::Talks => Deed::Talk(true),
            Verb::FallsSilent => Deed::Talk(false),
            Verb::GoesOffline => Deed::Online(false),
            Verb::ComesOnline => Deed::Online(true),
            Verb::GoesAway => Deed::Away(true),
            Verb::ComesBack => Deed::Away(false),
            Verb::Watches => Deed::Watch(self.target(words)?, true),
            Verb::StopsWatching => Deed::Watch(self.target(words)?, false),
            Verb::WantsRest => Deed::DoNotDisturb(true),
            Verb::TakesCalls => Deed::DoNotDisturb(false),
            Verb::Rings
            | Verb::HearsRinging
            | Verb::HearsNothing
            | Verb::HearsMusic
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
            | Verb::CallFails
            | Verb::TransferFails
            | Verb::RegistrationFails
            | Verb::Reads
            | Verb::Sees
            | Verb::HasMessages
            | Verb::MessageFails => return Ok(None),
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
            Verb::HearsMusic => Fact::HearsMusic(phone),
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
            Verb::TransferFails => Fact::NotTransferred(phone, reason(words)?),
            Verb::RegistrationFails => Fact::NotRegistered(phone, reason(words)?),
            Verb::MessageFails => Fact::NotWritten(phone, reason(words)?),
            Verb::Reads => Fact::Read(phone, words.next().into(), self.peer(words, "from")?),
            Verb::Sees => {
                let nothing = words.eat("nothing of");
                let target = self.target(words)?;
                Fact::Sees(phone, target, if nothing { Sight::Nothing } else { sight(words)? })
            }
            Verb::HasMessages => Fact::Messages(phone, messages(words)?),
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
            | Verb::Transfers
            | Verb::Joins
            | Verb::Merges
            | Verb::Writes
            | Verb::Resumes
            | Verb::Mutes
            | Verb::Unmutes
            | Verb::Presses
            | Verb::Talks
            | Verb::FallsSilent
            | Verb::GoesOffline
            | Verb::ComesOnline
            | Verb::GoesAway
            | Verb::ComesBack
            | Verb::Watches
            | Verb::StopsWatching
            | Verb::WantsRest
            | Verb::TakesCalls => return Ok(()),
        });
        Ok(())
    }

    /// Two targets with a word between.
    fn two(
        &self,
        words: &mut Words<'_>,
        between: &'static str,
        example: &'static str,
    ) -> Result<(Box<str>, Box<str>), Fault> {
        let first = self.target(words)?;
        if !words.eat(between) {
            return Err(words.expected(between, example));
        }
        Ok((first, self.target(words)?))
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

    /// `: hung up by bob`, `: answered elsewhere`, or nothing.
    fn hung_up(&self, phone: usize, words: &mut Words<'_>) -> Result<How, Fault> {
        const EXAMPLE: &str = "alice's call ends: hung up by bob";
        if !words.eat(":") {
            return Ok(How::Anyhow);
        }
        if words.eat("answered elsewhere") {
            return Ok(How::Elsewhere);
        }
        if !words.eat("hung up by") {
            return Err(words.expected("hung up by, and who did, or answered elsewhere", EXAMPLE));
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
        if words.eat("keeps") {
            let new = messages(words)?;
            if !words.eat("for") {
                return Err(words.expected("for, and a number", "switch keeps 2 new messages for bob"));
            }
            return Ok(StepKind::Mailbox(self.target(words)?, new));
        }
        if words.eat("is told to") {
            return self.order(words).map(StepKind::Order);
        }
        if let Some(order) = room_order::order(self, words)? {
            return Ok(StepKind::RoomOrder(order));
        }
        let fact = if words.eat("has no calls") {
            Fact::SwitchCalls(0)
        } else if words.eat("has no missed calls") {
            Fact::Missed(0)
        } else if words.eat("has") {
            let calls = words.number("a number of calls", "switch has 2 calls")?;
            if words.eat_any(&["missed calls", "missed call"]) {
                Fact::Missed(calls as usize)
            } else if words.eat_any(&["calls", "call"]) {
                Fact::SwitchCalls(calls as usize)
            } else {
                return Err(words.expected("calls or missed calls", "switch has 2 calls"));
            }
        } else if words.eat("records status") {
            let status = words.number("a status", "switch records status 486")?;
            Fact::Recorded(u16::try_from(status).unwrap_or(0), recorded_end(words)?)
        } else {
            let mut known = vec![
                "restarts",
                "keeps 2 new messages for bob",
                "moves bob from room to other",
                "makes bob a listener in room",
                "mutes bob in room",
                "removes bob from room",
                "invites bob to room",
                "ends room",
                "has 2 calls",
                "has no calls",
                "has 2 missed calls",
                "has no missed calls",
                "records status 486, ended by the caller",
            ];
            known.extend(order::KNOWN);
            let found = words.rest();
            return Err(Fault::NoSuchSentence { subject: "the switch", found, nearest: None, known });
        };
        claim(vec![fact], true, words)
    }

    fn order(&self, words: &mut Words<'_>) -> Result<Order, Fault> {
        let then = |words: &mut Words<'_>, word: &'static str| {
            let is_there = words.eat(word);
            if is_there { Ok(()) } else { Err(words.expected(word, "switch is told to call 1003 for alice")) }
        };
        if words.eat("call") {
            let number = self.target(words)?;
            then(words, "for")?;
            return Ok(Order::Call { number, user: self.target(words)? });
        }
        for (phrase, on) in [("hold for", true), ("resume for", false)] {
            if words.eat(phrase) {
                return Ok(Order::Hold { user: self.target(words)?, on });
            }
        }
        if words.eat("pick up") {
            let of = self.target(words)?;
            then(words, "for")?;
            return Ok(Order::PickUp { of, user: self.target(words)? });
        }
        if words.eat("retrieve") {
            let slot = self.target(words)?;
            then(words, "for")?;
            return Ok(Order::Retrieve { slot, user: self.target(words)? });
        }
        if words.eat("move the call of") {
            return Ok(Order::Move { user: self.target(words)? });
        }
        if words.eat("join the calls of") {
            return Ok(Order::Join { user: self.target(words)? });
        }
        let (found, known) = (words.rest(), order::KNOWN.to_vec());
        Err(Fault::NoSuchSentence { subject: "the switch", found, nearest: None, known })
    }
}

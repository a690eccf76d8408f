//! The reference model of the switch: an office of fifty phones around it, whose people do what the lots say for as long as one likes, while it is
//! looked on from outside.
//!
//! [`act`] says what they do, [`book`] what should be then by the rules that users know, [`ledger`] what the switch has put out,
//! `wire` what has passed, `tones` who is heard on the wire; `judge` compares them. The dialogs are judged beside that by
//! [`crate::model`]. Nothing in them is code of the switch. [`mischief`] plants faults between the switch and those who look on,
//! [`shrink`] finds the few deeds that it takes for a complaint.
//!
//! Left out on purpose: peers, a proxy's calls, DNS, other streams than sound, recordings on a disk.

pub mod act;
pub mod book;
mod deeds;
mod judge;
pub mod ledger;
pub mod mischief;
pub mod shrink;
mod tones;
mod wire;

use crate::model::Model;
use crate::model::sabotage::{Fault, Saboteur};
use crate::sim::{Faults, PhoneId, SWITCH, Step, World};
use act::{Deed, PHONES, user_name, user_of};
use book::Book;
use ledger::Ledger;
use mischief::{Imp, Mischief};
use sip_stack::Time;
use softphone::phone::{AccountId, Codec, Command, Event, Settings};
use std::fmt::Write;
use std::time::Duration;
use tones::Tones;
use wire::Wire;

const DOMAIN: &str = "office.example";
/// Every end that is up says something so often: the switch cuts calls that are silent for half a minute.
const BEAT: Duration = Duration::from_secs(8);
/// Longer than a call lives whose phone has vanished, and longer than one may last: one on hold is not cut for its silence.
const FORGOTTEN: [Duration; 2] = [Duration::from_secs(130), Duration::from_secs(440)];
/// Longer than a subscription lasts that is not refreshed.
const SUBSCRIBED: Duration = Duration::from_secs(720);
/// Lines of what happened last that a complaint comes with.
const STORY: usize = 150;

/// A fault that is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Planted {
    /// What the switch puts out is falsified.
    Mischief(Mischief),
    /// Messages are.
    Fault(Fault),
}

/// The office.
#[derive(Debug)]
pub struct Office {
    /// Phones, network and switch.
    pub world: World,
    /// Times that everybody was asked what is heard, and ends that were.
    pub looked: (usize, usize),
    /// Deeds that could be done.
    pub done: usize,
    book: Book,
    wire: Wire,
    tones: Tones,
    complaints: Vec<(Time, String)>,
    /// Events of each phone that were read.
    read: [usize; PHONES],
    /// Until when nothing is said of a phone that had no power, or of all, after the switch was killed.
    excused: [Time; PHONES],
    /// Since when lamps show what is.
    lamps_from: Time,
    numbers: [u16; PHONES],
    commands: u64,
    beat_at: Time,
}

/// The configuration of the switch.
fn config() -> String {
    let half = |from: usize, group: &str| {
        format!(
            "[[users]]\nfrom = {}\nto = {}\npassword = \"secret\"\ngroups = [\"{group}\"]\nring_s = 25\n",
            1001 + from,
            1024 + from
        )
    };
    format!(
        "[[listener]]\naddress = \"{SWITCH}\"\n[[domain]]\nname = \"{DOMAIN}\"\ndefault = true\n{}{}\
         [features]\nlongest_call_s = 400\n\
         [[route]]\npattern = \"300X\"\nservice = \"conference\"\n\
         [[route]]\npattern = \"4000\"\nservice = \"answer\"\nfor_s = 20\n\
         [[group]]\nid = \"desk\"\nnumbers = [\"600\"]\nmembers = [\"1003\", \"1030\", \"1040\"]\n",
        half(0, "east"),
        half(24, "west"),
    )
}

impl Office {
    /// An office in which every phone is registered and watches three users.
    ///
    /// # Panics
    /// When that does not come about.
    #[must_use]
    pub fn new(seed: u64, planted: Option<Planted>) -> Office {
        let mut world = World::new(seed, &config(), Faults::NONE);
        let imp = match planted {
            Some(Planted::Mischief(mischief)) => Some(Imp::new(mischief)),
            Some(Planted::Fault(_)) | None => None,
        };
        world.ledger = Some(Ledger::new(world.switch.run(), imp));
        world.model = Some(Model::default());
        world.tape = Some(Vec::new());
        let mut office = Office {
            world,
            looked: (0, 0),
            done: 0,
            book: Book::default(),
            wire: Wire::default(),
            tones: Tones::default(),
            complaints: Vec::new(),
            read: [0; PHONES],
            excused: [Time::default(); PHONES],
            lamps_from: Time::default(),
            numbers: [0; PHONES],
            commands: 0,
            beat_at: Time::default(),
        };
        for phone in 0..PHONES {
            let user = user_name(user_of(phone));
            office.world.add_phone(&user, DOMAIN, "secret", settings(phone));
            office.watch_and_register(phone);
        }
        office.run_for(Duration::from_secs(10));
        let all = office.world.phones.iter().all(|handset| handset.phone.is_registered());
        assert!(all, "every phone registers");
        if let Some(Planted::Fault(fault)) = planted {
            office.world.saboteur = Some(Saboteur::new(fault));
        }
        office
    }

    /// A phone that has just come watches three users, and registers.
    fn watch_and_register(&mut self, phone: usize) {
        for step in [1, 7, 20] {
            let target = user_name((user_of(phone) + step) % act::USERS).into();
            let watch = Command::Watch { account: AccountId::FIRST, target, wanted: true };
            self.world.command(PhoneId(phone), watch).expect("a few can be watched");
        }
        self.world.command(PhoneId(phone), Command::Register).expect("a phone can always register");
    }

    /// Lets people do all this, then has everybody hang up; what is to be complained of.
    #[must_use]
    pub fn live(seed: u64, deeds: &[Deed], planted: Option<Planted>) -> Office {
        let mut office = Office::new(seed, planted);
        for deed in deeds {
            office.run_for(deed.after);
            office.done += usize::from(office.perform(deed));
            if office.has_complaints() {
                return office;
            }
        }
        office.close();
        office
    }

    /// Whether anything is to be complained of.
    #[must_use]
    pub fn has_complaints(&self) -> bool {
        !self.complaints.is_empty()
            || self.world.ledger.as_ref().is_some_and(|ledger| !ledger.complaints.is_empty())
            || self.world.model.as_ref().is_some_and(|model| !model.complaints().is_empty())
    }

    /// What is to be complained of, a line each; empty when there is nothing.
    #[must_use]
    pub fn complaints(&self) -> String {
        let mut text = String::new();
        let ledger = self.world.ledger.iter().flat_map(|ledger| &ledger.complaints);
        for (at, what) in self.complaints.iter().chain(ledger) {
            let _written = writeln!(text, "{:>12.3} ms  {what}", at.0 as f64 / 1e6);
        }
        text + &self.world.model.as_ref().map(Model::report).unwrap_or_default()
    }

    /// What has happened last.
    #[must_use]
    pub fn story(&self) -> String {
        let story = self.world.trace.story();
        let lines: Vec<&str> = story.lines().filter(|line| !line.ends_with(": RTP")).collect();
        let last = lines.len().saturating_sub(STORY);
        lines[last..].join("\n")
    }

    fn complain(&mut self, what: String) {
        self.complaints.push((self.world.now, what));
    }

    /// Lets time pass.
    fn run_for(&mut self, time: Duration) {
        let until = self.world.now + time;
        loop {
            if self.world.now >= self.beat_at {
                self.beat_at = self.world.now + BEAT;
                self.say();
            }
            let step = self.world.step(until.min(self.beat_at));
            self.observe();
            if step == Step::Idle && self.world.now >= until {
                return;
            }
        }
    }

    /// Every end that may speaks a packet of 20 ms.
    fn say(&mut self) {
        let mut leaving = Vec::new();
        for (phone, handset) in self.world.phones.iter().enumerate() {
            for ear in handset.ears.values().filter(|ear| !ear.closed) {
                // A phone that should be silent, because it holds or is held, is not: nobody may hear it.
                let Some(stream) = ear.stream.as_ref() else { continue };
                let Some(to) = stream.remote else { continue };
                self.numbers[phone] = self.numbers[phone].wrapping_add(1);
                let number = self.numbers[phone];
                let mut packet = vec![0x80, stream.payload_type];
                packet.extend(number.to_be_bytes());
                packet.extend((u32::from(number) * 160).to_be_bytes());
                packet.extend((0xabcd_0000 + phone as u32).to_be_bytes());
                packet.extend(self.tones.said(phone, stream.payload_type));
                leaving.push(crate::sim::network::Datagram { from: ear.address, to, bytes: packet.into() });
            }
        }
        leaving.iter().for_each(|datagram| self.world.send(datagram));
    }

    /// Takes note of what phones have told and of what has passed.
    fn observe(&mut self) {
        for phone in 0..PHONES {
            let Some(handset) = self.world.phones.get(phone) else { return };
            if handset.events.len() == self.read[phone] {
                continue;
            }
            let new: Vec<Event> =
                handset.events[self.read[phone]..].iter().map(|(_, event)| event.clone()).collect();
            self.read[phone] += new.len();
            new.iter().for_each(|event| self.note(phone, event));
        }
        let tape = self.world.tape.replace(Vec::new()).unwrap_or_default();
        for moment in &tape {
            let Some(new) = self.wire.take(moment) else { continue };
            let phone = self.world.phones.iter().position(|handset| handset.address == new.phone);
            if let Some(phone) = phone {
                self.book.name(phone, new.begun, &new.call_id);
            }
        }
    }

    fn note(&mut self, phone: usize, event: &Event) {
        match event {
            Event::Calling { call, target } => {
                let number = user_part(target);
                self.book.dialled(self.world.now, (phone, *call), &number);
            }
            Event::Incoming { call, uri, .. } => {
                let from = user_part(uri);
                let is_excused = self.excused.iter().any(|until| *until > self.world.now);
                if !self.book.rings(self.world.now, (phone, *call), &from) && !is_excused {
                    self.complain(format!("phone {phone} rings for {from}, who calls nobody"));
                }
            }
            Event::Connected { call } => self.book.connected(self.world.now, (phone, *call)),
            Event::Ended { call, .. } => self.book.over(self.world.now, (phone, *call)),
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::RegistrationFailed { .. }
            | Event::Ringing { .. }
            | Event::TurnedAway { .. }
            | Event::Held { .. }
            | Event::HoldFailed { .. }
            | Event::HeldByPeer { .. }
            | Event::Transferred { .. }
            | Event::TransferFailed { .. }
            | Event::Message { .. }
            | Event::MessageTaken { .. }
            | Event::MessageFailed { .. }
            | Event::Watch { .. }
            | Event::Muted { .. }
            | Event::Digit { .. } => {}
        }
    }
}

/// Half of the phones speak µ-law, the others A-law.
fn settings(phone: usize) -> Settings {
    let codecs = if phone.is_multiple_of(2) { vec![Codec::Pcmu] } else { vec![Codec::Pcma] };
    Settings { codecs, ..Settings::default() }
}

/// The user part of a URI.
fn user_part(uri: &[u8]) -> String {
    let uri = sip_stack::message::Uri::parse(uri);
    let user = uri.ok().and_then(|uri| uri.user_unescaped().map(|user| user.into_owned()));
    String::from_utf8_lossy(&user.unwrap_or_default()).into_owned()
}

/// Deeds of a run.
pub const DEEDS: usize = 250;
/// Runs that are spent on leaving deeds out.
const TRIES: usize = 80;

/// What a run has come to.
#[derive(Clone, Debug, Default)]
pub struct Report {
    /// Deeds that were drawn, and those that could be done.
    pub drawn: usize,
    /// Deeds that could be done.
    pub done: usize,
    /// Times that everybody was asked what is heard.
    pub looks: usize,
    /// Ends of calls that were.
    pub ends: usize,
    /// Records of calls.
    pub calls: usize,
    /// What is to be complained of, with how it comes to that.
    pub complaint: Option<String>,
}

impl Report {
    /// Another run.
    pub fn add(&mut self, other: &Report) {
        self.drawn += other.drawn;
        self.done += other.done;
        self.looks += other.looks;
        self.ends += other.ends;
        self.calls += other.calls;
    }
}

/// A run of so many deeds; one with a complaint is run again with fewer and fewer.
#[must_use]
pub fn run(seed: u64, deeds: usize, planted: Option<Planted>) -> Report {
    let drawn = act::draw(seed, deeds);
    let office = Office::live(seed, &drawn, planted);
    let mut report = Report {
        drawn: drawn.len(),
        done: office.done,
        looks: office.looked.0,
        ends: office.looked.1,
        calls: office.world.database.records.len(),
        complaint: None,
    };
    if office.has_complaints() {
        let fewer =
            shrink::shrink(&drawn, TRIES, |deeds| Office::live(seed, deeds, planted).has_complaints());
        let office = Office::live(seed, &fewer, planted);
        let (story, complaints) = (office.story(), office.complaints());
        let deeds: String = fewer.iter().map(|deed| format!("  {deed:?}\n")).collect();
        report.complaint = Some(format!(
            "seed {seed}, of {} deeds these:\n{deeds}{story}\nCOMPLAINT\n{complaints}",
            drawn.len()
        ));
    }
    report
}

//! A scenario as data: who takes part, what happens, what has to be true.
//!
//! Whatever reads or writes scenarios other than from a file (enumerated races, say) makes these values; the file format is
//! in `read`, the meaning in `runner` and `judge`.

use super::network::Faults;
use super::order::Order;
use super::room_order::RoomOrder;
use crate::phone::{AutoAnswer, Availability, Codec, DigitWay, Lamp};
use std::time::Duration;

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What it is about.
    pub title: Box<str>,
    /// The file it was read from, for messages.
    pub file: Box<str>,
    /// The phones, in the order of the file.
    pub phones: Vec<PhoneSetup>,
    /// Other numbers with names: rooms, services.
    pub numbers: Vec<(Box<str>, Box<str>)>,
    /// What the configuration of the switch has to say beside the users, in TOML, and the line it begins in.
    pub switch: Option<(Box<str>, u32)>,
    /// With how many lost datagrams of a hundred it is to be played besides.
    pub losses: Vec<u32>,
    /// What happens, in order.
    pub steps: Vec<Step>,
}

/// A phone and what its user has set.
#[derive(Clone, Debug)]
pub struct PhoneSetup {
    /// What it is called in the scenario.
    pub name: Box<str>,
    /// Its user name at the server.
    pub number: Box<str>,
    /// Its password.
    pub password: Box<str>,
    /// What it offers, in its order.
    pub codecs: Vec<Codec>,
    /// Calls at a time.
    pub lines: u16,
    /// Which calls are taken without a step.
    pub auto_answer: AutoAnswer,
    /// Whether a caller may ask to be answered at once.
    pub answer_when_asked: bool,
    /// Whether taking or making a call holds the one that goes on.
    pub hold_others: bool,
    /// The frequency of the tone it says, in hertz.
    pub tone_hz: u32,
    /// Whether it says something before a step tells it to.
    pub talks: bool,
    /// Whether it registers before the first step.
    pub registers: bool,
    /// The numbers it watches from the beginning.
    pub watches: Vec<Box<str>>,
    /// Whether it watches its mailbox.
    pub mailbox: bool,
    /// Whether others may see its presence.
    pub publishes: bool,
    /// Where it is introduced.
    pub line: u32,
}

/// One sentence.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Where it stands in the file.
    pub line: u32,
    /// The sentence.
    pub text: Box<str>,
    /// What it means.
    pub kind: StepKind,
}

/// What a sentence means. Steps that are no [`StepKind::Wait`] and no [`StepKind::Claim`] take no time: those that follow each
/// other happen at the same moment.
#[derive(Clone, Debug, PartialEq)]
pub enum StepKind {
    /// Phones, by their place in [`Scenario::phones`], do the same.
    Deed(Vec<usize>, Deed),
    /// The network between phones and server changes.
    Network(Faults),
    /// The switch is killed and started again.
    Restart,
    /// The operator of the switch keeps so many new messages for a number.
    Mailbox(Box<str>, u32),
    /// The operator of the switch orders something in a conference.
    RoomOrder(RoomOrder),
    /// A program tells the switch to do something.
    Order(Order),
    /// Time passes.
    Wait(Duration),
    /// Something has to be true.
    Claim(Claim),
}

/// What a phone does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Registers.
    Register,
    /// Removes its registration.
    Unregister,
    /// Calls a number or a URI.
    Call(Box<str>),
    /// Calls once more what it called last.
    Redial,
    /// Takes a call that rings.
    Answer(Peer),
    /// Says that it is busy.
    Reject(Peer),
    /// Declines.
    Decline(Peer),
    /// Ends a call in whatever state it is.
    HangUp(Peer),
    /// Holds the other side.
    Hold(Peer),
    /// Sends the other side of its call with somebody to somebody else.
    Transfer(Box<str>, Box<str>),
    /// Brings the other sides of two of its calls together.
    Join(Box<str>, Box<str>),
    /// Makes one call of two of its calls.
    Merge(Box<str>, Box<str>),
    /// Sends a text to somebody.
    Write(Box<str>, Box<str>),
    /// Talks again.
    Resume(Peer),
    /// Sends silence, or no longer.
    Mute(bool),
    /// Presses keys.
    Press(Box<str>, DigitWay),
    /// Says its tone, or nothing; other than [`Deed::Mute`] it is the user that is silent.
    Talk(bool),
    /// Nothing from it or to it arrives, or it does again.
    Online(bool),
    /// Whether callers are told that we are busy.
    DoNotDisturb(bool),
    /// Its user is not there, or is again.
    Away(bool),
    /// Watches a number, or no longer.
    Watch(Box<str>, bool),
}

/// What a phone sees of a number that it watches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Its calls.
    Calls(Lamp),
    /// Its presence.
    Presence(Availability),
    /// Neither.
    Nothing,
}

/// Whose call is meant: that with a number, or whichever fits.
pub type Peer = Option<Box<str>>;

/// Something that has to be true.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    /// All of it has to hold at the same time.
    pub facts: Vec<Fact>,
    /// Whether it has to hold, or not to.
    pub wanted: bool,
    /// How long it may take to begin, on a network that loses nothing.
    pub within: Duration,
    /// For how long it has to hold from then on without a break.
    pub lasting: Duration,
}

/// Something that may be true of a phone, by its place in [`Scenario::phones`], or of the switch.
#[derive(Clone, Debug, PartialEq)]
pub enum Fact {
    /// The registrar has its contact.
    Registered(usize),
    /// A call comes in and is not answered.
    Rings(usize, Peer),
    /// Its own call rings at the other side.
    HearsRinging(usize),
    /// A call is connected.
    Connected(usize, Peer),
    /// It has no call.
    Idle(usize),
    /// It holds the other side.
    Holding(usize, Peer),
    /// The other side holds it.
    OnHold(usize, Peer),
    /// A call came in during another one and is not answered.
    Waiting(usize, Peer),
    /// Somebody was told that it is busy, since the last deed.
    TurnedAway(usize, Peer),
    /// The other side pressed exactly these keys since the last deed.
    Digits(usize, Box<str>),
    /// A SIP message came since the last deed.
    Received(usize, Wire),
    /// Its last call, or the last one with somebody, is over.
    Ended(usize, Peer, How),
    /// It could not send somebody elsewhere, since the last deed.
    NotTransferred(usize, How),
    /// The registrar has refused it, and it was not registered since.
    NotRegistered(usize, How),
    /// A text of its own was not taken, since the last deed.
    NotWritten(usize, How),
    /// It got a text, from somebody, since the last deed.
    Read(usize, Box<str>, Peer),
    /// It sees this of a number that it watches.
    Sees(usize, Box<str>, Sight),
    /// So many new messages wait for it.
    Messages(usize, u32),
    /// It hears a tone of so many hertz.
    Hears(usize, u32),
    /// It hears these tones, and none of the others that the scenario knows.
    HearsOnly(usize, Vec<u32>),
    /// It hears nothing at all.
    HearsNothing(usize),
    /// It hears something that no phone says.
    HearsMusic(usize),
    /// The switch has so many calls.
    SwitchCalls(usize),
    /// So many calls were missed, as their records say.
    Missed(usize),
    /// The last call record of the switch has this status, and this end.
    Recorded(u16, Option<RecordedEnd>),
}

/// What is looked for on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wire {
    /// A response to an INVITE.
    Status(u16),
    /// A request.
    Method(Box<str>),
}

/// How a call ends for a phone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum How {
    /// In any way.
    Anyhow,
    /// It hung up, gave up or refused itself.
    Here,
    /// The other side hung up or gave up.
    There,
    /// Another phone took it.
    Elsewhere,
    /// It did not work, or no longer; the words are those of [`REASONS`], or a status.
    Fails(Box<str>),
}

/// Who ended a call, as its record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedEnd {
    /// The caller.
    Caller,
    /// The callee.
    Callee,
    /// The switch.
    Switch,
}

/// Why calls fail, as a scenario says it.
pub const REASONS: [&str; 16] = [
    "busy",
    "declined",
    "unavailable",
    "not answered",
    "unknown number",
    "no common format",
    "cancelled",
    "lost",
    "forbidden",
    "wrong password",
    "server busy",
    "server failed",
    "no answer of the server",
    "server unreachable",
    "moved",
    "nonsense",
];

impl Scenario {
    /// Whether it can only be played where the switch is in our hands.
    pub fn needs_the_switch(&self) -> bool {
        self.steps.iter().any(|step| match step.kind {
            StepKind::Restart | StepKind::Mailbox(..) | StepKind::Order(_) | StepKind::RoomOrder(_) => true,
            StepKind::Deed(..) | StepKind::Network(_) | StepKind::Wait(_) | StepKind::Claim(_) => false,
        })
    }

    /// Every tone that somebody may say, or that is listened for, in hertz.
    pub fn tones(&self) -> Vec<u32> {
        let said = self.phones.iter().map(|phone| phone.tone_hz);
        let claims = self.steps.iter().filter_map(|step| match &step.kind {
            StepKind::Claim(claim) => Some(&claim.facts),
            StepKind::Deed(..)
            | StepKind::Network(_)
            | StepKind::Restart
            | StepKind::Mailbox(..)
            | StepKind::Order(_)
            | StepKind::RoomOrder(_)
            | StepKind::Wait(_) => None,
        });
        let heard = claims.flatten().flat_map(Fact::tones);
        let mut tones: Vec<u32> = said.chain(heard).collect();
        tones.sort_unstable();
        tones.dedup();
        tones
    }
}

impl Fact {
    /// The tones that it is about.
    fn tones(&self) -> Vec<u32> {
        match self {
            Fact::Hears(_, tone) => vec![*tone],
            Fact::HearsOnly(_, tones) => tones.clone(),
            Fact::HearsNothing(_)
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
            | Fact::Recorded(..) => Vec::new(),
        }
    }

    /// Whether only somebody who sees into the switch can tell.
    pub fn is_inside(&self) -> bool {
        match self {
            Fact::SwitchCalls(_) | Fact::Missed(_) | Fact::Recorded(..) => true,
            Fact::Registered(_)
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
            | Fact::Hears(..)
            | Fact::HearsOnly(..)
            | Fact::HearsNothing(_)
            | Fact::HearsMusic(_) => false,
        }
    }

    /// Whether it is about sound, which takes a moment longer to be told from no sound.
    pub(super) fn is_sound(&self) -> bool {
        match self {
            Fact::Hears(..) | Fact::HearsOnly(..) | Fact::HearsNothing(_) | Fact::HearsMusic(_) => true,
            Fact::SwitchCalls(_)
            | Fact::Missed(_)
            | Fact::Recorded(..)
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
            | Fact::Messages(..) => false,
        }
    }
}

//! What the people of the office do, and how lots are drawn for it.

use sip_stack::random::Random;
use std::time::Duration;

/// Phones of the office; the last two are second phones of the first users of its halves.
pub const PHONES: usize = 50;
/// Users of the office.
pub const USERS: usize = 48;

/// Whom somebody calls, or sends a partner to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// A user, from 0 on.
    User(usize),
    /// A conference.
    Conference(u8),
    /// The ring group.
    Group,
    /// The code that picks up what rings at a user.
    Pickup(usize),
    /// The code that picks up what rings in one's own group.
    PickupGroup,
    /// The code that takes one's own call over to another phone of one's own.
    TakeOver,
    /// The number that parks, for transfers.
    Park,
    /// A slot of those who are parked.
    Slot(u8),
    /// A service that answers.
    Service,
    /// A number that nobody has.
    Nobody,
    /// Forwards all calls to a user.
    ForwardTo(usize),
    /// Forwards no more.
    ForwardNone,
    /// Wants no calls, or wants them again.
    Disturb(bool),
}

impl Number {
    /// As it is dialled.
    #[must_use]
    pub fn dialled(self) -> String {
        match self {
            Number::User(user) => user_name(user),
            Number::Conference(room) => format!("300{room}"),
            Number::Group => "600".into(),
            Number::Pickup(user) => format!("**{}", user_name(user)),
            Number::PickupGroup => "*8".into(),
            Number::TakeOver => "*9".into(),
            Number::Park => "700".into(),
            Number::Slot(slot) => format!("70{slot}"),
            Number::Service => "4000".into(),
            Number::Nobody => "1999".into(),
            Number::ForwardTo(user) => format!("*21*{}#", user_name(user)),
            Number::ForwardNone => "##002#".into(),
            Number::Disturb(false) => "*78".into(),
            Number::Disturb(true) => "*79".into(),
        }
    }
}

/// The name of a user.
#[must_use]
pub fn user_name(user: usize) -> String {
    format!("{}", 1001 + user)
}

/// The user of a phone.
#[must_use]
pub const fn user_of(phone: usize) -> usize {
    match phone {
        48 => 0,
        49 => 24,
        phone => phone,
    }
}

/// What a program commands, of a call that is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Ends it.
    HangUp,
    /// Sends one party away: the caller?
    SendAway(bool),
    /// Sends the partner of a party to a user.
    Transfer(bool, usize),
    /// Brings the partners of a user in two calls together.
    Connect,
    /// Parks the partner of a party.
    Park(bool),
    /// Begins or ends its recording.
    Record(bool),
    /// Says something in it.
    Say,
    /// Presses keys for a party.
    Digits(bool),
}

/// What happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// A phone calls.
    Call(Number),
    /// What rings is answered.
    Answer,
    /// What rings is refused as busy, or declined.
    Refuse(bool),
    /// A call is ended by one of its phones, whatever its state.
    HangUp,
    /// A phone gives up a call that nobody has answered.
    GiveUp,
    /// A party holds the other one.
    Hold,
    /// It talks again.
    Resume,
    /// A party sends the other one to a number.
    Transfer(Number),
    /// A party of two calls brings its partners together.
    Join,
    /// A phone takes its registration back.
    Leave,
    /// It registers again.
    Return,
    /// A phone loses its power and comes back.
    PowerCut,
    /// A program commands.
    Order(Order),
    /// From now on the network loses so many datagrams of a hundred, and lets others overtake.
    Weather(u32),
    /// The switch is killed and comes back with what its database has.
    Kill,
    /// Everybody is asked what is heard, and lamps are looked at.
    Look,
}

/// An act: when, and by whom: by the first phone from that one on that can.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deed {
    /// After the one before.
    pub after: Duration,
    /// A phone, or the place of a call.
    pub who: usize,
    /// What.
    pub act: Act,
}

fn below(random: &mut Random, limit: usize) -> usize {
    random.next_u32() as usize % limit
}

/// Mostly a moment, in which messages of the one before are under way yet.
fn pause(random: &mut Random) -> Duration {
    let millis = match below(random, 16) {
        0..4 => 0,
        4..9 => below(random, 60),
        9..15 => below(random, 2_500),
        _ => below(random, 12_000),
    };
    Duration::from_millis(millis as u64)
}

fn user(random: &mut Random) -> usize {
    below(random, USERS)
}

fn number(random: &mut Random) -> Number {
    match below(random, 40) {
        0..24 => Number::User(user(random)),
        24..27 => Number::Conference(below(random, 3) as u8),
        27 => Number::Group,
        28..31 => Number::Pickup(user(random)),
        31 => Number::PickupGroup,
        32 => Number::TakeOver,
        33..35 => Number::Slot(1 + below(random, 4) as u8),
        35 => Number::Service,
        36 => Number::Nobody,
        37 => Number::ForwardTo(user(random)),
        38 => Number::ForwardNone,
        _ => Number::Disturb(below(random, 3) > 0),
    }
}

fn destination(random: &mut Random) -> Number {
    match below(random, 10) {
        0..5 => Number::User(user(random)),
        5 => Number::Conference(below(random, 3) as u8),
        6 | 7 => Number::Park,
        8 => Number::Slot(1 + below(random, 4) as u8),
        _ => Number::Nobody,
    }
}

fn order(random: &mut Random) -> Order {
    let side = below(random, 2) == 0;
    match below(random, 12) {
        0 | 1 => Order::HangUp,
        2 => Order::SendAway(side),
        3 | 4 => Order::Transfer(side, user(random)),
        5 => Order::Connect,
        6 | 7 => Order::Park(side),
        8 => Order::Record(side),
        9 | 10 => Order::Say,
        _ => Order::Digits(side),
    }
}

/// So many deeds, as the lots say.
#[must_use]
pub fn draw(seed: u64, count: usize) -> Vec<Deed> {
    let mut bytes = [0x0f; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut random = Random::new(bytes);
    let deed = |at: usize| {
        let random = &mut random;
        let act = match below(random, 100) {
            _ if at % 40 == 39 => Act::Look,
            0..26 => Act::Call(number(random)),
            26..48 => Act::Answer,
            48..52 => Act::Refuse(below(random, 2) == 0),
            52..64 => Act::HangUp,
            64..67 => Act::GiveUp,
            67..73 => Act::Hold,
            73..77 => Act::Resume,
            77..83 => Act::Transfer(destination(random)),
            83..87 => Act::Join,
            87 => Act::Leave,
            88 | 89 => Act::Return,
            90 => Act::PowerCut,
            91..98 => Act::Order(order(random)),
            98 => Act::Weather([0, 0, 5, 15][below(random, 4)]),
            _ if below(random, 6) == 0 => Act::Kill,
            _ => Act::Answer,
        };
        Deed { after: pause(random), who: below(random, PHONES), act }
    };
    (0..count).map(deed).collect()
}

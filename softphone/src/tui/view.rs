//! What is seen, in words: rows for accounts, lines, sound and past calls, and the keys that do something now.

use super::text::{ago, clock, shown, spoken_uri};
use super::{Facts, Ui};
use crate::phone::{
    AutoAnswer, Availability, CallDirection, CallOverview, CallStage, Codec, Ending, Lamp, LoggedCall,
    Standing, WatchOverview,
};
use crate::voice::VoiceFigures;
use sip_stack::Time;
use std::time::Duration;

/// How a word is tinted; it says the same without.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tint {
    /// As it is.
    #[default]
    Plain,
    /// It works.
    Good,
    /// It is on its way, or wants something of the user.
    Busy,
    /// It does not work.
    Bad,
}

/// An account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountRow {
    /// `user@domain`.
    pub name: String,
    /// How it stands, in words.
    pub state: String,
    /// How that is.
    pub tint: Tint,
    /// Whether calls are made from it.
    pub current: bool,
}

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineRow {
    /// How far it is, in words.
    pub state: &'static str,
    /// How that is.
    pub tint: Tint,
    /// How long it has been connected.
    pub time: Option<String>,
    /// The other side.
    pub peer: String,
    /// Hold and mute, in words.
    pub marks: String,
    /// Whether keys are for it.
    pub chosen: bool,
}

/// A number that is watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WatchedRow {
    /// The number.
    pub name: String,
    /// How it is with them, in words.
    pub state: String,
    /// How that is.
    pub tint: Tint,
    /// Whether Enter calls it.
    pub chosen: bool,
}

/// The sound of a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quality {
    /// Name and value of what is known.
    pub figures: Vec<(&'static str, String)>,
}

/// The number that is typed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DialRow {
    /// As it is.
    pub text: String,
    /// Characters before the cursor; `None` when keys go elsewhere.
    pub cursor: Option<usize>,
}

/// A past call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogRow {
    /// To them or from them.
    pub arrow: &'static str,
    /// The other side.
    pub peer: String,
    /// When.
    pub ago: String,
    /// How it went.
    pub outcome: String,
    /// How that is.
    pub tint: Tint,
}

/// Everything on the screen.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct View {
    /// What is set: do not disturb, calls that are taken automatically.
    pub modes: Vec<String>,
    /// The accounts.
    pub accounts: Vec<AccountRow>,
    /// The lines in use.
    pub lines: Vec<LineRow>,
    /// The numbers that are watched.
    pub watched: Vec<WatchedRow>,
    /// The sound of the chosen line.
    pub quality: Option<Quality>,
    /// The level of the microphone in dBov; `None`: silent.
    pub microphone: Option<i8>,
    /// The level of the speaker.
    pub speaker: Option<i8>,
    /// The number that is typed, or the keys pressed in a call.
    pub dial: DialRow,
    /// Keys that were pressed in the chosen call.
    pub pressed: String,
    /// Past calls, the newest first.
    pub log: Vec<LogRow>,
    /// What was told, the newest last.
    pub notices: Vec<String>,
    /// Keys that do something now, and what.
    pub keys: Vec<(&'static str, &'static str)>,
}

impl View {
    /// What is seen of the phone while the user does what they do.
    pub fn of(facts: &Facts, ui: &Ui) -> View {
        let chosen = ui.chosen(facts);
        View {
            modes: modes(facts),
            accounts: (0_u16..).zip(&facts.accounts).map(|(at, _)| account(facts, ui, at)).collect(),
            lines: facts.calls.iter().map(|call| line(facts, ui, call, chosen)).collect(),
            watched: facts
                .watched
                .iter()
                .enumerate()
                .map(|(at, row)| watched(row, ui.watched == Some(at)))
                .collect(),
            quality: chosen.and_then(|call| facts.sounds.get(&call.call)).map(quality),
            microphone: ui.microphone.shown(facts.now),
            speaker: ui.speaker.shown(facts.now),
            dial: DialRow {
                text: ui.dial.text.iter().collect(),
                cursor: ui.dial.active.then_some(ui.dial.cursor),
            },
            pressed: ui.pressed.clone(),
            log: facts.log.iter().skip(ui.scrolled).map(|call| logged(facts, ui, call)).collect(),
            notices: ui.notices.iter().cloned().collect(),
            keys: keys(facts, ui, chosen),
        }
    }
}

fn modes(facts: &Facts) -> Vec<String> {
    let mut modes = Vec::new();
    if facts.do_not_disturb {
        modes.push("do not disturb".to_owned());
    }
    if facts.away == Some(true) {
        modes.push("away".to_owned());
    }
    match &facts.auto_answer {
        AutoAnswer::Never => {}
        AutoAnswer::Always => modes.push("calls are answered at once".to_owned()),
        AutoAnswer::After(delay) => modes.push(format!("calls are answered after {} s", delay.as_secs())),
        AutoAnswer::Numbers { .. } => modes.push("some callers are answered automatically".to_owned()),
    }
    modes
}

fn account(facts: &Facts, ui: &Ui, at: u16) -> AccountRow {
    let (user, domain, standing) = &facts.accounts[usize::from(at)];
    let (state, tint) = match standing {
        Standing::Away => ("not registered".to_owned(), Tint::Plain),
        Standing::Asking => ("registering …".to_owned(), Tint::Busy),
        Standing::Registered => ("registered".to_owned(), Tint::Good),
        Standing::Failed { reason, retry_at: None } => (format!("not registered: {reason}"), Tint::Bad),
        Standing::Failed { reason, retry_at: Some(at) } => {
            let left = at.since(facts.now).as_secs();
            let next = if left == 0 { "Again now.".to_owned() } else { format!("Again in {left} s.") };
            (format!("not registered: {reason} {next}"), Tint::Bad)
        }
    };
    let waiting = facts.mailboxes.get(usize::from(at)).copied().flatten().filter(|mailbox| mailbox.waiting);
    let state = waiting.map_or(state.clone(), |mailbox| format!("{state}, {mailbox}"));
    let name = format!("{}@{}", shown(user.as_bytes()), shown(domain.as_bytes()));
    AccountRow { name, state, tint, current: ui.account == at }
}

fn line(facts: &Facts, ui: &Ui, call: &CallOverview, chosen: Option<&CallOverview>) -> LineRow {
    let (state, tint, since) = match call.stage {
        CallStage::Calling => ("calling", Tint::Busy, None),
        CallStage::Ringing => ("ringing there", Tint::Busy, None),
        CallStage::Incoming => ("calls you", Tint::Busy, None),
        CallStage::Connected(since) if call.held || call.held_by_peer => {
            ("on hold", Tint::Plain, Some(since))
        }
        CallStage::Connected(since) => ("talking", Tint::Good, Some(since)),
    };
    let marks =
        [(call.held, "held by you"), (call.held_by_peer, "held by them"), (call.muted, "microphone off")];
    let marks: Vec<&str> = marks.into_iter().filter_map(|(is_so, mark)| is_so.then_some(mark)).collect();
    LineRow {
        state,
        tint,
        time: since.map(|since| clock(facts.now.since(since))),
        peer: ui.name(call.call, facts),
        marks: marks.join(", "),
        chosen: chosen.is_some_and(|chosen| chosen.call == call.call),
    }
}

fn watched(row: &WatchOverview, chosen: bool) -> WatchedRow {
    let (state, tint) = match (row.lamp, row.availability, &row.fault) {
        (Some(lamp @ (Lamp::Ringing | Lamp::Calling)), ..) => (lamp.word().to_owned(), Tint::Busy),
        (Some(lamp @ Lamp::Talking), ..) => (lamp.word().to_owned(), Tint::Bad),
        (_, Some(availability), _) => {
            let tint = match availability {
                Availability::Available => Tint::Good,
                Availability::Away => Tint::Busy,
                Availability::DoNotDisturb | Availability::OnThePhone => Tint::Bad,
                Availability::Offline => Tint::Plain,
            };
            (availability.words().to_owned(), tint)
        }
        (Some(lamp @ Lamp::Idle), None, _) => (lamp.word().to_owned(), Tint::Good),
        (None, None, Some(reason)) => (reason.to_string(), Tint::Bad),
        (None, None, None) => ("…".to_owned(), Tint::Plain),
    };
    let with = row.peer.as_deref().map(|peer| format!(" ({})", shown(peer.as_bytes()))).unwrap_or_default();
    WatchedRow { name: shown(row.target.as_bytes()), state: state + &with, tint, chosen }
}

fn quality(figures: &VoiceFigures) -> Quality {
    let codec = |codec: Option<Codec>| codec.map_or("–", Codec::name);
    let (sending, hearing) = (codec(figures.sending), codec(figures.hearing));
    let same = sending == hearing || figures.hearing.is_none();
    let jitter = &figures.jitter;
    let (lost, missed) = (jitter.lost, jitter.lost as f64 / (jitter.received + jitter.lost).max(1) as f64);
    let mut rows = vec![
        ("codec", if same { sending.to_owned() } else { format!("{sending} out, {hearing} in") }),
        ("lost", format!("{lost} ({:.1} %)", 100.0 * missed)),
        ("jitter", format!("{:.1} ms", f64::from(jitter.jitter_us) / 1_000.0)),
        ("delay", format!("{} ms", jitter.delay_us / 1_000)),
    ];
    if let Some(rtcp) = figures.rtcp {
        if let Some(trip) = rtcp.round_trip {
            rows.push(("round trip", format!("{} ms", trip.as_millis())));
        }
        if let Some(remote) = rtcp.remote {
            rows.push(("lost there", format!("{:.1} %", 100.0 * f64::from(remote.fraction_lost) / 256.0)));
        }
        if let Some(quality) = rtcp.quality {
            rows.push(("MOS", format!("{:.1}", f64::from(quality.mos_listening) / 10.0)));
        }
    }
    Quality { figures: rows }
}

fn logged(facts: &Facts, ui: &Ui, call: &LoggedCall) -> LogRow {
    let domain = facts.accounts.get(usize::from(call.account.0)).map_or("", |(_, domain, _)| domain);
    let talked = |until: Time| clock(call.connected.map_or(Duration::ZERO, |since| until.since(since)));
    let (outcome, tint) = match (&call.ended, call.connected) {
        (None, _) => ("goes on".to_owned(), Tint::Good),
        _ if call.is_missed() => ("missed".to_owned(), Tint::Bad),
        (Some((at, Ending::Failed(reason))), Some(_)) => {
            (format!("{}, then: {reason}", talked(*at)), Tint::Bad)
        }
        (Some((_, Ending::Failed(reason))), None) => (reason.to_string(), Tint::Bad),
        (Some((at, Ending::Ours | Ending::Theirs | Ending::Elsewhere)), Some(_)) => {
            (talked(*at), Tint::Plain)
        }
        (Some((_, Ending::Elsewhere)), None) => ("answered elsewhere".to_owned(), Tint::Plain),
        (Some((_, Ending::Ours | Ending::Theirs)), None) => ("not answered".to_owned(), Tint::Plain),
    };
    LogRow {
        arrow: match call.direction {
            CallDirection::Outgoing => "→",
            CallDirection::Incoming => "←",
        },
        peer: match call.call.filter(|_| call.ended.is_none()) {
            Some(id) => ui.name(id, facts),
            None => spoken_uri(&call.peer, domain),
        },
        ago: ago(facts.now.since(call.began)),
        outcome,
        tint,
    }
}

fn keys(facts: &Facts, ui: &Ui, chosen: Option<&CallOverview>) -> Vec<(&'static str, &'static str)> {
    if ui.dial.active {
        return vec![("Enter", "call"), ("Esc", "clear"), ("Tab", "back to the lines"), ("^C", "leave")];
    }
    let mut keys = Vec::new();
    let rings = |call: &CallOverview| call.stage == CallStage::Incoming;
    if facts.calls.iter().any(rings) {
        keys.extend([("a", "answer"), ("b", "say busy")]);
    }
    match chosen.map(|call| call.stage) {
        Some(CallStage::Connected(_)) => {
            let held = chosen.is_some_and(|call| call.held);
            let muted = chosen.is_some_and(|call| call.muted);
            keys.extend([
                ("h", "hang up"),
                ("o", if held { "resume" } else { "hold" }),
                ("m", if muted { "microphone on" } else { "mute" }),
                ("0-9*#", "press"),
            ]);
        }
        Some(CallStage::Incoming) => keys.push(("h", "decline")),
        Some(CallStage::Calling | CallStage::Ringing) => keys.push(("h", "give up")),
        None => {}
    }
    if facts.calls.len() > 1 {
        keys.push(("Tab", "other line"));
    }
    keys.extend([("c", "call"), ("r", "redial")]);
    keys.push(("n", if facts.do_not_disturb { "may be disturbed" } else { "do not disturb" }));
    keys.push((
        "u",
        if facts.auto_answer == AutoAnswer::Never { "answer by itself" } else { "answer by hand" },
    ));
    if let Some(away) = facts.away {
        keys.push(("v", if away { "back" } else { "away" }));
    }
    if !facts.watched.is_empty() {
        keys.push(("w", "choose a watched number"));
        if ui.watched(facts).is_some() && !facts.calls.iter().any(rings) {
            keys.push(("Enter", "call it"));
        }
    }
    if facts.accounts.len() > 1 {
        keys.push(("@", "other account"));
    }
    let enabled = ui.enabled(facts);
    keys.push(("g", if enabled { "unregister" } else { "register" }));
    if facts.log.len() > 1 {
        keys.push(("PgDn", "older calls"));
    }
    keys.push(("q", "leave"));
    keys
}

//! `softswitch control`: commands to the switch that runs, over its socket; and its events.

#![cfg_attr(not(unix), allow(dead_code))]

use super::arguments::{
    ControlAction, ControlArguments, Keys, Listing, MailboxCounts, Originating, Phone, PickingUp, RoomAction,
    Text, Transfers,
};
use super::{CliError, place};
use crate::config::{Mailbox, Recording};
use crate::control::{Line, Request};
use crate::core::Timestamp;
use crate::core::command::{
    BindingView, CallState, CallView, Command, DeviceRef, Done, LONGEST_PAGE, Originate, Page, Range,
    RoomOrder, RoomView, SubscriptionView,
};
use crate::io::SOCKET;
use crate::rooms::Standing;
use serde_json::Value;
use sip_stack::message::Escaped;
use std::io::{self, BufRead, BufReader, Write};

/// A list, by pages.
type List = fn(Range) -> Command;

/// Does what is asked for, and shows what came of it.
pub(super) fn control(arguments: &ControlArguments) -> Result<(), CliError> {
    let data = place::data_directory(arguments.data.as_deref())?;
    let mut link = Link::open(&data.join(SOCKET), arguments)?;
    let list: List = match &arguments.action {
        ControlAction::List(Listing::Calls) => Command::Calls,
        ControlAction::List(Listing::Registrations) => Command::Registrations,
        ControlAction::List(Listing::Rooms) => Command::Rooms,
        ControlAction::List(Listing::Subscriptions) => Command::Subscriptions,
        ControlAction::Events { from } => return link.follow(*from),
        ControlAction::Send { command } => {
            let command =
                serde_json::from_str(command).map_err(|error| CliError::Command(error.to_string()))?;
            return link.command(command).map(|_| ());
        }
        action => return link.command(command_of(action)).map(|_| ()),
    };
    let mut range = Range { from: 0, limit: LONGEST_PAGE };
    while let Some(next) = link.command(list(range))? {
        range.from = next;
    }
    Ok(())
}

/// The command of an action that is one.
fn command_of(action: &ControlAction) -> Command {
    match action {
        ControlAction::HangUp { call, side } => Command::HangUp { call: *call, side: *side },
        ControlAction::Transfer(Transfers { leg, number }) => {
            Command::Transfer { leg: *leg, number: (&**number).into() }
        }
        ControlAction::Connect { leg, with } => Command::Connect { leg: *leg, with: *with },
        ControlAction::Park { leg, slot } => Command::Park { leg: *leg, slot: *slot },
        ControlAction::Originate(it) => Command::Originate(Box::new(originate(it))),
        ControlAction::Hold { leg } => Command::Hold { leg: *leg },
        ControlAction::Resume { leg } => Command::Resume { leg: *leg },
        ControlAction::PickUp(PickingUp { user, call, of, phone }) => Command::PickUp {
            user: user.clone(),
            device: device(phone),
            call: *call,
            of: of.clone(),
            auto_answer: phone.auto_answer,
        },
        ControlAction::Retrieve { slot, user, phone } => Command::Retrieve {
            slot: *slot,
            user: user.clone(),
            device: device(phone),
            auto_answer: phone.auto_answer,
        },
        ControlAction::Move { leg, phone } => {
            Command::Move { leg: *leg, device: device(phone), auto_answer: phone.auto_answer }
        }
        ControlAction::CallBack { user, of, off } => {
            Command::CallBack { user: user.clone(), of: (&**of).into(), on: !off }
        }
        ControlAction::Join { leg, with } => Command::Join { leg: *leg, with: *with },
        ControlAction::Record { call, off } => {
            Command::Record { call: *call, on: !off, form: Recording::default() }
        }
        ControlAction::Say(Text { call, what, to }) => {
            Command::Say { call: *call, prompt: (&**what).into(), to: *to }
        }
        ControlAction::Play(Text { call, what, to }) => {
            let file =
                std::path::absolute(what).map_or_else(|_| what.clone(), |path| path.display().to_string());
            Command::Play { call: *call, file: file.into(), to: *to }
        }
        ControlAction::Digits(Keys { leg, digits }) => {
            Command::SendDigits { leg: *leg, digits: (&**digits).into() }
        }
        ControlAction::Mailbox(MailboxCounts { user, new, old, urgent_new, urgent_old }) => {
            let (new, old, urgent_new, urgent_old) = (*new, *old, *urgent_new, *urgent_old);
            Command::SetMailbox { user: user.clone(), mailbox: Mailbox { new, old, urgent_new, urgent_old } }
        }
        ControlAction::Room { room, order } => Command::Room { room: room.clone(), order: order_of(order) },
        ControlAction::Trace { off } => Command::Trace { on: !off },
        ControlAction::Stop => Command::ShutDown,
        ControlAction::Reload
        | ControlAction::List(_)
        | ControlAction::Events { .. }
        | ControlAction::Send { .. } => Command::Reload,
    }
}

fn device(phone: &Phone) -> Option<DeviceRef> {
    phone.device.as_deref().map(|device| DeviceRef(device.into()))
}

fn originate(it: &Originating) -> Originate {
    let variable = |text: &String| {
        let (name, word) = text.split_once('=').unwrap_or((text, ""));
        (name.into(), word.into())
    };
    Originate {
        user: it.user.clone(),
        number: (&*it.number).into(),
        from: it.from.as_deref().map(Into::into),
        device: device(&it.phone),
        caller_id: it.caller_id.as_deref().map(Into::into),
        timeout_s: it.timeout,
        auto_answer: it.phone.auto_answer,
        variables: it.variables.iter().map(variable).collect(),
    }
}

/// The order of an action in a conference.
fn order_of(order: &RoomAction) -> RoomOrder {
    match order {
        RoomAction::Lock => RoomOrder::Lock,
        RoomAction::Unlock => RoomOrder::Unlock,
        RoomAction::MuteAll => RoomOrder::MuteAll,
        RoomAction::UnmuteAll => RoomOrder::UnmuteAll,
        RoomAction::Mute { call } => RoomOrder::Mute { call: *call },
        RoomAction::Unmute { call } => RoomOrder::Unmute { call: *call },
        RoomAction::Kick { call } => RoomOrder::Kick { call: *call },
        RoomAction::Role { call, role } => RoomOrder::SetRole { call: *call, role: *role },
        RoomAction::Gain { call, decibels } => RoomOrder::Gain { call: *call, decibels: *decibels },
        RoomAction::Move { call, to } => RoomOrder::Move { call: *call, to: to.clone() },
        RoomAction::Invite { number } => RoomOrder::Invite { number: (&**number).into() },
        RoomAction::End => RoomOrder::End,
    }
}

#[cfg(unix)]
type Stream = std::os::unix::net::UnixStream;
#[cfg(not(unix))]
type Stream = std::net::TcpStream;

/// The socket of the switch.
struct Link<'a> {
    lines: BufReader<Stream>,
    arguments: &'a ControlArguments,
    last: u64,
}

impl<'a> Link<'a> {
    #[cfg(unix)]
    fn open(path: &std::path::Path, arguments: &'a ControlArguments) -> Result<Link<'a>, CliError> {
        let stream =
            Stream::connect(path).map_err(|source| CliError::NotRunning { path: path.to_owned(), source })?;
        Ok(Link { lines: BufReader::new(stream), arguments, last: 0 })
    }

    #[cfg(not(unix))]
    fn open(path: &std::path::Path, _arguments: &'a ControlArguments) -> Result<Link<'a>, CliError> {
        let source = io::ErrorKind::Unsupported.into();
        Err(CliError::NotRunning { path: path.to_owned(), source })
    }

    fn ask(&mut self, command: Option<Command>, follow: Option<u64>) -> Result<u64, CliError> {
        self.last += 1;
        let request = Request { id: self.last, user: self.arguments.user.clone(), command, follow };
        let mut text = serde_json::to_vec(&request).map_err(|error| CliError::Command(error.to_string()))?;
        text.push(b'\n');
        self.lines.get_mut().write_all(&text).map_err(CliError::Control)?;
        Ok(self.last)
    }

    /// The next line, as it came and as it is read.
    fn line(&mut self) -> Result<(String, Line), CliError> {
        let mut text = String::new();
        if self.lines.read_line(&mut text).map_err(CliError::Control)? == 0 {
            return Err(CliError::Control(io::ErrorKind::UnexpectedEof.into()));
        }
        let line = serde_json::from_str(&text).map_err(|error| CliError::Command(error.to_string()))?;
        Ok((text.trim_end().to_owned(), line))
    }

    /// Gives a command and shows its answer; of a list, where its next page begins.
    fn command(&mut self, command: Command) -> Result<Option<u64>, CliError> {
        let asked = self.ask(Some(command), None)?;
        loop {
            let (text, line) = self.line()?;
            match line {
                Line::Answer { id, accepted, refused, .. } if id == asked => {
                    if self.arguments.json {
                        println!("{text}");
                    }
                    if let Some(refused) = refused {
                        return Err(CliError::Refused(refused.sentence));
                    }
                    let Some(done) = accepted else { return Ok(None) };
                    if !self.arguments.json {
                        show(&done);
                    }
                    return Ok(next_of(&done));
                }
                Line::Error { sentence, .. } => return Err(CliError::Refused(sentence)),
                Line::Hello { .. }
                | Line::Answer { .. }
                | Line::Following { .. }
                | Line::Event(_)
                | Line::CutOff { .. } => {}
            }
        }
    }

    /// Shows events until the switch or the reader ends.
    fn follow(&mut self, from: Option<u64>) -> Result<(), CliError> {
        self.ask(None, Some(from.unwrap_or(0)))?;
        loop {
            let (text, line) = match self.line() {
                Err(CliError::Control(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
                    return Ok(());
                }
                line => line?,
            };
            match line {
                Line::Event(told) if !self.arguments.json => {
                    let value = serde_json::to_value(&told.event).unwrap_or_default();
                    let command =
                        told.command.map(|command| format!(" command={command}")).unwrap_or_default();
                    println!("{} {} {}{command}", moment(told.unix_ms), told.number, flat(&value));
                }
                Line::Event(_) => println!("{text}"),
                Line::Error { sentence, .. } => return Err(CliError::Refused(sentence)),
                Line::CutOff { oldest } => {
                    let sentence =
                        format!("events came too fast; those from {oldest} on are kept: --from {oldest}");
                    return Err(CliError::Refused(sentence.into()));
                }
                Line::Hello { .. } | Line::Answer { .. } | Line::Following { .. } => {}
            }
        }
    }
}

/// A moment in UTC, to the millisecond.
fn moment(unix_ms: u64) -> String {
    let stamp = Timestamp(unix_ms).to_string();
    let (date, time) = stamp.trim_end_matches('Z').split_once('T').unwrap_or_default();
    format!("{date}T{}.{:03}Z", time.replace('-', ":"), unix_ms % 1_000)
}

/// A value of JSON on one line: the name of what is told, and its fields.
fn flat(value: &Value) -> String {
    match value {
        Value::Object(fields) if fields.len() == 1 => {
            let named = fields.iter().map(|(name, inside)| format!("{name}{}", fields_of(inside)));
            named.collect()
        }
        other => plain(other),
    }
}

fn fields_of(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(name, value)| format!(" {name}={}", plain(value))).collect()
        }
        Value::Null => String::new(),
        other => format!(" {}", plain(other)),
    }
}

/// Text is escaped: it may have come from a caller.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => Escaped(text.as_bytes()).to_string(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    }
}

fn next_of(done: &Done) -> Option<u64> {
    match done {
        Done::Accepted | Done::Call(_) | Done::Slot(_) => None,
        Done::Calls(Page { next, .. }) => *next,
        Done::Registrations(Page { next, .. }) => *next,
        Done::Rooms(Page { next, .. }) => *next,
        Done::Subscriptions(Page { next, .. }) => *next,
    }
}

fn show(done: &Done) {
    match done {
        Done::Accepted => println!("done"),
        Done::Slot(slot) => println!("slot {slot}"),
        Done::Call(call) => println!("call {call}"),
        Done::Calls(page) => rows(page, "no calls", call),
        Done::Registrations(page) => rows(page, "nobody is registered", binding),
        Done::Rooms(page) => rows(page, "no conferences", room),
        Done::Subscriptions(page) => rows(page, "no subscriptions", subscription),
    }
}

/// The rows of a page; where there are none, that, beside what programs read.
fn rows<T>(page: &Page<T>, none: &str, shown: impl Fn(&T) -> String) {
    if page.rows.is_empty() && page.next.is_none() {
        eprintln!("{none}");
    }
    page.rows.iter().for_each(|row| println!("{}", shown(row)));
}

fn call(view: &CallView) -> String {
    let CallView { call, domain, caller, callee, state, started_unix_ms, recorded, proxied, .. } = view;
    let state = match state {
        CallState::Trying => "trying",
        CallState::Ringing => "ringing",
        CallState::Talking => "talking",
        CallState::Served => "served",
        CallState::Ended => "ended",
    };
    let mark = |is, mark| if is { mark } else { "" };
    let holds = mark(caller.holds || callee.holds, " on hold");
    let (recorded, proxied) = (mark(*recorded, " recorded"), mark(*proxied, " proxied"));
    let (from, to) = (Escaped(&caller.user), Escaped(&callee.user));
    format!(
        "{call}\t{state}{holds}{recorded}{proxied}\t{from} -> {to}\t{}\tsince {}",
        Escaped(domain.as_bytes()),
        moment(*started_unix_ms)
    )
}

fn binding(view: &BindingView) -> String {
    let BindingView { user, contact, source, user_agent, expires_unix_ms, guest, .. } = view;
    let until = moment(*expires_unix_ms);
    let guest =
        guest.as_ref().map_or_else(String::new, |guest| format!("\tguest {}", Escaped(guest.as_bytes())));
    format!("{user}\t{}\tfrom {source}\t{}\tuntil {until}{guest}", Escaped(contact), Escaped(user_agent))
}

/// A conference, and below it a line for each member.
fn room(view: &RoomView) -> String {
    let mark = |is, mark| if is { mark } else { "" };
    let name = view.name.as_deref().map(|name| format!("\t{}", Escaped(name.as_bytes()))).unwrap_or_default();
    let mut text = format!(
        "{}{name}\t{} {}{}{}{}",
        Escaped(view.room.to_string().as_bytes()),
        view.calls.len(),
        if view.calls.len() == 1 { "member" } else { "members" },
        mark(view.locked, " locked"),
        mark(view.all_muted, " all muted"),
        mark(view.recording.is_some(), " recorded"),
    );
    for member in &view.members {
        let role = match member.role {
            Standing::Moderator => "moderator",
            Standing::Member => "member",
            Standing::Listener => "listener",
        };
        let gain = if member.gain_db == 0 { String::new() } else { format!(" {:+} dB", member.gain_db) };
        text += &format!(
            "\n  {}\t{}\t{role}{}{}{}{}{gain}",
            member.call,
            Escaped(&member.user),
            mark(member.waits, " waits"),
            mark(member.muted, " muted"),
            mark(member.talks, " talks"),
            mark(view.speaker == Some(member.call), " speaks"),
        );
    }
    if !view.calls.is_empty() {
        let heard: Vec<String> = view.heard.iter().map(ToString::to_string).collect();
        text += &format!(
            "\n  everybody hears {}",
            if heard.is_empty() { "nobody".into() } else { heard.join(" ") }
        );
    }
    text
}

fn subscription(view: &SubscriptionView) -> String {
    format!("{}\t{}\t{}", view.watcher, view.package, Escaped(view.subject.to_string().as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_a_line_that_nobody_can_forge() {
        let value =
            serde_json::json!({"call_started": {"caller": "1\n2", "callee": "\u{1b}[2J", "call": "ff"}});
        let line = flat(&value);
        assert!(!line.contains(['\n', '\u{1b}']), "{line:?}");
        assert!(line.starts_with("call_started ") && line.contains("call=ff"), "{line}");
        assert_eq!(moment(951_782_399_042), "2000-02-28T23:59:59.042Z");
    }
}

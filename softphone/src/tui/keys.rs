//! What keys mean: the state of the keyboard's user, and the wishes that follow.
//!
//! There are two places to be: the board, where letters are commands and digits are pressed in the call, and the field of a
//! number to call. Bounds: [`DIAL`] characters in the field, [`NOTICES`] notices, of which the oldest go first.

use super::text::{shown, spoken_uri};
use super::{Facts, Meter};
use crate::phone::{
    AccountId, AutoAnswer, CallId, CallOverview, CallStage, Command, DigitWay, Ending, Event, Rejection,
    Standing, WatchEvent, WatchOverview, Watched,
};
use ratatui::crossterm::event::{Event as Input, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::collections::{BTreeMap, VecDeque};

/// The longest number or address that is typed.
pub(super) const DIAL: usize = 256;
/// Notices that are kept.
pub(super) const NOTICES: usize = 3;
/// Digits of the other side that are shown in one notice.
const DIGITS: usize = 32;
/// Past calls that a page shows.
const PAGE: usize = 5;

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The phone is to do something.
    Command(Command),
    /// The program is to end.
    Leave,
    /// The screen is to be drawn anew.
    Redraw,
}

/// The field of a number to call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dial {
    /// What is in it.
    pub text: Vec<char>,
    /// Where the next character goes.
    pub cursor: usize,
    /// Whether keys go there.
    pub active: bool,
}

impl Dial {
    fn insert(&mut self, letters: impl Iterator<Item = char>) {
        for letter in letters.filter(|letter| !letter.is_control()) {
            if self.text.len() < DIAL {
                self.text.insert(self.cursor, letter);
                self.cursor += 1;
            }
        }
    }

    /// Edits; whether the key was one for that.
    fn edit(&mut self, key: KeyCode) -> bool {
        match key {
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            KeyCode::Delete if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = self.text.len().min(self.cursor + 1),
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Char(letter) => self.insert(core::iter::once(letter)),
            _ => return false,
        }
        true
    }
}

/// The user at the keyboard.
#[derive(Clone, Debug, Default)]
pub struct Ui {
    /// The number that is typed.
    pub dial: Dial,
    /// The line that keys are for, if it is still there.
    pub(super) chosen: Option<CallId>,
    /// The account that calls.
    pub(super) account: u16,
    /// The watched number that Enter calls.
    pub(super) watched: Option<usize>,
    /// Past calls that are scrolled over.
    pub(super) scrolled: usize,
    /// What was told, the newest last.
    pub(super) notices: VecDeque<String>,
    /// Display names of callers.
    pub(super) names: BTreeMap<CallId, String>,
    /// Keys pressed in the chosen call, for the eye.
    pub(super) pressed: String,
    /// How loud we are.
    pub(super) microphone: Meter,
    /// How loud the others are.
    pub(super) speaker: Meter,
    leaving: bool,
}

impl Ui {
    /// A key was pressed, or something pasted: what the user wants with that, as things are.
    pub fn handle(&mut self, input: &Input, facts: &Facts) -> Option<Wish> {
        match input {
            Input::Key(key) if key.kind != KeyEventKind::Release => self.on_key(*key, facts),
            Input::Paste(text) => {
                self.dial.active = true;
                self.dial.insert(text.trim().chars());
                None
            }
            // The screen is drawn in whatever size it has.
            Input::Resize(..) | Input::FocusGained | Input::FocusLost | Input::Mouse(_) | Input::Key(_) => {
                None
            }
        }
    }

    fn on_key(&mut self, key: KeyEvent, facts: &Facts) -> Option<Wish> {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        let leaving = core::mem::take(&mut self.leaving);
        match key.code {
            KeyCode::Char('c') if control => self.leave(leaving, facts),
            KeyCode::Char('l') if control => Some(Wish::Redraw),
            KeyCode::Char('u') if control && self.dial.active => {
                self.dial = Dial { active: true, ..Dial::default() };
                None
            }
            KeyCode::Char(_) if control || key.modifiers.contains(KeyModifiers::ALT) => None,
            KeyCode::PageUp => {
                self.scrolled = self.scrolled.saturating_sub(PAGE);
                None
            }
            KeyCode::PageDown => {
                self.scrolled = (self.scrolled + PAGE).min(facts.log.len().saturating_sub(1));
                None
            }
            KeyCode::Char('q') if !self.dial.active => self.leave(leaving, facts),
            code if self.dial.active => self.on_dial_key(code),
            code => self.on_board_key(code, facts),
        }
    }

    fn leave(&mut self, again: bool, facts: &Facts) -> Option<Wish> {
        if facts.calls.is_empty() || again {
            return Some(Wish::Leave);
        }
        self.leaving = true;
        self.notice("A call goes on. Press q again to hang up and leave.".to_owned());
        None
    }

    fn on_dial_key(&mut self, code: KeyCode) -> Option<Wish> {
        match code {
            KeyCode::Enter => {
                let target: String = core::mem::take(&mut self.dial).text.into_iter().collect();
                let target = target.trim();
                let account = AccountId(self.account);
                (!target.is_empty()).then(|| Wish::Command(Command::Call { account, target: target.into() }))
            }
            KeyCode::Esc => {
                self.dial = Dial::default();
                None
            }
            KeyCode::Up | KeyCode::Down | KeyCode::Tab | KeyCode::BackTab => {
                self.dial.active = false;
                None
            }
            code => {
                let _edited = self.dial.edit(code);
                None
            }
        }
    }

    fn on_board_key(&mut self, code: KeyCode, facts: &Facts) -> Option<Wish> {
        let chosen = self.chosen(facts);
        let command = match code {
            KeyCode::Tab | KeyCode::Down => return self.choose(facts, 1),
            KeyCode::BackTab | KeyCode::Up => return self.choose(facts, -1),
            KeyCode::Char('c' | '/') => {
                self.dial.active = true;
                return None;
            }
            KeyCode::Char('@') => {
                self.account = (self.account + 1) % u16::try_from(facts.accounts.len().max(1)).unwrap_or(1);
                return None;
            }
            KeyCode::Char('a') => self.answer(facts)?,
            KeyCode::Enter => match self.answer(facts) {
                Some(answer) => answer,
                None if self.watched(facts).is_some() => {
                    let row = self.watched(facts)?;
                    let command = Command::Call { account: row.account, target: row.target.clone() };
                    self.watched = None;
                    command
                }
                None => {
                    self.dial.active = true;
                    return None;
                }
            },
            KeyCode::Char('w') => {
                let next = self.watched.map_or(0, |at| at + 1);
                self.watched = (next < facts.watched.len()).then_some(next);
                return None;
            }
            KeyCode::Esc => {
                self.watched = None;
                return None;
            }
            KeyCode::Char('v') => Command::Away(!facts.away?),
            KeyCode::Char('h') => Command::HangUp { call: chosen?.call },
            KeyCode::Char('b') => {
                Command::Reject { call: ringing(facts, chosen)?.call, rejection: Rejection::Busy }
            }
            KeyCode::Char('o') => match chosen? {
                CallOverview { call, held: true, .. } => Command::Resume { call: *call },
                CallOverview { call, held: false, .. } => Command::Hold { call: *call },
            },
            KeyCode::Char('m') => Command::Mute { call: chosen?.call, muted: !chosen?.muted },
            KeyCode::Char('r') => Command::Redial,
            KeyCode::Char('n') => Command::DoNotDisturb(!facts.do_not_disturb),
            KeyCode::Char('u') => Command::AutoAnswer(match facts.auto_answer {
                AutoAnswer::Never => AutoAnswer::Always,
                AutoAnswer::Always | AutoAnswer::After(_) | AutoAnswer::Numbers { .. } => AutoAnswer::Never,
            }),
            KeyCode::Char('g') => {
                Command::Enable { account: AccountId(self.account), enabled: !self.enabled(facts) }
            }
            KeyCode::Char(digit @ ('0'..='9' | '*' | '#' | '+')) => return self.on_digit(digit, chosen),
            _ => return None,
        };
        Some(Wish::Command(command))
    }

    /// Pressed in a call that is talked in, else the beginning of a number.
    fn on_digit(&mut self, digit: char, chosen: Option<&CallOverview>) -> Option<Wish> {
        match chosen {
            Some(CallOverview { call, stage: CallStage::Connected(_), .. }) if digit != '+' => {
                self.pressed.push(digit);
                let digits = digit.to_string().into();
                Some(Wish::Command(Command::Dial { call: *call, digits, way: DigitWay::Best }))
            }
            Some(_) | None => {
                self.dial.active = true;
                self.dial.insert(core::iter::once(digit));
                None
            }
        }
    }

    /// The watched number that is chosen.
    pub(super) fn watched<'a>(&self, facts: &'a Facts) -> Option<&'a WatchOverview> {
        facts.watched.get(self.watched?)
    }

    /// The line that keys are for: the chosen one, else the last.
    pub(super) fn chosen<'a>(&self, facts: &'a Facts) -> Option<&'a CallOverview> {
        let chosen = facts.calls.iter().find(|call| Some(call.call) == self.chosen);
        chosen.or(facts.calls.last())
    }

    fn choose(&mut self, facts: &Facts, step: isize) -> Option<Wish> {
        let at = facts
            .calls
            .iter()
            .position(|call| Some(call.call) == self.chosen(facts).map(|call| call.call))?;
        let count = isize::try_from(facts.calls.len()).unwrap_or(1);
        let next = (isize::try_from(at).unwrap_or(0) + step).rem_euclid(count);
        self.chosen = facts.calls.get(usize::try_from(next).unwrap_or(0)).map(|call| call.call);
        self.pressed.clear();
        None
    }

    fn answer(&mut self, facts: &Facts) -> Option<Command> {
        let call = ringing(facts, self.chosen(facts))?.call;
        self.chosen = Some(call);
        Some(Command::Answer { call })
    }

    /// Whether the account is registered, or tries to be.
    pub(super) fn enabled(&self, facts: &Facts) -> bool {
        match facts.accounts.get(usize::from(self.account)) {
            Some((
                ..,
                Standing::Asking | Standing::Registered | Standing::Failed { retry_at: Some(_), .. },
            )) => true,
            Some((.., Standing::Away | Standing::Failed { retry_at: None, .. })) | None => false,
        }
    }

    /// How loud the calls are now.
    pub fn hear(&mut self, facts: &Facts) {
        let sounds = || facts.sounds.values();
        self.microphone.note(facts.now, sounds().filter_map(|sound| sound.spoken).max());
        self.speaker.note(facts.now, sounds().filter_map(|sound| sound.heard).max());
    }

    /// Past calls that the view may show.
    pub fn log_wanted(&self) -> usize {
        self.scrolled + crate::phone::CALLS.min(100)
    }

    /// Something to tell the user. It is shown as it is: text of others has to be escaped.
    pub(super) fn notice(&mut self, text: String) {
        if self.notices.len() == NOTICES {
            self.notices.pop_front();
        }
        self.notices.push_back(text);
    }

    /// Something that another part of the program says, a line of an error for example.
    pub fn tell(&mut self, text: &str) {
        self.notice(shown(text.as_bytes()));
    }

    /// Something happened to the phone. `facts` are those from before or after.
    pub fn on_event(&mut self, event: &Event, facts: &Facts) {
        match event {
            Event::RegistrationFailed { account, reason, .. } => {
                let user =
                    facts.accounts.get(usize::from(account.0)).map(|(user, ..)| shown(user.as_bytes()));
                self.notice(format!("{}: {reason}", user.unwrap_or_default()));
            }
            Event::Calling { call, .. } => self.begin(*call),
            Event::Incoming { call, from, uri, waiting, .. } => {
                // Who has no display name is told by the URI.
                if from != uri {
                    self.names.insert(*call, shown(from));
                }
                if !waiting {
                    self.begin(*call);
                }
            }
            Event::TurnedAway { from, .. } => {
                self.notice(format!("{} called and was told that you are busy.", shown(from)));
            }
            Event::HoldFailed { call, reason } => {
                self.notice(format!("{}: {reason}", self.name(*call, facts)))
            }
            Event::Transferred { call } => {
                self.notice(format!("{} was transferred.", self.name(*call, facts)))
            }
            Event::TransferFailed { call, reason } => {
                self.notice(format!("{} was not transferred: {reason}", self.name(*call, facts)));
            }
            Event::Message { from, text, .. } => {
                self.notice(format!("{} writes: {}", shown(from), shown(text)))
            }
            Event::MessageFailed { target, reason, .. } => {
                self.notice(format!("The message to {} was not taken: {reason}", shown(target)));
            }
            Event::Digit { call, digit } => {
                let begin = format!("{} pressed ", self.name(*call, facts));
                match self.notices.back_mut().filter(|last| last.starts_with(&begin)) {
                    Some(last) if last.len() < begin.len() + DIGITS => last.push(*digit),
                    Some(_) | None => self.notice(format!("{begin}{digit}")),
                }
            }
            Event::Ended { call, ending } => {
                let name = self.name(*call, facts);
                match ending {
                    Ending::Ours => {}
                    Ending::Theirs => self.notice(format!("{name} hung up.")),
                    Ending::Elsewhere => self.notice(format!("{name} was answered on another phone.")),
                    Ending::Failed(reason) => self.notice(format!("{name}: {reason}")),
                }
                self.names.remove(call);
            }
            Event::Watch { news: WatchEvent::Failed { what, reason, .. }, .. } => match what {
                // Their rows say it.
                Watched::Calls(_) | Watched::Presence(_) => {}
                Watched::Mailbox => self.notice(format!("The mailbox cannot be watched: {reason}")),
                Watched::OwnPresence => self.notice(format!("Others cannot see you: {reason}")),
            },
            // The rows of accounts and lines say it.
            Event::Registered { .. }
            | Event::Unregistered { .. }
            | Event::Ringing { .. }
            | Event::Connected { .. }
            | Event::Held { .. }
            | Event::HeldByPeer { .. }
            | Event::Watch {
                news:
                    WatchEvent::Calls { .. }
                    | WatchEvent::Presence { .. }
                    | WatchEvent::Mailbox(_)
                    | WatchEvent::Published(_),
                ..
            }
            | Event::MessageTaken { .. }
            | Event::Muted { .. } => {}
        }
    }

    fn begin(&mut self, call: CallId) {
        self.chosen = Some(call);
        self.pressed.clear();
    }

    /// Who is on the other side of a call, also of one that is over.
    pub(super) fn name(&self, call: CallId, facts: &Facts) -> String {
        let log = facts
            .log
            .iter()
            .find(|logged| logged.call == Some(call))
            .map(|logged| (&logged.peer, logged.account));
        let live = facts.calls.iter().find(|other| other.call == call).map(|call| (&call.peer, call.account));
        let Some((peer, account)) = live.or(log) else { return format!("Call {call}") };
        let domain = facts.accounts.get(usize::from(account.0)).map_or("", |(_, domain, _)| domain);
        let number = spoken_uri(peer, domain);
        match self.names.get(&call).filter(|name| !name.is_empty()) {
            Some(name) if *name != number => format!("{name} ({number})"),
            Some(_) | None => number,
        }
    }
}

/// The call that `answer` is for: the chosen one if it rings here, else the one that does.
fn ringing<'a>(facts: &'a Facts, chosen: Option<&'a CallOverview>) -> Option<&'a CallOverview> {
    let rings = |call: &&CallOverview| call.stage == CallStage::Incoming;
    chosen.filter(rings).or_else(|| facts.calls.iter().find(rings))
}

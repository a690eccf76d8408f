//! A call: its phases, and its end (RFC 3261 §13, §15).

use super::change::Change;
use super::digits::Keys;
use super::session::Session;
use super::transfer::{Sent, Transfer};
use super::{AccountId, CommandError, Ending, Event, MediaCommand, Output, Phone, Reason, Rejection, Stream};
use bytes::Bytes;
use core::fmt;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::auth::Attempt;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::message::Status;
use sip_stack::session::{SessionTimer, TimerPolicy};
use sip_stack::transaction::TransactionId;

/// Names a call; unique for the life of the phone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CallId(pub u64);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// One call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Call {
    pub(super) account: AccountId,
    pub(super) phase: Phase,
    /// There once RTP has its port.
    pub(super) session: Option<Session>,
    /// What the audio side was told last.
    pub(super) announced: Option<Stream>,
    /// Whether the user wants to hold the other side.
    pub(super) hold_wanted: bool,
    /// The re-INVITE that says so.
    pub(super) change: Option<Change>,
    /// How long the session lasts without a refresh.
    pub(super) timer: SessionTimer,
    /// It has to be refreshed now.
    pub(super) refresh_wanted: bool,
    /// The REFER that sends the other side elsewhere.
    pub(super) transfer: Option<Box<Transfer>>,
    pub(super) muted: bool,
    pub(super) keys: Keys,
}

/// How far a call has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Ours: waits for its RTP port; that is asked for once there is a way to the server, for our address depends on it.
    Opening { target: Bytes, sent: Sent, asked: bool },
    /// Ours: the INVITE is out.
    Calling(Box<Calling>),
    /// The peer's: it rings here.
    Ringing(Box<Ringing>),
    /// Both sides are connected.
    Up { dialog: DialogId },
}

/// An INVITE of ours without a final response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Calling {
    /// `None` while it waits for a way to the server.
    pub(super) invite: Option<TransactionId>,
    pub(super) target: Bytes,
    pub(super) call_id: Bytes,
    /// From with our tag.
    pub(super) from: Bytes,
    pub(super) cseq: u32,
    pub(super) attempt: Attempt,
    /// Why it is made, when somebody has sent us.
    pub(super) sent: Sent,
    /// The dialogs of provisional responses.
    pub(super) early: Vec<DialogId>,
    /// A response of whatever kind has come.
    pub(super) heard: bool,
    pub(super) ringing: bool,
    /// The user no longer wants it, and has been told its end.
    pub(super) cancelled: bool,
    /// The other side of another call is to get it: that it is terminated is what is wanted.
    pub(super) handed_over: bool,
    pub(super) give_up_at: Time,
}

/// An INVITE of a peer without a final response.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Ringing {
    pub(super) request: Box<Request>,
    pub(super) transaction: TransactionId,
    pub(super) dialog: DialogId,
    /// The To tag of our responses.
    pub(super) tag: Bytes,
    /// The user, or a rule of the user's, has taken it.
    pub(super) accepted: bool,
    pub(super) answer_at: Option<Time>,
    pub(super) give_up_at: Time,
    /// The call of ours that it takes the place of.
    pub(super) replaces: Option<CallId>,
}

impl Call {
    pub(super) fn new(account: AccountId, phase: Phase) -> Call {
        Call {
            account,
            phase,
            session: None,
            announced: None,
            hold_wanted: false,
            change: None,
            timer: SessionTimer::new(TimerPolicy::default()),
            refresh_wanted: false,
            transfer: None,
            muted: false,
            keys: Keys::default(),
        }
    }

    /// The dialog in which it is connected.
    pub(super) fn dialog(&self) -> Option<DialogId> {
        match &self.phase {
            Phase::Up { dialog } => Some(*dialog),
            Phase::Opening { .. } | Phase::Calling(_) | Phase::Ringing(_) => None,
        }
    }

    /// The dialog that others may name: that in which it is connected, or the last one that rings for a call of ours.
    pub(super) fn named_dialog(&self) -> Option<DialogId> {
        match &self.phase {
            Phase::Up { dialog } => Some(*dialog),
            Phase::Calling(calling) if !calling.cancelled => calling.early.last().copied(),
            Phase::Opening { .. } | Phase::Calling(_) | Phase::Ringing(_) => None,
        }
    }

    /// Whether the user knows of it.
    pub(super) fn occupies_a_line(&self) -> bool {
        match &self.phase {
            Phase::Opening { .. } | Phase::Ringing(_) | Phase::Up { .. } => true,
            Phase::Calling(calling) => !calling.cancelled,
        }
    }

    /// Whether it is connected in that dialog.
    pub(super) fn is_up_in(&self, dialog: DialogId) -> bool {
        self.dialog() == Some(dialog)
    }

    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Calling(calling) => (!calling.cancelled).then_some(calling.give_up_at),
            Phase::Ringing(ringing) => {
                Some(ringing.answer_at.map_or(ringing.give_up_at, |at| at.min(ringing.give_up_at)))
            }
            Phase::Up { .. } => {
                let change = self.change.as_ref().and_then(Change::poll_timeout);
                change.into_iter().chain(self.timer.poll_timeout()).min()
            }
            Phase::Opening { .. } => None,
        }
    }
}

impl Phone {
    pub(super) fn hang_up(&mut self, now: Time, id: CallId) -> Result<(), CommandError> {
        let call = self.calls.get_mut(&id).ok_or(CommandError::NoSuchCall(id))?;
        match &mut call.phase {
            Phase::Opening { .. } => {
                self.calls.remove(&id);
                self.end(now, id, Ending::Ours);
            }
            Phase::Calling(calling) if calling.cancelled => return Err(CommandError::NoSuchCall(id)),
            Phase::Calling(_) => self.give_up(now, id, Ending::Ours),
            Phase::Ringing(_) => self.reject(now, id, Rejection::Decline)?,
            Phase::Up { dialog } => {
                let dialog = *dialog;
                let account = call.account;
                self.calls.remove(&id);
                self.say_goodbye(now, account, dialog);
                self.end(now, id, Ending::Ours);
            }
        }
        Ok(())
    }

    /// A call in its dialog can go on no longer.
    pub(super) fn break_off(&mut self, now: Time, id: CallId, dialog: DialogId, reason: Reason) {
        let account = self.calls.remove(&id).map_or(AccountId::FIRST, |call| call.account);
        self.say_goodbye(now, account, dialog);
        self.end(now, id, Ending::Failed(reason));
    }

    /// Tells audio and user that a call is over.
    pub(super) fn end(&mut self, now: Time, call: CallId, ending: Ending) {
        self.log.end(now, call, &ending);
        // Whoever has sent us hears that nothing will come of it.
        self.tell_referrer(now, call, Status::REQUEST_TERMINATED);
        self.outputs.push_back(Output::Media(MediaCommand::Close { call }));
        self.tell(Event::Ended { call, ending });
    }

    /// Tells the audio side what was agreed, when that is news.
    pub(super) fn announce(&mut self, id: CallId) {
        let Some(call) = self.calls.get_mut(&id) else { return };
        let stream = call.session.as_ref().and_then(Session::stream);
        if stream != call.announced.as_ref()
            && let Some(stream) = stream.cloned()
        {
            let held = stream.held;
            let before = call.announced.replace(stream.clone());
            self.outputs.push_back(Output::Media(MediaCommand::Start { call: id, stream }));
            if before.is_some_and(|before| before.held) != held {
                self.tell(Event::HeldByPeer { call: id, held });
            }
        }
    }

    /// A call is connected.
    pub(super) fn connect(&mut self, now: Time, id: CallId) {
        self.log.connect(now, id);
        self.tell_referrer(now, id, Status::OK);
        self.tell(Event::Connected { call: id });
        self.announce(id);
        self.change_if_needed(now, id);
    }

    /// Another call begins to be talked in: the user cannot talk in two.
    pub(super) fn hold_others(&mut self, now: Time, id: CallId) {
        if !self.settings.hold_others {
            return;
        }
        let others: Vec<CallId> = self
            .calls
            .iter()
            .filter(|(other, call)| **other != id && call.dialog().is_some())
            .map(|(id, _)| *id)
            .collect();
        for other in others {
            // It is connected, so it can be held.
            let _held = self.hold(now, other, true);
        }
    }

    /// Whether what the microphone hears is sent.
    pub(super) fn mute(&mut self, id: CallId, muted: bool) -> Result<(), CommandError> {
        let call = self.calls.get_mut(&id).ok_or(CommandError::NoSuchCall(id))?;
        if core::mem::replace(&mut call.muted, muted) != muted {
            self.outputs.push_back(Output::Media(MediaCommand::Mute { call: id, muted }));
            self.tell(Event::Muted { call: id, muted });
        }
        Ok(())
    }

    pub(super) fn on_call_timeouts(&mut self, now: Time) {
        let due = |call: &Call| call.poll_timeout().is_some_and(|at| at <= now);
        let due: Vec<CallId> = self.calls.iter().filter(|(_, call)| due(call)).map(|(id, _)| *id).collect();
        for id in due {
            match self.calls.get_mut(&id).map(|call| &mut call.phase) {
                Some(Phase::Calling(_)) => self.give_up(now, id, Ending::Failed(Reason::NotAnswered)),
                Some(Phase::Ringing(ringing)) if ringing.give_up_at <= now => self.stop_ringing(now, id),
                Some(Phase::Ringing(ringing)) => {
                    ringing.answer_at = None;
                    self.answer_by_itself(now, id);
                }
                Some(Phase::Up { .. }) => {
                    self.on_change_timeout(now, id);
                    self.on_session_timeout(now, id);
                }
                Some(Phase::Opening { .. }) | None => {}
            }
        }
    }
}

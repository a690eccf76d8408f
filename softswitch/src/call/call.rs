//! A call: two legs, the phase it is in, and what its record will say.

use super::account::AtPeer;
use super::bridge::Bridge;
use super::consult::Consult;
use super::counting::Count;
use super::keys::Keys;
use super::locate::{LOCATING, Located};
use super::packages::PassedInfo;
use super::paging::Page;
use super::park::{Leaving, Parked};
use super::passing::Passing;
use super::program::Program;
use super::record::Kept;
use super::recording::Recorded;
use super::refresh::Refresh;
use super::renewal::Renewal;
use super::ring::Ring;
use super::seats::Seat;
use super::serve::Served;
use super::session::Session;
use super::speech::Speech;
use super::stages::{Diverted, Later, Member};
use super::streams::Streams;
use super::takeover::Replaced;
use super::transfer::Referred;
use crate::config::{CallLimits, DomainId, Dtmf, Latching, Recording};
use crate::core::Event;
use crate::core::command::CommandId;
use crate::core::environment::Environment;
use crate::records::Chronicle;
use crate::registrar::Way;
use crate::routing::Counted;
use crate::store::EndedBy;
use bytes::Bytes;
use media::{LegFigures, LegId};
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Status, Writer};
use sip_stack::session::prack::REL100;
use sip_stack::table::Id;
use sip_stack::transaction::{Armed, TransactionId};
use sip_stack::transport::Flow;
use smallvec::SmallVec;
use std::sync::Arc;

/// Refers to one call.
pub type CallId = Id<Call>;

/// The two parties.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Side {
    Caller,
    Callee,
}

impl Side {
    pub(crate) const fn other(self) -> Side {
        match self {
            Side::Caller => Side::Callee,
            Side::Callee => Side::Caller,
        }
    }

    pub(crate) const fn ended_by(self) -> EndedBy {
        match self {
            Side::Caller => EndedBy::Caller,
            Side::Callee => EndedBy::Callee,
        }
    }
}

/// A party with whom we have a dialog.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Leg {
    pub(super) dialog: DialogId,
    /// Where its signalling was heard.
    pub(super) flow: Flow,
    pub(super) latching: Latching,
    pub(super) session: Session,
    /// A session refresh request of ours to it.
    pub(super) refresh: Option<Refresh>,
    /// It is behind a peer, not a user of ours.
    pub(super) is_peer: bool,
    /// We offered in a 2xx (RFC 3261 §13.2.1, §14.2) and wait for the answer in its ACK.
    pub(super) awaiting_answer: bool,
}

/// The media leg of one side.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct MediaLeg {
    pub(super) id: LegId,
    pub(super) port: u16,
    /// Heard nothing for the configured time.
    pub(super) silent: bool,
    /// Set when it is closed.
    pub(super) figures: Option<Box<LegFigures>>,
}

/// The INVITE of the caller.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Invitation {
    pub(super) request: Box<Request>,
    pub(super) transaction: TransactionId,
    /// The To tag of our responses.
    pub(super) tag: Bytes,
    /// The Contact value of our responses.
    pub(super) contact: Bytes,
}

/// A phone of the callee.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Target {
    /// The ways to it, tried one after the other (RFC 5626 §7); at least one.
    pub(super) ways: SmallVec<[Way; 1]>,
    /// Who it is, where several ring together.
    pub(super) member: Option<Arc<Member>>,
    /// What we are to the peer that it is behind, where several ring together and we are something.
    pub(super) at_peer: Option<Box<AtPeer>>,
}

/// Whom the call is for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Destination {
    pub(super) targets: SmallVec<[Target; 1]>,
    /// The peer whose servers are the ways, found one by one.
    pub(super) peer: Option<Box<Located>>,
    /// The switch itself; then there are no targets.
    pub(super) service: Option<Served>,
    /// Nobody, which the caller is told in words; then there are no targets either.
    pub(super) refusal: Option<Status>,
    /// The dialog whose party the caller takes the place of; then there are no targets either.
    pub(super) replaces: Option<Replaced>,
    /// The call that the caller joins as a guest; then there are no targets either.
    pub(super) joins: Option<CallId>,
    /// The user part of To.
    pub(super) user: Bytes,
    pub(super) latching: Latching,
    pub(super) dtmf: Dtmf,
    /// How long it may ring.
    pub(super) ring_s: u32,
    /// How calls to it are recorded, if they are.
    pub(super) record: Option<Recording>,
    /// What the caller shows to a peer instead of what it is.
    pub(super) caller_id: Option<Box<str>>,
    /// The limits of the peer, under which the call is counted.
    pub(super) counted: Option<Box<(Counted, CallLimits)>>,
    /// Who has sent the call on, the first one first.
    pub(super) diverted: Vec<Diverted>,
    /// The caller is to enter where it is served when others have not answered.
    pub(super) enters: bool,
    /// Its phones are asked to answer by themselves.
    pub(super) answers_itself: bool,
    /// It is part of a call to a paging group.
    pub(super) page: Option<Box<Page>>,
    /// What comes after.
    pub(super) later: Option<Box<Later>>,
}

impl Destination {
    /// Whether the caller alone has media: it is served by us, told why it is refused, takes the place of another, or joins a
    /// call.
    pub(super) const fn is_served(&self) -> bool {
        self.service.is_some() || self.refusal.is_some() || self.replaces.is_some() || self.joins.is_some()
    }
}

/// What the call is doing.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    /// Waiting for the first server of a peer.
    Locating,
    /// Waiting for media ports.
    Reserving,
    /// Waiting for an answer.
    Ringing(Ring),
    /// The caller is told why it is going to be refused.
    Refusing { status: Status, until: Time },
    /// The callee has answered.
    Talking { callee: Leg },
    /// We have answered: the caller is served.
    Served,
    /// Over; the media legs are being closed.
    Ended,
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Ending {
    pub(super) at: Time,
    pub(super) status: Status,
    pub(super) by: EndedBy,
}

/// A call between two parties.
#[derive(Debug, Serialize, Deserialize)]
pub struct Call {
    pub(super) id: Option<CallId>,
    /// Counted from 1 since the switch began; what events name the call by.
    pub(super) number: u64,
    pub(super) domain: DomainId,
    /// Its name, which outlives its removal from the configuration.
    pub(super) domain_name: Arc<str>,
    /// The user who calls, or the number of who calls from a peer (`caller_leg.is_peer`).
    pub(super) caller: Box<str>,
    /// Whose calls it is counted under.
    pub(super) counted: Vec<Count>,
    /// The caller does not want to be known (RFC 3323).
    pub(super) anonymous: bool,
    /// Nor does the callee: it called somebody so, and was transferred.
    pub(super) callee_anonymous: bool,
    /// The caller's display name, quoted, or empty.
    pub(super) caller_name: Bytes,
    /// What was dialled: the user part of the Request-URI, unescaped.
    pub(super) callee: Bytes,
    pub(super) invitation: Invitation,
    pub(super) caller_leg: Leg,
    pub(super) destination: Destination,
    pub(super) phase: Phase,
    /// Caller's and callee's.
    pub(super) media: [MediaLeg; 2],
    /// How the two are joined.
    pub(super) bridge: Bridge,
    /// What it has beside its sound.
    pub(super) streams: Option<Box<Streams>>,
    /// A re-INVITE that waits for the other side.
    pub(super) passing: Option<Box<Passing>>,
    /// Who has joined it.
    pub(super) guests: SmallVec<[CallId; 2]>,
    /// INFOs that wait for the other side.
    pub(super) infos: Vec<PassedInfo>,
    /// The REFER that it was made for.
    pub(super) referred: Option<Box<Referred>>,
    /// The call that a REFER of the party on that side has led to.
    pub(super) referring: Option<(CallId, Side)>,
    /// The user whose transfer has made the call what it is.
    pub(super) referred_by: Option<Box<str>>,
    /// Both sides are asked for another codec.
    pub(super) renewal: Option<Box<Renewal>>,
    /// What is recorded of it.
    pub(super) recorded: Recorded,
    /// What is said to it.
    pub(super) speech: Speech,
    /// What a user has pressed of a code.
    pub(super) keys: Option<Box<Keys>>,
    /// It waits in a slot.
    pub(super) parked: Option<Box<Parked>>,
    /// A party is about to park the other one.
    pub(super) parking: Option<Leaving>,
    /// When it has lasted as long as it may.
    pub(super) ends_by: Option<Time>,
    /// Who hears music, because the other one holds it.
    pub(super) music: Option<Side>,
    /// The language it is spoken to in.
    pub(super) language: Box<str>,
    pub(super) started: Time,
    pub(super) answered: Option<Time>,
    pub(super) ending: Option<Ending>,
    /// What those have been told who watch its users.
    pub(super) seats: SmallVec<[Seat; 2]>,
    /// What its record will say.
    pub(super) chronicle: Chronicle,
    /// What the store has of it.
    pub(super) kept: Option<Kept>,
    pub(super) armed: Option<Armed>,
    /// The command that has made it.
    pub(super) command: Option<CommandId>,
    /// What programs have asked for in it.
    pub(super) program: Program,
    /// A user asks somebody before it transfers its partner.
    pub(super) consult: Option<Consult>,
}

impl Call {
    /// The number that transactions and dialogs of this call carry as their owner; zero is nobody.
    pub(super) fn owner(&self) -> u64 {
        self.id.map_or(0, owner_of)
    }

    /// Tells an event of the call: it came of the command that is being obeyed, else of the one that has made the call.
    pub(super) fn tell(&self, env: &mut Environment, event: Event) {
        env.event_of(env.command().or(self.command), event);
    }

    pub(super) fn media(&self, side: Side) -> &MediaLeg {
        let [caller, callee] = &self.media;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    pub(super) fn media_mut(&mut self, side: Side) -> &mut MediaLeg {
        let [caller, callee] = &mut self.media;
        match side {
            Side::Caller => caller,
            Side::Callee => callee,
        }
    }

    /// Which side a dialog belongs to.
    pub(super) fn side_of(&self, dialog: DialogId) -> Option<Side> {
        match &self.phase {
            _ if self.caller_leg.dialog == dialog => Some(Side::Caller),
            Phase::Talking { callee } if callee.dialog == dialog => Some(Side::Callee),
            Phase::Locating
            | Phase::Reserving
            | Phase::Ringing(_)
            | Phase::Talking { .. }
            | Phase::Refusing { .. }
            | Phase::Served
            | Phase::Ended => None,
        }
    }

    /// The leg of a side; the callee has one once it answered.
    pub(super) fn leg_mut(&mut self, side: Side) -> Option<&mut Leg> {
        match (side, &mut self.phase) {
            (Side::Caller, _) => Some(&mut self.caller_leg),
            (Side::Callee, Phase::Talking { callee }) => Some(callee),
            (
                Side::Callee,
                Phase::Locating
                | Phase::Reserving
                | Phase::Ringing(_)
                | Phase::Refusing { .. }
                | Phase::Served
                | Phase::Ended,
            ) => None,
        }
    }

    /// Begins a response to the caller's INVITE.
    pub(super) fn response(&self, env: &Environment, status: Status) -> Writer {
        let mut response =
            env.endpoint.response(&self.invitation.request, status, Some(&self.invitation.tag));
        response.header(HeaderName::Contact, &self.invitation.contact);
        response
    }

    /// Sends a provisional or failure response to the caller's INVITE.
    pub(super) fn respond(&self, env: &mut Environment, status: Status, response: Writer) {
        env.endpoint.respond(env.now, self.invitation.transaction, status, response.finish());
    }

    /// Sends a provisional response with a description, which must not be lost: reliably where the caller understands that (RFC 3262
    /// §3).
    pub(super) fn respond_with_description(&self, env: &mut Environment, status: Status, response: Writer) {
        if !self.invite().supports(REL100) {
            return self.respond(env, status, response);
        }
        let (transaction, dialog) = (self.invitation.transaction, self.caller_leg.dialog);
        env.endpoint.respond_reliably(env.now, transaction, dialog, status, response, true);
    }

    /// When a call that is not answered has waited long enough for what it waits for.
    pub(super) fn patience(&self) -> Option<Time> {
        match &self.phase {
            Phase::Ringing(ring) => Some(ring.patience()),
            Phase::Locating => {
                let since = self.destination.peer.as_ref().map_or(self.started, |peer| peer.since);
                Some(since + LOCATING)
            }
            Phase::Refusing { until, .. } => Some(*until),
            Phase::Reserving => self.recall_deadline(),
            Phase::Served | Phase::Talking { .. } | Phase::Ended => None,
        }
    }

    /// When something has to happen by itself.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        match &self.phase {
            Phase::Ringing(_) | Phase::Locating | Phase::Refusing { .. } | Phase::Reserving => {
                self.patience().into_iter().chain(self.refresh_deadline()).min()
            }
            Phase::Served => {
                let over = self.served_until().into_iter().chain(self.ends_by);
                over.chain(self.refresh_deadline()).chain(self.meeting_deadline()).min()
            }
            Phase::Talking { .. } => {
                let asked = self.passing_deadline().into_iter().chain(self.renewal_deadline());
                let over = self.ends_by.into_iter().chain(self.keys_deadline());
                asked.chain(self.refresh_deadline()).chain(over).min()
            }
            Phase::Ended => None,
        }
    }

    /// When a service of ours has nothing more for the caller.
    pub(super) fn served_until(&self) -> Option<Time> {
        self.destination.service.as_ref().and_then(|served| served.ends_at)
    }

    /// The caller's INVITE.
    pub(super) fn invite(&self) -> &Message {
        &self.invitation.request.message
    }
}

pub(super) fn owner_of(id: CallId) -> u64 {
    id.as_u64().wrapping_add(1)
}

/// The call that an owner number stands for.
pub(super) fn call_of(owner: u64) -> Option<CallId> {
    owner.checked_sub(1).map(Id::from_u64)
}

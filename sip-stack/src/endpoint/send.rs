//! What the transaction user does: respond, request, acknowledge, cancel, end a dialog (RFC 3261 §8.1, §12.2, §13).

use super::{Endpoint, Output, Request};
use crate::dialog::{Dialog, DialogId, DialogState, HeldAnswer, Origin, Resumption};
use crate::header::{HeaderError, HeaderName, NameAddr, RAck};
use crate::message::{Message, Method, Status, Writer, response_of};
use crate::overload::ANNOUNCEMENT;
use crate::session::prack::REL100;
use crate::time::Time;
use crate::transaction::TransactionId;
use crate::transport::{Flow, Transmit};
use bytes::Bytes;
use core::time::Duration;

/// Dialogs that are over are forgotten on the next tenth of a second, so that many end in one wake-up.
const LINGERING: Duration = Duration::from_millis(100);
/// The magic cookie of a branch (§8.1.1.7).
const COOKIE: &str = "z9hG4bK";

/// A request that is being written; header fields and a body may be added before [`Endpoint::request`].
#[derive(Debug)]
pub struct Draft<'a> {
    /// Holds Via, Max-Forwards, From, To, Call-ID and CSeq already.
    pub writer: Writer,
    method: Method<'a>,
    branch: Bytes,
    flow: Flow,
    dialog: Option<DialogId>,
}

/// What a request outside a dialog starts from (§8.1.1).
#[derive(Clone, Copy, Debug)]
pub struct Heading<'m, 'a> {
    /// The method.
    pub method: Method<'m>,
    /// The Request-URI.
    pub uri: &'a [u8],
    /// From. Without a tag a fresh one is added; with one it is kept, as when a request is repeated with credentials
    /// (§8.1.3.5).
    pub from: &'a [u8],
    /// To.
    pub to: &'a [u8],
    /// The sent-by of the Via: how the peer reaches us.
    pub sent_by: &'a [u8],
    /// Max-Forwards: 70, or one less than that of the request that caused this one (§8.1.1.6, §16.6).
    pub max_forwards: u8,
    /// Call-ID and CSeq number to go on with, as for a repeated REGISTER (§10.2); fresh ones otherwise.
    pub sequence: Option<(&'a [u8], u32)>,
}

impl Endpoint {
    /// Opens the server transaction of a request. Responses follow with [`Endpoint::respond`].
    pub fn accept(&mut self, now: Time, request: &Request, owner: u64) -> TransactionId {
        self.transactions.open_server(now, request.key, &request.message, request.reply_to, owner)
    }

    /// Begins a response (§8.2.6). With no `tag`, To gets one derived from the request, the same every time.
    pub fn response(&self, request: &Request, status: Status, tag: Option<&[u8]>) -> Writer {
        match tag {
            Some(tag) => self.response_tagged(request, status, tag),
            None => self.response_tagged(request, status, &text_of(request.key.0)),
        }
    }

    fn response_tagged(&self, request: &Request, status: Status, tag: &[u8]) -> Writer {
        let Request { message, flow, .. } = request;
        response_of(message, status, None, Some(tag), flow.peer, Some(&self.upstream))
    }

    /// Sends a response in its transaction. A 2xx to INVITE is sent with [`Endpoint::answer_invite`] instead.
    pub fn respond(&mut self, now: Time, transaction: TransactionId, status: Status, response: Bytes) {
        self.transactions.respond(now, transaction, status, response);
        self.collect(None);
    }

    /// Sends a response and keeps no state (§8.2.7): for challenges and refusals that anybody can provoke.
    pub fn reply(&mut self, request: &Request, response: Bytes) {
        self.outputs.push_back(Output::Transmit(Transmit {
            flow: request.reply_to,
            bytes: response,
            transaction: None,
        }));
    }

    /// Creates the dialog of an INVITE or a SUBSCRIBE that came in (§12.1.1, RFC 6665 §4.2.1.1). `tag` is the To tag of our responses, `contact` the
    /// Contact value in them.
    ///
    /// # Errors
    /// A header field that the dialog is made of does not parse.
    pub fn create_dialog(
        &mut self,
        request: &Request,
        tag: Bytes,
        contact: Bytes,
        owner: u64,
    ) -> Result<DialogId, HeaderError> {
        let origin = Origin { contact, flow: request.flow, owner };
        let dialog = Dialog::of_server(&request.message, tag, origin)?;
        let key = dialog.key(&self.hasher);
        let id = self.dialogs.insert(dialog);
        self.dialog_keys.insert(key, id);
        Ok(id)
    }

    /// Takes up a dialog of before a restart, to end it with BYE. `flow` leads to the peer.
    pub fn resume_dialog(&mut self, kept: Resumption, flow: Flow, owner: u64) -> DialogId {
        let origin = Origin { contact: Bytes::new(), flow, owner };
        let dialog = Dialog::resumed(kept, origin);
        let key = dialog.key(&self.hasher);
        let id = self.dialogs.insert(dialog);
        self.dialog_keys.insert(key, id);
        id
    }

    /// Sends a provisional response to an INVITE, and again until its PRACK comes (RFC 3262 §3), which is a request for the
    /// user to answer. Only for a caller that understands `100rel`. One waits for the PRACK of the one before it.
    /// `described`: it has a session description, and a 2xx waits for its PRACK.
    pub fn respond_reliably(
        &mut self,
        now: Time,
        transaction: TransactionId,
        id: DialogId,
        status: Status,
        mut response: Writer,
        described: bool,
    ) {
        let first = self.random.next_u32();
        let timing = self.transactions.timing();
        let cseq = self.transactions.invite(transaction).and_then(|invite| invite.cseq().ok());
        let cseq = cseq.map(|cseq| cseq.number);
        let (Some(cseq), Some(flow), Some(dialog)) =
            (cseq, self.transactions.flow(transaction), self.dialogs.get_mut(id))
        else {
            return;
        };
        let provisionals = dialog.usage.provisionals(cseq, flow, first);
        let rseq = provisionals.next_rseq();
        response.header(HeaderName::Require, REL100.as_bytes());
        response.number(HeaderName::RSeq, u64::from(rseq));
        let bytes = response.finish();
        if provisionals.push(now, rseq, bytes.clone(), described, timing) {
            self.respond(now, transaction, status, bytes);
        }
        self.arm_dialog(id);
    }

    /// Begins the PRACK of a reliable provisional response (RFC 3262 §4). `None` when the response asks for none.
    pub fn draft_prack<'a>(&mut self, id: DialogId, response: &Message, sent_by: &[u8]) -> Option<Draft<'a>> {
        let rseq = response.rseq().ok()?.filter(|_| response.requires(REL100))?;
        let cseq = response.cseq().ok()?;
        let mut draft = self.draft_in_dialog(id, Method::Prack, sent_by)?;
        let rack = RAck { rseq, cseq: cseq.number, method: cseq.method };
        draft.writer.header(HeaderName::RAck, &rack.value());
        Some(draft)
    }

    /// Sends the 2xx to an INVITE, and again until its ACK comes (§13.3.1.4); not before a description in a reliable
    /// provisional response is acknowledged (RFC 3262 §3). The dialog is confirmed.
    pub fn answer_invite(
        &mut self,
        now: Time,
        transaction: TransactionId,
        id: DialogId,
        status: Status,
        response: Bytes,
    ) {
        let answer = HeldAnswer { transaction, status, response, refusal: Status::REQUEST_TERMINATED };
        let answer = match self.dialogs.get_mut(id) {
            Some(dialog) => dialog.usage.hold_answer(answer),
            None => Some(answer),
        };
        if let Some(answer) = answer {
            self.send_answer(now, id, answer);
        }
    }

    pub(super) fn send_answer(&mut self, now: Time, id: DialogId, answer: HeldAnswer) {
        let HeldAnswer { transaction, status, response, .. } = answer;
        let cseq = self
            .transactions
            .invite(transaction)
            .and_then(|invite| invite.cseq().ok())
            .map(|cseq| cseq.number);
        let timing = self.transactions.timing();
        if let (Some(cseq), Some(flow), Some(dialog)) =
            (cseq, self.transactions.flow(transaction), self.dialogs.get_mut(id))
        {
            dialog.confirm(None);
            dialog.usage.answered(now, cseq, flow, response.clone(), timing);
        }
        self.respond(now, transaction, status, response);
        self.arm_dialog(id);
    }

    /// Begins a request outside a dialog (§8.1.1).
    pub fn draft<'m>(&mut self, heading: Heading<'m, '_>, flow: Flow) -> Draft<'m> {
        let (via, branch) = self.via(heading.sent_by, flow);
        let mut writer = Writer::request(heading.method, heading.uri);
        writer.header(HeaderName::Via, &via);
        writer.number(HeaderName::MaxForwards, u64::from(heading.max_forwards));
        if NameAddr::parse(heading.from).is_ok_and(|from| from.tag().is_some()) {
            writer.header(HeaderName::From, heading.from);
        } else {
            let tag = self.random.tag();
            writer.header_parts(HeaderName::From, &[heading.from, b";tag=", &tag]);
        }
        writer.header(HeaderName::To, heading.to);
        let (call_id, number) = match heading.sequence {
            Some((call_id, number)) => (Bytes::copy_from_slice(call_id), number),
            None => (Bytes::copy_from_slice(&self.random.token::<24>()), 1),
        };
        writer.header(HeaderName::CallId, &call_id);
        writer.cseq(number, heading.method);
        Draft { writer, method: heading.method, branch, flow, dialog: None }
    }

    /// Begins a request within a dialog (§12.2.1.1), or `None` when the dialog has ended.
    pub fn draft_in_dialog<'a>(
        &mut self,
        id: DialogId,
        method: Method<'a>,
        sent_by: &[u8],
    ) -> Option<Draft<'a>> {
        let flow = self.dialogs.get(id).filter(|dialog| !dialog.is_over())?.flow();
        let (via, branch) = self.via(sent_by, flow);
        let (writer, flow, _) = self.dialogs.get_mut(id)?.request(method, &via);
        Some(Draft { writer, method, branch, flow, dialog: Some(id) })
    }

    fn via(&mut self, sent_by: &[u8], flow: Flow) -> (Bytes, Bytes) {
        let token = self.random.token::<16>();
        let branch = Bytes::from([COOKIE.as_bytes(), &token].concat());
        let transport = flow.transport.name().as_bytes();
        // RFC 7339 §4.1: in every request, that of a CANCEL or ACK included, which repeat the Via of their INVITE.
        let announcement = if self.downstream.is_announced_to(flow.peer) { ANNOUNCEMENT } else { b"" };
        let via = [b"SIP/2.0/", transport, b" ", sent_by, b";rport;branch=", &branch, announcement].concat();
        (via.into(), branch)
    }

    /// Sends a request in a new client transaction (§17.1). Responses come back with `owner`.
    ///
    /// A BYE leaves only when no 2xx of ours waits for its ACK (§15): until then it is held back, and the 2xx goes on
    /// being sent. Otherwise the BYE could overtake the 2xx, and the caller be left in a call with nobody.
    pub fn request(&mut self, now: Time, draft: Draft<'_>, owner: u64) -> TransactionId {
        let bytes = draft.writer.finish();
        if draft.dialog.is_some() {
            self.downstream.count_established(now, draft.flow.peer);
        }
        if let Some(id) = draft.dialog
            && (draft.method == Method::Invite || self.is_early(id))
        {
            self.await_success(id);
        }
        if draft.method == Method::Bye
            && !self.leaving
            && let Some(dialog) = draft.dialog.and_then(|id| self.dialogs.get_mut(id))
            && dialog.usage.awaits_ack()
        {
            // One is enough.
            if let Some(held) = dialog.held_bye {
                return held;
            }
            let id = self.transactions.hold_client(draft.method, &draft.branch, bytes, draft.flow, owner);
            dialog.held_bye = Some(id);
            return id;
        }
        let id = self.transactions.open_client(now, draft.method, &draft.branch, bytes, draft.flow, owner);
        self.collect(None);
        id
    }

    /// Acknowledges the 2xx `response` to our INVITE (§13.2.2.4); sent again whenever the 2xx comes again.
    pub fn acknowledge(&mut self, id: DialogId, response: &Message, sent_by: &[u8]) {
        self.acknowledge_with(id, response, sent_by, None);
    }

    /// The same with a body, which has the answer when the 2xx had the offer (§13.2.2.4): its content type and its octets.
    pub fn acknowledge_with(
        &mut self,
        id: DialogId,
        response: &Message,
        sent_by: &[u8],
        body: Option<(&[u8], &[u8])>,
    ) {
        let Some(flow) = self.dialogs.get(id).map(Dialog::flow) else { return };
        let Ok(cseq) = response.cseq() else { return };
        let (via, _) = self.via(sent_by, flow);
        let Some(dialog) = self.dialogs.get_mut(id) else { return };
        let (mut writer, flow) = dialog.ack(&via, cseq.number);
        if let Some((content_type, body)) = body {
            writer.body(content_type, body);
        }
        let bytes = writer.finish();
        dialog.usage.acknowledged(cseq.number, flow, bytes.clone());
        self.await_success(id);
        self.outputs.push_back(Output::Transmit(Transmit { flow, bytes, transaction: None }));
    }

    fn lingering_until(&self) -> Time {
        (self.clock + self.transactions.timing().transaction()).round_up(LINGERING)
    }

    fn is_early(&self, id: DialogId) -> bool {
        self.dialogs.get(id).is_some_and(|dialog| dialog.state() == DialogState::Early)
    }

    /// From now on a 2xx to an INVITE of ours may come, maybe again, for as long as its transaction takes it (RFC 6026 §7.2).
    fn await_success(&mut self, id: DialogId) {
        let until = self.lingering_until();
        let Some(dialog) = self.dialogs.get_mut(id) else { return };
        dialog.invited_until = Some(until);
        if dialog.is_over() {
            self.arm_dialog(id);
        }
    }

    /// Gives up an INVITE of ours (§9.1). Its transaction still ends with a final response or a time-out.
    pub fn cancel(&mut self, now: Time, transaction: TransactionId) {
        self.cancel_because(now, transaction, b"");
    }

    /// The same with the value of a Reason (RFC 3326 §2), such as that another phone took the call.
    pub fn cancel_because(&mut self, now: Time, transaction: TransactionId, reason: &[u8]) {
        self.transactions.cancel(now, transaction, reason);
        self.collect(None);
    }

    /// Forgets a dialog: after BYE, or when its INVITE failed (§12.3). One whose BYE is held back is forgotten when
    /// that has left; until then it tells the user nothing but the requests of the peer. One in which a 2xx may come, or come
    /// again, is kept for its ACK, for 64·T1 at most: nothing else can be sent in it, and requests of the peer are answered
    /// with 481.
    pub fn end_dialog(&mut self, id: DialogId) {
        if let Some(dialog) = self.dialogs.get_mut(id)
            && dialog.held_bye.is_some()
        {
            dialog.ended = true;
            return;
        }
        self.refuse_held(id);
        self.leave_dialog(id);
    }

    /// The dialog is over: it is forgotten, unless a 2xx may come again.
    fn leave_dialog(&mut self, id: DialogId) {
        let (now, until) = (self.clock, self.lingering_until());
        if self.dialogs.get(id).is_none_or(Dialog::is_over) {
            return;
        }
        if self.dialogs.get_mut(id).is_some_and(|dialog| dialog.linger(now, until)) {
            self.arm_dialog(id);
        } else {
            self.forget_dialog(id);
        }
    }

    /// Answers an INVITE whose 2xx was held back, and is not wanted any more.
    fn refuse_held(&mut self, id: DialogId) {
        let Some(dialog) = self.dialogs.get_mut(id) else { return };
        let Some(HeldAnswer { transaction, refusal, .. }) = dialog.usage.drop_answer() else { return };
        let tag = dialog.local_tag().clone();
        let (Some(invite), Some(flow)) =
            (self.transactions.invite(transaction), self.transactions.flow(transaction))
        else {
            return;
        };
        let response =
            response_of(invite, refusal, None, Some(&tag), flow.peer, Some(&self.upstream)).finish();
        self.respond(self.clock, transaction, refusal, response);
    }

    /// Sends the BYE that was held back, if there is one. Returns whether the user had ended the dialog already.
    pub(super) fn release_bye(&mut self, now: Time, id: DialogId) -> bool {
        let Some(dialog) = self.dialogs.get_mut(id) else { return false };
        if dialog.is_over() {
            return true;
        }
        let (bye, ended) = (dialog.held_bye.take(), core::mem::take(&mut dialog.ended));
        if let Some(bye) = bye {
            self.transactions.release(now, bye);
            self.collect(None);
        }
        if ended {
            self.leave_dialog(id);
        }
        ended
    }

    /// From now on no BYE waits for an ACK, and those that wait leave: the process is about to end.
    ///
    /// Deviation: §15 lets the callee's side send BYE only after the ACK; there will be nobody to send it then.
    pub fn hold_no_more(&mut self, now: Time) {
        self.leaving = true;
        let held: Vec<DialogId> =
            self.dialogs.iter().filter(|(_, dialog)| dialog.held_bye.is_some()).map(|(id, _)| id).collect();
        for id in held {
            self.release_bye(now, id);
        }
    }

    pub(super) fn forget_dialog(&mut self, id: DialogId) {
        if let Some(dialog) = self.dialogs.remove(id) {
            self.dialog_keys.remove(dialog.key(&self.hasher), id);
        }
    }

    /// A To tag that is the same for every copy of a request (§8.2.7), unknown to others beforehand.
    pub(super) fn stateless_tag(&self, request: &Message) -> [u8; 16] {
        let via = request.header(HeaderName::Via).unwrap_or_default();
        let call_id = request.header(HeaderName::CallId).unwrap_or_default();
        let cseq = request.header(HeaderName::CSeq).unwrap_or_default();
        text_of(self.hasher.hash(&[b"tag", via, call_id, cseq]))
    }
}

/// The lower half of a keyed hash as text.
fn text_of(hash: u128) -> [u8; 16] {
    let mut tag = [0; 16];
    for (index, character) in tag.iter_mut().enumerate() {
        *character = b"0123456789abcdef"[(hash >> (4 * index)) as usize & 15];
    }
    tag
}

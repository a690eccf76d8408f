//! Waiting for an answer: one INVITE to each phone of the callee, the first 2xx wins (RFC 3261 §16.6, §16.7, §13.2.2). A
//! phone with several flows gets it over one of them, and over the next when that fails (RFC 5626 §7).

use super::agreement::Agreement;
use super::answering;
use super::bridge::transcodes;
use super::call::{Call, Leg, Phase, Side};
use super::digits::{takes_info, without_keys};
use super::formats::Formats;
use super::packages;
use super::reason;
use super::session::{SDP, Session, read};
use crate::core::Event;
use crate::core::environment::{Environment, escape_user, sign_request, sign_response, write_abilities};
use crate::registrar::Way;
use crate::store::EndedBy;
use bytes::Bytes;
use core::time::Duration;
use media::Command;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::dialog::DialogId;
use sip_stack::endpoint::Heading;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status};
use sip_stack::resolve::Failure;
use sip_stack::sdp::{AudioOffer, SessionDescription};
use sip_stack::session::SessionTimer;
use sip_stack::session::prack::REL100;
use sip_stack::transaction::TransactionId;
use sip_stack::transport::{Flow, Transport};
use smallvec::SmallVec;

/// The callee's phones.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Ring {
    pub(super) branches: SmallVec<[Branch; 1]>,
    /// When we give up.
    deadline: Time,
    /// Targets that do not ring yet, and when they do.
    pub(super) waiting: SmallVec<[(Time, usize); 0]>,
    /// The best failure so far (§16.7 step 6).
    pub(super) best: Option<Status>,
    /// Early media are flowing: the answer that the caller got in a provisional response. The 2xx repeats it (RFC 3261
    /// §13.2.1).
    early: Option<Bytes>,
}

/// One INVITE of ours.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Branch {
    /// The phone, and the way to it, by their places in the destination.
    pub(super) target: usize,
    pub(super) way: usize,
    pub(super) transaction: TransactionId,
    pub(super) flow: Flow,
    pub(super) session: Session,
    /// Early dialogs: several when the target forks.
    pub(super) dialogs: SmallVec<[DialogId; 1]>,
    /// When it stops to ring before the others do.
    pub(super) until: Option<Time>,
    /// Has ended with a failure.
    pub(super) failed: bool,
}

/// A server that is spared counts as one that has too much to do now.
const SHED: Failure = Failure::Unavailable { retry_after: None };

/// What became of an INVITE of ours.
#[expect(clippy::large_enum_variant, reason = "it is taken apart where it is made")]
pub(super) enum Invited {
    Sent(Branch),
    /// Too large for a datagram.
    TooLarge,
    /// The server has asked to be sent less (RFC 7339 §5.10: as if it had answered 503).
    Shed,
    /// There is no such way.
    NoWay,
}

impl Call {
    /// The ports are there: every contact rings.
    pub(super) fn ring(&mut self, env: &mut Environment) {
        if self.referred.is_none() {
            self.caller_leg.session.port = self.media(Side::Caller).port;
        }
        let mut branches = SmallVec::new();
        let mut waiting = SmallVec::new();
        let mut too_large = false;
        let mut shed = false;
        for target in 0..self.destination.targets.len() {
            if let Some(at) = self.begins_at(env.now, target) {
                waiting.push((at, target));
                continue;
            }
            if !self.count_member(env, target) {
                shed = true;
                continue;
            }
            match self.open_next(env, target, 0) {
                Invited::Sent(branch) => {
                    self.note_asked(env, &branch);
                    branches.push(branch);
                }
                Invited::TooLarge => too_large = true,
                Invited::Shed => shed = true,
                Invited::NoWay => {}
            }
        }
        let deadline = env.now + Duration::from_secs(u64::from(self.destination.ring_s));
        let nobody = branches.is_empty() && waiting.is_empty();
        let early = self.destination.later.as_mut().and_then(|later| later.early.take());
        self.phase = Phase::Ringing(Ring { branches, deadline, waiting, best: None, early });
        let reason = if shed { Status::SERVICE_UNAVAILABLE } else { Status::TEMPORARILY_UNAVAILABLE };
        if too_large {
            self.locate_streams(env);
        } else if nobody && !self.fail_target(env, SHED, reason) && !self.next_stage(env, reason) {
            self.refuse_caller(env, for_caller(reason), EndedBy::Switch);
        } else if !nobody {
            self.hurry(env);
        }
    }

    /// Sends an INVITE on the first of the ways to a phone, from `way` on, whose server has not asked to be sent less.
    pub(super) fn open_next(&mut self, env: &mut Environment, target: usize, way: usize) -> Invited {
        let ways = self.destination.targets.get(target).map_or(0, |target| target.ways.len());
        let mut spared = Invited::NoWay;
        for way in way..ways {
            match self.open_branch(env, target, way) {
                Invited::Shed => spared = Invited::Shed,
                invited @ (Invited::Sent(_) | Invited::TooLarge | Invited::NoWay) => return invited,
            }
        }
        spared
    }

    /// Sends an INVITE on one of the ways to a phone.
    fn open_branch(&mut self, env: &mut Environment, target: usize, way: usize) -> Invited {
        self.open_branch_with(env, target, way, SessionTimer::new(env.config.session_timer))
    }

    /// The same once more with what a 422 has taught (RFC 4028 §7.3).
    pub(super) fn open_branch_with(
        &mut self,
        env: &mut Environment,
        target: usize,
        way: usize,
        timer: SessionTimer,
    ) -> Invited {
        let ways = self.destination.targets.get(target).map(|target| &target.ways);
        let Some(Way { uri, flow, path }) = ways.and_then(|ways| ways.get(way)).cloned() else {
            return Invited::NoWay;
        };
        let sent_by = env.sent_by(&flow);
        let host = self.domain_at_peer(target, env.uri_host(self.domain, &flow));
        let member = self.member(target);
        let from = self.shown_caller(&host, target);
        let user = member.map_or(&self.destination.user, |member| &member.user);
        let to = [b"<sip:", escape_user(user).as_slice(), b"@", &host, b">"].concat();
        let max_forwards = self.invite().max_forwards().ok().flatten().unwrap_or(70).saturating_sub(1);
        let heading = Heading {
            method: Method::Invite,
            uri: &uri,
            from: &from,
            to: &to,
            sent_by: &sent_by,
            max_forwards,
            sequence: None,
        };
        let mut draft = env.endpoint.draft(heading, flow);
        // RFC 3327 §5.4
        for hop in &path {
            draft.writer.header(HeaderName::Route, hop);
        }
        draft.writer.header(HeaderName::Contact, &env.contact(self.shown_user(member), &flow));
        write_abilities(&mut draft.writer);
        packages::write(self.caller_leg.session.packages.as_ref(), &mut draft.writer);
        self.assert_identity(&host, target, &mut draft.writer);
        self.pass_history(&host, member, &mut draft.writer);
        if member.map_or(self.destination.answers_itself, |member| member.answers_itself) {
            answering::write(&host, &mut draft.writer);
        }
        if let Some(alert) = self.alert() {
            draft.writer.header(HeaderName::AlertInfo, alert);
        }
        if let Some(referred) = self.referred.as_ref().filter(|referred| !referred.by.is_empty()) {
            draft.writer.header(HeaderName::ReferredBy, &referred.by);
        }
        timer.write_request(&mut draft.writer);
        sign_request(&mut draft.writer);
        let dtmf = self.member(target).map_or(self.destination.dtmf, |member| member.dtmf);
        let id = env.endpoint.random().next_u64();
        let mut session = Session::new(id, env.media_address(&flow), dtmf, timer);
        session.port = self.media(Side::Callee).port;
        let caller = self.caller_leg.session.remote.as_ref();
        let ptime_ms = caller.and_then(|caller| caller.ptime_ms);
        let known = caller.map_or_else(Formats::telephone, Formats::from);
        let known = known.with_keys(self.caller_leg.session.dtmf, dtmf);
        let offered = known.offered_onward(transcodes(env), &Formats::default());
        let offer = self.offer_onward(&mut session, &offered, ptime_ms);
        draft.writer.body(SDP, &offer);
        if let Some(peer) = self.at_peer_mut(target) {
            peer.authorize(&uri, &offer, &mut draft.writer);
        }
        if flow.transport == Transport::Udp && self.avoids_datagrams(env, draft.writer.octets()) {
            return Invited::TooLarge;
        }
        if let Some(member) = self.member(target).filter(|member| member.is_peer) {
            env.endpoint.upstream().add_neighbour(flow.peer.ip());
            if member.overload_control {
                env.endpoint.downstream().add_server(flow.peer);
            }
        }
        if env.endpoint.sheds(env.now, flow.peer) {
            return Invited::Shed;
        }
        let transaction = env.endpoint.request(env.now, draft, self.owner());
        let (dialogs, until) = (SmallVec::new(), self.stops_at(env.now, target));
        Invited::Sent(Branch { target, way, transaction, flow, session, dialogs, until, failed: false })
    }

    /// A response to one of our INVITEs. Returns whether it was this call's business.
    pub(super) fn handle_ring_response(
        &mut self,
        env: &mut Environment,
        transaction: TransactionId,
        dialog: Option<DialogId>,
        response: &Message,
    ) -> bool {
        let Some(status) = response.status() else { return false };
        let Phase::Ringing(ring) = &mut self.phase else { return false };
        let Some(index) = ring.branches.iter().position(|branch| branch.transaction == transaction) else {
            return false;
        };
        if ring.branches[index].failed {
            // It was given up: a success is refused, and a dialog that a phone begins late is ended, by whoever has no other use for it.
            return false;
        }
        let is_said = !status.is_success() || dialog.is_some();
        self.chronicle.hear(env.unix_ms(env.now), transaction, status.code(), is_said);
        if let Some(dialog) = dialog
            && !ring.branches[index].dialogs.contains(&dialog)
        {
            ring.branches[index].dialogs.push(dialog);
        }
        let unavailable = Failure::Unavailable { retry_after: response.retry_after() };
        if status == Status::SERVICE_UNAVAILABLE && self.fail_target(env, unavailable, status) {
            self.close_branch(env, index);
            return true;
        }
        if matches!(status, Status::UNAUTHORIZED | Status::PROXY_AUTHENTICATION_REQUIRED)
            && self.try_credentials(env, index, response)
        {
            return true;
        }
        if status.is_final() {
            self.reach_target(env);
        }
        match (status.code(), dialog) {
            (100, _) => {}
            (422, _) if self.try_longer(env, index, response) => {}
            (..200, _) => self.on_progress(env, index, status, response),
            (200..300, Some(dialog)) => self.on_answer(env, index, dialog, response),
            // A 2xx without a To tag confirms no dialog: as if it had failed.
            (200..300, None) => self.on_failure(env, index, Status::BAD_GATEWAY),
            // RFC 5626 §7: any other final response is the phone's own, however it was reached.
            (408 | 430, _) if self.try_next_way(env, index) => {}
            (300.., _) => self.on_failure(env, index, status),
        }
        true
    }

    /// 101–199: passed on; with a description, the caller hears what the callee's side plays (RFC 3960).
    fn on_progress(&mut self, env: &mut Environment, index: usize, status: Status, response: &Message) {
        self.acknowledge_progress(env, index, response);
        if let Some(referred) = &mut self.referred {
            // Who will be the caller hears nothing yet, and it is another one who is told.
            return referred.news.tell(env, status);
        }
        let early = self.early_offer(env, response).or_else(|| self.early_media(env, index, response));
        let status = if early.is_some() { Status::SESSION_PROGRESS } else { status };
        let mut progress = self.response(env, status);
        write_abilities(&mut progress);
        let early_is_told = early.is_some();
        if let Some(early) = early {
            progress.body(SDP, &early);
        }
        // RFC 3262 §3: where the caller asks for it, and where a description must not be lost.
        if early_is_told {
            return self.respond_with_description(env, status, progress);
        }
        let has_offered = !self.invite().body().is_empty() || self.caller_leg.session.remote.is_some();
        if self.invite().requires(REL100) && !has_offered && !self.caller_leg.awaiting_answer {
            // RFC 3262 §5: it would have to have an offer of ours. That comes with the 2xx, and until then nothing.
            return;
        }
        if self.invite().requires(REL100) {
            let (transaction, dialog) = (self.invitation.transaction, self.caller_leg.dialog);
            return env.endpoint.respond_reliably(env.now, transaction, dialog, status, progress, false);
        }
        self.respond(env, status, progress);
    }

    /// A callee that wants its provisional response acknowledged gets its PRACK (RFC 3262 §4).
    fn acknowledge_progress(&self, env: &mut Environment, index: usize, response: &Message) {
        let Phase::Ringing(ring) = &self.phase else { return };
        let Some(branch) = ring.branches.get(index) else { return };
        let tag = response.to().ok().and_then(|to| to.tag());
        let of_it = |id: &&DialogId| {
            env.endpoint.dialog(**id).is_some_and(|dialog| Some(&**dialog.remote_tag()) == tag)
        };
        let Some(dialog) = branch.dialogs.iter().find(of_it).copied() else { return };
        let sent_by = env.sent_by(&branch.flow);
        if let Some(mut draft) = env.endpoint.draft_prack(dialog, response, &sent_by) {
            sign_request(&mut draft.writer);
            env.endpoint.request(env.now, draft, self.owner());
        }
    }

    /// A callee wants its session to last longer without a refresh (RFC 4028 §7.3): whether it is asked again so.
    fn try_longer(&mut self, env: &mut Environment, index: usize, response: &Message) -> bool {
        let Phase::Ringing(ring) = &mut self.phase else { return false };
        let Some(branch) = ring.branches.get_mut(index) else { return false };
        let mut timer = branch.session.timer;
        if !timer.handle_too_small(response) {
            return false;
        }
        let (target, way) = (branch.target, branch.way);
        let next = self.open_branch_with(env, target, way, timer);
        self.replace_branch(env, index, next)
    }

    fn early_media(&mut self, env: &mut Environment, index: usize, response: &Message) -> Option<Bytes> {
        let dtmf = self.member_in(index).map_or(self.destination.dtmf, |member| member.dtmf);
        let latching = self.member_in(index).map(|member| member.latching.clone());
        let Phase::Ringing(ring) = &mut self.phase else { return None };
        if ring.early.is_some() {
            // The first one wins; the caller has its answer.
            return None;
        }
        let remote = without_keys(dtmf, read(response).ok().flatten()?);
        let caller = self.caller_leg.session.remote.as_ref()?;
        let (ours, known) = (Formats::from(caller), Formats::from(&remote));
        let agreement = Agreement::between(&ours, &known, [Some(caller), Some(&remote)], transcodes(env))?;
        let branch = ring.branches.get_mut(index)?;
        branch.session.remote = Some(remote.clone());
        branch.session.takes_info |= takes_info(response);
        branch.session.agreed = Some(agreement.callee.clone());
        branch.session.keep(response, self.streams.is_some());
        let (flow, theirs) = (branch.flow, branch.session.theirs.clone());
        let wanted = self.caller_leg.session.wants_keys();
        let latching = latching.as_ref().unwrap_or(&self.destination.latching);
        let params = branch.session.params(&branch.flow, latching, wanted);
        env.media(Command::Configure { leg: self.media(Side::Callee).id, params });
        if self.invite().body().is_empty() {
            // What the caller was offered it has answered with its PRACK (`early`).
            return self.join_early(env, agreement);
        }
        let answer = self.answer_caller(env, agreement, &remote, &theirs);
        self.join_streams(env, &theirs, &flow);
        if let Phase::Ringing(ring) = &mut self.phase {
            ring.early = Some(answer.clone());
        }
        Some(answer)
    }

    /// The caller hears a phone that rings, and is told nothing: it has told us what it takes.
    fn join_early(&mut self, env: &mut Environment, agreement: Agreement) -> Option<Bytes> {
        self.configure(env, Side::Caller);
        self.join(env, agreement.path);
        let told = self.caller_leg.session.local.clone();
        if let Phase::Ringing(ring) = &mut self.phase {
            ring.early = Some(told);
        }
        None
    }

    /// Writes the answer for the caller, and connects the two media legs.
    fn answer_caller(
        &mut self,
        env: &mut Environment,
        agreement: Agreement,
        callee: &AudioOffer,
        theirs: &Bytes,
    ) -> Bytes {
        let session = &mut self.caller_leg.session;
        // Packets that are passed on are as long as the callee wants them; others are made here.
        let ptime_ms = if agreement.is_mixed() {
            session.remote.as_ref().and_then(|caller| caller.ptime_ms)
        } else {
            callee.ptime_ms
        };
        let message = &self.invitation.request.message;
        let behind = SessionDescription::parse(theirs).ok();
        let lines = self
            .streams
            .as_ref()
            .map_or_else(Vec::new, |streams| streams.said(Side::Caller, session.address, behind.as_ref()));
        let answer = session.answer_lines(message, &agreement.caller, ptime_ms, &lines);
        self.configure(env, Side::Caller);
        self.join(env, agreement.path);
        answer
    }

    /// The first 2xx: acknowledged; the other branches are cancelled, the caller is answered.
    fn on_answer(&mut self, env: &mut Environment, index: usize, dialog: DialogId, response: &Message) {
        let Phase::Ringing(ring) = core::mem::replace(&mut self.phase, Phase::Ended) else { return };
        let mut ring = ring;
        let mut branch = ring.branches.remove(index);
        let is_peer =
            self.destination.peer.is_some() || self.member(branch.target).is_some_and(|it| it.is_peer);
        self.settle_on(env, branch.target);
        let sent_by = env.sent_by(&branch.flow);
        env.endpoint.acknowledge(dialog, response, &sent_by);
        for early in branch.dialogs.iter().filter(|early| **early != dialog) {
            env.endpoint.end_dialog(*early);
        }
        ring.give_up_because(env, &reason::elsewhere());

        branch.session.takes_info |= takes_info(response);
        branch.session.packages = packages::taken_by(response);
        branch.session.timer.forget_min_se();
        branch.session.timer.handle_success(env.now, response);
        // Deviation: §13.2.1 wants the description of a provisional response again in the 2xx; gateways leave it out.
        if let Ok(Some(remote)) = read(response) {
            branch.session.remote = Some(without_keys(self.destination.dtmf, remote));
            branch.session.keep(response, self.streams.is_some());
        }
        if self.is_soundless() {
            branch.session.keep(response, true);
        }
        let latching = self.destination.latching.clone();
        let early = ring.early.take();
        let (session, flow) = (branch.session, branch.flow);
        self.phase = Phase::Talking {
            callee: Leg { dialog, flow, latching, session, refresh: None, is_peer, awaiting_answer: false },
        };
        if let Some(referred) = &mut self.referred {
            // The calls see to it (`transfer`).
            referred.is_answered = true;
            return;
        }
        match self.accept_answer(env, early) {
            Some(body) => self.send_answer(env, &body),
            // Answered, but with nothing that both can use (RFC 3261 §13.2.2.4: acknowledge, then BYE).
            None => {
                self.hang_up(env, Side::Callee);
                self.refuse_caller(env, Status::NOT_ACCEPTABLE_HERE, EndedBy::Switch);
            }
        }
    }

    /// The description for the 2xx to the caller: our answer to its offer, or our offer when it made none.
    pub(super) fn accept_answer(&mut self, env: &mut Environment, early: Option<Bytes>) -> Option<Bytes> {
        let Phase::Talking { callee } = &mut self.phase else { return None };
        let (flow, theirs) = (callee.flow, callee.session.theirs.clone());
        if self.is_soundless() {
            return self.accept_streams(env, &theirs, &flow);
        }
        let Phase::Talking { callee } = &mut self.phase else { return None };
        let remote = callee.session.remote.clone()?;
        let known = Formats::from(&remote);
        let Some(caller) = &self.caller_leg.session.remote else {
            callee.session.agreed = Some(known.clone());
            if core::mem::replace(&mut self.caller_leg.awaiting_answer, true) {
                // It was offered something already, and answers that with its PRACK (`early`).
                return Some(self.caller_leg.session.local.clone());
            }
            let offered = known.offered_onward(transcodes(env), &Formats::default());
            return Some(self.caller_leg.session.offer(&offered, remote.ptime_ms));
        };
        // What the caller was told early is what it speaks, and so is what it has answered to an early offer of ours.
        let early = early.or_else(|| {
            let has_answered = self.invitation.request.message.body().is_empty();
            has_answered.then(|| self.caller_leg.session.local.clone())
        });
        let told = early.as_ref().and(self.caller_leg.session.agreed.clone());
        let ours = told.unwrap_or_else(|| Formats::from(caller));
        let wishes = [Some(caller), Some(&remote)];
        let agreement = Agreement::between(&ours, &known, wishes, transcodes(env))?;
        callee.session.agreed = Some(agreement.callee.clone());
        self.configure(env, Side::Callee);
        let body = match early {
            Some(told) => {
                self.configure(env, Side::Caller);
                self.join(env, agreement.path);
                Some(told)
            }
            None => Some(self.answer_caller(env, agreement, &remote, &theirs)),
        };
        self.join_streams(env, &theirs, &flow);
        self.drop_refused_streams(env, Side::Callee);
        body
    }

    pub(super) fn send_answer(&mut self, env: &mut Environment, body: &[u8]) {
        let mut response = self.response(env, Status::OK);
        write_abilities(&mut response);
        let packages = self.leg_mut(Side::Callee).and_then(|leg| leg.session.packages.clone());
        packages::write(packages.as_ref(), &mut response);
        self.caller_leg.session.timer.answer(env.now, &self.invitation.request.message, &mut response);
        sign_response(&mut response);
        response.body(SDP, body);
        let (transaction, dialog) = (self.invitation.transaction, self.caller_leg.dialog);
        env.endpoint.answer_invite(env.now, transaction, dialog, Status::OK, response.finish());
        self.note_answer(env);
    }

    pub(super) fn note_answer(&mut self, env: &mut Environment) {
        self.answered = Some(env.now);
        let longest = env.config.call_features.longest_call_s;
        // Who has come from another call has talked already.
        let longest = longest.map(|seconds| env.now + Duration::from_secs(seconds.into()));
        self.ends_by = self.ends_by.into_iter().chain(longest).min();
        let after_ms = env.now.since(self.started).as_millis();
        let after_ms = u64::try_from(after_ms).unwrap_or(u64::MAX);
        let call = env.call_ref(self.number);
        self.tell(env, Event::CallAnswered { call, after_ms });
    }

    /// One of our INVITEs has failed; the last one decides.
    pub(super) fn on_failure(&mut self, env: &mut Environment, index: usize, status: Status) {
        let Phase::Ringing(ring) = &mut self.phase else { return };
        if index >= ring.branches.len() {
            return;
        }
        ring.best = Some(better(ring.best, status));
        self.close_branch(env, index);
        let is_one_of_several = self.member_in(index).is_some();
        if is_one_of_several && status.code() >= 600 {
            self.give_up_member(env, index, &reason::of(status));
        }
        // §16.7 step 5: a 6xx ends the search, but for other people's phones.
        let ends_all = status.code() >= 600 && !is_one_of_several;
        let Phase::Ringing(ring) = &mut self.phase else { return };
        let is_nobody_left = ring.branches.iter().all(|branch| branch.failed);
        if is_nobody_left && !ends_all && !ring.waiting.is_empty() {
            return self.hurry(env);
        }
        if ends_all || is_nobody_left {
            ring.give_up_because(env, &reason::of(status));
            self.give_way(env, EndedBy::Callee);
        }
    }

    /// Nobody of this stage answers any more: the next one begins, or the caller is refused with the best failure.
    pub(super) fn give_way(&mut self, env: &mut Environment, by: EndedBy) {
        let Phase::Ringing(ring) = &self.phase else { return };
        let best = ring.best.unwrap_or(Status::TEMPORARILY_UNAVAILABLE);
        if !self.next_stage(env, best) {
            self.refuse_caller(env, for_caller(best), by);
        }
    }

    /// The way to a phone has failed, not the phone: the INVITE goes over another of its flows (RFC 5626 §7). Returns
    /// whether there was one.
    fn try_next_way(&mut self, env: &mut Environment, index: usize) -> bool {
        let Phase::Ringing(ring) = &self.phase else { return false };
        let Some(branch) = ring.branches.get(index).filter(|branch| !branch.failed) else { return false };
        let (target, way) = (branch.target, branch.way + 1);
        let next = self.open_next(env, target, way);
        self.replace_branch(env, index, next)
    }

    /// A further server of the peer is the last of the ways.
    pub(super) fn ring_at_last_way(&mut self, env: &mut Environment) {
        let last = self.destination.targets.first().map_or(0, |target| target.ways.len().saturating_sub(1));
        let next = self.open_branch(env, 0, last);
        self.replace_branch(env, 0, next);
    }

    /// Puts a new INVITE in the place of one that has failed; whether there is something to wait for.
    pub(super) fn replace_branch(&mut self, env: &mut Environment, index: usize, next: Invited) -> bool {
        if let Invited::Sent(next) = &next {
            self.note_asked(env, next);
        }
        let Phase::Ringing(ring) = &mut self.phase else { return false };
        match next {
            Invited::Sent(next) => {
                if let Some(branch) = ring.branches.get_mut(index) {
                    let failed = core::mem::replace(branch, next);
                    failed.dialogs.into_iter().for_each(|early| env.endpoint.end_dialog(early));
                } else {
                    ring.branches.push(next);
                }
                true
            }
            Invited::TooLarge => {
                self.locate_streams(env);
                true
            }
            Invited::Shed => self.fail_target(env, SHED, Status::SERVICE_UNAVAILABLE),
            Invited::NoWay => false,
        }
    }

    /// No server of the peer is left.
    pub(super) fn handle_no_more_ways(&mut self, env: &mut Environment, status: Status) {
        match &self.phase {
            Phase::Ringing(ring) if ring.branches.is_empty() => {
                if !self.next_stage(env, status) {
                    self.refuse_caller(env, for_caller(status), EndedBy::Switch);
                }
            }
            Phase::Ringing(_) => self.on_failure(env, 0, status),
            Phase::Locating
            | Phase::Reserving
            | Phase::Refusing { .. }
            | Phase::Talking { .. }
            | Phase::Served
            | Phase::Ended => {}
        }
    }

    /// One of our INVITEs got no final response at all, or could not be sent.
    pub(super) fn handle_ring_failure(
        &mut self,
        env: &mut Environment,
        transaction: TransactionId,
        status: Status,
    ) {
        let Phase::Ringing(ring) = &self.phase else { return };
        // The ACK of a failure may be lost as well.
        let lost = |branch: &Branch| branch.transaction == transaction && !branch.failed;
        let Some(index) = ring.branches.iter().position(lost) else { return };
        self.chronicle.hear(env.unix_ms(env.now), transaction, status.code(), false);
        let failure = if status == Status::REQUEST_TIMEOUT { Failure::Timeout } else { Failure::Transport };
        if self.fail_target(env, failure, status) {
            self.close_branch(env, index);
        } else if !self.try_next_way(env, index) {
            self.on_failure(env, index, status);
        }
    }

    /// Another INVITE will take the place of one that has failed.
    pub(super) fn close_branch(&mut self, env: &mut Environment, index: usize) {
        let Phase::Ringing(ring) = &mut self.phase else { return };
        let Some(branch) = ring.branches.get_mut(index) else { return };
        branch.failed = true;
        for early in core::mem::take(&mut branch.dialogs) {
            env.endpoint.end_dialog(early);
        }
    }

    /// Nobody answered in time, or no server was found.
    pub(super) fn handle_ring_timeout(&mut self, env: &mut Environment) {
        if self.patience().is_none_or(|due| due > env.now) {
            return;
        }
        match &mut self.phase {
            Phase::Locating => {
                if !self.next_stage(env, Status::SERVER_TIME_OUT) {
                    self.refuse_caller(env, Status::SERVER_TIME_OUT, EndedBy::Switch);
                }
            }
            Phase::Refusing { status, .. } => {
                let status = *status;
                self.refuse_caller(env, status, EndedBy::Switch);
            }
            Phase::Ringing(ring) if ring.deadline > env.now => {
                self.hurry(env);
                self.stop_late(env);
            }
            Phase::Ringing(ring) => {
                ring.give_up(env);
                if !self.next_stage(env, Status::TEMPORARILY_UNAVAILABLE) {
                    self.refuse_caller(env, Status::TEMPORARILY_UNAVAILABLE, EndedBy::Switch);
                }
            }
            Phase::Reserving => self.reserve_again(env),
            Phase::Talking { .. } | Phase::Served | Phase::Ended => {}
        }
    }
}

impl Call {
    /// The way that an INVITE took.
    pub(super) fn way_of(&self, branch: &Branch) -> Option<&Way> {
        self.destination.targets.get(branch.target)?.ways.get(branch.way)
    }
}

impl Ring {
    /// When something has to be done: somebody else rings, somebody stops, or all do.
    pub(super) fn patience(&self) -> Time {
        let waiting = self.waiting.iter().map(|(at, _)| *at);
        let live = self.branches.iter().filter(|branch| !branch.failed);
        waiting.chain(live.filter_map(|branch| branch.until)).fold(self.deadline, Time::min)
    }

    /// Whether the caller hears a phone that rings.
    pub(super) const fn is_heard(&self) -> bool {
        self.early.is_some()
    }

    /// What the caller was told while it rang.
    pub(super) const fn take_early(&mut self) -> Option<Bytes> {
        self.early.take()
    }

    /// The caller has got another answer.
    pub(super) fn tell_early(&mut self, answer: Bytes) {
        self.early = Some(answer);
    }

    /// Cancels what still rings, and forgets the early dialogs.
    pub(super) fn give_up(&mut self, env: &mut Environment) {
        self.give_up_because(env, b"");
    }

    /// The same with a Reason (RFC 3326 §2), unless that is empty.
    pub(super) fn give_up_because(&mut self, env: &mut Environment, reason: &[u8]) {
        for branch in self.branches.iter_mut().filter(|branch| !branch.failed) {
            env.endpoint.cancel_because(env.now, branch.transaction, reason);
            for early in core::mem::take(&mut branch.dialogs) {
                env.endpoint.end_dialog(early);
            }
        }
    }
}

/// §16.7 step 6: 6xx before all others, then the lowest class; within it, the first.
pub(super) fn better(known: Option<Status>, new: Status) -> Status {
    let rank = |status: Status| match status.code() / 100 {
        6 => 0,
        class => class,
    };
    match known {
        Some(known) if rank(known) <= rank(new) => known,
        Some(_) | None => new,
    }
}

/// What a failure on the callee's side means to the caller, who is on another dialog: redirections, challenges and failed
/// flows are between us and the callee, and a 503 would silence us altogether (§16.7 step 6).
fn for_caller(status: Status) -> Status {
    match status.code() {
        300..=399 | 401 | 407 | 430 => Status::TEMPORARILY_UNAVAILABLE,
        503 => Status::SERVER_INTERNAL_ERROR,
        _ => status,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(code: u16) -> Status {
        Status::new(code).unwrap()
    }

    #[test]
    fn the_best_failure_is_a_6xx_then_the_lowest_class_then_the_first() {
        let best = |codes: &[u16]| codes.iter().fold(None, |best, code| Some(better(best, status(*code))));
        assert_eq!(best(&[480, 486, 503]), Some(status(480)));
        assert_eq!(best(&[503, 486]), Some(status(486)));
        assert_eq!(best(&[486, 603, 404]), Some(status(603)));
    }

    #[test]
    fn a_callees_challenge_redirection_or_overload_is_not_passed_on() {
        for (theirs, ours) in
            [(302, 480), (401, 480), (407, 480), (430, 480), (503, 500), (486, 486), (603, 603)]
        {
            assert_eq!(for_caller(status(theirs)), status(ours));
        }
    }
}

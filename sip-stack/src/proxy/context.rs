//! A response context (RFC 3261 §16.6, §16.7): one request that came in, the requests that it became, and what was answered.
//!
//! | what comes | what is done |
//! |---|---|
//! | 101–199 | sent on at once; Timer C begins anew (§16.7 steps 2 and 5) |
//! | 2xx | sent on at once, every one of an INVITE; the others are cancelled (steps 5 and 10) |
//! | 6xx | the others are cancelled, nobody else is asked (step 5) |
//! | 300–599, no answer, no transport | the next way to that target, or the next target; after the last the best goes on (step 6) |
//! | CANCEL | all that are asked are cancelled, nobody else is asked (§16.10) |
//! | Timer C, the end of the time for one preference or for all | those that are asked are cancelled (§16.8), and what they had of Max-Breadth is free when they have ended (RFC 5393 §5.3.2) |
//!
//! After the last answer an INVITE is remembered for another 64·T1, because a 2xx may come again (RFC 6026 §7.2).

use super::best::{Best, Failures};
use super::forward::Forwarding;
use super::target::{Target, ordered};
use super::validate::max_breadth;
use super::{Event, Work};
use crate::endpoint::Request;
use crate::header::reason::sip_reason;
use crate::message::{Message, Method, Status};
use crate::time::Time;
use crate::transaction::{Armed, TransactionId};
use crate::transport::Flow;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// Timer C (§16.6 step 11): more than three minutes.
const TIMER_C: Duration = Duration::from_secs(181);

/// One request that is being forwarded.
#[derive(Debug, Serialize, Deserialize)]
pub struct Context {
    pub(super) owner: u64,
    server: TransactionId,
    reply_to: Flow,
    is_invite: bool,
    /// There until the caller has its final response.
    search: Option<Box<Search>>,
    branches: SmallVec<[Branch; 1]>,
    /// Until when a 2xx may come again.
    linger: Option<Time>,
    /// When it is forgotten, once all is over.
    over: Option<Time>,
    pub(super) armed: Option<Armed>,
}

/// The search for somebody who answers.
#[derive(Debug, Serialize, Deserialize)]
struct Search {
    request: Box<Request>,
    forwarding: Forwarding,
    /// Not asked yet.
    waiting: VecDeque<Target>,
    failures: Failures,
    /// When those of the next preference are asked, and when nobody is any more.
    next_at: Time,
    end_at: Time,
    /// Max-Breadth that no branch has (RFC 5393 §5.3.3).
    breadth: u32,
    given_up: Option<GivenUp>,
}

/// Why nobody is asked any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum GivenUp {
    ByCaller,
    /// The time was over.
    Expired,
}

/// One request of ours.
#[derive(Debug, Serialize, Deserialize)]
struct Branch {
    transaction: TransactionId,
    /// The target and which way to it; gone with the branch.
    target: Option<Box<(Target, usize)>>,
    breadth: u32,
    timer_c: Time,
    progress: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Progress {
    /// No final response yet.
    Asked,
    /// The same, and none is wanted.
    Cancelled,
    /// A final response, or the lack of one.
    Ended,
}

impl Context {
    pub(super) fn new(
        now: Time,
        server: TransactionId,
        request: Box<Request>,
        mut forwarding: Forwarding,
    ) -> Context {
        let waiting = ordered(core::mem::take(&mut forwarding.targets));
        let search = Search {
            waiting,
            failures: Failures::default(),
            next_at: now + forwarding.each,
            end_at: now + forwarding.all,
            breadth: max_breadth(&request.message),
            given_up: None,
            forwarding,
            request,
        };
        Context {
            owner: search.forwarding.owner,
            server,
            reply_to: search.request.reply_to(),
            is_invite: search.request.message.method() == Some(Method::Invite),
            search: Some(Box::new(search)),
            branches: SmallVec::new(),
            linger: None,
            over: None,
            armed: None,
        }
    }

    /// The request came just now.
    pub(super) fn start(&mut self, work: &mut Work<'_>) {
        self.ask_next(work);
        self.conclude(work);
    }

    /// Asks the targets of the highest preference that wait, as many as Max-Breadth lets; those of the next only when nobody is
    /// asked any more.
    fn ask_next(&mut self, work: &mut Work<'_>) {
        let is_asked = |branch: &Branch| branch.progress == Progress::Asked;
        let mut asked = self.branches.iter().find(|branch| is_asked(branch)).and_then(Branch::q);
        if asked.is_none()
            && let Some(search) = &mut self.search
        {
            search.next_at = work.now + search.forwarding.each;
        }
        loop {
            let Some(search) = &mut self.search else { return };
            let Some(first) = search.waiting.front() else { return };
            if asked.is_some_and(|asked| asked != first.q) || search.breadth == 0 {
                return;
            }
            let alike = search.waiting.iter().take_while(|target| target.q == first.q).count();
            let share = (search.breadth / u32::try_from(alike).unwrap_or(u32::MAX).max(1)).max(1);
            let q = first.q;
            if let Some(target) = search.waiting.pop_front()
                && self.ask(work, target, 0, share)
            {
                asked = Some(q);
            }
        }
    }

    /// Sends the request over the first way to a target, from `way` on, that can be sent on; whether there was one.
    fn ask(&mut self, work: &mut Work<'_>, target: Target, way: usize, breadth: u32) -> bool {
        let Some(search) = &mut self.search else { return false };
        for (way, hop) in target.ways.iter().enumerate().skip(way) {
            let Some(transaction) = work.send(&search.request, &search.forwarding, hop, breadth) else {
                // A server that has asked to be spared: as if it had answered 503 (RFC 7339 §5.10).
                search.failures.add(Status::SERVICE_UNAVAILABLE, None);
                continue;
            };
            search.breadth = search.breadth.saturating_sub(breadth);
            let timer_c = work.now + TIMER_C;
            let target = Some(Box::new((target, way)));
            self.branches.push(Branch { transaction, target, breadth, timer_c, progress: Progress::Asked });
            return true;
        }
        false
    }

    /// A response to one of our requests.
    pub(super) fn on_response(
        &mut self,
        work: &mut Work<'_>,
        transaction: TransactionId,
        response: &Message,
    ) {
        let Some(status) = response.status() else { return };
        let Some(index) = self.branches.iter().position(|branch| branch.transaction == transaction) else {
            return;
        };
        match status.code() {
            100 => {}
            101..200 => self.on_progress(work, index, response),
            200..300 => self.on_success(work, index, response),
            300.. | ..100 => self.on_failure(work, index, status, Some(response)),
        }
    }

    fn on_progress(&mut self, work: &mut Work<'_>, index: usize, response: &Message) {
        let Some(status) = response.status() else { return };
        if let Some(branch) = self.branches.get_mut(index) {
            branch.timer_c = work.now + TIMER_C;
        }
        // After the final response nothing provisional follows.
        if self.search.is_some()
            && let Some(bytes) = response.without_top_via(&[])
        {
            work.endpoint.respond(work.now, self.server, status, bytes);
            if response.to().is_ok_and(|to| to.tag().is_some()) {
                work.events.push_back(Event::Rings { owner: self.owner });
            }
        }
    }

    fn on_success(&mut self, work: &mut Work<'_>, index: usize, response: &Message) {
        let Some(bytes) = response.without_top_via(&[]) else {
            return self.on_failure(work, index, Status::BAD_GATEWAY, None);
        };
        self.end_branch(index);
        if self.is_invite {
            self.linger = Some(work.now + work.endpoint.transaction_time());
        }
        let is_first = self.search.take().is_some();
        if is_first {
            let status = response.status().unwrap_or(Status::OK);
            work.endpoint.respond(work.now, self.server, status, bytes);
            // Phones that did not win show no missed call (RFC 3326 §3.1).
            self.cancel_branches(work, &sip_reason(Status::OK.code(), "Call completed elsewhere"));
        } else if self.is_invite {
            // The server transaction may be over by now (§16.7 step 9).
            work.endpoint.send_on(self.reply_to, bytes);
        }
        if is_first || self.is_invite {
            work.events
                .push_back(Event::Answered { owner: self.owner, response: Box::new(response.clone()) });
        }
        self.rest(work);
    }

    /// No final response, or no transport.
    pub(super) fn on_lost(&mut self, work: &mut Work<'_>, transaction: TransactionId, status: Status) {
        // It may be the CANCEL that was lost, or the caller's own transaction (§16.9: nothing follows from that).
        let is_asked =
            |branch: &Branch| branch.transaction == transaction && branch.progress != Progress::Ended;
        if let Some(index) = self.branches.iter().position(is_asked) {
            self.on_failure(work, index, status, None);
        }
    }

    fn on_failure(&mut self, work: &mut Work<'_>, index: usize, status: Status, response: Option<&Message>) {
        let was = self.branches.get(index).map(|branch| branch.progress);
        let ended = self.end_branch(index);
        if was == Some(Progress::Ended) {
            return;
        }
        // RFC 5626 §7: the way has failed, not the phone. A 503 that it sends is its own.
        let way_failed = match status.code() {
            408 | 430 => true,
            503 => response.is_none(),
            _ => false,
        };
        if way_failed
            && was == Some(Progress::Asked)
            && let Some((target, way)) = ended.map(|ended| *ended)
        {
            let breadth = self.branches.get(index).map_or(1, |branch| branch.breadth);
            if self.ask(work, target, way + 1, breadth) {
                return;
            }
        }
        if let Some(search) = &mut self.search {
            search.failures.add(status, response);
            if status.code() >= 600 {
                search.waiting.clear();
                self.cancel_branches(work, &sip_reason(status.code(), status.reason()));
            }
        }
        self.ask_next(work);
        self.conclude(work);
        self.rest(work);
    }

    /// Ends a branch: its share of Max-Breadth is free.
    fn end_branch(&mut self, index: usize) -> Option<Box<(Target, usize)>> {
        let branch = self.branches.get_mut(index)?;
        if branch.progress != Progress::Ended
            && let Some(search) = &mut self.search
        {
            search.breadth = search.breadth.saturating_add(branch.breadth);
        }
        branch.progress = Progress::Ended;
        branch.target.take()
    }

    /// The caller gave up (§16.10), or the user; what was said of why is passed on (RFC 3326 §2).
    pub(super) fn cancel(&mut self, work: &mut Work<'_>, reason: &[u8]) {
        let Some(search) = &mut self.search else { return };
        search.waiting.clear();
        search.given_up = Some(GivenUp::ByCaller);
        self.cancel_branches(work, reason);
        self.conclude(work);
    }

    fn cancel_branches(&mut self, work: &mut Work<'_>, reason: &[u8]) {
        if !self.is_invite {
            // §9.1
            return;
        }
        for branch in self.branches.iter_mut().filter(|branch| branch.progress == Progress::Asked) {
            branch.progress = Progress::Cancelled;
            work.endpoint.cancel_because(work.now, branch.transaction, reason);
        }
    }

    /// Timer C of a branch, the end of the time of one preference, or of all.
    pub(super) fn on_timeout(&mut self, work: &mut Work<'_>) {
        let now = work.now;
        if let Some(search) = &mut self.search {
            if search.given_up.is_none() && search.end_at <= now {
                search.given_up = Some(GivenUp::Expired);
                search.waiting.clear();
                self.cancel_branches(work, b"");
            } else if self.is_invite && search.next_at <= now && !search.waiting.is_empty() {
                self.cancel_branches(work, b"");
                self.ask_next(work);
            }
        }
        for branch in &mut self.branches {
            if branch.progress == Progress::Asked && branch.timer_c <= now {
                branch.progress = Progress::Cancelled;
                work.endpoint.cancel(now, branch.transaction);
            }
        }
        self.ask_next(work);
        self.conclude(work);
    }

    /// Everybody has failed: the caller gets the best of it (§16.7 step 6).
    fn conclude(&mut self, work: &mut Work<'_>) {
        let nobody_waits = self.search.as_ref().is_some_and(|search| search.waiting.is_empty());
        if !self.all_ended() || !nobody_waits {
            return;
        }
        let Some(search) = self.search.take() else { return };
        let best = match search.failures.best() {
            // It was we who gave up.
            Best::Forward(Status::REQUEST_TERMINATED, _) if search.given_up == Some(GivenUp::Expired) => {
                Best::Own(Status::REQUEST_TIMEOUT)
            }
            best => best,
        };
        let status = match best {
            Best::Forward(status, bytes) => {
                work.endpoint.respond(work.now, self.server, status, bytes);
                status
            }
            // RFC 4320 §4.2: its sender has given up already.
            Best::Own(Status::REQUEST_TIMEOUT) if !self.is_invite => {
                work.endpoint.abandon(self.server);
                Status::REQUEST_TIMEOUT
            }
            Best::Own(status) => {
                work.endpoint.respond_for(work.now, self.server, &search.request, status);
                status
            }
        };
        work.events.push_back(Event::Failed { owner: self.owner, status });
        self.rest(work);
    }

    /// When to forget it, if nothing is expected any more.
    fn rest(&mut self, work: &Work<'_>) {
        if self.search.is_none() && self.all_ended() {
            self.over = Some(self.linger.unwrap_or(work.now));
        }
    }

    fn all_ended(&self) -> bool {
        self.branches.iter().all(|branch| branch.progress == Progress::Ended)
    }

    /// Whether it may be forgotten.
    pub(super) fn is_over(&self, now: Time) -> bool {
        self.over.is_some_and(|over| over <= now)
    }

    /// The next moment at which something has to be done.
    pub(super) fn poll_timeout(&self) -> Option<Time> {
        let asked = self.branches.iter().filter(|branch| branch.progress == Progress::Asked);
        let timer_c = asked.filter(|_| self.is_invite).map(|branch| branch.timer_c).min();
        let search = self.search.as_ref().filter(|search| search.given_up.is_none());
        let next = search.filter(|search| self.is_invite && !search.waiting.is_empty());
        let (next, end) = (next.map(|search| search.next_at), search.map(|search| search.end_at));
        [timer_c, next, end, self.over].into_iter().flatten().min()
    }
}

impl Branch {
    fn q(&self) -> Option<u16> {
        self.target.as_ref().map(|target| target.0.q)
    }
}

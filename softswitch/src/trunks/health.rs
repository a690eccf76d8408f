//! Whether a peer lives: an OPTIONS (RFC 3261 §11) each `health_s` seconds. Any final answer but 503 says that it does, whatever its
//! status; two questions in a row without one, each to all of its servers, say that it does not.

use super::Kind;
use super::errand::{self, Errand};
use super::line::{News, Work};
use crate::core::environment::sign_request;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use sip_stack::Time;
use sip_stack::endpoint::Heading;
use sip_stack::message::{Message, Method, Status};
use sip_stack::registration::Loss;
use sip_stack::resolve::{Failure, Target};
use sip_stack::transport::Flow;

/// Questions in a row without an answer, after which a peer is dead.
const MISSES: u32 = 2;
/// A peer that has missed a question is asked again after so long, if that is sooner.
const AGAIN: Duration = Duration::from_secs(10);

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Health {
    pub(super) errand: Errand<()>,
    misses: u32,
    /// When it is asked next.
    next: Option<Time>,
}

impl Health {
    pub(super) const fn is_down(&self) -> bool {
        self.misses >= MISSES
    }

    pub(super) const fn poll_timeout(&self) -> Option<Time> {
        self.next
    }

    pub(super) fn handle_timeout(&mut self, work: &mut Work<'_>) {
        if self.next.is_some_and(|next| next <= work.env.now) {
            self.ask(work);
        }
    }

    pub(super) fn ask(&mut self, work: &mut Work<'_>) {
        self.next = None;
        self.errand = Errand::Locating(());
        if !errand::locate(work.env, work.id, Kind::Health, work.settings) {
            self.handle_miss(work);
        }
    }

    pub(super) fn handle_target(&mut self, work: &mut Work<'_>, target: &Target) {
        if self.errand.take_locating().is_none() {
            return errand::abandon(work.env, work.id, Kind::Health);
        }
        match errand::flow_to(work.env, target) {
            Some(flow) => self.send(work, flow),
            None => self.try_next(work, Failure::Transport),
        }
    }

    pub(super) fn handle_response(&mut self, work: &mut Work<'_>, response: &Message) {
        if self.errand.take_asking().is_none() {
            return;
        }
        if response.status() == Some(Status::SERVICE_UNAVAILABLE) {
            return self.try_next(work, Failure::Unavailable { retry_after: response.retry_after() });
        }
        errand::reach(work.env, work.id, Kind::Health);
        if self.is_down() {
            work.tell(News::Up);
        }
        self.misses = 0;
        self.wait(work, Duration::MAX);
    }

    pub(super) fn handle_loss(&mut self, work: &mut Work<'_>, loss: Loss) {
        if self.errand.take_asking().is_some() {
            self.try_next(work, errand::failure(loss));
        }
    }

    /// None of its servers has answered.
    pub(super) fn handle_miss(&mut self, work: &mut Work<'_>) {
        if self.errand.take_locating().is_none() {
            return;
        }
        self.misses = self.misses.saturating_add(1);
        if self.misses == MISSES {
            work.tell(News::Down);
        }
        self.wait(work, AGAIN);
    }

    fn try_next(&mut self, work: &mut Work<'_>, failure: Failure) {
        self.errand = Errand::Locating(());
        if !errand::fail(work.env, work.id, Kind::Health, failure) {
            self.handle_miss(work);
        }
    }

    /// Until the next question: as configured, but no longer than `most`. A tenth by draw, so that peers are not asked all at once.
    fn wait(&mut self, work: &mut Work<'_>, most: Duration) {
        let share = 90 + work.env.endpoint.random().next_u64() % 11;
        let usual = Duration::from_millis(u64::from(work.settings.client.health_s) * 10 * share);
        self.next = Some(work.env.now + usual.min(most));
    }

    fn send(&mut self, work: &mut Work<'_>, flow: Flow) {
        let sent_by = work.env.sent_by(&flow);
        let uri = [b"sip:", work.settings.authority().as_bytes()].concat();
        let heading = Heading {
            method: Method::Options,
            uri: &uri,
            from: &[b"<sip:", &sent_by[..], b">"].concat(),
            to: &[b"<", &uri[..], b">"].concat(),
            sent_by: &sent_by,
            max_forwards: 70,
            sequence: None,
        };
        let mut draft = work.env.endpoint.draft(heading, flow);
        work.write_route(&mut draft.writer);
        sign_request(&mut draft.writer);
        let transaction = work.env.endpoint.request(work.env.now, draft, 0);
        self.errand = Errand::Asking { request: (), transaction, flow };
    }
}

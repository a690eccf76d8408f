//! Published state as its client keeps it (RFC 3903 §4): published, refreshed under its entity tag, modified, removed.
//!
//! [`Publication`] says when a PUBLISH has to be sent and what is in it, and reads the answers; one is out at a time (§4.1). Whatever
//! the state becomes meanwhile is sent after it. A 412 begins anew with the whole state (§4.3). Transactions, the route and passwords
//! are its user's.

use super::{Failure, Package};
use crate::auth::Verdict;
use crate::header::{EventType, HeaderName};
use crate::message::{Message, Status, Writer};
use crate::random::Random;
use crate::registration::{Loss, wait};
use crate::time::Time;
use bytes::Bytes;
use core::time::Duration;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// A refresh leaves so much time for Timer F and another attempt, when the lifetime is long enough.
const AHEAD: Duration = Duration::from_secs(70);
/// A lifetime of nothing would have us ask without end.
const SHORTEST_S: u32 = 10;
/// How many challenges, longer lifetimes and forgotten tags one attempt goes along with.
const MAX_DEMANDS: u8 = 6;

/// What enters. Requests are named by the number in [`PublicationOutput::Publish`].
#[derive(Clone, Debug)]
pub enum PublicationInput<'a> {
    /// What is to be published; nothing removes it. Saying it again tries anew what was given up.
    State(Option<Bytes>),
    /// The compositor was started anew, or we came back to it: ask whether it still has the state.
    Refresh,
    /// A response to a PUBLISH that is no challenge; a 401 or 407 that comes in here counts as a refusal.
    Response(u32, &'a Message),
    /// A 401 or 407 to a PUBLISH.
    Challenged(u32, Verdict),
    /// There will be no response to a PUBLISH that counts.
    Lost(u32, Loss),
}

/// What leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublicationOutput {
    /// Send a PUBLISH; [`Publication::write`] has what is in it.
    Publish(u32),
    /// Tell the user.
    Event(PublicationEvent),
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum PublicationEvent {
    /// The compositor has the state, again or for the first time.
    Published {
        /// For so many seconds.
        expires_s: u32,
    },
    /// It has nothing of us, as was wanted.
    Removed,
    /// A PUBLISH failed.
    Failed {
        /// Why.
        failure: Failure,
        /// When it will be tried again; `None`: not by itself.
        retry: Option<Duration>,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
enum Stage {
    Resting,
    Asking { number: u32, demands: u8, with_state: bool, removes: bool },
    Held { refresh_at: Time },
    Waiting { retry_at: Time },
    GivenUp,
}

/// State of one package that is published for one resource.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Publication {
    package: Package,
    /// What to ask for; grows with a 423.
    expires_s: u32,
    wanted: Option<Bytes>,
    /// Whether the compositor has yet to hear what is wanted.
    is_new: bool,
    tag: Option<Bytes>,
    stage: Stage,
    numbers: u32,
    failures: u32,
    #[serde(skip)]
    outputs: VecDeque<PublicationOutput>,
}

impl Publication {
    /// Nothing is published yet; later for `expires_s` seconds at a time.
    pub fn new(package: Package, expires_s: u32) -> Publication {
        Publication {
            package,
            expires_s,
            wanted: None,
            is_new: false,
            tag: None,
            stage: Stage::Resting,
            numbers: 0,
            failures: 0,
            outputs: VecDeque::new(),
        }
    }

    /// Takes one input. Outputs follow from [`Publication::poll_output`] until it is `None`. An input about a request that no longer
    /// counts changes nothing.
    pub fn handle_input(&mut self, now: Time, input: PublicationInput<'_>, random: &mut Random) {
        match input {
            PublicationInput::State(state) => {
                self.is_new = self.is_new || self.wanted != state || self.stage == Stage::GivenUp;
                self.wanted = state;
                self.failures = 0;
                self.go_on();
            }
            PublicationInput::Refresh => {
                if !matches!(self.stage, Stage::Asking { .. }) && self.wanted.is_some() {
                    self.failures = 0;
                    self.ask(0);
                }
            }
            PublicationInput::Response(number, response) => {
                if let (Some(status), true) = (response.status(), self.is_asking(number))
                    && status.is_final()
                {
                    self.on_response(now, status, response, random);
                }
            }
            PublicationInput::Challenged(number, verdict) if self.is_asking(number) => match verdict {
                Verdict::Again => self.ask_again(now, random),
                Verdict::Refused => self.fail(now, Failure::WrongCredentials, None, random),
                Verdict::Unanswerable => self.fail(now, Failure::UnknownAuthentication, None, random),
            },
            PublicationInput::Lost(number, loss) if self.is_asking(number) => {
                let failure = match loss {
                    Loss::TimedOut => Failure::TimedOut,
                    Loss::TransportFailed => Failure::TransportFailed,
                    Loss::Unproven => Failure::Nonsense,
                };
                self.fail(now, failure, None, random);
            }
            PublicationInput::Challenged(..) | PublicationInput::Lost(..) => {}
        }
    }

    /// Refreshes what is due, and tries again what failed.
    pub fn handle_timeout(&mut self, now: Time) {
        if self.poll_timeout().is_some_and(|at| at <= now) {
            self.ask(0);
        }
    }

    /// The next thing to do, in the order it came about.
    pub fn poll_output(&mut self) -> Option<PublicationOutput> {
        self.outputs.pop_front()
    }

    /// When [`Publication::handle_timeout`] wants to be called.
    pub fn poll_timeout(&self) -> Option<Time> {
        match self.stage {
            Stage::Held { refresh_at } => Some(refresh_at),
            Stage::Waiting { retry_at } => Some(retry_at),
            Stage::Resting | Stage::Asking { .. } | Stage::GivenUp => None,
        }
    }

    /// Whether the compositor has state of us, as far as we know.
    pub const fn is_published(&self) -> bool {
        self.tag.is_some()
    }

    /// Adds Event, Expires, SIP-If-Match and the state to a PUBLISH.
    pub fn write(&self, number: u32, writer: &mut Writer) {
        let Stage::Asking { number: asked, with_state, removes, .. } = self.stage else { return };
        if asked != number {
            return;
        }
        let event = EventType { name: self.package.name().as_bytes(), id: None };
        writer.header(HeaderName::Event, &event.value());
        writer.number(HeaderName::Expires, if removes { 0 } else { u64::from(self.expires_s) });
        if let Some(tag) = &self.tag {
            writer.header(HeaderName::SipIfMatch, tag);
        }
        // §4.1: a refresh has no body, and neither has a removal (§4.5).
        if let Some(state) = self.wanted.as_ref().filter(|_| with_state) {
            writer.body(self.package.content_type().as_bytes(), state);
        }
    }

    fn is_asking(&self, number: u32) -> bool {
        matches!(self.stage, Stage::Asking { number: asked, .. } if asked == number)
    }

    /// Asks for what is wanted and not so yet.
    fn go_on(&mut self) {
        match self.stage {
            // Heeded when the answer is there.
            Stage::Asking { .. } => {}
            Stage::Resting | Stage::Held { .. } | Stage::Waiting { .. } | Stage::GivenUp => {
                if self.is_new {
                    self.ask(0);
                }
            }
        }
    }

    fn ask(&mut self, demands: u8) {
        let removes = self.wanted.is_none();
        if removes && self.tag.is_none() {
            self.is_new = false;
            self.stage = Stage::Resting;
            return self.outputs.push_back(PublicationOutput::Event(PublicationEvent::Removed));
        }
        self.numbers = self.numbers.wrapping_add(1);
        let with_state = !removes && (self.is_new || self.tag.is_none());
        self.is_new = false;
        self.stage = Stage::Asking { number: self.numbers, demands, with_state, removes };
        self.outputs.push_back(PublicationOutput::Publish(self.numbers));
    }

    fn ask_again(&mut self, now: Time, random: &mut Random) {
        let Stage::Asking { demands, with_state, .. } = self.stage else { return };
        if demands >= MAX_DEMANDS {
            return self.fail(now, Failure::Nonsense, None, random);
        }
        self.is_new = self.is_new || with_state;
        self.ask(demands + 1);
    }

    fn on_response(&mut self, now: Time, status: Status, response: &Message, random: &mut Random) {
        let Stage::Asking { removes, .. } = self.stage else { return };
        match status {
            status if status.is_success() => self.on_success(now, response, removes, random),
            // §4.3: the compositor has nothing under that tag; a removal has its way then.
            Status::CONDITIONAL_REQUEST_FAILED if self.tag.take().is_some() => self.ask_again(now, random),
            Status::INTERVAL_TOO_BRIEF => match response.min_expires() {
                Ok(Some(longer)) if longer > self.expires_s && !removes => {
                    self.expires_s = longer;
                    self.ask_again(now, random);
                }
                Ok(Some(_) | None) | Err(_) => self.fail(now, Failure::Nonsense, None, random),
            },
            status => self.fail(now, Failure::Refused(status), response.retry_after(), random),
        }
    }

    fn on_success(&mut self, now: Time, response: &Message, removes: bool, random: &mut Random) {
        if removes {
            (self.tag, self.stage) = (None, Stage::Resting);
            self.outputs.push_back(PublicationOutput::Event(PublicationEvent::Removed));
            return self.go_on();
        }
        // §4.2: without a tag it could never be refreshed.
        let Ok(Some(tag)) = response.entity_tag() else {
            return self.fail(now, Failure::Nonsense, None, random);
        };
        self.tag = Some(Bytes::copy_from_slice(tag));
        self.failures = 0;
        let expires_s = response.expires().ok().flatten().unwrap_or(self.expires_s).max(SHORTEST_S);
        let lifetime = Duration::from_secs(u64::from(expires_s));
        let after = lifetime.checked_sub(AHEAD).filter(|left| *left > AHEAD).unwrap_or(lifetime / 2);
        self.stage = Stage::Held { refresh_at: now + after };
        self.outputs.push_back(PublicationOutput::Event(PublicationEvent::Published { expires_s }));
        self.go_on();
    }

    fn fail(&mut self, now: Time, failure: Failure, retry_after: Option<Duration>, random: &mut Random) {
        let Stage::Asking { with_state, removes, .. } = self.stage else { return };
        self.failures = self.failures.saturating_add(1);
        if removes {
            // What is left there ends by itself.
            self.tag = None;
        }
        let passing = failure.is_passing() || retry_after.is_some();
        let changed = core::mem::take(&mut self.is_new);
        let retry = (passing && self.wanted.is_some())
            .then(|| wait::after(self.failures, false, retry_after, random));
        self.is_new = with_state || changed;
        self.stage = match retry {
            Some(retry) => Stage::Waiting { retry_at: now + retry },
            None if removes => Stage::Resting,
            None => Stage::GivenUp,
        };
        self.outputs.push_back(PublicationOutput::Event(PublicationEvent::Failed { failure, retry }));
        // It has become another wish meanwhile.
        if changed && retry.is_none() {
            self.go_on();
        }
    }
}

//! Packages of INFO (RFC 6086): what a package is about is between the two parties. Each hears in Recv-Info what the other one takes,
//! and an INFO with a package that the other side has announced is passed on to it; its answer is the answer. Any other is 469,
//! with what the other side takes (§4.2.2).
//!
//! Bounds: [`PENDING`] of a call wait for their answers, one more is 500; a Recv-Info longer than [`LONGEST`] counts as an empty
//! one. Left out on purpose: packages in early dialogs, and telling the other side that a party takes something else since a
//! re-INVITE or transfer, which is heeded all the same.

use super::call::{Call, Phase, Side};
use crate::core::environment::{Environment, sign_request, sign_response};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::endpoint::Request;
use sip_stack::header::HeaderName;
use sip_stack::message::{Message, Method, Status, Writer};
use sip_stack::transaction::TransactionId;

/// INFOs with packages that wait for their answers, in one call.
const PENDING: usize = 4;
/// The longest Recv-Info that is passed on, in octets.
const LONGEST: usize = 512;

/// An INFO that was passed on.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct PassedInfo {
    /// Of ours.
    asked: TransactionId,
    /// Of the party's.
    transaction: TransactionId,
    request: Box<Request>,
}

/// What the sender of a message takes: `None` when it says nothing of it, and then what it said before holds (§5.2.3).
pub(super) fn taken_by(message: &Message) -> Option<Bytes> {
    message.header(HeaderName::RecvInfo)?;
    let packages: Vec<&[u8]> = message.list(HeaderName::RecvInfo).collect();
    let packages = packages.join(&b", "[..]);
    Some(if packages.len() > LONGEST { Bytes::new() } else { packages.into() })
}

/// Says to one side what the other one takes, if that has said anything.
pub(super) fn write(taken: Option<&Bytes>, writer: &mut Writer) {
    if let Some(taken) = taken {
        writer.header(HeaderName::RecvInfo, taken);
    }
}

/// The name of a package, without its parameters.
fn name(package: &[u8]) -> &[u8] {
    package.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii()
}

/// What the answer of the other side means to who has asked: what is between it and us is not passed on.
fn for_asker(status: Status) -> Status {
    match status.code() {
        200..=299 => Status::OK,
        300..=399 | 401 | 407 | 408 | 481 | 503 => Status::SERVER_INTERNAL_ERROR,
        _ => status,
    }
}

impl Call {
    /// The leg of a side takes a message's word for what the party takes.
    pub(super) fn note_packages(&mut self, side: Side, message: &Message) {
        if let (Some(taken), Some(leg)) = (taken_by(message), self.leg_mut(side)) {
            leg.session.packages = Some(taken);
        }
    }

    /// An INFO with a package.
    pub(super) fn handle_package(&mut self, env: &mut Environment, side: Side, request: &Request) {
        let transaction = env.endpoint.accept(env.now, request, self.owner());
        let package = request.message.header(HeaderName::InfoPackage).map(name).unwrap_or_default();
        let is_talking = matches!(self.phase, Phase::Talking { .. });
        let other = self.leg_mut(side.other()).filter(|_| is_talking);
        let taken = other.as_ref().and_then(|leg| leg.session.packages.clone()).unwrap_or_default();
        let is_taken = taken.split(|byte| *byte == b',').any(|one| name(one).eq_ignore_ascii_case(package));
        let Some(leg) = other.filter(|_| is_taken && !package.is_empty()) else {
            return answer(env, request, transaction, Status::BAD_INFO_PACKAGE, |response| {
                response.header(HeaderName::RecvInfo, &taken);
            });
        };
        let (dialog, sent_by) = (leg.dialog, env.sent_by(&leg.flow));
        let draft = env.endpoint.draft_in_dialog(dialog, Method::Info, &sent_by);
        let Some(mut draft) = draft.filter(|_| self.infos.len() < PENDING) else {
            return answer(env, request, transaction, Status::SERVER_INTERNAL_ERROR, |_| {});
        };
        for header in [HeaderName::InfoPackage, HeaderName::ContentDisposition, HeaderName::ContentEncoding] {
            draft.writer.copy(header, &request.message);
        }
        sign_request(&mut draft.writer);
        if let Some(content_type) = request.message.header(HeaderName::ContentType) {
            draft.writer.body(content_type, request.message.body());
        }
        let asked = env.endpoint.request(env.now, draft, self.owner());
        self.infos.push(PassedInfo { asked, transaction, request: Box::new(request.clone()) });
    }

    fn passed_info(&mut self, asked: TransactionId) -> Option<PassedInfo> {
        let place = self.infos.iter().position(|info| info.asked == asked)?;
        Some(self.infos.remove(place))
    }

    /// A response; whether it was to an INFO that was passed on.
    pub(super) fn handle_package_response(
        &mut self,
        env: &mut Environment,
        asked: TransactionId,
        response: &Message,
    ) -> bool {
        let Some(status) = response.status().filter(|status| status.is_final()) else {
            return self.infos.iter().any(|info| info.asked == asked);
        };
        let Some(info) = self.passed_info(asked) else { return false };
        answer(env, &info.request, info.transaction, for_asker(status), |writer| {
            writer.copy(HeaderName::RecvInfo, response);
            writer.copy(HeaderName::Accept, response);
        });
        true
    }

    /// No answer came; whether to an INFO that was passed on.
    pub(super) fn handle_package_failure(&mut self, env: &mut Environment, asked: TransactionId) -> bool {
        let info = self.passed_info(asked);
        if let Some(info) = &info {
            answer(env, &info.request, info.transaction, Status::SERVER_INTERNAL_ERROR, |_| {});
        }
        info.is_some()
    }

    /// The call is over for the two: nobody will answer any more.
    pub(super) fn abandon_packages(&mut self, env: &mut Environment) {
        for info in core::mem::take(&mut self.infos) {
            answer(env, &info.request, info.transaction, Status::CALL_DOES_NOT_EXIST, |_| {});
        }
    }
}

fn answer(
    env: &mut Environment,
    request: &Request,
    transaction: TransactionId,
    status: Status,
    explain: impl FnOnce(&mut Writer),
) {
    let mut response = env.endpoint.response(request, status, None);
    explain(&mut response);
    sign_response(&mut response);
    env.endpoint.respond(env.now, transaction, status, response.finish());
}

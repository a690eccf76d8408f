//! What a proxy does with the transactions of an endpoint (RFC 3261 §16.6, §16.7, §16.11). What is to be done is decided in
//! `proxy`.

use super::{Endpoint, Output, Request};
use crate::message::{Message, Method, Status, response_of};
use crate::overload::ANNOUNCEMENT;
use crate::proxy::Refusal;
use crate::time::Time;
use crate::transaction::TransactionId;
use crate::transport::{Flow, Transmit, response_flow};
use bytes::Bytes;

impl Endpoint {
    /// Hands a message to the network without a transaction.
    pub(crate) fn send_on(&mut self, flow: Flow, bytes: Bytes) {
        self.outputs.push_back(Output::Transmit(Transmit { flow, bytes, transaction: None }));
    }

    /// The Via of a request that is forwarded with this branch.
    pub(crate) fn forwarding_via(&self, sent_by: &[u8], flow: &Flow, branch: &[u8]) -> Vec<u8> {
        let transport = flow.transport.name().as_bytes();
        let announcement = if self.downstream.is_announced_to(flow.peer) { ANNOUNCEMENT } else { b"" };
        [b"SIP/2.0/", transport, b" ", sent_by, b";rport;branch=", branch, announcement].concat()
    }

    /// Sends a request of others in a client transaction of its own (§16.6 step 10).
    pub(crate) fn forward(
        &mut self,
        now: Time,
        method: Method<'_>,
        branch: &[u8],
        request: Bytes,
        flow: Flow,
        owner: u64,
    ) -> TransactionId {
        let id = self.transactions.open_client(now, method, branch, request, flow, owner);
        self.collect(None);
        id
    }

    /// A response of our own to a request that is being forwarded.
    pub(crate) fn respond_for(
        &mut self,
        now: Time,
        transaction: TransactionId,
        request: &Request,
        status: Status,
    ) {
        let response = self.response(request, status, None).finish();
        self.respond(now, transaction, status, response);
    }

    /// Gives a request no final response at all (RFC 4320 §4.2).
    pub(crate) fn abandon(&mut self, transaction: TransactionId) {
        self.transactions.abandon(transaction);
    }

    /// 64·T1 of this endpoint.
    pub fn transaction_time(&self) -> core::time::Duration {
        self.transactions.timing().transaction()
    }

    /// Refuses a request within a dialog of others, without state.
    pub(crate) fn refuse_passing(&mut self, request: &Message, from: Flow, refusal: &Refusal) {
        let tag = self.stateless_tag(request);
        let mut response =
            response_of(request, refusal.status, None, Some(&tag), from.peer, Some(&self.upstream));
        if let Some((name, value)) = &refusal.header {
            response.header(*name, value);
        }
        let flow = request.via().map_or(from, |via| response_flow(from, &via));
        self.send_on(flow, response.finish());
    }
}

impl Request {
    /// Where responses to it go.
    pub(crate) fn reply_to(&self) -> Flow {
        self.reply_to
    }
}

//! The core's way to the DNS. Its thread is started with the first question, so that a switch whose peers are addresses
//! needs no DNS.
//!
//! Overflow: a question that cannot be put counts as one that failed.

use crate::core::Input;
use sip_stack::io::dns::{self, Dns, Servers, Wake};
use sip_stack::resolve::{Answer, Query};
use std::net::SocketAddr;
use tracing::warn;

/// The thread, once there is one.
pub(super) struct Names {
    dns: Option<Dns>,
    servers: Servers,
    wake: Wake,
}

impl Names {
    /// `listed` are the servers to ask, those of the system when there are none. `wake` is called from the thread when
    /// there is an answer.
    pub(super) fn new(listed: &[SocketAddr], wake: Wake) -> Names {
        let servers = if listed.is_empty() { Servers::System } else { Servers::Listed(listed.to_vec()) };
        Names { dns: None, servers, wake }
    }

    /// Others are asked from now on; those that were asked answer no more, and are asked again when their time is up.
    pub(super) fn use_servers(&mut self, listed: &[SocketAddr]) {
        let servers = if listed.is_empty() { Servers::System } else { Servers::Listed(listed.to_vec()) };
        if servers != self.servers {
            self.servers = servers;
            self.dns = None;
        }
    }

    /// Puts a question; returns the answer when it cannot be put.
    pub(super) fn ask(&mut self, query: Query) -> Option<Input> {
        let failed = |query| Some(Input::Resolved { query, answer: Answer::Failed });
        let dns = match &mut self.dns {
            Some(dns) => dns,
            None => match dns::start(&self.servers, self.wake.clone()) {
                Ok(dns) => self.dns.insert(dns),
                Err(error) => {
                    warn!(%error, "names of peers cannot be looked up");
                    return failed(query);
                }
            },
        };
        dns.ask(query).err().and_then(failed)
    }

    /// The next answer.
    pub(super) fn poll_input(&mut self) -> Option<Input> {
        let (query, answer) = self.dns.as_mut()?.poll_answer()?;
        Some(Input::Resolved { query, answer })
    }
}

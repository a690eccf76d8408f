//! Who calls, for whoever is called: From, and for trusted peers P-Asserted-Identity (RFC 3325 §5, §9.1). A caller who asks not
//! to be known (RFC 3323 §4.2: `id`, `user` or `header`) is anonymous in both From and Contact; a trusted peer learns it all the same, and
//! is told to keep it (`Privacy: id`, RFC 3325 §9.3).
//!
//! The identity is that of the user who proved to be it; what a phone asserts or prefers is not looked at. Left out on purpose:
//! identities that peers assert; `session` privacy, which the switch gives to everybody, as it anchors the
//! media; refusing what is `critical`.

use super::call::Call;
use super::stages::Member;
use crate::core::environment::escape_user;
use sip_stack::header::HeaderName;
use sip_stack::message::Writer;

/// RFC 3323 §4.1.1.3
const ANONYMOUS: &[u8] = b"\"Anonymous\" <sip:anonymous@anonymous.invalid>";

impl Call {
    /// From of a request to the callee. `host`: that of the domain, as the callee should see it.
    pub(super) fn shown_caller(&self, host: &[u8], target: usize) -> Vec<u8> {
        match self.at_peer(target).and_then(|peer| peer.client.from_user.as_deref()) {
            // The account stands in From, whoever calls.
            Some(user) => {
                let name = if self.anonymous { &b""[..] } else { &self.caller_name };
                address(name, user, host)
            }
            None if self.anonymous => ANONYMOUS.to_vec(),
            None => self.known_caller(host, self.member(target)),
        }
    }

    /// The user part of our Contact to the callee.
    pub(super) fn shown_user<'a>(&'a self, member: Option<&'a Member>) -> &'a [u8] {
        if self.anonymous { b"anonymous" } else { self.number_shown(member).as_bytes() }
    }

    /// The number of the caller as who is called should see it.
    fn number_shown<'a>(&'a self, member: Option<&'a Member>) -> &'a str {
        let is_peer = self.destination.peer.is_some() || member.is_some_and(|member| member.is_peer);
        if let Some(shown) = self.shown_by_program(is_peer) {
            return shown;
        }
        let own = match member {
            Some(member) => &member.caller_id,
            None => &self.destination.caller_id,
        };
        own.as_deref().unwrap_or(&self.caller)
    }

    fn known_caller(&self, host: &[u8], member: Option<&Member>) -> Vec<u8> {
        let name = self.name_by_program().unwrap_or(&self.caller_name);
        address(name, self.number_shown(member), host)
    }

    /// Passes on where the call was aimed before (RFC 7044 §6, RFC 5806 §5), but not to peers: they may charge whom a user names there.
    pub(super) fn pass_history(&self, host: &[u8], member: Option<&Member>, writer: &mut Writer) {
        let is_peer = self.destination.peer.is_some() || member.is_some_and(|member| member.is_peer);
        let is_trusted = self.is_trusted(member);
        self.write_diversions(host, !is_peer || is_trusted, writer);
        if is_peer || self.anonymous || self.referred.is_some() {
            return;
        }
        writer.copy(HeaderName::HistoryInfo, self.invite());
        writer.copy(HeaderName::Diversion, self.invite());
    }

    /// Whether who is called is behind a peer that may know who calls in any case.
    fn is_trusted(&self, member: Option<&Member>) -> bool {
        let of_stage = || self.destination.peer.as_ref().is_some_and(|peer| peer.is_trusted());
        member.map_or_else(of_stage, |member| member.is_trusted)
    }

    /// Writes what a trusted peer is told of the caller.
    pub(super) fn assert_identity(&self, host: &[u8], target: usize, writer: &mut Writer) {
        let member = self.member(target);
        let is_trusted = self.is_trusted(member);
        if is_trusted {
            writer.header(HeaderName::PAssertedIdentity, &self.known_caller(host, member));
        }
        // From tells nothing of it where it is that of an account.
        let has_account = self.at_peer(target).is_some_and(|peer| peer.client.from_user.is_some());
        if self.anonymous && (is_trusted || has_account) {
            writer.header(HeaderName::Privacy, b"id");
        }
    }
}

fn address(name: &[u8], user: &str, host: &[u8]) -> Vec<u8> {
    let user = escape_user(user.as_bytes());
    let address = [name, b" <sip:", &user, b"@", host, b">"].concat();
    address.trim_ascii_start().to_vec()
}

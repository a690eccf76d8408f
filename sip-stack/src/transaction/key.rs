//! How messages find their transaction (RFC 3261 §17.1.3, §17.2.3).
//!
//! A key is the 128-bit SipHash, under a key that peers do not know, of the fields that the RFC compares. Two
//! transactions with the same key are less likely than a memory error, and nobody can provoke them.

use crate::header::{CSeq, HeaderError, NameAddr};
use crate::message::{Mandatory, Message, Method};
use core::hash::Hasher;
use serde::{Deserialize, Serialize};
use siphasher::sip128::{Hasher128, SipHasher13};
use smallvec::SmallVec;

/// Identifies a transaction among those of one core.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct TransactionKey(pub u128);

/// Makes keys. Constructed with 16 bytes from the seeded generator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct KeyHasher([u8; 16]);

impl KeyHasher {
    /// Hashes under `key`.
    pub const fn new(key: [u8; 16]) -> KeyHasher {
        KeyHasher(key)
    }

    /// The keyed hash of `fields`, each with its length, so that no two lists run together.
    pub fn hash(&self, fields: &[&[u8]]) -> u128 {
        // In one piece: the hasher takes half as long for it as for the same octets one by one.
        let mut octets: SmallVec<[u8; 256]> = SmallVec::new();
        for field in fields {
            octets.extend_from_slice(&(field.len() as u32).to_le_bytes());
            octets.extend_from_slice(field);
        }
        let mut hasher = SipHasher13::new_with_key(&self.0);
        hasher.write(&octets);
        hasher.finish128().as_u128()
    }

    /// The key of a client transaction: its branch and the CSeq method (§17.1.3).
    pub fn client(&self, branch: &[u8], method: Method<'_>) -> TransactionKey {
        TransactionKey(self.hash(&[b"client", branch, method.as_bytes()]))
    }

    /// The key of the server transaction that `request` belongs to (§17.2.3). An ACK has the key of its INVITE.
    pub fn server(&self, request: &Message, fields: &Mandatory<'_>) -> TransactionKey {
        let method = match fields.cseq.method {
            Method::Ack => Method::Invite,
            method => method,
        };
        self.server_of(request, fields, method)
    }

    /// The key of the INVITE that a CANCEL asks to cancel (§9.2).
    pub fn cancelled(&self, cancel: &Message, fields: &Mandatory<'_>) -> TransactionKey {
        self.server_of(cancel, fields, Method::Invite)
    }

    fn server_of(&self, request: &Message, fields: &Mandatory<'_>, method: Method<'_>) -> TransactionKey {
        let via = &fields.via;
        let port = via.port.unwrap_or(5060).to_be_bytes();
        let mut host: SmallVec<[u8; 64]> = SmallVec::from_slice(via.host);
        host.make_ascii_lowercase();
        let branch = via.branch.unwrap_or_default();
        if via.is_rfc3261_branch() {
            return TransactionKey(self.hash(&[b"server", branch, &host, &port, method.as_bytes()]));
        }
        // RFC 2543 peers. The To tag is left out: the INVITE has none yet, its ACK has ours.
        let number = fields.cseq.number.to_be_bytes();
        TransactionKey(self.hash(&[
            b"server 2543",
            request.request_uri(),
            fields.from.tag().unwrap_or_default(),
            fields.call_id,
            &number,
            &host,
            &port,
            branch,
            method.as_bytes(),
        ]))
    }

    /// The key under which an initial INVITE that arrives twice, on two paths, is recognised (§8.2.2.2).
    ///
    /// # Errors
    /// A mandatory header field does not parse.
    pub fn merged(&self, request: &Message) -> Result<u128, HeaderError> {
        Ok(self.merged_of(&request.from()?, request.call_id()?, &request.cseq()?))
    }

    /// As [`KeyHasher::merged`], of fields that have been read.
    pub fn merged_of(&self, from: &NameAddr<'_>, call_id: &[u8], cseq: &CSeq<'_>) -> u128 {
        let number = cseq.number.to_be_bytes();
        let tag = from.tag().unwrap_or_default();
        self.hash(&[b"merged", tag, call_id, &number, cseq.method.as_bytes()])
    }
}

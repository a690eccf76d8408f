//! A call that is up, as the store keeps it: its record as far as that is known, and what its parties need to hear that it is over.
//!
//! Written when the call begins to ring or is served, and again when it was answered or one of its parties changed; removed when its record
//! is written. What is left in the store at a start belongs to calls that the switch was interrupted in.

use crate::store::{CallRecord, EndedBy};
use serde::{Deserialize, Serialize};
use sip_stack::dialog::Resumption;
use sip_stack::transport::Transport;
use std::net::SocketAddr;

/// One call that is up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenCall {
    /// Its record, as if it ended now.
    pub record: CallRecord,
    /// Those who have answered or were answered; nobody while it rings.
    pub parties: Vec<OpenParty>,
}

/// A party of a call that was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenParty {
    /// Which.
    pub side: EndedBy,
    /// Its dialog.
    pub dialog: Resumption,
    /// Over what it was heard last.
    pub transport: Transport,
    /// Our address then.
    pub local: SocketAddr,
    /// Its address then.
    pub peer: SocketAddr,
}

/// A call that the switch was interrupted in. Its record is written already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interrupted {
    /// The run of the switch that the call was in, counted since the database was made.
    pub run: i64,
    /// Its number in that run.
    pub number: u64,
    /// Its record's id.
    pub id: Box<str>,
    /// Whom to tell that it is over; empty when it was not answered, or was kept by another version of the program.
    pub parties: Vec<OpenParty>,
}

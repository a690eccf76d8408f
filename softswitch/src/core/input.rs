//! What enters the switch.

use super::Interfaces;
use super::command::{Actor, Command, CommandId};
use crate::config::Config;
use crate::records::Interrupted;
use crate::store::{StoreEvent, StoredBinding, StoredProfile};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use sip_stack::resolve::{Answer, Query};
use sip_stack::transport::Flow;

/// One thing that happened outside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Input {
    /// A SIP message arrived.
    Received {
        /// The listener, our address as the sender faces it, and the sender.
        flow: Flow,
        /// The message as it came.
        bytes: Bytes,
    },
    /// A message could not be handed to the network.
    Unsent {
        /// The transaction that the [`sip_stack::transport::Transmit`] named.
        transaction: u64,
    },
    /// A connection of TCP, TLS or WebSocket has ended: what can be reached over it alone is gone.
    Disconnected {
        /// The flow of what was received over it.
        flow: Flow,
    },
    /// For how long there has always been a message waiting to be read: none has waited longer. Told when that is of
    /// another [`sip_stack::overload::DelayClass`] than it was, once per turn at most.
    Backlog {
        /// Microseconds.
        delay_us: u32,
    },
    /// The DNS answered a question of [`super::Output::Resolve`].
    Resolved {
        /// The question.
        query: Query,
        /// The answer.
        answer: Answer,
    },
    /// News from a media shard.
    Media(media::Report),
    /// The time of day: at start, once a minute, and when the clock was stepped.
    WallClock {
        /// Milliseconds since 1970-01-01 00:00 UTC.
        unix_ms: u64,
    },
    /// The addresses of this machine: at start and when they changed.
    Interfaces(Interfaces),
    /// A configuration: a reload. The first one is given to [`super::Switch::new`].
    Configure(Box<Config>),
    /// The configuration was to be read again and cannot be used.
    NotConfigured {
        /// Why, for the operator.
        reason: Box<str>,
    },
    /// A command. [`super::Output::Answer`] follows at once.
    Command {
        /// Unique over restarts ([`super::command::Run`]): whoever hands it in counts.
        id: CommandId,
        /// Who gives it.
        actor: Actor,
        /// What is asked.
        command: Box<Command>,
    },
    /// Registrations that were in the store when the switch started. Needs the time of day.
    Restored(Vec<StoredBinding>),
    /// What users had set for themselves when the switch was last stopped.
    Profiles(Vec<StoredProfile>),
    /// Calls that the switch was interrupted in when it ran last: their parties are told.
    Interrupted(Vec<Interrupted>),
    /// News of the store.
    Store(StoreEvent),
    /// Stop: refuse new calls and end those that are up. [`super::Switch::is_idle`] tells when that is done.
    Shutdown,
}

//! Calls between two parties with media anchored here: a back-to-back user agent (RFC 3261 §6, RFC 7092). And calls that
//! the switch answers itself (`serve`).

mod account;
mod agreement;
mod answering;
mod bridge;
#[allow(clippy::module_inception)]
mod call;
mod callback;
mod calls;
mod codes;
mod command;
mod conferences;
mod consult;
mod counting;
mod desk;
mod digits;
mod early;
mod end;
mod formats;
mod handover;
mod hold;
mod identity;
mod interrupted;
mod inviting;
mod join;
mod keys;
mod led;
mod locate;
mod meetings;
mod members;
mod midcall;
mod originate;
mod packages;
mod paging;
mod park;
mod passing;
mod pickup;
mod program;
mod reason;
mod recall;
pub(crate) mod record;
mod recording;
mod refresh;
mod refusing;
mod renewal;
mod reports;
mod rights;
mod ring;
mod seats;
mod serve;
mod session;
mod setup;
mod speech;
mod stages;
mod streams;
mod takeover;
mod transfer;
mod waiting;

pub(crate) use call::Side;
pub use call::{Call, CallId};
pub(crate) use calls::Calls;
pub(crate) use led::keep_all as keep_settings;
pub(crate) use program::Phones;
pub(crate) use seats::{
    Named, Over, Place, Seat, SeatNews, SeatedIn, Seen, Stage, number_of, shown_as, subject_key,
};

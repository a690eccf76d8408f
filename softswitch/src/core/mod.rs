//! The pure heart of the PBX: one machine, [`Switch`], that owns every registration and call.
//!
//! It has four verbs and no I/O: see `docs/architecture.md`. What enters is an [`Input`], what leaves an [`Output`];
//! both can be written down and compared, so that any run can be repeated.

mod alarms;
pub(crate) mod authentication;
pub mod command;
pub(crate) mod environment;
mod event;
mod input;
mod interface;
mod output;
mod overload;
mod requests;
mod switch;
pub(crate) mod text;
mod timestamp;

pub use alarms::Alarm;
pub use event::{
    CallingBack, Cut, Event, OverloadCause, Parking, Refusal, RoomChange, Told, Unbound, Unrecorded,
};
pub use input::Input;
pub use interface::{Interface, Interfaces};
pub use output::Output;
pub use switch::{Holdings, RestoreError, Snapshot, SnapshotPart, Switch};
pub use timestamp::Timestamp;

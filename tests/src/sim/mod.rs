//! The simulated world: phones, a network and a switch in virtual time.
//!
//! Everything in it is the product itself (`Phone`, `Switch`, `Shard`) but for what lies outside a process: the network
//! ([`softphone::scenario::network`]), the ports and the clock ([`World`]) and the database ([`database`]). One seed decides everything; the
//! same seed gives the same run, which [`trace`] can prove. [`shadow`] runs a second switch from a snapshot of the first
//! and compares; [`log`] keeps the scenario log in memory; [`stage`] plays scenario
//! files, [`hive`] the plan of a swarm.

pub mod database;
pub mod handset;
pub mod hive;
pub mod log;
mod media_plane;
pub mod program;
mod room_order;
pub mod scene;
pub mod shadow;
pub mod stage;
pub mod trace;
mod world;

pub use handset::{Handset, PhoneId};
pub use softphone::scenario::network::{self, Faults};
pub use world::{EPOCH_UNIX_MS, SWITCH, Step, World};

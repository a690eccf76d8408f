//! The phone: two pure machines, [`phone::Phone`] for signalling and [`voice::Voice`] for the sound of a call; [`audio`], where
//! sound comes from and goes to; `tui`, what is seen on a terminal; and at the edge the sockets and clock of [`io`] and the
//! commands of [`cli`].

pub mod audio;
pub mod cli;
pub mod config;
pub mod io;
pub mod phone;
pub mod scenario;
pub mod swarm;
#[cfg(feature = "tui")]
pub mod tui;
pub mod voice;
pub mod ways;

//! The phone: one pure machine, [`phone::Phone`], and at its edge the sockets and clock of [`io`].
//!
//! Left out so far: audio. A program that plays and records obeys [`phone::MediaCommand`].

pub mod audio;
pub mod io;
pub mod phone;
pub mod voice;

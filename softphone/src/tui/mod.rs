//! The terminal UI as pure functions: what keys mean, and what is seen.
//!
//! [`Facts`] is how things are with the phone, [`Ui`] what the user is doing with the keyboard ([`Ui::handle`] turns a key into a
//! [`Wish`]); from both follows a [`View`], and [`draw`] puts it on a screen of any size. The terminal itself is the business
//! of `cli`.
//!
//! Text of a peer is escaped on its way into the view (`text`): nothing else can move the cursor or colour the screen.
//!
//! Left out on purpose: a mouse; a choice of keys; times of day, for which the zone would have to be known.

mod draw;
mod facts;
mod keys;
mod meter;
mod text;
mod view;

#[cfg(test)]
mod tests;

pub use draw::draw;
pub use facts::Facts;
pub use keys::{Dial, Ui, Wish};
pub use meter::Meter;
pub use view::{AccountRow, DialRow, LineRow, LogRow, Quality, Tint, View, WatchedRow};

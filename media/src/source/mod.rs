//! Sound that is made and not received: tones of the network, and what they are made of.
//!
//! Left out on purpose: files, which a thread of their own reads.

mod countries;
mod oscillator;
mod player;
mod tones;

pub use countries::{COUNTRIES, Country, Pitch, Pulse};
pub use oscillator::{Oscillator, amplitude, edge_gain, edge_samples, sine};
pub use player::{Player, Source};
pub use tones::{CallTone, TonePlayer};

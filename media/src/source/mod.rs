//! Sound that is made and not received: tones of the network, and what they are made of; and files that were decoded.
//!
//! Left out on purpose: reading files, which a thread of its own does (`io`).

mod chime;
mod countries;
mod oscillator;
mod player;
mod playlist;
mod sound;
mod tones;

pub use chime::{Chime, ChimePlayer};
pub use countries::{COUNTRIES, Country, Pitch, Pulse};
pub use oscillator::{Oscillator, amplitude, edge_gain, edge_samples, sine};
pub use player::{Player, Source};
pub use playlist::Playlist;
pub use sound::{Sound, SoundFault};
pub use tones::{CallTone, TonePlayer};

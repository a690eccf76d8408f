//! Codecs, one file each, and what is common to them: [`Codec`] says which, [`Decoder`] and [`Encoder`] are the states of a
//! stream.
//!
//! What is not listed here is passed through undecoded. Left out on purpose: G.729 and AMR, whose free implementations are under
//! licences this project does not take.

pub mod comfort_noise;
mod decoder;
mod encoder;
mod error;
pub mod g711;
pub mod g722;
mod kind;
pub mod l16;
pub mod opus;
mod opus_file;
pub mod opus_packet;

pub use decoder::Decoder;
pub use encoder::Encoder;
pub use error::{CreateError, DecodeError, EncodeError};
pub use kind::{Channels, Codec};
pub use opus_file::FileEncoder;

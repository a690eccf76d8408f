//! What can go wrong between samples and payloads, by who is to blame. Values are small and copied: nothing here formats or
//! allocates until somebody prints it.

use thiserror::Error;

use crate::dsp::SampleRate;

/// Why a payload gave no samples. The decoder may go on with the next one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum DecodeError {
    /// The peer sent octets that are no payload of this codec.
    #[error("not a payload of this codec")]
    Malformed,
    /// Our buffer has no room for the samples of the payload.
    #[error("{needed} samples have no room in the output")]
    OutputTooShort {
        /// Samples the payload holds.
        needed: usize,
    },
}

/// Why samples gave no payload. Always our own mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum EncodeError {
    /// The codec has no frame of so many samples.
    #[error("no frame of this codec has {samples} samples")]
    FrameLength {
        /// Samples that were handed in.
        samples: usize,
    },
    /// The buffer has no room for the payload.
    #[error("the payload has no room in the output")]
    OutputTooShort,
    /// The codec's library refused. It is not known to happen.
    #[error("the codec's library failed")]
    Library,
}

/// Why there is no such encoder or decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum CreateError {
    /// The codec does not run at this audio rate.
    #[error("the codec does not run at {} Hz", .0.hertz())]
    Rate(SampleRate),
    /// A setting is out of its range.
    #[error("a setting of the codec is out of its range")]
    Setting,
    /// The codec's library found no memory.
    #[error("the codec's library failed")]
    Library,
}

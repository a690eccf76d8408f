//! Signal processing on mono 16-bit samples.

mod conditioner;
mod convert;
mod drift;
mod filter;
mod rate;
mod resample;

pub use conditioner::{Conditioner, Conditioning, TARGET_DBOV};
pub use convert::convert;
pub use drift::DriftCorrector;
pub use rate::SampleRate;
pub use resample::Resampler;

//! Signal processing on mono 16-bit samples.

mod convert;
mod drift;
mod filter;
mod rate;
mod resample;

pub use convert::convert;
pub use drift::DriftCorrector;
pub use rate::SampleRate;
pub use resample::Resampler;

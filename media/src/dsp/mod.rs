//! Signal processing on mono 16-bit samples.

mod filter;
mod rate;
mod resample;

pub use rate::SampleRate;
pub use resample::Resampler;

//! Codecs, one file each.

pub mod g711;

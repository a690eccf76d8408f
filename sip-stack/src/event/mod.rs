//! Event packages (RFC 6665).

pub mod body;

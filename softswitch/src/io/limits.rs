//! The limit of open files, raised as far as the system lets: a call takes four descriptors.

/// What the limit was and is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenFiles {
    /// Before.
    pub before: u64,
    /// Now.
    pub now: u64,
}

/// Raises the limit of open files to what the administrator allows.
///
/// # Errors
/// What the system says.
#[cfg(unix)]
pub fn raise_open_files() -> std::io::Result<OpenFiles> {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (before, most) = getrlimit(Resource::RLIMIT_NOFILE)?;
    // macOS names no limit and then refuses more than this (OPEN_MAX).
    let wanted = if cfg!(target_vendor = "apple") { most.min(10_240) } else { most };
    if wanted > before {
        setrlimit(Resource::RLIMIT_NOFILE, wanted, most)?;
    }
    Ok(OpenFiles { before, now: before.max(wanted) })
}

/// There is no such limit for sockets here.
///
/// # Errors
/// None.
#[cfg(not(unix))]
pub fn raise_open_files() -> std::io::Result<OpenFiles> {
    Ok(OpenFiles { before: u64::MAX, now: u64::MAX })
}

//! `softswitch route`: which way a call would take, and why not another. Nothing is called.

use super::arguments::RouteArguments;
use super::{CliError, place, sounds};
use crate::config::DomainId;
use crate::routing::{Asked, explain};
use crate::store;
use jiff::Timestamp;
use std::time::{SystemTime, UNIX_EPOCH};

pub(super) fn route(arguments: &RouteArguments) -> Result<(), CliError> {
    let data = place::data_directory(arguments.place.data.as_deref())?;
    let file = place::config_file(&arguments.place, &data);
    let mut config = place::read_config(&file)?;
    sounds::find(&mut config, &data)?;
    let mut profiles = Vec::new();
    if data.join(store::DATABASE).exists() {
        config.merge_stored(store::users_list(&data)?)?;
        config.merge_rooms(&store::rooms_list(&data)?)?;
        profiles = store::profiles_list(&data)?;
    }
    let domain = match &arguments.domain {
        Some(name) => config.domain_named(name).ok_or_else(|| CliError::NoSuchDomain(name.clone()))?,
        None => config.default_domain.unwrap_or(DomainId(0)),
    };
    let unix_ms = match &arguments.at {
        Some(at) => moment(at).ok_or_else(|| CliError::NoTime(at.clone()))?,
        None => now(),
    };
    let (caller, peer, number) = (&*arguments.from, arguments.peer.as_deref(), &*arguments.to);
    for line in explain(&config, profiles, Asked { domain, caller, peer, number, unix_ms }) {
        println!("{line}");
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "the time of day of a command")]
fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A moment of RFC 3339 with its offset, such as `2026-12-31T18:00:00+03:00`.
fn moment(text: &str) -> Option<u64> {
    let moment: Timestamp = text.parse().ok()?;
    u64::try_from(moment.as_millisecond()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_has_an_offset_from_utc() {
        assert_eq!(moment("1970-01-01T03:00:01+03:00"), Some(1_000));
        assert_eq!(moment("2026-12-31T18:00:00"), None);
        assert_eq!(moment("tomorrow"), None);
    }
}

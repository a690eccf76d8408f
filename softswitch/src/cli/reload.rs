//! What a reload takes over and what it refuses.
//!
//! Everything in the file takes effect at once, without a call being dropped, but for what a socket or a thread was made with at the
//! start: those keys are named, and the file is refused as a whole. So a configuration is never in force in part.

use super::{CliError, place, sounds};
use crate::config::Config;
use crate::io::{self, Loaded};
use crate::store;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How the configuration is read again.
pub(super) type Reread = dyn Fn() -> Result<Loaded, String> + Send + Sync;

/// How the configuration is read again, after the one that the switch was started with.
pub(super) fn reload_of(file: PathBuf, data: PathBuf, running: Config) -> Arc<Reread> {
    // Domains keep the numbers they had in the configuration before this one, not in the first.
    let running = Mutex::new(running);
    Arc::new(move || {
        let mut running = running.lock().unwrap_or_else(PoisonError::into_inner);
        let loaded = reread(&file, &data, &running).map_err(|error| error.to_string())?;
        running.clone_from(&loaded.config);
        Ok(loaded)
    })
}

fn reread(file: &Path, data: &Path, running: &Config) -> Result<Loaded, CliError> {
    let mut config = place::read_config(file)?;
    let fixed = changed(running, &config);
    if !fixed.is_empty() {
        return Err(CliError::NeedsRestart { file: file.to_owned(), keys: fixed.join(", ") });
    }
    sounds::find(&mut config, data)?;
    config.merge_stored(store::users_list(data)?)?;
    config.merge_rooms(&store::rooms_list(data)?)?;
    config.merge_mailboxes(store::mailboxes_list(data)?);
    config.keep_ids_of(running);
    let tls = io::load_tls(&config)?;
    Ok(Loaded { config, tls })
}

/// The keys that have changed and that a running switch cannot change.
fn changed(running: &Config, new: &Config) -> Vec<&'static str> {
    let sockets = |config: &Config| {
        config.listeners.iter().map(|listener| (listener.transport, listener.address)).collect::<Vec<_>>()
    };
    let keys = [
        ("address and transport of [[listener]]", sockets(running) != sockets(new)),
        ("threads of [media]", running.media.threads != new.media.threads),
        ("nonces of [limits]", running.limits.nonces != new.limits.nonces),
    ];
    keys.into_iter().filter(|(_, is_changed)| *is_changed).map(|(key, _)| key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        crate::config::parse("softswitch.toml", text).unwrap_or_else(|errors| panic!("{errors}"))
    }

    #[test]
    fn what_a_running_switch_cannot_change_is_named_and_nothing_else_is() {
        let before = "[[listener]]\naddress = \"127.0.0.1:5060\"\n[media]\nports = \"20000-20999\"\n";
        let after = "[[listener]]\naddress = \"127.0.0.1:5062\"\n[media]\nports = \"20000-21999\"\nsilence_s = 9\n\
                     threads = 2\n[limits]\nnonces = 9\n";
        assert_eq!(
            changed(&config(before), &config(after)),
            ["address and transport of [[listener]]", "threads of [media]", "nonces of [limits]"]
        );
        let before = "[[listener]]\naddress = \"127.0.0.1:5060\"\n[media]\n";
        let other = format!(
            "{before}ports = \"20000-20999\"\nsilence_s = 0\nadvertise = [\"198.51.100.1\"]\ntranscode = false\n[limits]\ncalls = 3\n[dns]\nservers = [\"192.0.2.53\"]\n\
             [recording]\nfolder = \"calls\"\n[records]\nkeep_days = 30\n[session_timer]\nask = false\n[nat]\nkeep_alive_s = 60\n\
             [[user]]\nid = \"1001\"\npassword = \"x\"\n[[peer]]\nid = \"p\"\naddress = \"192.0.2.9\"\n\
             [[route]]\npattern = \"8X\"\npeer = \"p\"\n"
        );
        assert_eq!(changed(&config(before), &config(&other)), Vec::<&str>::new());
    }
}

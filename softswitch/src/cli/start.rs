//! `softswitch run`: from the arguments to the loop.

use super::arguments::RunArguments;
use super::first_start::{self, Screen};
use super::reload::reload_of;
use super::{CliError, logging, place, sounds};
use crate::config::Transport;
use crate::config::first::First;
use crate::io::{self, Loaded, LogPlace, Ready, Setup, limits};
use crate::log::Key;
use crate::store;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tracing::{info, warn};

/// Runs the switch until it is told to stop.
pub(super) fn start(arguments: RunArguments) -> Result<(), CliError> {
    let lines = logging::start(&arguments.log_level)?;
    let data = place::data_directory(arguments.place.data.as_deref())?;
    place::make_directory(&data)?;
    raise_limits();
    let file = place::config_file(&arguments.place, &data);
    let is_first = arguments.place.config.is_none() && !file.exists();
    let first = is_first.then(|| first_start::make(&data)).transpose()?;
    let mut config = place::read_config(&file)?;
    sounds::find(&mut config, &data)?;
    let (store, kept) = store::open(&data)?;
    if kept.unreadable > 0 {
        warn!(rows = kept.unreadable, "rows of the store make no sense and were left out");
    }
    if let Some(aside) = &kept.set_aside {
        let file = aside.display();
        warn!("the database was damaged: it is {file} now, and a new one has what could be read of it");
    }
    config.merge_stored(kept.users)?;
    config.merge_rooms(&store::rooms_list(&data)?)?;
    config.merge_mailboxes(store::mailboxes_list(&data)?);
    let path = data.join(place::KEY);
    let key = io::load_or_make_key(&path).map_err(|source| CliError::File { path, source })?;
    let route_key = key.derive(b"record-route");
    let log = log_of(&arguments, &data, key);
    let shown =
        Shown { media: config.media.ports, users: place::users_of(&config), file: file.clone(), data, first };
    let reload = reload_of(file, shown.data.clone(), config.clone());
    let trace = arguments.trace.then(|| lines.lines());
    let tls = io::load_tls(&config)?;
    let loaded = Loaded { config, tls };
    let data = shown.data.clone();
    let kept_in = data.clone();
    let keep_mailbox = Arc::new(move |mailbox: &store::StoredMailbox| {
        store::mailboxes_set(&kept_in, mailbox).map_err(|error| error.to_string())
    });
    let (bindings, interrupted, profiles, lines) =
        (kept.bindings, kept.interrupted, kept.profiles, lines.lines());
    let setup = Setup {
        loaded,
        store,
        bindings,
        interrupted,
        profiles,
        log,
        route_key,
        trace,
        lines,
        reload,
        keep_mailbox,
        data,
    };
    io::run(setup, |ready| shown.print(ready))?;
    Ok(())
}

fn raise_limits() {
    match limits::raise_open_files() {
        Ok(files) => info!(before = files.before, now = files.now, "limit of open files"),
        Err(error) => warn!(%error, "the limit of open files stays as it is"),
    }
}

fn log_of(arguments: &RunArguments, data: &Path, key: Key) -> Option<(LogPlace, Key)> {
    if arguments.no_log {
        return None;
    }
    let place = match &arguments.log {
        Some(file) => LogPlace::File(file.clone()),
        None => LogPlace::Directory(data.join(place::LOG)),
    };
    Some((place, key))
}

/// What is shown when the switch answers.
struct Shown {
    media: crate::config::PortRange,
    users: usize,
    file: PathBuf,
    data: PathBuf,
    first: Option<First>,
}

impl Shown {
    fn print(self, ready: &Ready) {
        if let Some(first) = &self.first {
            println!("{}", Screen { first, ready, config: self.file, data: &self.data });
        }
        let listening: Vec<String> = ready.listening.iter().map(shown).collect();
        let (listening, media) = (listening.join(", "), self.media);
        let users = self.users;
        let data = self.data.display();
        println!("ready: {listening}, media {}-{}, {users} users, data in {data}", media.first, media.last);
    }
}

/// A socket as it is shown: `udp 0.0.0.0:5060`.
pub(super) fn shown((transport, address): &(Transport, SocketAddr)) -> String {
    format!("{} {address}", transport.name().to_ascii_lowercase())
}

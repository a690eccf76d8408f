//! Where things lie: the data directory, and the files in it.

use super::CliError;
use super::arguments::PlaceArguments;
use crate::config::{self, Config};
use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// The configuration that is made at the first start.
pub(super) const CONFIG: &str = "softswitch.toml";
/// The key of the scenario log.
pub(super) const KEY: &str = "scenario.key";
/// The directory of the scenario log.
pub(super) const LOG: &str = "log";

/// The directory for data: the one given, else the place the system has for it.
pub(super) fn data_directory(given: Option<&Path>) -> Result<PathBuf, CliError> {
    let place = match given {
        Some(given) => Some(given.to_owned()),
        None => default_directory(),
    };
    let place = place.ok_or(CliError::NoHome)?;
    // What is shown on the screen should work from anywhere.
    Ok(std::path::absolute(&place).unwrap_or(place))
}

fn variable(name: &str) -> Option<PathBuf> {
    env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute())
}

/// XDG Base Directory on Unix, the corresponding places elsewhere.
fn default_directory() -> Option<PathBuf> {
    let parent = if cfg!(windows) {
        variable("LOCALAPPDATA")
    } else if cfg!(target_os = "macos") {
        variable("HOME").map(|home| home.join("Library/Application Support"))
    } else {
        variable("XDG_DATA_HOME").or_else(|| variable("HOME").map(|home| home.join(".local/share")))
    };
    parent.map(|parent| parent.join("softswitch"))
}

/// Makes the data directory, for its owner alone when it is new.
pub(super) fn make_directory(path: &Path) -> Result<(), CliError> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(path).map_err(|source| CliError::File { path: path.into(), source })
}

/// The configuration that was named, or the one in the data directory.
pub(super) fn config_file(place: &PlaceArguments, data: &Path) -> PathBuf {
    place.config.clone().unwrap_or_else(|| data.join(CONFIG))
}

/// Reads and checks a configuration, without the users made by command.
pub(super) fn read_config(path: &Path) -> Result<Config, CliError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(CliError::NoConfig(path.to_owned()));
        }
        Err(source) => return Err(CliError::File { path: path.to_owned(), source }),
    };
    Ok(config::parse(&path.display().to_string(), &text)?)
}

/// How many users a configuration has, of all domains.
pub(super) fn users_of(config: &Config) -> usize {
    config.domains.values().map(|domain| domain.users.len()).sum()
}

//! The files that a configuration names: sounds to be played, and where recordings go.
//!
//! A file that is not there is a fault of the configuration, told with its line before the switch starts or a reload is in
//! force. Whether it can be decoded is seen when it is played.

use super::CliError;
use crate::config::{Config, RouteTo, Service, Sounds};
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of recordings in the data directory.
const RECORDINGS: &str = "recordings";
/// The ends of names of files that are played from a folder.
const SOUNDS: [&str; 3] = ["wav", "ogg", "opus"];

/// The files that a path stands for.
type List = fn(&Path) -> io::Result<Vec<PathBuf>>;

/// Looks up the files of a configuration, and completes it.
///
/// # Errors
/// [`CliError::Sound`] for the first that cannot be played, [`CliError::Prompts`] for a folder of prompts that is of no use.
pub(super) fn find(config: &mut Config, data: &Path) -> Result<(), CliError> {
    let file: PathBuf = (*config.file).into();
    let beside = std::path::absolute(&file).unwrap_or(file);
    let beside = beside.parent().unwrap_or(Path::new("")).to_owned();
    let recordings =
        config.recordings.as_deref().map_or_else(|| data.join(RECORDINGS), |folder| beside.join(folder));
    config.recordings = Some(text(&recordings));
    config.prompts.own = crate::io::load_prompts(config)?.own;
    if let Some(folder) = &mut config.call_features.music_folder {
        let path = beside.join(&*folder.path);
        let files = all_of(&path).map_err(|source| {
            let (file, line) = (config.file.clone(), folder.line);
            CliError::Sound { file, line, path: path.clone(), source }
        })?;
        complete(folder, &files);
    }
    let routes = config.domains.values_mut().flat_map(|domain| &mut domain.routes);
    for route in routes {
        let (sounds, list): (_, List) = match &mut route.to {
            RouteTo::Service(Service::Play { sound }) => (sound, one),
            RouteTo::Service(Service::Music { folder }) => (folder, all_of),
            RouteTo::Service(
                Service::Conference(_)
                | Service::Echo
                | Service::Milliwatt
                | Service::Answer { .. }
                | Service::Paging,
            )
            | RouteTo::Peers(_)
            | RouteTo::User(_)
            | RouteTo::Group(_)
            | RouteTo::Reject(_)
            | RouteTo::Again => continue,
        };
        let path = beside.join(&*sounds.path);
        let files = list(&path).map_err(|source| {
            let (file, line) = (config.file.clone(), sounds.line);
            CliError::Sound { file, line, path: path.clone(), source }
        })?;
        complete(sounds, &files);
    }
    Ok(())
}

fn complete(sounds: &mut Sounds, files: &[PathBuf]) {
    sounds.files = files.iter().map(|file| text(file)).collect();
}

fn text(path: &Path) -> Arc<str> {
    path.to_string_lossy().into()
}

/// A file that is there and can be opened.
fn one(path: &Path) -> io::Result<Vec<PathBuf>> {
    if !fs::File::open(path)?.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    Ok(vec![path.to_owned()])
}

/// The sounds of a folder in the order of their names; at least one.
fn all_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    let is_sound = |path: &PathBuf| {
        let end = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
        end.is_some_and(|end| SOUNDS.contains(&end.as_str()))
    };
    let entries = fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<PathBuf> = entries.collect::<io::Result<_>>()?;
    files.retain(is_sound);
    files.sort_unstable();
    if files.is_empty() { Err(io::Error::other("there is no .wav, .ogg or .opus in it")) } else { Ok(files) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    fn load(folder: &Path, routes: &str) -> Result<Config, CliError> {
        let text = format!("[[listener]]\naddress = \"127.0.0.1:5060\"\n{routes}");
        let file = folder.join("softswitch.toml");
        let mut config = config::parse(file.to_str().unwrap(), &text).unwrap();
        find(&mut config, Path::new("/data")).map(|()| config)
    }

    #[test]
    fn sounds_are_looked_for_beside_the_configuration_and_recordings_go_to_the_data() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("music")).unwrap();
        for name in ["welcome.wav", "music/b.opus", "music/a.WAV", "music/cover.jpg"] {
            fs::write(folder.path().join(name), "").unwrap();
        }
        let routes = "[[route]]\npattern = \"1\"\nservice = \"play\"\nsound = \"welcome.wav\"\n\
                      [[route]]\npattern = \"2\"\nservice = \"music\"\nfolder = \"music\"\n";
        let config = load(folder.path(), routes).unwrap();
        let files: Vec<Vec<Arc<str>>> = config
            .domains
            .values()
            .flat_map(|domain| &domain.routes)
            .map(|route| match &route.to {
                RouteTo::Service(Service::Play { sound: sounds } | Service::Music { folder: sounds }) => {
                    sounds.files.clone()
                }
                _ => Vec::new(),
            })
            .collect();
        let path = |name: &str| text(&folder.path().join(name));
        assert_eq!(files, [vec![path("welcome.wav")], vec![path("music/a.WAV"), path("music/b.opus")]]);
        assert_eq!(config.recordings.as_deref(), Some("/data/recordings"));
        let elsewhere = load(folder.path(), "[recording]\nfolder = \"calls\"\n").unwrap();
        assert_eq!(elsewhere.recordings, Some(path("calls")));
    }

    #[test]
    fn a_sound_that_is_not_there_is_told_with_its_line_and_a_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let play = "[[route]]\npattern = \"1\"\nservice = \"play\"\nsound = \"no.wav\"\n";
        let error = load(folder.path(), play).unwrap_err().to_string();
        assert!(error.contains("softswitch.toml:6: ") && error.contains("no.wav"), "{error}");
        assert!(error.ends_with("correct the path, or put the file there"), "{error}");
        let music = "[[route]]\npattern = \"1\"\nservice = \"music\"\nfolder = \".\"\n";
        let error = load(folder.path(), music).unwrap_err().to_string();
        assert!(error.contains("there is no .wav, .ogg or .opus in it"), "{error}");
    }
}

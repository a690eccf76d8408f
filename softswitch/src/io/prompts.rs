//! Reads the operator's folder of prompts: which files are there, and the rules of the languages.
//!
//! Left out on purpose: the sounds themselves, which are read when they are played.

use crate::config::{Config, OwnPrompts};
use crate::prompts::{Found, GrammarError, Library};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// More files than this in a folder of prompts are a mistake in its name.
const MOST_FILES: usize = 20_000;

/// Folders within folders, at most: a link that leads back would have no end.
const DEEPEST: usize = 6;

/// The rules of a language, in its folder.
const GRAMMAR: &str = "grammar.toml";

/// Why the prompts cannot be used as configured.
#[derive(Debug, thiserror::Error)]
pub enum PromptsError {
    /// The folder or a file in it cannot be read.
    #[error("[prompts] {}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The rules of a language are of no use.
    #[error("[prompts] {}: {source}", path.display())]
    Grammar {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: GrammarError,
    },
    /// The folder has far too many files.
    #[error("[prompts] {} has more than {MOST_FILES} files; name a folder of prompts alone", .0.display())]
    TooMany(PathBuf),
    /// There is no such language.
    #[error("[prompts] there is no language {language:?}; there are {known}")]
    NoLanguage {
        /// What the configuration names.
        language: Box<str>,
        /// Those there are.
        known: String,
    },
}

/// What was found in the operator's folder.
#[derive(Debug)]
pub struct PromptsFound {
    /// What can be said: the prompts in the program, with what the folder replaces and adds.
    pub library: Library,
    /// What of the folder is of use.
    pub own: OwnPrompts,
    /// Files that are of no use.
    pub of_no_use: Vec<Found>,
}

/// Reads the operator's folder of prompts, and sees whether the languages that the configuration names are there.
///
/// # Errors
/// [`PromptsError`], for the operator.
pub fn load_prompts(config: &Config) -> Result<PromptsFound, PromptsError> {
    let in_program = |source| PromptsError::Grammar { path: PathBuf::from("the program"), source };
    let mut library = Library::built_in().map_err(in_program)?;
    let (mut own, mut of_no_use) = (OwnPrompts::default(), Vec::new());
    if let Some(folder) = &config.prompts.folder {
        let file: PathBuf = (*config.file).into();
        let beside = std::path::absolute(&file).unwrap_or(file);
        let folder = beside.parent().unwrap_or(Path::new("")).join(&**folder);
        let (grammars, sounds) = list(&folder)?;
        for Found { name, path } in grammars {
            let language = name.strip_suffix(GRAMMAR).map_or("", |name| name.trim_end_matches('/'));
            let text = read(&path)?;
            library.set_grammar(language, &text).map_err(|source| PromptsError::Grammar { path, source })?;
            own.grammars.push((language.into(), text.into()));
        }
        let named = |sound: &Found| (sound.name.as_str().into(), sound.path.to_string_lossy().into());
        own.sounds = sounds.iter().map(named).collect();
        of_no_use = library.replace(sounds);
        own.sounds.retain(|(name, _)| of_no_use.iter().all(|file| *file.name != **name));
    }
    let users = config.domains.values().flat_map(|domain| domain.users.values());
    let languages = users.filter_map(|user| user.language.as_ref());
    for language in core::iter::once(&config.prompts.language).chain(languages) {
        if library.grammar(language).is_none() {
            let known = library.languages().collect::<Vec<_>>().join(", ");
            return Err(PromptsError::NoLanguage { language: language.clone(), known });
        }
    }
    Ok(PromptsFound { library, own, of_no_use })
}

fn read(path: &Path) -> Result<String, PromptsError> {
    fs::read_to_string(path).map_err(|source| PromptsError::File { path: path.to_owned(), source })
}

/// The rules and the other files of a folder, in the order of their names. Texts of sentences are neither.
fn list(folder: &Path) -> Result<(Vec<Found>, Vec<Found>), PromptsError> {
    let mut files = Vec::new();
    collect(folder, "", 0, &mut files)?;
    files.sort_by(|one, other| one.name.cmp(&other.name));
    files.retain(|file| !file.name.ends_with("/prompts.toml"));
    Ok(files.into_iter().partition(|file| {
        file.name
            .split_once('/')
            .is_some_and(|(language, file)| crate::prompts::is_name(language) && file == GRAMMAR)
    }))
}

fn collect(folder: &Path, prefix: &str, depth: usize, found: &mut Vec<Found>) -> Result<(), PromptsError> {
    let failed = |source| PromptsError::File { path: folder.to_owned(), source };
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()) else { continue };
        let name = format!("{prefix}{name}");
        if path.is_dir() {
            if depth < DEEPEST {
                collect(&path, &format!("{name}/"), depth + 1, found)?;
            }
        } else {
            found.push(Found { name, path });
        }
        if found.len() > MOST_FILES {
            return Err(PromptsError::TooMany(folder.to_owned()));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse;
    use crate::prompts::{Sound, built_in_text};

    fn config(folder: &Path, language: &str) -> Config {
        let listener = "listener = [{ address = \"0.0.0.0:5060\" }]";
        let text = format!("{listener}\n[prompts]\nfolder = \"own\"\nlanguage = \"{language}\"\n");
        parse(&folder.join("softswitch.toml").display().to_string(), &text).unwrap()
    }

    #[test]
    fn a_folder_beside_the_configuration_replaces_file_by_file_and_adds_languages() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join("own").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("ru/vm/intro.wav", "RIFF");
        write("de/grammar.toml", built_in_text("en/grammar.toml").unwrap());
        write("de/digits/7.opus", "OggS");
        write("de/prompts.toml", "");
        write("de/digits/7.mp3", "");
        let config_of = |language| config(folder.path(), language);
        let PromptsFound { library, own, of_no_use } = load_prompts(&config_of("de")).unwrap();
        assert_eq!(*Library::of(&own), library);
        let file = |name: &str| Sound::File(folder.path().join("own").join(name));
        assert_eq!(library.sound("ru", "vm/intro"), Some(&file("ru/vm/intro.wav")));
        assert_eq!(library.sound("de", "digits/7"), Some(&file("de/digits/7.opus")));
        assert_eq!(of_no_use.iter().map(|file| file.name.as_str()).collect::<Vec<_>>(), ["de/digits/7.mp3"]);

        write("de/grammar.toml", "plural = 1");
        let wrong = load_prompts(&config(folder.path(), "de"));
        assert!(
            matches!(wrong, Err(PromptsError::Grammar { path, .. }) if path.ends_with("de/grammar.toml"))
        );
    }

    #[test]
    fn a_folder_or_language_that_is_not_there_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let missing = load_prompts(&config(folder.path(), "en"));
        assert!(matches!(missing, Err(PromptsError::File { path, .. }) if path.ends_with("own")));
        fs::create_dir(folder.path().join("own")).unwrap();
        let error = load_prompts(&config(folder.path(), "xx")).unwrap_err();
        assert_eq!(error.to_string(), "[prompts] there is no language \"xx\"; there are en, ru");
    }
}

//! Which sound is played for a prompt: one of the operator's folder, or one that is in the program.
//!
//! The program carries the folder `softswitch/prompts` of the sources. What the operator has replaces it file by file, and a
//! language that is not in the program is added. Left out on purpose: reading the folder (`io/prompts.rs`) and playing.

use super::grammar::{Grammar, GrammarError};
use crate::config::OwnPrompts;
use include_dir::{Dir, File, include_dir};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

static BUILT_IN: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/prompts");

/// The folder of the music on hold, beside those of the languages.
const MUSIC: &str = "music";

/// The music on hold in that folder.
const HOLD: &str = "hold";

/// The endings of files that are sounds, the preferred one first: where a folder has both, it is taken.
const ENDINGS: [&str; 2] = ["opus", "wav"];

/// A sound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sound {
    /// Ogg/Opus that is in the program.
    BuiltIn(&'static [u8]),
    /// A file of the operator: Ogg/Opus (`.opus`) or WAV (`.wav`).
    File(PathBuf),
}

/// A file that was found in the operator's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name from that folder on, with `/`: `en/digits/7.opus`.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// What the name of a sound that is in the program begins with, where files are named. No path begins so: those of sounds are
/// absolute.
const IN_PROGRAM: &str = "prompt:";

/// What is in the program, read once.
static OF_PROGRAM: LazyLock<Arc<Library>> =
    LazyLock::new(|| Arc::new(Library::built_in().unwrap_or_default()));

/// Every sound of every language.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Library {
    languages: BTreeMap<String, Language>,
    music: BTreeMap<String, Sound>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Language {
    grammar: Grammar,
    sounds: BTreeMap<String, Sound>,
}

impl Library {
    /// What is in the program.
    ///
    /// # Errors
    /// Never, as a test makes sure: [`GrammarError`] if a grammar in the program were wrong.
    pub fn built_in() -> Result<Library, GrammarError> {
        let mut library = Library { languages: BTreeMap::new(), music: BTreeMap::new() };
        let grammars = BUILT_IN.dirs().filter_map(|folder| {
            let language = folder.path().to_str()?;
            Some((language, BUILT_IN.get_file(format!("{language}/grammar.toml"))?.contents_utf8()?))
        });
        for (language, grammar) in grammars {
            library.set_grammar(language, grammar)?;
        }
        for file in files(&BUILT_IN) {
            if let Some(name) = file.path().to_str() {
                library.add(&name.replace('\\', "/"), Sound::BuiltIn(file.contents()));
            }
        }
        Ok(library)
    }

    /// What is in the program and what the operator has, which was read before. Rules that are of no use after all leave those
    /// of the program.
    pub fn of(own: &OwnPrompts) -> Arc<Library> {
        if *own == OwnPrompts::default() {
            return Arc::clone(&OF_PROGRAM);
        }
        let mut library = Library::clone(&OF_PROGRAM);
        for (language, text) in &own.grammars {
            let _as_before = library.set_grammar(language, text);
        }
        let found =
            |(name, path): &(Box<str>, Arc<str>)| Found { name: name.to_string(), path: (&**path).into() };
        library.replace(own.sounds.iter().map(found).collect());
        Arc::new(library)
    }

    /// Replaces the rules of a language, or adds a language.
    ///
    /// # Errors
    /// [`GrammarError`]; the language stays as it was.
    pub fn set_grammar(&mut self, language: &str, text: &str) -> Result<(), GrammarError> {
        let grammar = Grammar::parse(text)?;
        match self.languages.get_mut(language) {
            Some(known) => known.grammar = grammar,
            None => {
                let added = Language { grammar, sounds: BTreeMap::new() };
                self.languages.insert(language.to_owned(), added);
            }
        }
        Ok(())
    }

    /// Replaces sounds by those of the operator. Returns what belongs to no language and is no music.
    pub fn replace(&mut self, mut found: Vec<Found>) -> Vec<Found> {
        // In the order of preference reversed, so that the preferred one comes last and stays.
        found.sort_by_key(|file| {
            core::cmp::Reverse(ENDINGS.iter().position(|ending| file.name.ends_with(ending)))
        });
        found.retain(|file| !self.add(&file.name, Sound::File(file.path.clone())));
        found
    }

    /// Whether the file was of any use.
    fn add(&mut self, name: &str, sound: Sound) -> bool {
        let split = name.split_once('/').zip(name.rsplit_once('.'));
        let Some(((folder, file), (_, ending))) = split else { return false };
        let prompt = file.strip_suffix(ending).and_then(|file| file.strip_suffix('.'));
        let Some(prompt) = prompt.filter(|_| ENDINGS.contains(&ending)) else { return false };
        if folder == MUSIC {
            self.music.insert(prompt.to_owned(), sound);
            return true;
        }
        match self.languages.get_mut(folder) {
            Some(language) if super::is_prompt_id(prompt) => {
                language.sounds.insert(prompt.to_owned(), sound);
                true
            }
            Some(_) | None => false,
        }
    }

    /// The languages there are, in the order of their names.
    pub fn languages(&self) -> impl Iterator<Item = &str> {
        self.languages.keys().map(String::as_str)
    }

    /// How a language says numbers.
    pub fn grammar(&self, language: &str) -> Option<&Grammar> {
        self.languages.get(language).map(|language| &language.grammar)
    }

    /// The sound of a prompt.
    pub fn sound(&self, language: &str, prompt: &str) -> Option<&Sound> {
        self.languages.get(language)?.sounds.get(prompt)
    }

    /// The name by which the sound of a prompt is asked for where files are: its path, or what [`built_in_sound`] knows.
    pub fn file(&self, language: &str, prompt: &str) -> Option<Arc<str>> {
        Some(match self.sound(language, prompt)? {
            Sound::BuiltIn(_) => format!("{IN_PROGRAM}{language}/{prompt}").into(),
            Sound::File(path) => path.to_string_lossy().into(),
        })
    }

    /// The music on hold.
    pub fn music_on_hold(&self) -> Option<&Sound> {
        self.music.get(HOLD)
    }

    /// The name by which the music on hold is asked for where files are.
    pub fn music_file(&self) -> Option<Arc<str>> {
        Some(match self.music_on_hold()? {
            Sound::BuiltIn(_) => format!("{IN_PROGRAM}{MUSIC}/{HOLD}").into(),
            Sound::File(path) => path.to_string_lossy().into(),
        })
    }

    /// The prompts of a language, in the order of their names.
    pub fn prompts(&self, language: &str) -> impl Iterator<Item = (&str, &Sound)> {
        let sounds = self.languages.get(language).into_iter().flat_map(|language| &language.sounds);
        sounds.map(|(prompt, sound)| (prompt.as_str(), sound))
    }

    /// What a language cannot say for want of a sound: of its own rules, and of the sentences that every language in the
    /// program has.
    pub fn missing(&self, language: &str) -> BTreeSet<&str> {
        let Some(grammar) = self.grammar(language) else { return BTreeSet::new() };
        let mut wanted = grammar.prompts();
        let sentences = self.prompts("en").map(|(prompt, _)| prompt);
        wanted.extend(sentences.filter(|prompt| self.sound("ru", prompt).is_some() && is_sentence(prompt)));
        wanted.retain(|prompt| self.sound(language, prompt).is_none());
        wanted
    }
}

/// Whether it is said by itself; the others are parts that the rules of a language put together, each in its way.
fn is_sentence(prompt: &str) -> bool {
    ["call/", "conf/", "vm/", "queue/", "ivr/", "feature/"].iter().any(|group| prompt.starts_with(group))
}

/// The files in the program, with their names from the folder of prompts on, for an operator who wants to change some.
pub fn built_in_files() -> impl Iterator<Item = (&'static Path, &'static [u8])> {
    let of_use =
        |file: &&File<'_>| file.path().extension().is_some_and(|ending| ending == "opus" || ending == "toml");
    files(&BUILT_IN).filter(of_use).map(|file| (file.path(), file.contents()))
}

/// The octets of a sound in the program, by the name that [`Library::file`] gives it; `None` for paths.
pub fn built_in_sound(name: &str) -> Option<&'static [u8]> {
    let file = format!("{}.opus", name.strip_prefix(IN_PROGRAM)?);
    BUILT_IN.get_file(file).map(File::contents)
}

/// The text of a file in the program.
#[cfg(test)]
pub(crate) fn built_in_text(name: &str) -> Option<&'static str> {
    BUILT_IN.get_file(name)?.contents_utf8()
}

fn files(folder: &'static Dir<'static>) -> Box<dyn Iterator<Item = &'static File<'static>>> {
    Box::new(folder.files().chain(folder.dirs().flat_map(files)))
}

//! `softswitch prompts`: which languages there are, and the files to begin from when sounds are to be replaced.

use super::arguments::{PromptsAction, PromptsArguments};
use super::{CliError, place};
use crate::io::{PromptsFound, load_prompts};
use crate::prompts::{Sound, built_in_files};
use sip_stack::message::Escaped;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

pub(super) fn prompts(arguments: &PromptsArguments) -> Result<(), CliError> {
    match &arguments.action {
        PromptsAction::List { place } => {
            let data = place::data_directory(place.data.as_deref())?;
            list(&place::config_file(place, &data))
        }
        PromptsAction::Export { folder } => export(folder),
    }
}

fn list(file: &Path) -> Result<(), CliError> {
    let config = place::read_config(file)?;
    let PromptsFound { library, of_no_use, .. } = load_prompts(&config)?;
    for language in library.languages() {
        let own = library.prompts(language).filter(|(_, sound)| matches!(sound, Sound::File(_))).count();
        let (all, missing) = (library.prompts(language).count(), library.missing(language));
        let chosen = if language == &*config.prompts.language { ", the language of this switch" } else { "" };
        println!(
            "{language}: {all} prompts, {own} of them from the folder, {} missing{chosen}",
            missing.len()
        );
        for prompt in missing {
            println!("  missing: {prompt}");
        }
    }
    for file in of_no_use {
        println!("not used: {}", Escaped(file.path.as_os_str().as_encoded_bytes()));
    }
    Ok(())
}

/// Writes what is in the program. A file that is there stays as it is.
fn export(folder: &Path) -> Result<(), CliError> {
    let mut written = 0_usize;
    for (name, contents) in built_in_files() {
        let path = folder.join(name);
        let failed = |source| CliError::File { path: path.clone(), source };
        fs::create_dir_all(path.parent().unwrap_or(folder)).map_err(failed)?;
        match fs::OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => file.write_all(contents).map_err(failed)?,
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(source) => return Err(failed(source)),
        }
        written += 1;
    }
    println!("{written} files written to {}", folder.display());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_exported_is_what_is_in_the_program_and_replaces_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("en/vm")).unwrap();
        fs::write(folder.path().join("en/vm/intro.opus"), "mine").unwrap();
        export(folder.path()).unwrap();
        assert_eq!(fs::read(folder.path().join("en/vm/intro.opus")).unwrap(), b"mine");
        for (name, contents) in built_in_files().filter(|(name, _)| *name != Path::new("en/vm/intro.opus")) {
            assert_eq!(fs::read(folder.path().join(name)).unwrap(), contents);
        }
        assert!(folder.path().join("music/hold.opus").is_file());
        assert!(folder.path().join("ru/grammar.toml").is_file());
    }
}

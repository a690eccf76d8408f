//! Is the program under test built from the sources as they are now?
//!
//! cargo writes next to every program the list of files it was made from (`softswitch.d`, in make's syntax).
//! A live test that ran an older program would prove nothing, so it refuses.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Why a program cannot be tested.
#[derive(Debug)]
pub enum Stale {
    /// The program or its list of sources is not there.
    NotBuilt {
        /// The missing file.
        file: PathBuf,
        /// What reading it gave.
        error: io::Error,
    },
    /// A source changed after the program was built, or is gone.
    SourceIsNewer {
        /// The program.
        program: PathBuf,
        /// The source.
        source: PathBuf,
    },
}

impl fmt::Display for Stale {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuilt { file, error } => write!(f, "{}: {error}", file.display())?,
            Self::SourceIsNewer { program, source } => {
                write!(f, "{} is older than {}", program.display(), source.display())?;
            }
        }
        f.write_str("; build it first (`cargo build --workspace --bins`, or run `./dev test`)")
    }
}

impl std::error::Error for Stale {}

/// Checks a program against the sources in its `.d` file.
///
/// # Errors
/// [`Stale`] when the program must not be tested.
pub fn check(program: &Path) -> Result<(), Stale> {
    let not_built = |file: &Path| {
        let file = file.to_owned();
        move |error| Stale::NotBuilt { file, error }
    };
    let built = fs::metadata(program).and_then(|data| data.modified()).map_err(not_built(program))?;
    let list = program.with_extension("d");
    let text = fs::read_to_string(&list).map_err(not_built(&list))?;
    for source in sources(&text) {
        let fresh =
            fs::metadata(&source).and_then(|data| data.modified()).is_ok_and(|changed| changed <= built);
        if !fresh {
            return Err(Stale::SourceIsNewer { program: program.to_owned(), source });
        }
    }
    Ok(())
}

/// The files right of the colon; a space in a name is written `\ `.
fn sources(text: &str) -> Vec<PathBuf> {
    let Some((_, list)) = text.split_once(": ") else { return Vec::new() };
    let list = list.lines().next().unwrap_or_default().replace("\\ ", "\0");
    list.split_whitespace().map(|name| PathBuf::from(name.replace('\0', " "))).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn folder_with(files: &[(&str, u64)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, seconds) in files {
            let file = fs::File::create(folder.path().join(name)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + Duration::from_secs(*seconds)).unwrap();
        }
        folder
    }

    fn list(folder: &Path, sources: &[&str]) {
        let names: Vec<_> = sources.iter().map(|name| folder.join(name).display().to_string()).collect();
        let text = format!("{}: {}\n", folder.join("program").display(), names.join(" "));
        fs::write(folder.join("program.d"), text).unwrap();
    }

    #[test]
    fn a_program_younger_than_its_sources_is_fresh() {
        let folder = folder_with(&[("a.rs", 10), ("b.rs", 20), ("program", 20)]);
        list(folder.path(), &["a.rs", "b.rs"]);
        check(&folder.path().join("program")).unwrap();
    }

    #[test]
    fn a_changed_source_makes_the_program_stale() {
        let folder = folder_with(&[("a.rs", 10), ("b.rs", 21), ("program", 20)]);
        list(folder.path(), &["a.rs", "b.rs"]);
        let stale = check(&folder.path().join("program")).unwrap_err();
        assert!(stale.to_string().contains("b.rs"), "{stale}");
    }

    #[test]
    fn a_removed_source_makes_the_program_stale() {
        let folder = folder_with(&[("program", 20)]);
        list(folder.path(), &["gone.rs"]);
        assert!(matches!(check(&folder.path().join("program")), Err(Stale::SourceIsNewer { .. })));
    }

    #[test]
    fn a_program_that_is_not_built_is_named_with_the_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let stale = check(&folder.path().join("program")).unwrap_err();
        assert!(stale.to_string().contains("./dev test"), "{stale}");
    }

    #[test]
    fn a_space_in_a_name_is_part_of_it() {
        assert_eq!(
            sources("p: one\\ file.rs two.rs\n"),
            [PathBuf::from("one file.rs"), PathBuf::from("two.rs")]
        );
    }
}

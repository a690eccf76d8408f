//! Rules of the repository that no compiler checks.
//!
//! How documents name tests: `` `test:folder::…::function` ``, where `folder` is the member of the workspace as it
//! is called on disk, `function` the test, and each name between a part of the file's path or a module around the
//! test; for instance `` `test:tests::compare::silence_is_not_the_source` ``. A name that fits no test fails here.
//!
//! How a skip is allowed: a row of a table in `docs/interop.md` whose columns are the test as the skip prints it in
//! backticks, the reason, and the date it was written (`| … | reason | 2026-11-21 |`). `.ci/run` refuses others.

#![allow(clippy::unwrap_used, reason = "a failing unwrap is a failing test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use tests::root;

const MEMBERS: [&str; 6] = ["sip-stack", "media", "softswitch", "softphone", "benches", "tests"];

/// Longest file allowed without a reason.
const LONGEST: usize = 800;

/// Longer files, and why splitting them would not make them easier to read.
const LONG_FILES: [(&str, &str); 0] = [];

/// Folders that are not part of the repository's text: build output, and what a running switch writes.
const NOT_OURS: [&str; 7] = [".git", "target", "data", "corpus", "artifacts", "coverage", "node_modules"];

/// Every file of the repository, relative to its root, in order.
fn files() -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root().to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !path.is_dir() {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            } else if !NOT_OURS.contains(&name.as_str()) || is_source(&path) {
                folders.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A folder below a `src` is source whatever its name.
fn is_source(folder: &Path) -> bool {
    folder.strip_prefix(root()).unwrap().iter().any(|part| part == "src")
}

fn read(path: &Path) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn with_extension(extension: &str) -> impl Iterator<Item = (PathBuf, String)> {
    let extension = extension.to_owned();
    let wanted = move |path: &PathBuf| path.extension().is_some_and(|found| found == extension.as_str());
    files().into_iter().filter(wanted).map(|path| (path.clone(), read(&path)))
}

fn documents() -> impl Iterator<Item = (PathBuf, String)> {
    with_extension("md")
}

/// `path:line: text` for every line that `wrong` objects to.
fn lines_where(path: &Path, text: &str, wrong: impl Fn(&str) -> bool) -> Vec<String> {
    let numbered = text.lines().enumerate().filter(|(_, line)| wrong(line));
    numbered.map(|(index, line)| format!("{}:{}: {}", path.display(), index + 1, line.trim())).collect()
}

#[track_caller]
fn none(complaint: &str, found: Vec<String>) {
    assert!(found.is_empty(), "{complaint}:\n  {}", found.join("\n  "));
}

#[test]
fn every_rust_file_says_first_what_it_is() {
    let silent = with_extension("rs").filter(|(_, text)| !text.starts_with("//! "));
    none("these files do not open with `//!`", silent.map(|(path, _)| path.display().to_string()).collect());
}

#[test]
fn no_file_is_longer_than_800_lines_without_a_reason() {
    let mut wrong = Vec::new();
    for (path, text) in with_extension("rs") {
        let (lines, name) = (text.lines().count(), path.display().to_string());
        let reason = LONG_FILES.iter().find(|(file, _)| *file == name);
        match reason {
            None if lines > LONGEST => wrong.push(format!("{name}: {lines} lines")),
            Some(_) if lines <= LONGEST => {
                wrong.push(format!("{name}: {lines} lines, needs no reason any more"))
            }
            Some((_, "")) => wrong.push(format!("{name}: the reason is empty")),
            None | Some(_) => {}
        }
    }
    for (file, _) in LONG_FILES {
        if !root().join(file).is_file() {
            wrong.push(format!("{file}: is listed, but not there"));
        }
    }
    none("split these files, or give a reason in LONG_FILES", wrong);
}

#[test]
fn nothing_is_left_to_be_done_in_the_sources() {
    let marks =
        [concat!("to", "do!"), concat!("unimpl", "emented!("), concat!("TO", "DO"), concat!("FIX", "ME")];
    let wrong = |line: &str| marks.iter().any(|mark| line.contains(mark));
    let found = with_extension("rs").flat_map(|(path, text)| lines_where(&path, &text, wrong)).collect();
    none("finish it or leave it out", found);
}

#[test]
fn no_test_is_ignored() {
    let mark = concat!("#[ig", "nore");
    let found =
        with_extension("rs").flat_map(|(path, text)| lines_where(&path, &text, |line| line.contains(mark)));
    none("a test runs, or skips loudly (tests::skip)", found.collect());
}

#[test]
fn no_path_of_one_machine_is_in_the_repository() {
    let roots = ["home", "root", "work", "Users", "tmp", "mnt"].map(|name| format!("/{name}/"));
    let begins_path = |before: Option<char>| {
        // `target/tmp/x` and `https://host/home/` are no paths of a machine
        !before.is_some_and(|before| {
            before.is_alphanumeric() || matches!(before, '.' | '_' | '-' | '}' | ')' | ']')
        })
    };
    let wrong = |line: &str| {
        roots
            .iter()
            .any(|root| line.match_indices(root).any(|(at, _)| begins_path(line[..at].chars().next_back())))
    };
    let found = files()
        .into_iter()
        .filter_map(|path| Some((path.clone(), fs::read_to_string(root().join(&path)).ok()?)))
        .flat_map(|(path, text)| lines_where(&path, &text, wrong));
    none("name folders relative to the root, or let the system choose", found.collect());
}

#[test]
fn the_two_libraries_import_nothing_of_ours() {
    let mut found = Vec::new();
    for library in ["sip-stack", "media"] {
        for other in MEMBERS.iter().filter(|other| **other != library) {
            found.extend(imports(library, other));
        }
    }
    none("sip-stack and media stand alone", found);
}

#[test]
fn the_two_programs_do_not_import_each_other_nor_what_tests_them() {
    let mut found = imports("softswitch", "softphone");
    found.extend(imports("softphone", "softswitch"));
    for program in ["softswitch", "softphone"] {
        found.extend(["benches", "tests"].iter().flat_map(|upper| imports(program, upper)));
    }
    none("only benches and tests stand above a program", found);
}

/// Lines of `member`'s manifest that make `other` a dependency: without one, no source can import it.
fn imports(member: &str, other: &str) -> Vec<String> {
    let manifest = PathBuf::from(member).join("Cargo.toml");
    let text = read(&manifest);
    let mut section = String::new();
    let mut found = Vec::new();
    for line in text.lines().map(str::trim) {
        if line.starts_with('[') {
            section = line.trim_matches(['[', ']']).to_owned();
        }
        let key = line.split(['=', '.', ' ']).next().unwrap_or_default();
        let renamed =
            line.contains(&format!("package = \"{other}\"")) || line.contains(&format!("\"../{other}\""));
        let depends = section.ends_with("dependencies") && (key == other || renamed);
        if depends || section.ends_with(&format!("dependencies.{other}")) {
            found.push(format!("{}: [{section}] {line}", manifest.display()));
        }
    }
    found
}

#[test]
fn every_ban_of_a_method_or_type_gives_its_reason() {
    let found = MEMBERS.iter().flat_map(|member| {
        let path = PathBuf::from(member).join("clippy.toml");
        let text = read(&path);
        lines_where(&path, &text, |line| line.contains("path =") && !line.contains("reason = \""))
    });
    none("say why it is banned", found.collect());
}

#[test]
fn documents_name_only_tests_that_exist() {
    let tests: Vec<Test> = with_extension("rs").flat_map(|(path, text)| tests_in(&path, &text)).collect();
    assert!(tests.len() > 20, "this file's own tests are found");
    let mut found = Vec::new();
    for (path, text) in documents() {
        for name in quoted(&text, "test:") {
            if !tests.iter().any(|test| test.is(name)) {
                found.push(format!("{}: {name}", path.display()));
            }
        }
    }
    none("no such test", found);
}

/// A test and the names it can be told by.
struct Test {
    member: String,
    function: String,
    around: BTreeSet<String>,
}

impl Test {
    fn is(&self, name: &str) -> bool {
        let parts: Vec<&str> = name.split("::").collect();
        let [member, between @ .., function] = parts.as_slice() else { return false };
        self.member == *member
            && self.function == *function
            && between.iter().all(|part| self.around.contains(*part))
    }
}

/// The functions below a `#[test]`, also inside of macros such as `proptest!`.
fn tests_in(path: &Path, text: &str) -> Vec<Test> {
    let mut around: BTreeSet<String> =
        path.with_extension("").iter().map(|part| part.to_string_lossy().into_owned()).collect();
    around.extend(text.lines().filter_map(|line| {
        let line = line.trim_start().trim_start_matches("pub ");
        Some(line.strip_prefix("mod ")?.trim_end_matches([' ', '{', ';']).to_owned())
    }));
    let member = path.iter().next().unwrap_or_default().to_string_lossy().into_owned();
    let mut tests = Vec::new();
    let mut marked = false;
    for line in text.lines().map(str::trim) {
        if let Some((_, after)) = line.split_once("fn ")
            && marked
        {
            let function = after.split(['(', '<']).next().unwrap_or_default().trim().to_owned();
            tests.push(Test { member: member.clone(), function, around: around.clone() });
            marked = false;
        }
        marked |= line.starts_with("#[") && line.trim_end_matches(')').contains("test]");
    }
    tests
}

/// What stands in backticks after `prefix`.
fn quoted<'t>(text: &'t str, prefix: &str) -> Vec<&'t str> {
    let open = format!("`{prefix}");
    text.match_indices(&open)
        .filter_map(|(at, _)| text[at + open.len()..].split('`').next())
        .filter(|name| !name.contains(char::is_whitespace))
        .collect()
}

#[test]
fn every_measurement_that_performance_names_is_there() {
    let Ok(text) = fs::read_to_string(root().join("docs/performance.md")) else {
        return no_performance_yet();
    };
    let end = |c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | '/'));
    let named =
        text.match_indices("measurements/").map(|(at, _)| text[at..].split(end).next().unwrap_or_default());
    let absent =
        named.map(|name| name.trim_end_matches('.')).filter(|name| !root().join("docs").join(name).exists());
    none("docs/performance.md names these", absent.map(str::to_owned).collect());
}

/// Without figures there must be no measurements that nobody explains.
fn no_performance_yet() {
    let measured = files().into_iter().filter(|path| path.starts_with("docs/measurements"));
    none("write docs/performance.md about these", measured.map(|path| path.display().to_string()).collect());
}

#[test]
fn every_expected_skip_has_a_reason_and_a_date() {
    let path = Path::new("docs/interop.md");
    let Ok(text) = fs::read_to_string(root().join(path)) else { return };
    let found = lines_where(path, &text, |line| {
        let cells: Vec<&str> = line.trim().trim_matches('|').split('|').map(str::trim).collect();
        let names_a_test = cells.first().is_some_and(|cell| cell.starts_with('`') && cell.contains("::"));
        line.trim_start().starts_with('|') && names_a_test && !is_excused(&cells)
    });
    none("a skip needs a test, a reason and a date", found);
}

fn is_excused(cells: &[&str]) -> bool {
    let [_, reason, .., date] = cells else { return false };
    let shape: String = date.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    reason.len() > 10 && shape == "0000-00-00"
}

#[test]
fn every_relative_link_of_a_document_leads_somewhere() {
    let mut found = Vec::new();
    for (path, text) in documents() {
        let targets = text.match_indices("](").filter_map(|(at, _)| text[at + 2..].split(')').next());
        for target in targets.map(|target| target.split('#').next().unwrap_or_default()) {
            let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            let folder = root().join(&path).parent().map(Path::to_owned).unwrap_or_default();
            if !outside && !folder.join(target).exists() {
                found.push(format!("{}: {target}", path.display()));
            }
        }
    }
    none("dead links", found);
}

#[test]
fn the_rules_see_what_they_are_looking_for() {
    let text =
        "#[test]\nfn one_rule() {}\n    #[tokio::test]\n    async fn other_rule(x: u8) {}\nfn no_test() {}\n";
    let tests = tests_in(Path::new("media/src/rtp/header.rs"), text);
    assert_eq!(
        tests.iter().map(|test| test.function.as_str()).collect::<Vec<_>>(),
        ["one_rule", "other_rule"]
    );
    assert!(tests[0].is("media::rtp::header::one_rule"));
    assert!(!tests[0].is("media::srtp::one_rule"));
    assert!(!tests[0].is("sip-stack::one_rule"));
    assert_eq!(quoted("see `test:a::b` and `test: how`", "test:"), ["a::b"]);
    assert!(is_excused(&["`interop_x::y`", "the package is gone from Debian 13", "2026-11-21"]));
    assert!(!is_excused(&["`interop_x::y`", "the package is gone from Debian 13", "soon"]));
    assert!(imports("tests", "no-such-member").is_empty());
}

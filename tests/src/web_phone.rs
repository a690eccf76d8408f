//! JsSIP as a phone over WebSocket, in Node.js: `tests/web/phone.js` and the packages its lock file names.
//!
//! The packages come from npm's registry; `./dev test` puts them into the target folder. Where it could not, the tests
//! that need them are skipped.

use std::path::PathBuf;
use std::process::Command;

use crate::process::Program;
use crate::skip;
use crate::switch::PASSWORD;

/// True, and the skip is reported, when Node.js or a package is not installed. `test` is `file::function`.
#[must_use]
pub fn missing(test: &str) -> bool {
    skip::missing(test, &["node"])
        || skip::missing_files(test, &[packages().join("jssip"), packages().join("ws")])
}

/// A running web phone.
pub struct WebPhone {
    program: Program,
}

impl WebPhone {
    /// Starts a phone for `user`, connected to `url`; `authority` has signed the certificate of a `wss:` one.
    ///
    /// # Panics
    /// When it does not start or connect.
    #[must_use]
    pub fn start(url: &str, user: &str, authority: Option<&PathBuf>) -> Self {
        let mut command = Command::new("node");
        command.arg(crate::root().join("tests/web/phone.js"));
        command.args([url, "127.0.0.1", user, PASSWORD]).args(authority).env("NODE_PATH", packages());
        let program = Program::start(&format!("web phone {user}"), &mut command);
        program.expect("connected");
        Self { program }
    }

    /// Has it do something, and waits until it prints `result`.
    ///
    /// # Panics
    /// When it does not.
    #[track_caller]
    pub fn has(&mut self, command: &str, result: &str) {
        self.program.mark();
        self.program.tell(command);
        self.program.expect(result);
    }

    /// Ends it without a word to the switch, as a browser whose tab is closed.
    pub fn vanish(self) {
        drop(self.program);
    }
}

fn packages() -> PathBuf {
    crate::target().join("web/node_modules")
}

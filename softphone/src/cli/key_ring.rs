//! Passwords that another program keeps: the key ring of the desktop through its own command, or a password manager.
//!
//! What is configured is a command, whose first line is the password: `secret-tool` asks the key ring of GNOME and KDE (Secret
//! Service), `security` that of macOS, and `pass` and its like are programs as well. So the phone links none of their libraries, and no key
//! ring has to be there on a server. The command is run once, when the phone starts; it may ask the user to open the ring.

use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// The command of the Secret Service (libsecret).
const SECRET_TOOL: &str = "secret-tool";

/// The first line that the command prints.
pub(super) fn ask(command: &[String]) -> Result<String> {
    let shown = command.join(" ");
    let Some((program, arguments)) = command.split_first() else {
        bail!("password_command names no program");
    };
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("password_command \"{shown}\" cannot be run"))?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("password_command \"{shown}\" failed ({}): {}", output.status, told.trim().escape_default());
    }
    let text = String::from_utf8(output.stdout)
        .ok()
        .with_context(|| format!("password_command \"{shown}\" prints no text"))?;
    match text.lines().next() {
        Some(password) if !password.is_empty() => Ok(password.to_owned()),
        _ => bail!("password_command \"{shown}\" prints no password"),
    }
}

/// Puts a password into the key ring of the desktop, if there is one; gives back the command that asks for it.
pub(super) fn keep(server: &str, user: &str, password: &str) -> Option<Vec<String>> {
    let program = secret_tool()?;
    let account = format!("{user}@{server}");
    let attributes = ["application", "softphone", "account", &account];
    let mut store = Command::new(&program);
    store.arg("store").arg(format!("--label=softphone {account}")).args(attributes);
    store.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = store.spawn().ok()?;
    // Closed at once: the secret is what there is to read.
    let written = child.stdin.take().is_some_and(|mut stdin| stdin.write_all(password.as_bytes()).is_ok());
    let stored = child.wait().is_ok_and(|status| status.success());
    let command = [SECRET_TOOL, "lookup"].iter().chain(&attributes).map(|word| (*word).to_owned());
    let command: Vec<String> = command.collect();
    // A ring that gives nothing back is none.
    (written && stored && ask(&command).is_ok_and(|kept| kept == password)).then_some(command)
}

fn secret_tool() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(SECRET_TOOL)).find(|program| program.is_file())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn asked(script: &str) -> Result<String, String> {
        let command = ["sh", "-c", script].map(str::to_owned);
        ask(&command).map_err(|error| error.to_string())
    }

    #[test]
    fn the_first_line_that_the_command_prints_is_the_password() {
        assert_eq!(asked("echo 'top secret'; echo 'user: 1001'"), Ok("top secret".to_owned()));
        assert_eq!(asked("printf 'no end of line'"), Ok("no end of line".to_owned()));
    }

    #[test]
    fn a_command_without_a_password_says_why() {
        let told = asked("echo 'the ring is closed' >&2; exit 3").unwrap_err();
        assert!(told.contains("exit status: 3") && told.ends_with("the ring is closed"), "{told}");
        assert!(asked("true").unwrap_err().ends_with("prints no password"));
        let missing = ask(&["/nowhere/at-all".to_owned()]).unwrap_err();
        assert!(missing.to_string().ends_with("cannot be run"), "{missing}");
        assert_eq!(ask(&[]).unwrap_err().to_string(), "password_command names no program");
    }
}

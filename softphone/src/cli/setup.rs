//! The first start: three questions, an attempt to register with the answers, and a configuration file.
//!
//! The password goes into the key ring of the desktop where there is one, else to a file of its own that its owner alone can read; the
//! configuration says how it is had from there. On a terminal it is not shown while it is typed.

use super::account::seed;
use super::{DONE, NO_ANSWER, REFUSED, key_ring};
use crate::config::host_and_port_if_any;
use crate::io::{Outcome, Server, check_registration};
use crate::phone::Password;
use anyhow::{Context, Result, bail};
use sip_stack::io::Trust;
use std::fs::OpenOptions;
use std::io::{BufRead, ErrorKind, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The name of the file with the password, beside the configuration.
const PASSWORD_FILE: &str = "password";

/// Asks, tries, and writes the configuration to `path`. Nothing is written unless the server took the answers.
pub(super) fn run(path: &Path) -> Result<u8> {
    if path.exists() {
        bail!("{} is there already: change it, or remove it and start again", path.display());
    }
    let secret = beside(path).join(PASSWORD_FILE);
    if secret.exists() {
        let question = format!("{} is there already. Shall it be replaced (yes, no)", secret.display());
        if ask(&question)? != "yes" {
            bail!("{} stays as it is: move it away and start again", secret.display());
        }
    }
    println!("Three questions, and the phone is ready.");
    let server = ask("The server (a name or an address, with a port if it is not 5060)")?;
    let user = ask("Your user name or number there")?;
    let password = ask_secret("Your password")?;
    let Some((host, port)) = host_and_port_if_any(&server) else {
        bail!("\"{}\" is neither a name nor an address", server.escape_default());
    };
    println!("Registering as {user} with {host} …");
    let account = Server {
        host,
        port,
        transport: None,
        domain: None,
        user: user.clone(),
        display_name: None,
        password: Password(password.as_str().into()),
    };
    let code = match check_registration(&account, Trust::System, seed()?)? {
        Outcome::Registered { .. } => DONE,
        Outcome::Refused(reason) => failed(&reason, REFUSED),
        Outcome::NoAnswer(reason) => failed(&reason, NO_ANSWER),
    };
    if code == DONE {
        let kept = key_ring::keep(&server, &user, &password);
        if kept.is_some() {
            println!("The password is in the key ring.");
        } else {
            println!("There is no key ring: the password is in a file that you alone can read.");
        }
        write(path, &server, &user, &password, kept)?;
        println!("It works. The configuration is in {}. Start the phone with: softphone run", path.display());
    }
    Ok(code)
}

fn failed(why: &dyn std::fmt::Display, code: u8) -> u8 {
    eprintln!("softphone: {why} Nothing was written; start again with other answers.");
    code
}

/// The folder of a file.
fn beside(path: &Path) -> PathBuf {
    path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned)
}

/// Writes the configuration, and the password where no key ring has it. One that is there already is replaced: the user was asked.
fn write(path: &Path, server: &str, user: &str, password: &str, key_ring: Option<Vec<String>>) -> Result<()> {
    let folder = beside(path);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    let password = match key_ring {
        Some(command) => format!("password_command = {}", toml::Value::from(command)),
        None => {
            write_password(&folder.join(PASSWORD_FILE), password)?;
            format!("password_file = {}", text(PASSWORD_FILE))
        }
    };
    private(
        path,
        &format!(
            "# The softphone. Every key is described in docs/softphone.md.\n\n[[account]]\nserver = {}\nuser = {}\n{password}\n",
            text(server),
            text(user),
        ),
    )
}

fn write_password(secret: &Path, password: &str) -> Result<()> {
    // A new file instead of the old one: its mode, and whoever has it open, do not matter then.
    if let Err(error) = std::fs::remove_file(secret)
        && error.kind() != ErrorKind::NotFound
    {
        return Err(error).with_context(|| format!("{} cannot be replaced", secret.display()));
    }
    private(secret, &format!("{password}\n"))
}

/// Writes a new file that its owner alone can read; one that is there already is an error.
fn private(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let written = options.open(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("{} cannot be written", path.display()))
}

fn ask(question: &str) -> Result<String> {
    print!("{question}: ");
    std::io::stdout().flush().context("standard output cannot be written")?;
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("standard input cannot be read")?;
    let answer = line.trim();
    if answer.is_empty() {
        bail!("an answer is needed");
    }
    Ok(answer.to_owned())
}

fn ask_secret(question: &str) -> Result<String> {
    if !std::io::stdin().is_terminal() {
        return ask(question);
    }
    let secret = rpassword::prompt_password(format!("{question} (it is not shown): "));
    secret.context("the terminal cannot be read")
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_password_is_private_whatever_was_there_and_a_configuration_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let (path, secret) = (folder.path().join("softphone.toml"), folder.path().join(PASSWORD_FILE));
        std::fs::write(&secret, "old, and longer than the new one").unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o644)).unwrap();
        write(&path, "pbx.example", "1001", "new", None).unwrap();
        assert_eq!(std::fs::read(&secret).unwrap(), b"new\n");
        for file in [&secret, &path] {
            assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let before = std::fs::read(&path).unwrap();
        assert!(write(&path, "elsewhere.example", "1002", "new", None).is_err());
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }

    #[test]
    fn what_is_in_a_key_ring_is_in_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("softphone.toml");
        let command = ["secret-tool", "lookup", "account", "1001@pbx.example"].map(str::to_owned);
        write(&path, "pbx.example", "1001", "new", Some(command.to_vec())).unwrap();
        assert!(!folder.path().join(PASSWORD_FILE).exists());
        let config = crate::config::Config::parse(&path, &std::fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(config.account[0].password_command.as_deref(), Some(&command[..]));
    }
}

//! The first start: three questions, an attempt to register with the answers, and a configuration file.
//!
//! The password goes to a file of its own that its owner alone can read; the configuration names it. On a terminal it is not
//! shown while it is typed.

use super::account::seed;
use super::{DONE, NO_ANSWER, REFUSED, USAGE};
use crate::config::host_and_port;
use crate::io::{CheckError, Outcome, Server, check_registration};
use crate::phone::Password;
use anyhow::{Context, Result, bail};
use std::fs::OpenOptions;
use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};

/// The name of the file with the password, beside the configuration.
const PASSWORD_FILE: &str = "password";

/// Asks, tries, and writes the configuration to `path`. Nothing is written unless the server took the answers.
pub(super) fn run(path: &Path) -> Result<u8> {
    if path.exists() {
        bail!("{} is there already: change it, or remove it and start again", path.display());
    }
    println!("Three questions, and the phone is ready.");
    let server = ask("The server (a name or an address, with a port if it is not 5060)")?;
    let user = ask("Your user name or number there")?;
    let password = ask_secret("Your password")?;
    let Some((host, port)) = host_and_port(&server) else {
        bail!("\"{}\" is neither a name nor an address", server.escape_default());
    };
    println!("Registering as {user} with {host} …");
    let account = Server {
        host,
        port,
        domain: None,
        user: user.clone(),
        display_name: None,
        password: Password(password.as_str().into()),
    };
    let code = match check_registration(&account, seed()?) {
        Ok(Outcome::Registered { .. }) => DONE,
        Ok(Outcome::Refused(reason)) => failed(&reason, REFUSED),
        Ok(Outcome::NoAnswer(reason)) => failed(&reason, NO_ANSWER),
        Err(error @ CheckError::Account(_)) => failed(&error, USAGE),
        Err(error @ (CheckError::Udp(_) | CheckError::Receive(_))) => failed(&error, NO_ANSWER),
    };
    if code == DONE {
        write(path, &server, &user, &password)?;
        println!("It works. The configuration is in {}. Start the phone with: softphone run", path.display());
    }
    Ok(code)
}

fn failed(why: &dyn std::fmt::Display, code: u8) -> u8 {
    eprintln!("softphone: {why} Nothing was written; start again with other answers.");
    code
}

fn write(path: &Path, server: &str, user: &str, password: &str) -> Result<()> {
    let folder = path.parent().map_or_else(|| PathBuf::from("."), Path::to_owned);
    std::fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let secret = folder.join(PASSWORD_FILE);
    private(&secret, &format!("{password}\n"))?;
    let text = |value: &str| toml::Value::String(value.to_owned()).to_string();
    private(
        path,
        &format!(
            "# The softphone. Every key is described in docs/softphone.md.\n\n[[account]]\nserver = {}\nuser = {}\n\
             password_file = {}\n",
            text(server),
            text(user),
            text(PASSWORD_FILE)
        ),
    )
}

/// Writes a file that its owner alone can read.
fn private(path: &Path, text: &str) -> Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
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

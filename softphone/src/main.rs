//! `softphone`: the program. So far it checks a registration; the outcome is its exit code.
//!
//! 0: registered and removed again. 1: refused. 2: wrong usage. 3: no answer.

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};
use softphone::io::{CheckError, Outcome, Server, check_registration};
use softphone::phone::Password;
use std::io::BufRead;
use std::process::ExitCode;

const REFUSED: u8 = 1;
const USAGE: u8 = 2;
const NO_ANSWER: u8 = 3;

/// Where the password is looked for when it does not come on standard input.
const PASSWORD: &str = "SOFTPHONE_PASSWORD";

/// A SIP phone.
#[derive(Debug, Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Registers with a server.
    ///
    /// Exit codes: 0 registered and removed again, 1 refused, 2 wrong usage, 3 no answer.
    Register(Register),
}

#[derive(Debug, Args)]
struct Register {
    /// Register, remove the registration again, and say how that went.
    #[arg(long, required = true)]
    check: bool,
    /// The server: a name or an address, with a port if it is not 5060.
    #[arg(long, value_name = "HOST[:PORT]")]
    server: String,
    /// The SIP domain, if it is not the server.
    #[arg(long)]
    domain: Option<String>,
    /// The user.
    #[arg(long)]
    user: String,
    /// Read the password from the first line of standard input; otherwise it is in SOFTPHONE_PASSWORD.
    #[arg(long)]
    password_stdin: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let Command::Register(arguments) = cli.command;
    match server(&arguments).and_then(|server| Ok((server, seed()?))) {
        Ok((server, seed)) => register(&server, seed),
        Err(error) => {
            eprintln!("softphone: {error:#}");
            ExitCode::from(USAGE)
        }
    }
}

fn register(server: &Server, seed: [u8; 32]) -> ExitCode {
    match check_registration(server, seed) {
        Ok(Outcome::Registered { expires_s }) => {
            println!("Registered for {expires_s} s, and removed again.");
            ExitCode::SUCCESS
        }
        Ok(Outcome::Refused(reason)) => {
            eprintln!("softphone: {reason}");
            ExitCode::from(REFUSED)
        }
        Ok(Outcome::NoAnswer(reason)) => {
            eprintln!("softphone: {reason}");
            ExitCode::from(NO_ANSWER)
        }
        Err(error @ CheckError::Account(_)) => {
            eprintln!("softphone: {error}");
            ExitCode::from(USAGE)
        }
        Err(error @ (CheckError::Udp(_) | CheckError::Receive(_))) => {
            eprintln!("softphone: {error}");
            ExitCode::from(NO_ANSWER)
        }
    }
}

fn server(arguments: &Register) -> Result<Server> {
    let (host, port) = host_and_port(&arguments.server)?;
    Ok(Server {
        host,
        port,
        domain: arguments.domain.clone(),
        user: arguments.user.clone(),
        password: Password(password(arguments.password_stdin)?.into()),
    })
}

/// `name`, `name:port`, `[ipv6]` or `[ipv6]:port`.
fn host_and_port(server: &str) -> Result<(String, u16)> {
    let after_bracket = server.rfind(']').map_or(0, |bracket| bracket + 1);
    let (host, port) = match server.get(after_bracket..).unwrap_or_default().rfind(':') {
        None => (server, 5060),
        Some(colon) => {
            let (host, port) = server.split_at(after_bracket + colon);
            let port = port.trim_start_matches(':').parse();
            (host, port.with_context(|| format!("the port in --server {server} is no number up to 65535"))?)
        }
    };
    if host.is_empty() || (host.contains(':') && !host.starts_with('[')) {
        bail!("--server {server}: give a name, an address, or [an IPv6 address in brackets]");
    }
    Ok((host.to_owned(), port))
}

fn password(from_stdin: bool) -> Result<String> {
    if !from_stdin {
        return std::env::var(PASSWORD)
            .with_context(|| format!("no password: set {PASSWORD}, or give it with --password-stdin"));
    }
    let mut line = String::new();
    std::io::stdin().lock().read_line(&mut line).context("standard input cannot be read")?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system gives no random numbers")?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_a_name_or_an_address_with_or_without_a_port() {
        for (server, host, port) in [
            ("pbx.example", "pbx.example", 5060),
            ("pbx.example:5070", "pbx.example", 5070),
            ("192.0.2.1:5062", "192.0.2.1", 5062),
            ("[2001:db8::1]", "[2001:db8::1]", 5060),
            ("[2001:db8::1]:5062", "[2001:db8::1]", 5062),
        ] {
            assert_eq!(host_and_port(server).unwrap(), (host.to_owned(), port));
        }
        for wrong in ["", ":5060", "pbx:", "pbx:x", "pbx:65536", "2001:db8::1"] {
            assert!(host_and_port(wrong).is_err(), "{wrong}");
        }
    }
}

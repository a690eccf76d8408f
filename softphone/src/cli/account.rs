//! Which account, from options or the configuration file; and its password.

use super::{DONE, key_ring, setup};
use crate::config::{AccountEntry, Config, host_and_port_if_any, transport};
use crate::io::Server;
use crate::phone::Password;
use anyhow::{Context, Result, bail};
use clap::Args;
use sip_stack::io::{ClientAuth, Tls, TlsConfig, Trust};
use sip_stack::transport::Transport;
use std::io::{BufRead, IsTerminal};
use std::path::{Path, PathBuf};

/// Where the password is looked for when it does not come on standard input.
const PASSWORD: &str = "SOFTPHONE_PASSWORD";

/// The account of a command.
#[derive(Debug, Args)]
pub(super) struct AccountOptions {
    /// The server: a name or an address, with a port if it is not 5060. Without it the configuration file says.
    #[arg(long, value_name = "HOST[:PORT]", requires = "user")]
    server: Option<String>,
    /// How the server is reached: udp, tcp or tls; without it as its name says (RFC 3263), or over UDP.
    #[arg(long, requires = "server", value_parser = known_transport)]
    transport: Option<Transport>,
    /// A file with the certificates (PEM) of those who may vouch for servers over TLS, instead of the system's.
    #[arg(long, value_name = "FILE")]
    tls_authorities: Option<PathBuf>,
    /// The SIP domain, if it is not the server.
    #[arg(long)]
    domain: Option<String>,
    /// The user.
    #[arg(long)]
    user: Option<String>,
    /// Read the password from the first line of standard input; otherwise it is in SOFTPHONE_PASSWORD.
    #[arg(long)]
    password_stdin: bool,
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl AccountOptions {
    /// The configuration, and the accounts; those of the options take the place of the file's.
    pub(super) fn load(&self) -> Result<(Config, Vec<Server>)> {
        let path = self.config.clone().or_else(|| self.server.is_none().then(default_path).flatten());
        let mut config = match &path {
            None => Config::default(),
            // The first start, by a person.
            Some(path) if self.config.is_none() && !path.exists() && std::io::stdin().is_terminal() => {
                if setup::run(path)? != DONE {
                    bail!("there is no account yet");
                }
                read(path)?
            }
            Some(path) => read(path)?,
        };
        let folder = path.as_deref().and_then(Path::parent).unwrap_or(Path::new("."));
        let beside = config.tls.authorities.take().map(|file| folder.join(file));
        config.tls.authorities = self.tls_authorities.clone().or(beside);
        if let (Some(server), Some(user)) = (&self.server, &self.user) {
            let server = Server {
                user: user.clone(),
                domain: self.domain.clone(),
                transport: self.transport,
                display_name: None,
                password: Password(password(self.password_stdin)?.into()),
                ..placed(server, "--server")?
            };
            // What the file says of its own accounts is not for this one.
            config.account.clear();
            return Ok((config, vec![server]));
        }
        let servers =
            config.account.iter().map(|entry| of_entry(entry, folder)).collect::<Result<Vec<_>>>()?;
        if servers.is_empty() {
            bail!(
                "there is no account: give --server and --user, or write [[account]] into the configuration file"
            );
        }
        Ok((config, servers))
    }
}

fn placed(server: &str, what: &str) -> Result<Server> {
    let Some((host, port)) = host_and_port_if_any(server) else {
        bail!(
            "{what} {server}: give a name, an address, or [an IPv6 address in brackets], and a port up to 65535"
        );
    };
    let (user, password) = (String::new(), Password("".into()));
    Ok(Server { host, port, transport: None, domain: None, user, display_name: None, password })
}

fn of_entry(entry: &AccountEntry, folder: &Path) -> Result<Server> {
    let password = match (&entry.password, &entry.password_file, &entry.password_command) {
        (Some(password), _, _) => password.clone(),
        (None, Some(file), _) => {
            let file = folder.join(file);
            let text = std::fs::read_to_string(&file).with_context(|| {
                format!("the password file {} of user {} cannot be read", file.display(), entry.user)
            })?;
            text.lines().next().unwrap_or_default().to_owned()
        }
        (None, None, Some(command)) => {
            key_ring::ask(command).with_context(|| format!("no password of user {}", entry.user))?
        }
        (None, None, None) => std::env::var(PASSWORD).with_context(|| {
            format!(
                "no password of user {}: set password, password_file or password_command, or the variable {PASSWORD}",
                entry.user
            )
        })?,
    };
    Ok(Server {
        user: entry.user.clone(),
        domain: entry.domain.clone(),
        transport: entry.transport.as_deref().and_then(transport),
        display_name: entry.display_name.clone(),
        password: Password(password.into()),
        ..placed(&entry.server, "server =")?
    })
}

fn read(path: &Path) -> Result<Config> {
    let text = std::fs::read_to_string(path).with_context(|| {
        format!(
            "{} cannot be read; give --server and --user, or --config, or run softphone setup",
            path.display()
        )
    })?;
    Ok(Config::parse(path, &text)?)
}

/// Where the configuration is, or is to be.
pub(super) fn place(config: Option<PathBuf>) -> Result<PathBuf> {
    config.or_else(default_path).context("there is no home folder: give --config FILE")
}

/// Where the configuration is when nobody says.
fn default_path() -> Option<PathBuf> {
    let folder = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")))
        .or_else(|| std::env::var_os("APPDATA").map(PathBuf::from))?;
    Some(folder.join("softphone").join("softphone.toml"))
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

fn known_transport(name: &str) -> Result<Transport, String> {
    transport(name).ok_or_else(|| "give udp, tcp or tls".to_owned())
}

/// Who may vouch for servers.
pub(super) fn trust(config: &Config) -> Result<Trust> {
    let Some(file) = &config.tls.authorities else { return Ok(Trust::System) };
    let trust = Trust::File(file.clone());
    let tls = TlsConfig { server: None, client_auth: ClientAuth::None, client: None, trust: trust.clone() };
    Tls::load(&tls).context("the certificates of the authorities cannot be used")?;
    Ok(trust)
}

/// From the system.
pub(super) fn seed() -> Result<[u8; 32]> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).context("the system gives no random numbers")?;
    Ok(seed)
}

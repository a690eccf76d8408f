//! The arguments of every command.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// A SIP PBX: phones register here and call each other.
#[derive(Debug, Parser)]
#[command(version, args_conflicts_with_subcommands = true)]
pub struct Arguments {
    #[command(subcommand)]
    pub(super) command: Option<Command>,
    #[command(flatten)]
    pub(super) run: RunArguments,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Run the switch; this is what happens without a command.
    Run(RunArguments),
    /// Do again what a scenario log tells, and compare every output byte for byte.
    Replay(ReplayArguments),
    /// Check the configuration.
    Check(CheckArguments),
    /// Tell which way a call would take, rule by rule. Nobody is called.
    Route(RouteArguments),
    /// The announcements and the music on hold.
    Prompts(PromptsArguments),
    /// Users made by command, kept in the database.
    User(UserArguments),
    /// How many messages wait for users, kept in the database.
    Mailbox(MailboxArguments),
}

/// Arguments of `run`.
#[derive(Args, Debug)]
pub(super) struct RunArguments {
    #[command(flatten)]
    pub(super) place: PlaceArguments,
    /// Write the scenario log to FILE (then FILE.1, FILE.2, …, of which the newest stay) instead of the `log` directory
    /// of the data.
    #[arg(long, value_name = "FILE", conflicts_with = "no_log")]
    pub(super) log: Option<PathBuf>,
    /// Write no scenario log.
    #[arg(long)]
    pub(super) no_log: bool,
    /// Print every SIP message to standard error.
    #[arg(long)]
    pub(super) trace: bool,
    /// What is logged: error, warn, info, debug or trace, or `module=level,…`. RUST_LOG, when set, goes before it.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub(super) log_level: String,
}

/// Where configuration and data are.
#[derive(Args, Debug)]
pub(super) struct PlaceArguments {
    /// The configuration; without it, `softswitch.toml` in the data directory, made at the first start.
    #[arg(long, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,
    /// The directory of the database, the first configuration and the scenario log.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
}

/// Arguments of `replay`.
#[derive(Args, Debug)]
pub(super) struct ReplayArguments {
    /// A segment of a scenario log.
    pub(super) file: PathBuf,
    /// The data directory of the switch that wrote it: the key is there.
    #[arg(long, value_name = "DIR")]
    pub(super) data: Option<PathBuf>,
}

/// Arguments of `check`.
#[derive(Args, Debug)]
pub(super) struct CheckArguments {
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

/// Arguments of `route`.
#[derive(Args, Debug)]
pub(super) struct RouteArguments {
    /// Who calls: a user, or with `--peer` any number.
    #[arg(long, value_name = "CALLER")]
    pub(super) from: String,
    /// What is dialled.
    #[arg(long, value_name = "NUMBER")]
    pub(super) to: String,
    /// The peer that the call comes from.
    #[arg(long, value_name = "PEER")]
    pub(super) peer: Option<String>,
    /// When, with its offset: 2026-12-31T18:00:00+03:00; without it, now.
    #[arg(long, value_name = "TIME")]
    pub(super) at: Option<String>,
    /// The SIP domain; without it, the default domain.
    #[arg(long)]
    pub(super) domain: Option<String>,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

/// Arguments of `prompts`.
#[derive(Args, Debug)]
pub(super) struct PromptsArguments {
    #[command(subcommand)]
    pub(super) action: PromptsAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum PromptsAction {
    /// List the languages, how many prompts come from the configured folder, and what is missing.
    List {
        #[command(flatten)]
        place: PlaceArguments,
    },
    /// Write the sounds, sentences and rules of the program to a folder; files that are there stay.
    Export {
        /// The folder.
        folder: PathBuf,
    },
}

/// Arguments of `user`.
#[derive(Args, Debug)]
pub(super) struct UserArguments {
    #[command(subcommand)]
    pub(super) action: UserAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum UserAction {
    /// Make a user.
    Add {
        #[command(flatten)]
        who: Who,
        /// Read the password from standard input instead of making one.
        #[arg(long)]
        password_stdin: bool,
        #[command(flatten)]
        settings: SettingsArguments,
    },
    /// Remove a user made by command.
    Remove(Who),
    /// List the users made by command.
    List {
        #[command(flatten)]
        place: PlaceArguments,
    },
}

/// Arguments of `mailbox`.
#[derive(Args, Debug)]
pub(super) struct MailboxArguments {
    #[command(subcommand)]
    pub(super) action: MailboxAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum MailboxAction {
    /// Say how many messages wait for a user.
    Set {
        #[command(flatten)]
        who: Who,
        /// Messages that were not heard yet.
        #[arg(long, default_value_t = 0)]
        new: u32,
        /// Messages that were heard.
        #[arg(long, default_value_t = 0)]
        old: u32,
        /// How many of the new ones are urgent.
        #[arg(long, default_value_t = 0)]
        urgent_new: u32,
        /// How many of the old ones are urgent.
        #[arg(long, default_value_t = 0)]
        urgent_old: u32,
    },
    /// List what was set.
    List {
        #[command(flatten)]
        place: PlaceArguments,
    },
}

/// Settings of a user, as in the file.
#[derive(Args, Debug)]
pub(super) struct SettingsArguments {
    /// The name that is shown to those who are called.
    #[arg(long, value_name = "NAME")]
    pub(super) display_name: Option<String>,
    /// How the user's phones press keys: auto, event, info or inband.
    #[arg(long, value_name = "WAY")]
    pub(super) dtmf: Option<String>,
    /// The language it is spoken to in; without it, that of the switch.
    #[arg(long, value_name = "LANGUAGE")]
    pub(super) language: Option<String>,
    /// Record all of the user's calls.
    #[arg(long)]
    pub(super) record: bool,
    /// Record the calls in which the user's phone asks for it.
    #[arg(long)]
    pub(super) record_on_request: bool,
    /// The kind of the recordings' files: wav or opus.
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// What is in one of the files: mix, stereo or members.
    #[arg(long, value_name = "LAYOUT")]
    pub(super) layout: Option<String>,
}

/// A user of a domain.
#[derive(Args, Debug)]
pub(super) struct Who {
    /// The user's id: what is dialled.
    pub(super) id: String,
    /// The SIP domain; without it, the default domain.
    #[arg(long)]
    pub(super) domain: Option<String>,
    #[command(flatten)]
    pub(super) place: PlaceArguments,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn what_is_not_said_of_a_mailbox_is_none() {
        let arguments =
            Arguments::try_parse_from(["softswitch", "mailbox", "set", "1001", "--new", "2"]).unwrap();
        let Some(Command::Mailbox(MailboxArguments { action: MailboxAction::Set { who, new, old, .. } })) =
            arguments.command
        else {
            panic!()
        };
        assert_eq!((&*who.id, new, old), ("1001", 2, 0));
    }

    #[test]
    fn without_a_command_the_switch_runs() {
        let arguments = Arguments::try_parse_from(["softswitch", "--trace", "--data", "d"]).unwrap();
        assert!(arguments.command.is_none() && arguments.run.trace);
        let arguments = Arguments::try_parse_from(["softswitch", "run", "--log", "x"]).unwrap();
        assert!(matches!(arguments.command, Some(Command::Run(RunArguments { log: Some(_), .. }))));
        assert!(Arguments::try_parse_from(["softswitch", "--log", "x", "--no-log"]).is_err());
    }
}

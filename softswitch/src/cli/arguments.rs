//! The arguments of every command.

use crate::core::command::{CallRef, LegRef, LegSide, RoomRef, UserRef};
use crate::rooms::Standing;
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
    /// Conference rooms, kept in the database.
    Room(RoomArguments),
    /// How many messages wait for users, kept in the database.
    Mailbox(MailboxArguments),
    /// Commands to the switch that runs, and its events.
    Control(ControlArguments),
    /// What became of calls: who called whom, which phones rang, why it ended.
    Records(RecordsArguments),
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

/// Arguments of `room`.
#[derive(Args, Debug)]
pub(super) struct RoomArguments {
    #[command(subcommand)]
    pub(super) action: RoomsAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum RoomsAction {
    /// Make a room, or change it; the ID is its extension.
    Set {
        #[command(flatten)]
        who: Who,
        /// Keys of a [[room]] with their values, each as a line of the file: 'pin = "2580"' 'max_members = 20'.
        settings: Vec<String>,
    },
    /// Remove a room.
    Remove(Who),
    /// List the rooms that were made so.
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

/// Arguments of `control`.
#[derive(Args, Debug)]
pub(super) struct ControlArguments {
    /// The data directory of the switch that runs: its control socket is there.
    #[arg(long, value_name = "DIR", global = true)]
    pub(super) data: Option<PathBuf>,
    /// Show the switch's own lines of JSON.
    #[arg(long, global = true)]
    pub(super) json: bool,
    /// In the name of this user, with its rights; without it as the operator.
    #[arg(long = "as", value_name = "USER@DOMAIN", global = true)]
    pub(super) user: Option<UserRef>,
    #[command(subcommand)]
    pub(super) action: ControlAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum ControlAction {
    /// Show what there is.
    #[command(flatten)]
    List(Listing),
    /// End a call, or send one party away.
    HangUp {
        /// The call, as it is listed.
        call: CallRef,
        /// caller or callee.
        side: Option<LegSide>,
    },
    /// Send the partner of a party to a number.
    Transfer(Transfers),
    /// Bring the partners of a party in two calls together.
    Connect {
        /// The party in one call: CALL.caller or CALL.callee.
        leg: LegRef,
        /// The same in the other call.
        with: LegRef,
    },
    /// Park the partner of a party.
    Park {
        /// The party that parks: CALL.caller or CALL.callee.
        leg: LegRef,
        /// The slot; the first free one without it.
        slot: Option<u32>,
    },
    /// Ring a user's phones, and call a number when somebody answers.
    Originate(Originating),
    /// Put the partner of a party on music.
    Hold {
        /// The party that holds: CALL.caller or CALL.callee.
        leg: LegRef,
    },
    /// Let the two talk again.
    Resume {
        /// The party that has held: CALL.caller or CALL.callee.
        leg: LegRef,
    },
    /// Have a user's phones ring for a call that rings elsewhere.
    PickUp(PickingUp),
    /// Have who is parked call a user.
    Retrieve {
        /// The slot.
        slot: u32,
        /// Whose phones.
        user: UserRef,
        #[command(flatten)]
        phone: Phone,
    },
    /// Move a call to another phone of the same user.
    Move {
        /// The user in the call: CALL.caller or CALL.callee.
        leg: LegRef,
        #[command(flatten)]
        phone: Phone,
    },
    /// Call a user back when another one is free.
    CallBack {
        /// The user.
        user: UserRef,
        /// The other one's number.
        of: String,
        /// No more.
        #[arg(long)]
        off: bool,
    },
    /// Make one call of three out of two calls of a user.
    Join {
        /// The user in one call: CALL.caller or CALL.callee.
        leg: LegRef,
        /// The same user in its other call.
        with: LegRef,
    },
    /// Begin to record a call.
    Record {
        /// The call.
        call: CallRef,
        /// End it.
        #[arg(long)]
        off: bool,
    },
    /// Say a prompt in a call.
    Say(Text),
    /// Play a file in a call.
    Play(Text),
    /// Press keys for a party.
    Digits(Keys),
    /// Give an order in a conference.
    Room {
        /// The conference: NUMBER or NUMBER@DOMAIN.
        room: RoomRef,
        /// What is to be done.
        #[command(subcommand)]
        order: RoomAction,
    },
    /// Say how many messages wait for a user.
    Mailbox(MailboxCounts),
    /// Read the configuration again.
    Reload,
    /// End all calls and stop.
    Stop,
    /// Print every SIP message to the log.
    Trace {
        /// No more.
        #[arg(long)]
        off: bool,
    },
    /// Follow the events.
    Events {
        /// From this number on, if it is still kept; without it from now on.
        #[arg(long, value_name = "NUMBER")]
        from: Option<u64>,
    },
    /// Give a command in JSON.
    Send {
        /// The command (docs/control.md).
        command: String,
    },
}

/// An order in a conference; members are named by their calls, as they are listed.
#[derive(Debug, Subcommand)]
pub(super) enum RoomAction {
    /// Let nobody in but moderators.
    Lock,
    /// Let everybody in again.
    Unlock,
    /// Mute all but the moderators.
    MuteAll,
    /// Let everybody speak.
    UnmuteAll,
    /// Mute one.
    Mute {
        /// Its call.
        call: CallRef,
    },
    /// Let one speak.
    Unmute {
        /// Its call.
        call: CallRef,
    },
    /// Send one away.
    Kick {
        /// Its call.
        call: CallRef,
    },
    /// Make one a moderator, a member or a listener.
    Role {
        /// Its call.
        call: CallRef,
        /// moderator, member or listener.
        role: Standing,
    },
    /// Make one louder or quieter for the others.
    Gain {
        /// Its call.
        call: CallRef,
        /// -12 to 12.
        #[arg(allow_hyphen_values = true)]
        decibels: i8,
    },
    /// Bring one into another conference.
    Move {
        /// Its call.
        call: CallRef,
        /// The other conference.
        to: RoomRef,
    },
    /// Call a number; who answers is in.
    Invite {
        /// The number.
        number: String,
    },
    /// Send everybody away.
    End,
}

#[derive(Debug, Subcommand)]
pub(super) enum Listing {
    /// Calls.
    Calls,
    /// Who is registered.
    Registrations,
    /// Conferences.
    Rooms,
    /// Who watches whom.
    Subscriptions,
}

/// Which phones of a user.
#[derive(Args, Debug)]
pub(super) struct Phone {
    /// One of them, by its instance or contact as `registrations` lists it; all without it.
    #[arg(long, value_name = "PHONE")]
    pub(super) device: Option<String>,
    /// Ask them to answer by themselves.
    #[arg(long)]
    pub(super) auto_answer: bool,
}

/// A call that is to begin.
#[derive(Args, Debug)]
pub(super) struct Originating {
    /// The user whose call it is.
    pub(super) user: UserRef,
    /// The number that is called when somebody has answered.
    pub(super) number: String,
    /// Ring this number first, not the user's phones.
    #[arg(long, value_name = "NUMBER")]
    pub(super) from: Option<String>,
    /// What who is called sees.
    #[arg(long, value_name = "NUMBER")]
    pub(super) caller_id: Option<String>,
    /// How long the first rings, in seconds.
    #[arg(long, value_name = "SECONDS")]
    pub(super) timeout: Option<u32>,
    /// What the record is to say, as NAME=TEXT; may be given again.
    #[arg(long = "variable", value_name = "NAME=TEXT")]
    pub(super) variables: Vec<String>,
    #[command(flatten)]
    pub(super) phone: Phone,
}

/// A call that is picked up.
#[derive(Args, Debug)]
pub(super) struct PickingUp {
    /// Whose phones are to ring.
    pub(super) user: UserRef,
    /// The call that rings.
    #[arg(long, required_unless_present = "of", conflicts_with = "of")]
    pub(super) call: Option<CallRef>,
    /// Instead of the call: the user at whose phones it rings.
    #[arg(long, value_name = "USER@DOMAIN")]
    pub(super) of: Option<UserRef>,
    #[command(flatten)]
    pub(super) phone: Phone,
}

/// A blind transfer.
#[derive(Args, Debug)]
pub(super) struct Transfers {
    /// The party that transfers: CALL.caller or CALL.callee.
    pub(super) leg: LegRef,
    /// The number its partner is sent to.
    pub(super) number: String,
}

/// What is heard in a call.
#[derive(Args, Debug)]
pub(super) struct Text {
    /// The call.
    pub(super) call: CallRef,
    /// A prompt (call/please-hold), or a file.
    pub(super) what: String,
    /// Who hears it, caller or callee; both without it.
    #[arg(long, value_name = "SIDE")]
    pub(super) to: Option<LegSide>,
}

/// Keys.
#[derive(Args, Debug)]
pub(super) struct Keys {
    /// The party that hears them: CALL.caller or CALL.callee.
    pub(super) leg: LegRef,
    /// 0-9, *, #, A-D.
    pub(super) digits: String,
}

/// What is in a mailbox.
#[derive(Args, Debug)]
pub(super) struct MailboxCounts {
    /// The user.
    pub(super) user: UserRef,
    /// Messages that were not heard yet.
    #[arg(long, default_value_t = 0)]
    pub(super) new: u32,
    /// Messages that were heard.
    #[arg(long, default_value_t = 0)]
    pub(super) old: u32,
    /// How many of the new ones are urgent.
    #[arg(long, default_value_t = 0)]
    pub(super) urgent_new: u32,
    /// How many of the old ones are urgent.
    #[arg(long, default_value_t = 0)]
    pub(super) urgent_old: u32,
}

/// Arguments of `records`.
#[derive(Args, Debug)]
pub(super) struct RecordsArguments {
    #[command(subcommand)]
    pub(super) action: RecordsAction,
}

#[derive(Debug, Subcommand)]
pub(super) enum RecordsAction {
    /// List calls, those that ended last first.
    List {
        #[command(flatten)]
        place: PlaceArguments,
        #[command(flatten)]
        form: RecordsForm,
        /// Only calls that ended since then: 30m, 12h, 7d ago, or a day like 2026-11-30 (UTC).
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Only calls that this user made or got.
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// Only calls that nobody answered.
        #[arg(long)]
        missed: bool,
        /// So many at most.
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: u32,
    },
    /// Show all that is known of one call.
    Show {
        /// The id of its record, which `list` shows.
        id: String,
        #[command(flatten)]
        place: PlaceArguments,
        #[command(flatten)]
        form: RecordsForm,
    },
}

/// How records are printed.
#[derive(Args, Clone, Copy, Debug)]
pub(super) struct RecordsForm {
    /// One line of JSON for each.
    #[arg(long, conflicts_with = "csv")]
    pub(super) json: bool,
    /// CSV with a line of names.
    #[arg(long)]
    pub(super) csv: bool,
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

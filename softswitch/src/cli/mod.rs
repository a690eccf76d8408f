//! The command line: what is asked for, and what the operator sees.

mod arguments;
mod check;
mod control;
mod error;
mod first_start;
mod logging;
mod mailbox;
mod place;
mod prompts;
mod records;
mod reload;
mod room;
mod route;
mod sounds;
mod start;
mod user;

pub use arguments::Arguments;
pub use error::CliError;

use arguments::{Command, ReplayArguments};

/// Does what the command line says.
///
/// # Errors
/// [`CliError`], whose text is for the operator.
pub fn run(arguments: Arguments) -> Result<(), CliError> {
    match arguments.command {
        None => start::start(arguments.run),
        Some(Command::Run(run)) => start::start(run),
        Some(Command::Replay(replay)) => self::replay(&replay),
        Some(Command::Check(check)) => check::check(&check),
        Some(Command::Route(route)) => route::route(&route),
        Some(Command::Prompts(prompts)) => prompts::prompts(&prompts),
        Some(Command::User(user)) => user::user(&user),
        Some(Command::Room(arguments)) => room::room(&arguments),
        Some(Command::Control(control)) => control::control(&control),
        Some(Command::Mailbox(mailbox)) => mailbox::mailbox(&mailbox),
        Some(Command::Records(arguments)) => records::records(&arguments),
    }
}

fn replay(arguments: &ReplayArguments) -> Result<(), CliError> {
    let data = place::data_directory(arguments.data.as_deref())?;
    let path = data.join(place::KEY);
    let key = crate::io::load_key(&path).map_err(|source| CliError::File { path, source })?;
    let replayed = crate::log::replay(&arguments.file, &key)?;
    println!("{replayed}");
    Ok(())
}

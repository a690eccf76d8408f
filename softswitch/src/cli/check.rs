//! `softswitch check`: whether the configuration would be accepted, with the users made by command.

use super::arguments::CheckArguments;
use super::{CliError, place, sounds};
use crate::store;

pub(super) fn check(arguments: &CheckArguments) -> Result<(), CliError> {
    let data = place::data_directory(arguments.place.data.as_deref())?;
    let file = place::config_file(&arguments.place, &data);
    let mut config = place::read_config(&file)?;
    sounds::find(&mut config, &data)?;
    if data.join(store::DATABASE).exists() {
        config.merge_stored(store::users_list(&data)?)?;
    }
    let (users, domains) = (place::users_of(&config), config.domains.len());
    println!("{}: good, {users} users in {domains} domains", file.display());
    Ok(())
}

//! `softswitch user`: objects made by command. They live in the database and take effect at the next reload.

use super::arguments::{SettingsArguments, UserAction, UserArguments, Who};
use super::{CliError, place};
use crate::config::{Config, Origin, first};
use crate::io::{load_prompts, random};
use crate::store::{self, StoredRoom, StoredUser, UserSettings};
use sip_stack::message::Escaped;
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::Arc;

pub(super) fn user(arguments: &UserArguments) -> Result<(), CliError> {
    match &arguments.action {
        UserAction::Add { who, password_stdin, settings } => add(who, *password_stdin, settings),
        UserAction::Remove(who) => {
            let place = Place::of(who)?;
            store::users_remove(&place.data, &place.domain, &who.id)?;
            println!("removed {} of {}", shown(&who.id), shown(&place.domain));
            tell_how_it_applies();
            Ok(())
        }
        UserAction::List { place } => {
            let data = place::data_directory(place.data.as_deref())?;
            for user in store::users_list(&data)? {
                let name = user.display_name.as_deref().unwrap_or_default();
                println!("{}\t{}\t{}", shown(&user.id), shown(&user.domain), shown(name));
            }
            Ok(())
        }
    }
}

fn add(who: &Who, password_stdin: bool, settings: &SettingsArguments) -> Result<(), CliError> {
    let place = Place::of(who)?;
    place.refuse_if_in_file(&who.id)?;
    let (password, made) = if password_stdin { (read_password()?, false) } else { (make_password()?, true) };
    let user = StoredUser::of_password(&place.domain, &who.id, &password, &settings.said())?;
    place.refuse_unknown_language(&user)?;
    place::make_directory(&place.data)?;
    store::users_add(&place.data, &user)?;
    println!("added {} of {}", shown(&who.id), shown(&place.domain));
    if made {
        println!("password: {password}");
    }
    tell_how_it_applies();
    Ok(())
}

impl SettingsArguments {
    fn said(&self) -> UserSettings<'_> {
        UserSettings {
            display_name: self.display_name.as_deref(),
            dtmf: self.dtmf.as_deref(),
            language: self.language.as_deref(),
            record: self.record,
            record_on_request: self.record_on_request,
            format: self.format.as_deref(),
            layout: self.layout.as_deref(),
        }
    }
}

/// Text of the operator or the database, fit for a terminal.
pub(super) fn shown(text: &str) -> Escaped<'_> {
    Escaped(text.as_bytes())
}

pub(super) fn tell_how_it_applies() {
    if cfg!(unix) {
        println!("A running switch takes it over when it reloads: kill -HUP its process.");
    } else {
        println!("A running switch takes it over at its next start.");
    }
}

fn read_password() -> Result<String, CliError> {
    let mut line = String::new();
    let failed = |source| CliError::File { path: PathBuf::from("standard input"), source };
    std::io::stdin().lock().read_line(&mut line).map_err(failed)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

fn make_password() -> Result<String, CliError> {
    let [(_, password), _] = first::generate(&random::bytes()?).users;
    Ok(password)
}

/// The domain that is meant, and where its users are kept.
pub(super) struct Place {
    pub(super) data: PathBuf,
    config: Config,
    pub(super) domain: Arc<str>,
}

impl Place {
    pub(super) fn of(who: &Who) -> Result<Place, CliError> {
        let data = place::data_directory(who.place.data.as_deref())?;
        let config = place::read_config(&place::config_file(&who.place, &data))?;
        let id = match &who.domain {
            Some(name) => config.domain_named(name).ok_or_else(|| CliError::NoSuchDomain(name.clone()))?,
            None => config.default_domain.ok_or(CliError::NoDefaultDomain)?,
        };
        let domain = config.domains.get(&id).map(|domain| domain.name.clone());
        let domain = domain.ok_or(CliError::NoDefaultDomain)?;
        Ok(Place { data, config, domain })
    }

    /// A switch whose users have a language that is not there does not start.
    fn refuse_unknown_language(&self, user: &StoredUser) -> Result<(), CliError> {
        if user.language.is_some() {
            let mut config = self.config.clone();
            config.merge_stored(vec![user.clone()])?;
            load_prompts(&config)?;
        }
        Ok(())
    }

    /// A switch whose rooms cannot be as they are does not start.
    pub(super) fn refuse_unfit_room(&self, room: &StoredRoom) -> Result<(), CliError> {
        let mut config = self.config.clone();
        config.merge_stored(store::users_list(&self.data)?)?;
        config.merge_rooms(core::slice::from_ref(room))?;
        Ok(())
    }

    /// A user that neither the file nor the database has.
    pub(super) fn refuse_unknown_user(&self, id: &str) -> Result<(), CliError> {
        let domain = self.config.domains.values().find(|domain| domain.name == self.domain);
        let is_known = domain.is_some_and(|domain| domain.users.contains_key(id))
            || store::users_list(&self.data)?
                .iter()
                .any(|user| *user.domain == *self.domain && &*user.id == id);
        let (domain, id) = (self.domain.clone(), id.to_owned());
        if is_known { Ok(()) } else { Err(CliError::NoSuchUser { domain, id }) }
    }

    fn refuse_if_in_file(&self, id: &str) -> Result<(), CliError> {
        let domain = self.config.domains.values().find(|domain| domain.name == self.domain);
        match domain.and_then(|domain| domain.users.get(id)).map(|user| user.origin) {
            Some(Origin::File { line }) => Err(CliError::UserInFile {
                id: id.to_owned(),
                domain: self.domain.clone(),
                file: self.config.file.clone(),
                line,
            }),
            Some(Origin::Store) | None => Ok(()),
        }
    }
}

//! `softswitch room`: conference rooms made by command. They live in the database and take effect at the next reload.

use super::arguments::{RoomArguments, RoomsAction};
use super::user::{Place, shown, tell_how_it_applies};
use super::{CliError, place};
use crate::store::{self, StoredRoom};

pub(super) fn room(arguments: &RoomArguments) -> Result<(), CliError> {
    match &arguments.action {
        RoomsAction::Set { who, settings } => {
            let place = Place::of(who)?;
            let (domain, extension) = (Box::from(&*place.domain), Box::from(&*who.id));
            let room = StoredRoom { domain, extension, settings: settings.join("\n").into() };
            place.refuse_unfit_room(&room)?;
            place::make_directory(&place.data)?;
            store::rooms_set(&place.data, &room)?;
            println!("kept room {} of {}", shown(&who.id), shown(&place.domain));
            tell_how_it_applies();
            Ok(())
        }
        RoomsAction::Remove(who) => {
            let place = Place::of(who)?;
            if !store::rooms_remove(&place.data, &place.domain, &who.id)? {
                return Err(CliError::NoSuchRoom { domain: place.domain, extension: who.id.clone() });
            }
            println!("removed room {} of {}", shown(&who.id), shown(&place.domain));
            tell_how_it_applies();
            Ok(())
        }
        RoomsAction::List { place } => {
            let data = place::data_directory(place.data.as_deref())?;
            for StoredRoom { domain, extension, settings } in store::rooms_list(&data)? {
                let kept: Vec<&str> = settings.lines().map(without_code).collect();
                println!("{}\t{}\t{}", shown(&extension), shown(&domain), shown(&kept.join(", ")));
            }
            Ok(())
        }
    }
}

/// A setting, but for the digits of a code.
fn without_code(line: &str) -> &str {
    match line.split_once('=') {
        Some((key, _)) if key.contains("pin") => key.trim_end(),
        Some(_) | None => line,
    }
}

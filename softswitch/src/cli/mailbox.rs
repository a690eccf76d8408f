//! `softswitch mailbox`: how many messages wait for a user. It lives in the database and takes effect at the next reload.

use super::arguments::{MailboxAction, MailboxArguments};
use super::user::{Place, shown, tell_how_it_applies};
use super::{CliError, place};
use crate::config::Mailbox;
use crate::store::{self, StoredMailbox};

pub(super) fn mailbox(arguments: &MailboxArguments) -> Result<(), CliError> {
    match &arguments.action {
        MailboxAction::Set { who, new, old, urgent_new, urgent_old } => {
            let place = Place::of(who)?;
            place.refuse_unknown_user(&who.id)?;
            let (urgent_new, urgent_old) = ((*urgent_new).min(*new), (*urgent_old).min(*old));
            let mailbox = Mailbox { new: *new, old: *old, urgent_new, urgent_old };
            let (domain, user) = (Box::from(&*place.domain), Box::from(&*who.id));
            place::make_directory(&place.data)?;
            store::mailboxes_set(&place.data, &StoredMailbox { domain, user, mailbox })?;
            println!("{} of {}: {new} new, {old} old", shown(&who.id), shown(&place.domain));
            tell_how_it_applies();
            Ok(())
        }
        MailboxAction::List { place } => {
            let data = place::data_directory(place.data.as_deref())?;
            for StoredMailbox { domain, user, mailbox } in store::mailboxes_list(&data)? {
                let Mailbox { new, old, urgent_new, urgent_old } = mailbox;
                let (user, domain) = (shown(&user), shown(&domain));
                println!("{user}\t{domain}\t{new}/{old} ({urgent_new}/{urgent_old})");
            }
            Ok(())
        }
    }
}

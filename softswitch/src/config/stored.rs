//! Objects of the file and objects made by command: the same one in both is a fault of the configuration.

use super::dialplan::Room;
use super::error::{ConfigError, ConfigErrors, Fault, Quoted};
use super::model::{
    Conference, Config, Domain, DomainId, Mode, Origin, Service, User, UserNumbers, WatchedBy,
};
use crate::core::command::Rights;
use crate::store::{StoredMailbox, StoredRoom, StoredUser};

impl Config {
    /// Adds the users made by command.
    ///
    /// # Errors
    ///
    /// One for each user that the file defines too (with its line), for each whose domain the file lacks, and for each that is to be
    /// recorded where that cannot be. The
    /// configuration is then as it was.
    pub fn merge_stored(&mut self, stored: Vec<StoredUser>) -> Result<(), ConfigErrors> {
        let errors: Vec<ConfigError> = stored.iter().filter_map(|user| self.conflict(user)).collect();
        if !errors.is_empty() {
            return Err(ConfigErrors::new(&self.file, errors));
        }
        for stored in stored {
            let StoredUser { domain, id, credentials, display_name, ring_s, latching, .. } = stored;
            let StoredUser { dtmf, language, recording, .. } = stored;
            let domain = self.domain_named(&domain).and_then(|id| self.domains.get_mut(&id));
            let user = User {
                credentials,
                display_name,
                ring_s,
                latching,
                dtmf,
                language,
                recording,
                watched_by: WatchedBy::default(),
                groups: Vec::new(),
                rights: Rights::default(),
                hidden: false,
                may_page: false,
                anonymous: false,
                refuse_anonymous: false,
                numbers: UserNumbers::default(),
                origin: Origin::Store,
            };
            if let Some(domain) = domain {
                domain.users.insert(id, user);
            }
        }
        self.domains.values_mut().for_each(Domain::unite_groups);
        Ok(())
    }

    /// Adds the rooms made by command.
    ///
    /// # Errors
    ///
    /// One for each that the file defines too (with its line), and for each that cannot be as it is. The configuration is then
    /// as it was.
    pub fn merge_rooms(&mut self, stored: &[StoredRoom]) -> Result<(), ConfigErrors> {
        let (mut read, mut errors) = (Vec::new(), Vec::new());
        for room in stored {
            match self.read_room(room) {
                Ok(found) => read.push(found),
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(ConfigErrors::new(&self.file, errors));
        }
        for (domain, extension, conference) in read {
            if let Some(domain) = self.domains.get_mut(&domain) {
                let room = Room { service: Service::Conference(conference), origin: Origin::Store };
                domain.numbering.rooms.insert(extension, room);
            }
        }
        Ok(())
    }

    fn read_room(&self, room: &StoredRoom) -> Result<(DomainId, Box<str>, Conference), ConfigError> {
        let shown = || (Quoted::new(&room.extension), Quoted::new(&room.domain));
        let wrong = |reason: String| {
            let (extension, domain) = shown();
            ConfigError { line: None, fault: Fault::StoredRoom { extension, domain, reason: reason.into() } }
        };
        let domain = self.domain_named(&room.domain).and_then(|id| Some((id, self.domains.get(&id)?)));
        let (id, domain) = domain.ok_or_else(|| wrong("there is no such domain".into()))?;
        if let Some(Origin::File { line }) =
            domain.numbering.rooms.get(&room.extension).map(|room| room.origin)
        {
            let (extension, domain) = shown();
            return Err(ConfigError { line: Some(line), fault: Fault::RoomAlsoStored { extension, domain } });
        }
        let is_taken = domain.user_of(room.extension.as_bytes()).is_some()
            || domain.numbering.group_numbers.contains_key(&room.extension);
        if is_taken {
            return Err(wrong("a user or a group has that number".into()));
        }
        let conference = super::rooms::read_stored(&room.extension, &room.settings).map_err(wrong)?;
        Ok((id, room.extension.clone(), conference))
    }

    /// Adds what is in mailboxes. Those of users that there are not are left out.
    pub fn merge_mailboxes(&mut self, stored: Vec<StoredMailbox>) {
        for StoredMailbox { domain, user, mailbox } in stored {
            let domain = self.domain_named(&domain).and_then(|id| self.domains.get_mut(&id));
            if let Some(domain) = domain.filter(|domain| domain.users.contains_key(&user)) {
                domain.mailboxes.insert(user, mailbox);
            }
        }
    }

    fn conflict(&self, stored: &StoredUser) -> Option<ConfigError> {
        let (id, domain) = (Quoted::new(&stored.id), Quoted::new(&stored.domain));
        let Some(own) = self.domain_named(&stored.domain).and_then(|id| self.domains.get(&id)) else {
            return Some(ConfigError { line: None, fault: Fault::StoredInUnknownDomain { id, domain } });
        };
        if own.mode == Mode::Proxy && (stored.recording.always || stored.recording.on_request) {
            return Some(ConfigError { line: None, fault: Fault::ProxiedUserIsRecorded { id, domain } });
        }
        match own.users.get(&stored.id)?.origin {
            Origin::File { line } => {
                Some(ConfigError { line: Some(line), fault: Fault::AlsoStored { id, domain } })
            }
            Origin::Store => None,
        }
    }
}

//! An account at work: its registration and what it knows of the server's challenges; and which account a request is for.
//!
//! Accounts do not share anything: the nonces of one server say nothing to another.

use super::account::MAX_ACCOUNTS;
use super::registration::Registration;
use super::way::Way;
use super::{Account, AccountError, AccountId, Phone, Reason};
use serde::{Deserialize, Serialize};
use sip_stack::auth::DigestClient;
use sip_stack::endpoint::{Endpoint, Request};
use sip_stack::message::Uri;
use sip_stack::registration;

/// An account with its state.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) account: Account,
    pub(super) registration: Registration,
    pub(super) digest: DigestClient,
    pub(super) way: Way,
    /// Why the last way failed, while the next one is looked for.
    pub(super) because: Option<Reason>,
    /// It is registered, and what it watches goes on.
    pub(super) watching: bool,
}

impl Identity {
    /// An account that is not registered.
    ///
    /// # Errors
    /// [`AccountError`]
    pub(super) fn new(account: Account, endpoint: &mut Endpoint) -> Result<Identity, AccountError> {
        account.check()?;
        let contact = account.contact_uri().into();
        let machine = registration::Registration::plain(contact, account.expires_s, endpoint.random());
        let tag = endpoint.random().tag();
        let from = [&account.from()[..], b";tag=", &tag].concat().into();
        Ok(Identity {
            account,
            registration: Registration::new(machine, from),
            digest: DigestClient::default(),
            way: Way::Fixed,
            because: None,
            watching: false,
        })
    }

    /// Whether a request names our user.
    fn is_named(&self, uri: &Uri<'_>) -> bool {
        uri.user_unescaped().is_some_and(|user| *user == *self.account.user.as_bytes())
    }
}

impl Phone {
    /// Adds an account; it is not registered before [`super::Command::Register`].
    ///
    /// # Errors
    /// [`AccountError`]
    pub fn add_account(&mut self, account: Account) -> Result<AccountId, AccountError> {
        if self.identities.len() >= MAX_ACCOUNTS {
            return Err(AccountError::TooMany);
        }
        let identity = Identity::new(account, &mut self.endpoint)?;
        self.identities.push(identity);
        Ok(AccountId(self.identities.len() as u16 - 1))
    }

    /// The accounts, in the order of their ids.
    pub fn accounts(&self) -> impl Iterator<Item = (AccountId, &Account)> {
        (0..).map(AccountId).zip(self.identities.iter().map(|identity| &identity.account))
    }

    /// An account of ours; an unknown id is the first one's.
    pub(super) fn identity(&self, id: AccountId) -> &Identity {
        self.identities.get(usize::from(id.0)).unwrap_or(&self.identities[0])
    }

    /// As [`Phone::identity`], with the generator that its credentials need.
    pub(super) fn identity_mut(&mut self, id: AccountId) -> (&mut Identity, &mut Endpoint) {
        let at = usize::from(id.0).min(self.identities.len() - 1);
        (&mut self.identities[at], &mut self.endpoint)
    }

    pub(super) fn account_ids(&self) -> impl Iterator<Item = AccountId> + use<> {
        (0..self.identities.len() as u16).map(AccountId)
    }

    /// The account a request outside of our dialogs is for: the one that listens there and is named in the Request-URI,
    /// else the one that is named, else the one whose server it came from, else the first.
    pub(super) fn recipient(&self, request: &Request) -> AccountId {
        let uri = request.message.uri().ok();
        let named = |identity: &Identity| uri.as_ref().is_some_and(|uri| identity.is_named(uri));
        let listens = |identity: &Identity| identity.account.server.local == request.flow.local;
        let serves = |identity: &Identity| identity.account.server.peer == request.flow.peer;
        let rules: [&dyn Fn(&Identity) -> bool; 4] = [
            &|identity| named(identity) && listens(identity) && serves(identity),
            &|identity| named(identity) && listens(identity),
            &named,
            &serves,
        ];
        let found = rules.iter().find_map(|rule| self.identities.iter().position(rule));
        AccountId(found.unwrap_or(0) as u16)
    }
}

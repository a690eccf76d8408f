//! Values by domain and name, which are found without a key of its own being made for each look.

use crate::config::DomainId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A value for each of some names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PerName<T>(BTreeMap<DomainId, BTreeMap<Box<str>, T>>);

impl<T> Default for PerName<T> {
    fn default() -> PerName<T> {
        PerName(BTreeMap::new())
    }
}

impl<T> PerName<T> {
    pub(crate) fn get(&self, domain: DomainId, name: &str) -> Option<&T> {
        self.0.get(&domain)?.get(name)
    }

    pub(crate) fn has(&self, domain: DomainId, name: &str) -> bool {
        self.get(domain, name).is_some()
    }

    pub(crate) fn get_mut(&mut self, domain: DomainId, name: &str) -> Option<&mut T> {
        self.0.get_mut(&domain)?.get_mut(name)
    }

    pub(crate) fn insert(&mut self, domain: DomainId, name: &str, value: T) {
        self.0.entry(domain).or_default().insert(name.into(), value);
    }

    pub(crate) fn remove(&mut self, domain: DomainId, name: &str) {
        if let Some(names) = self.0.get_mut(&domain) {
            names.remove(name);
        }
    }

    pub(crate) fn retain(&mut self, stays: impl Fn(DomainId, &str, &T) -> bool) {
        for (domain, names) in &mut self.0 {
            names.retain(|name, value| stays(*domain, name, value));
        }
        self.0.retain(|_, names| !names.is_empty());
    }
}

impl<T: Default> PerName<T> {
    /// The value of a name, which has one from now on.
    pub(crate) fn of(&mut self, domain: DomainId, name: &str) -> &mut T {
        self.0.entry(domain).or_default().entry(name.into()).or_default()
    }
}

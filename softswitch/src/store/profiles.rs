//! What users have set for themselves ([`crate::routing::Profile`]): one row for each that ever set anything.

use super::commands::run;
use super::error::StoreError;
use super::rows::{Columns, Query, Table};
use crate::routing::{Forward, Profile};
use serde::{Deserialize, Serialize};
use std::path::Path;

/// The settings of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredProfile {
    /// Name of the domain.
    pub domain: Box<str>,
    /// The user.
    pub user: Box<str>,
    /// What it has set.
    pub profile: Profile,
}

impl Table for StoredProfile {
    const NAME: &'static str = "profiles";
    const KEYS: &'static [&'static str] = &["domain", "user"];
    const VALUES: &'static [&'static str] = &[
        "do_not_disturb",
        "always",
        "always_schedule",
        "busy",
        "busy_schedule",
        "no_answer",
        "no_answer_s",
        "offline",
        "offline_schedule",
        "no_answer_schedule",
        "refuse_anonymous",
        "desk",
    ];

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let [always, busy, no_answer, offline] = &self.profile.forwards;
        let number = |forward: &Option<Forward>| forward.as_ref().map(|forward| forward.number.to_string());
        let schedule = |forward: &Option<Forward>| {
            forward.as_ref().and_then(|forward| forward.schedule.as_ref()).map(|id| id.to_string())
        };
        let after = no_answer.as_ref().and_then(|forward| forward.after_s).map(i64::from);
        query
            .bind(&*self.domain)
            .bind(&*self.user)
            .bind(i64::from(self.profile.do_not_disturb))
            .bind(number(always))
            .bind(schedule(always))
            .bind(number(busy))
            .bind(schedule(busy))
            .bind(number(no_answer))
            .bind(after)
            .bind(number(offline))
            .bind(schedule(offline))
            .bind(schedule(no_answer))
            .bind(self.profile.refuse_anonymous.map(i64::from))
            .bind(self.profile.desk.as_ref().map(|host| host.to_string()))
    }

    fn read(row: &Columns<'_>) -> Option<StoredProfile> {
        let forward = |number, schedule, after_s: Option<u32>| -> Option<Option<Forward>> {
            let schedule = row.optional_text(schedule)?;
            Some(row.optional_text(number)?.map(|number| Forward { number, schedule, after_s }))
        };
        let after_s = row.optional_number("no_answer_s")?;
        Some(StoredProfile {
            domain: row.text("domain")?,
            user: row.text("user")?,
            profile: Profile {
                forwards: [
                    forward("always", "always_schedule", None)?,
                    forward("busy", "busy_schedule", None)?,
                    forward("no_answer", "no_answer_schedule", after_s)?,
                    forward("offline", "offline_schedule", None)?,
                ],
                do_not_disturb: row.number::<i64>("do_not_disturb")? != 0,
                refuse_anonymous: row.optional_number::<i64>("refuse_anonymous")?.map(|on| on != 0),
                desk: row.optional_text("desk")?,
            },
        })
    }
}

/// What all users have set, by domain and user.
///
/// # Errors
///
/// The database refuses.
pub fn profiles_list(directory: &Path) -> Result<Vec<StoredProfile>, StoreError> {
    run(directory, async |database| Ok(database.all().await?.0))
}

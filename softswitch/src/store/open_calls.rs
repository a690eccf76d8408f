//! Calls that are up, and the runs of the switch that they are in: what a start finds of a run that did not stop in order becomes
//! records of interrupted calls.
//!
//! The row of a run says when the switch was alive last: while calls are up it is written with every transaction, twice a second at
//! least. That is when a call ended that the switch was interrupted in.
//!
//! The state of a call is kept in postcard, and beside it in columns who called whom: if another version of the program has written it,
//! there is a record all the same, without its phones, and nobody can be told.

use super::pending::{Change, OpenKey};
use super::record::{CallRecord, EndedBy};
use super::rows::{self, Columns, Key, Query, Table, integer};
use crate::records::{Cause, Happening, Interrupted, OpenCall};
use sqlx::{Connection as _, Row as _, SqliteConnection};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The form of what is kept of a call. Another one is not read.
const FORM: i64 = 1;

/// The status of a call that was not answered when the switch was interrupted.
const UNAVAILABLE: u16 = 503;

/// Begins a run: its number.
pub(super) async fn begin(connection: &mut SqliteConnection, unix_ms: u64) -> Result<i64, sqlx::Error> {
    let row = sqlx::query("INSERT INTO runs (began_unix_ms, alive_unix_ms) VALUES (?1, ?1) RETURNING run")
        .bind(integer(unix_ms))
        .fetch_one(connection)
        .await?;
    row.try_get(0)
}

/// The switch is alive; whether calls are up.
pub(super) async fn note_alive(
    connection: &mut SqliteConnection,
    run: i64,
    unix_ms: u64,
) -> Result<bool, sqlx::Error> {
    sqlx::query("UPDATE runs SET alive_unix_ms = ? WHERE run = ?")
        .bind(integer(unix_ms))
        .bind(run)
        .execute(&mut *connection)
        .await?;
    let open = sqlx::query("SELECT 1 FROM open_calls WHERE run = ? LIMIT 1").bind(run);
    Ok(open.fetch_optional(connection).await?.is_some())
}

/// The run stops in order.
pub(super) async fn note_stopped(connection: &mut SqliteConnection, run: i64) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE runs SET stopped = 1 WHERE run = ?").bind(run).execute(connection).await.map(drop)
}

/// Whether the last run was interrupted, as far as the database says.
pub(super) async fn was_interrupted(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    let last = sqlx::query("SELECT stopped FROM runs ORDER BY run DESC LIMIT 1");
    let row = last.fetch_optional(connection).await?;
    Ok(match row {
        Some(row) => row.try_get::<i64, _>(0)? == 0,
        None => false,
    })
}

/// Writes what has changed.
pub(super) async fn write(
    connection: &mut SqliteConnection,
    run: i64,
    changes: &BTreeMap<OpenKey, Change<OpenCall>>,
) -> Result<(), sqlx::Error> {
    let (mut put, mut gone) = (Vec::new(), Vec::new());
    for (key, change) in changes {
        match change {
            Change::Put(call) => put.push(OpenRow::of(run, call)),
            Change::Remove => gone.push(RowKey { run: key.run.unwrap_or(run), number: key.number }),
        }
    }
    rows::put::<OpenRow>(connection, &put.iter().collect::<Vec<_>>()).await?;
    rows::remove(connection, &gone.iter().collect::<Vec<_>>()).await.map(drop)
}

/// A call that is up.
pub(super) struct OpenRow {
    run: i64,
    number: u64,
    domain: Arc<str>,
    id: Arc<str>,
    caller: Box<str>,
    callee: Box<str>,
    started_unix_ms: u64,
    answered_unix_ms: Option<u64>,
    form: i64,
    state: Vec<u8>,
}

/// What tells calls apart.
struct RowKey {
    run: i64,
    number: u64,
}

impl OpenRow {
    fn of(run: i64, call: &OpenCall) -> OpenRow {
        let record = &call.record;
        OpenRow {
            run,
            number: record.number,
            domain: record.domain.clone(),
            id: record.id.clone(),
            caller: record.caller.clone(),
            callee: record.callee.clone(),
            started_unix_ms: record.started_unix_ms,
            answered_unix_ms: record.answered_unix_ms,
            form: FORM,
            state: postcard::to_allocvec(call).unwrap_or_default(),
        }
    }

    /// The record of the call, which was interrupted when the switch was alive last, and whom to tell.
    fn interrupt(self, alive_unix_ms: Option<u64>) -> (CallRecord, Interrupted) {
        let OpenRow { run, number, domain, id, caller, callee, started_unix_ms, answered_unix_ms, .. } = self;
        let kept: Option<OpenCall> =
            if self.form == FORM { postcard::from_bytes(&self.state).ok() } else { None };
        let (record, parties) = match kept {
            Some(OpenCall { record, parties }) => (record, parties),
            None => {
                let bare = CallRecord::bare(id, domain, caller, callee, started_unix_ms);
                (CallRecord { number, answered_unix_ms, ..bare }, Vec::new())
            }
        };
        let interrupted = Interrupted { run, number, id: (&*record.id).into(), parties };
        (interrupt(record, alive_unix_ms.unwrap_or(started_unix_ms)), interrupted)
    }
}

impl Key for RowKey {
    type Of = OpenRow;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(self.run).bind(integer(self.number))
    }
}

impl Table for OpenRow {
    const NAME: &'static str = "open_calls";
    const KEYS: &'static [&'static str] = &["run", "number"];
    const VALUES: &'static [&'static str] =
        &["domain", "id", "caller", "callee", "started_unix_ms", "answered_unix_ms", "form", "state"];

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(self.run)
            .bind(integer(self.number))
            .bind(&*self.domain)
            .bind(&*self.id)
            .bind(&*self.caller)
            .bind(&*self.callee)
            .bind(integer(self.started_unix_ms))
            .bind(self.answered_unix_ms.map(integer))
            .bind(self.form)
            .bind(&self.state[..])
    }

    fn read(row: &Columns<'_>) -> Option<OpenRow> {
        Some(OpenRow {
            run: row.number("run")?,
            number: row.number("number")?,
            domain: row.text("domain")?,
            id: row.text("id")?,
            caller: row.text("caller")?,
            callee: row.text("callee")?,
            started_unix_ms: row.number("started_unix_ms")?,
            answered_unix_ms: row.optional_number("answered_unix_ms")?,
            form: row.number("form")?,
            state: row.bytes("state")?.into(),
        })
    }
}

/// Writes the records of calls that the switch was interrupted in, and forgets runs that have none. Their rows stay until their parties
/// have been told.
pub(super) async fn close_interrupted(
    connection: &mut SqliteConnection,
) -> Result<Vec<Interrupted>, sqlx::Error> {
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let (found, _) = rows::all::<OpenRow>(&mut transaction).await?;
    let mut alive: BTreeMap<i64, u64> = BTreeMap::new();
    for row in sqlx::query("SELECT run, alive_unix_ms FROM runs").fetch_all(&mut *transaction).await? {
        let row = Columns(&row);
        if let (Some(run), Some(at)) = (row.number("run"), row.number("alive_unix_ms")) {
            alive.insert(run, at);
        }
    }
    let found = found.into_iter().map(|row| {
        let alive = alive.get(&row.run).copied();
        row.interrupt(alive)
    });
    let (records, interrupted): (Vec<CallRecord>, Vec<Interrupted>) = found.unzip();
    rows::put::<CallRecord>(&mut transaction, &records.iter().collect::<Vec<_>>()).await?;
    let forgotten = sqlx::query("DELETE FROM runs WHERE run NOT IN (SELECT run FROM open_calls)");
    forgotten.execute(&mut *transaction).await?;
    transaction.commit().await?;
    Ok(interrupted)
}

/// The record of a call that was up when the switch was alive last.
fn interrupt(mut record: CallRecord, alive_unix_ms: u64) -> CallRecord {
    let ended = alive_unix_ms.max(record.answered_unix_ms.unwrap_or(record.started_unix_ms));
    record.journal.note(ended, Happening::Interrupted);
    for attempt in &mut record.attempts {
        attempt.interrupt(ended);
    }
    CallRecord {
        ended_unix_ms: ended,
        status: if record.answered_unix_ms.is_some() { 200 } else { UNAVAILABLE },
        ended_by: EndedBy::Switch,
        cause: Cause::Interrupted,
        ..record
    }
}

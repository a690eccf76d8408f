//! The tables, and how an older database becomes one of this version.
//!
//! Every step is applied once, in order; `PRAGMA user_version` counts the applied ones. A step that has been released is
//! never changed: a new one is added.

use super::error::{StoreError, StoreFault};
use sqlx::{Connection as _, SqliteConnection};
use std::path::Path;

pub(super) const STEPS: &[&str] = &["
    CREATE TABLE bindings (
        domain TEXT NOT NULL,
        user TEXT NOT NULL,
        contact BLOB NOT NULL,
        instance BLOB,
        call_id BLOB NOT NULL,
        cseq INTEGER NOT NULL,
        q INTEGER NOT NULL,
        expires_at_unix_ms INTEGER NOT NULL,
        source TEXT NOT NULL,
        local TEXT NOT NULL,
        user_agent BLOB NOT NULL,
        path BLOB NOT NULL,
        PRIMARY KEY (domain, user, contact)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE users (
        domain TEXT NOT NULL,
        id TEXT NOT NULL,
        ha1_md5 TEXT,
        ha1_sha256 TEXT,
        ha1_sha512_256 TEXT,
        display_name TEXT,
        ring_s INTEGER NOT NULL,
        latching TEXT NOT NULL,
        PRIMARY KEY (domain, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE calls (
        domain TEXT NOT NULL,
        id TEXT NOT NULL,
        caller TEXT NOT NULL,
        callee TEXT NOT NULL,
        started_unix_ms INTEGER NOT NULL,
        answered_unix_ms INTEGER,
        ended_unix_ms INTEGER NOT NULL,
        status INTEGER NOT NULL,
        ended_by TEXT NOT NULL,
        caller_packets INTEGER NOT NULL,
        caller_octets INTEGER NOT NULL,
        caller_lost INTEGER NOT NULL,
        caller_refused INTEGER NOT NULL,
        caller_jitter_us INTEGER NOT NULL,
        callee_packets INTEGER NOT NULL,
        callee_octets INTEGER NOT NULL,
        callee_lost INTEGER NOT NULL,
        callee_refused INTEGER NOT NULL,
        callee_jitter_us INTEGER NOT NULL,
        PRIMARY KEY (domain, id)
    ) STRICT, WITHOUT ROWID;

    CREATE INDEX calls_by_end ON calls (ended_unix_ms);

    PRAGMA user_version = 1;
", "
    CREATE TABLE bindings_of_flows (
        domain TEXT NOT NULL,
        user TEXT NOT NULL,
        contact BLOB NOT NULL,
        flow_instance BLOB NOT NULL,
        reg_id INTEGER NOT NULL,
        instance BLOB,
        call_id BLOB NOT NULL,
        cseq INTEGER NOT NULL,
        q INTEGER NOT NULL,
        expires_at_unix_ms INTEGER NOT NULL,
        transport TEXT NOT NULL,
        source TEXT NOT NULL,
        local TEXT NOT NULL,
        user_agent BLOB NOT NULL,
        path BLOB NOT NULL,
        PRIMARY KEY (domain, user, contact, flow_instance, reg_id)
    ) STRICT, WITHOUT ROWID;

    INSERT INTO bindings_of_flows
        SELECT domain, user, contact, x'', 0, instance, call_id, cseq, q, expires_at_unix_ms, 'UDP', source, local,
            user_agent, path
        FROM bindings;

    DROP TABLE bindings;

    ALTER TABLE bindings_of_flows RENAME TO bindings;

    PRAGMA user_version = 2;
", "
    ALTER TABLE calls ADD COLUMN caller_sent INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN caller_discarded INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN caller_concealed_ms INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN caller_delay_us INTEGER;
    ALTER TABLE calls ADD COLUMN caller_round_trip_us INTEGER;
    ALTER TABLE calls ADD COLUMN caller_r_factor INTEGER;
    ALTER TABLE calls ADD COLUMN caller_mos_tenths INTEGER;
    ALTER TABLE calls ADD COLUMN caller_reported_lost INTEGER;
    ALTER TABLE calls ADD COLUMN caller_reported_jitter_us INTEGER;
    ALTER TABLE calls ADD COLUMN caller_reported_r_factor INTEGER;
    ALTER TABLE calls ADD COLUMN caller_reported_mos_tenths INTEGER;
    ALTER TABLE calls ADD COLUMN callee_sent INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN callee_discarded INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN callee_concealed_ms INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN callee_delay_us INTEGER;
    ALTER TABLE calls ADD COLUMN callee_round_trip_us INTEGER;
    ALTER TABLE calls ADD COLUMN callee_r_factor INTEGER;
    ALTER TABLE calls ADD COLUMN callee_mos_tenths INTEGER;
    ALTER TABLE calls ADD COLUMN callee_reported_lost INTEGER;
    ALTER TABLE calls ADD COLUMN callee_reported_jitter_us INTEGER;
    ALTER TABLE calls ADD COLUMN callee_reported_r_factor INTEGER;
    ALTER TABLE calls ADD COLUMN callee_reported_mos_tenths INTEGER;

    PRAGMA user_version = 3;
", "
    ALTER TABLE calls ADD COLUMN recordings TEXT NOT NULL DEFAULT '';

    PRAGMA user_version = 4;
", "
    ALTER TABLE users ADD COLUMN dtmf TEXT NOT NULL DEFAULT 'auto';
    ALTER TABLE users ADD COLUMN language TEXT;
    ALTER TABLE users ADD COLUMN record INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE users ADD COLUMN record_on_request INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE users ADD COLUMN format TEXT NOT NULL DEFAULT 'wav';
    ALTER TABLE users ADD COLUMN layout TEXT NOT NULL DEFAULT 'mix';

    PRAGMA user_version = 5;
", "
    CREATE TABLE mailboxes (
        domain TEXT NOT NULL,
        user TEXT NOT NULL,
        new INTEGER NOT NULL,
        old INTEGER NOT NULL,
        urgent_new INTEGER NOT NULL,
        urgent_old INTEGER NOT NULL,
        PRIMARY KEY (domain, user)
    ) STRICT, WITHOUT ROWID;

    PRAGMA user_version = 6;
", "
    ALTER TABLE calls ADD COLUMN referred_by TEXT;

    PRAGMA user_version = 7;
", "
    CREATE TABLE profiles (
        domain TEXT NOT NULL,
        user TEXT NOT NULL,
        do_not_disturb INTEGER NOT NULL,
        always TEXT,
        always_schedule TEXT,
        busy TEXT,
        busy_schedule TEXT,
        no_answer TEXT,
        no_answer_s INTEGER,
        offline TEXT,
        offline_schedule TEXT,
        PRIMARY KEY (domain, user)
    ) STRICT, WITHOUT ROWID;

    PRAGMA user_version = 8;
", "
    ALTER TABLE calls ADD COLUMN number INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN cause TEXT NOT NULL DEFAULT '';
    ALTER TABLE calls ADD COLUMN missed INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE calls ADD COLUMN route TEXT;
    ALTER TABLE calls ADD COLUMN caller_codec TEXT;
    ALTER TABLE calls ADD COLUMN callee_codec TEXT;
    ALTER TABLE calls ADD COLUMN transferred_into TEXT;
    ALTER TABLE calls ADD COLUMN attempts TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE calls ADD COLUMN journal TEXT NOT NULL DEFAULT '{}';

    CREATE TABLE runs (
        run INTEGER PRIMARY KEY AUTOINCREMENT,
        began_unix_ms INTEGER NOT NULL,
        alive_unix_ms INTEGER NOT NULL,
        stopped INTEGER NOT NULL DEFAULT 0
    ) STRICT;

    CREATE TABLE open_calls (
        run INTEGER NOT NULL,
        number INTEGER NOT NULL,
        domain TEXT NOT NULL,
        id TEXT NOT NULL,
        caller TEXT NOT NULL,
        callee TEXT NOT NULL,
        started_unix_ms INTEGER NOT NULL,
        answered_unix_ms INTEGER,
        form INTEGER NOT NULL,
        state BLOB NOT NULL,
        PRIMARY KEY (run, number)
    ) STRICT, WITHOUT ROWID;

    CREATE VIEW call_attempts AS
        SELECT calls.domain, calls.id, attempt.key AS attempt,
            attempt.value ->> 'user' AS user, attempt.value ->> 'contact' AS contact,
            attempt.value ->> 'address' AS address, attempt.value ->> 'asked_unix_ms' AS asked_unix_ms,
            attempt.value ->> 'rang_unix_ms' AS rang_unix_ms,
            attempt.value ->> 'answered_unix_ms' AS answered_unix_ms,
            attempt.value ->> 'ended_unix_ms' AS ended_unix_ms, attempt.value ->> 'status' AS status,
            attempt.value ->> 'outcome' AS outcome, attempt.value ->> 'ended_by' AS ended_by
        FROM calls, json_each(calls.attempts) AS attempt;

    CREATE VIEW call_events AS
        SELECT calls.domain, calls.id, event.key AS event, event.value ->> 'at_unix_ms' AS at_unix_ms,
            event.value -> 'what' AS what
        FROM calls, json_each(calls.journal, '$.entries') AS event;

    PRAGMA user_version = 9;
", "
    ALTER TABLE profiles ADD COLUMN no_answer_schedule TEXT;
    ALTER TABLE profiles ADD COLUMN refuse_anonymous INTEGER;
    ALTER TABLE profiles ADD COLUMN desk TEXT;
    ALTER TABLE calls ADD COLUMN variables TEXT NOT NULL DEFAULT '{}';
    CREATE TABLE rooms (
        domain TEXT NOT NULL,
        extension TEXT NOT NULL,
        settings TEXT NOT NULL,
        PRIMARY KEY (domain, extension)
    ) STRICT, WITHOUT ROWID;

    PRAGMA user_version = 10;
"];

/// Brings the database to this version; all steps or none.
pub(super) async fn migrate(connection: &mut SqliteConnection, path: &Path) -> Result<(), StoreError> {
    let refused = |source| StoreError::Database { path: path.into(), fault: StoreFault::of(&source), source };
    // Two processes may open a new database at once: the version is read under the write lock.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(refused)?;
    let found: i64 =
        sqlx::query_scalar("PRAGMA user_version").fetch_one(&mut *transaction).await.map_err(refused)?;
    let known = i64::try_from(STEPS.len()).unwrap_or(i64::MAX);
    if found > known {
        return Err(StoreError::Newer { path: path.into(), found, known });
    }
    for step in STEPS.iter().skip(usize::try_from(found).unwrap_or(0)) {
        sqlx::raw_sql(*step).execute(&mut *transaction).await.map_err(refused)?;
    }
    transaction.commit().await.map_err(refused)
}

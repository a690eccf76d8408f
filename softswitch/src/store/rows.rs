//! Rows of the tables: which columns a record has, and statements that write many rows at a time.

use super::commands::Wanted;
use super::pending::UserKey;
use super::record::{
    BindingKey, CallRecord, EndedBy, FlowKey, MediaFigures, QualityFigures, ReportedFigures, StoredBinding,
    StoredUser,
};
use crate::config::{Dtmf, Latching, Layout, Recording, UserRecording, container_word, parse_container};
use crate::records::Cause;
use bytes::Bytes;
use core::num::NonZeroU32;
use sip_stack::auth::{Algorithm, Ha1};
use sip_stack::transport::Transport;
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{AssertSqlSafe, Row as _, Sqlite, SqliteConnection};

pub(super) type Query<'q> = sqlx::query::Query<'q, Sqlite, SqliteArguments>;

/// Rows in one statement. Few sizes, so that the statements are prepared once and found again; 256 rows of the widest
/// table are 13,056 parameters (SQLite's limit is 32,766).
const ROWS: [usize; 5] = [256, 64, 16, 4, 1];

/// A record that is a row.
pub(super) trait Table: Sized + Sync {
    /// Name of the table.
    const NAME: &'static str;
    /// The columns that tell rows apart.
    const KEYS: &'static [&'static str];
    /// The other columns.
    const VALUES: &'static [&'static str];

    /// Binds keys, then values.
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q>;

    /// Reads a row of keys, then values; `None` when it makes no sense.
    fn read(row: &Columns<'_>) -> Option<Self>;
}

/// The key of a record, for its removal.
pub(super) trait Key: Sync {
    /// The record.
    type Of: Table;

    /// Binds the key columns.
    fn bind<'q>(&self, query: Query<'q>) -> Query<'q>;
}

/// Writes rows, each in place of the one with the same key.
pub(super) async fn put<T: Table>(
    connection: &mut SqliteConnection,
    records: &[&T],
) -> Result<(), sqlx::Error> {
    let columns: Vec<&str> = T::KEYS.iter().chain(T::VALUES).copied().collect();
    let keys = T::KEYS.join(", ");
    let updates: Vec<String> = T::VALUES.iter().map(|value| format!("{value} = excluded.{value}")).collect();
    for chunk in chunks(records) {
        // The text is made of constants alone.
        let sql = format!(
            "INSERT INTO {} ({}) VALUES {} ON CONFLICT ({keys}) DO UPDATE SET {}",
            T::NAME,
            columns.join(", "),
            placeholders(chunk.len(), columns.len()),
            updates.join(", "),
        );
        let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, record| record.bind(query));
        query.execute(&mut *connection).await?;
    }
    Ok(())
}

/// Removes the rows that are there.
pub(super) async fn remove<K: Key>(
    connection: &mut SqliteConnection,
    keys: &[&K],
) -> Result<u64, sqlx::Error> {
    let mut removed = 0;
    for chunk in chunks(keys) {
        let columns = <K::Of as Table>::KEYS;
        let sql = format!(
            "DELETE FROM {} WHERE ({}) IN (VALUES {})",
            <K::Of as Table>::NAME,
            columns.join(", "),
            placeholders(chunk.len(), columns.len()),
        );
        let query = chunk.iter().fold(sqlx::query(AssertSqlSafe(sql)), |query, key| key.bind(query));
        removed += query.execute(&mut *connection).await?.rows_affected();
    }
    Ok(removed)
}

/// Rows in the order of their keys, and the number of those that make no sense.
pub(super) async fn all<T: Table>(connection: &mut SqliteConnection) -> Result<(Vec<T>, u32), sqlx::Error> {
    select(connection, &T::KEYS.join(", "), u32::MAX).await
}

/// At most `limit` rows in the order of `order`, and the number of those that make no sense.
pub(super) async fn select<T: Table>(
    connection: &mut SqliteConnection,
    order: &str,
    limit: u32,
) -> Result<(Vec<T>, u32), sqlx::Error> {
    let columns: Vec<&str> = T::KEYS.iter().chain(T::VALUES).copied().collect();
    let sql = format!("SELECT {} FROM {} ORDER BY {order} LIMIT ?", columns.join(", "), T::NAME);
    let rows = sqlx::query(AssertSqlSafe(sql)).bind(i64::from(limit)).fetch_all(connection).await?;
    let read: Vec<T> = rows.iter().filter_map(|row| T::read(&Columns(row))).collect();
    let unreadable = u32::try_from(rows.len().saturating_sub(read.len())).unwrap_or(u32::MAX);
    Ok((read, unreadable))
}

/// At most `limit` call records that are wanted, those that ended last first.
pub(super) async fn select_calls(
    connection: &mut SqliteConnection,
    wanted: &Wanted<'_>,
) -> Result<Vec<CallRecord>, sqlx::Error> {
    let columns: Vec<&str> = CallRecord::KEYS.iter().chain(CallRecord::VALUES).copied().collect();
    // The text is made of constants alone.
    let sql = format!(
        "SELECT {} FROM calls WHERE ended_unix_ms >= ?1 AND (?2 IS NULL OR caller = ?2 OR callee = ?2)
        AND (?3 IS NULL OR id = ?3) AND (?4 = 0 OR missed = 1) ORDER BY ended_unix_ms DESC, domain, id LIMIT ?5",
        columns.join(", "),
    );
    let rows = sqlx::query(AssertSqlSafe(sql))
        .bind(integer(wanted.since_unix_ms))
        .bind(wanted.user.map(str::to_owned))
        .bind(wanted.id.map(str::to_owned))
        .bind(wanted.missed)
        .bind(i64::from(wanted.limit))
        .fetch_all(connection)
        .await?;
    Ok(rows.iter().filter_map(|row| CallRecord::read(&Columns(row))).collect())
}

/// Splits into pieces of the sizes in [`ROWS`], the greatest first.
fn chunks<T>(mut rest: &[T]) -> impl Iterator<Item = &[T]> {
    core::iter::from_fn(move || {
        let size = ROWS.into_iter().find(|size| *size <= rest.len())?;
        let (chunk, after) = rest.split_at_checked(size)?;
        rest = after;
        Some(chunk)
    })
}

fn placeholders(rows: usize, columns: usize) -> String {
    let row = format!("({})", vec!["?"; columns].join(", "));
    vec![row; rows].join(", ")
}

/// A row by column name; a value of another type or out of range reads as `None`.
pub(super) struct Columns<'r>(pub(super) &'r SqliteRow);

impl Columns<'_> {
    pub(super) fn text<T: From<String>>(&self, name: &str) -> Option<T> {
        self.0.try_get::<String, _>(name).ok().map(Into::into)
    }

    pub(super) fn optional_text(&self, name: &str) -> Option<Option<Box<str>>> {
        self.0.try_get::<Option<String>, _>(name).ok().map(|text| text.map(Into::into))
    }

    pub(super) fn bytes(&self, name: &str) -> Option<Bytes> {
        self.0.try_get::<Vec<u8>, _>(name).ok().map(Into::into)
    }

    fn optional_bytes(&self, name: &str) -> Option<Option<Bytes>> {
        let bytes: Option<Vec<u8>> = self.0.try_get(name).ok()?;
        Some(bytes.map(Into::into))
    }

    pub(super) fn number<N: TryFrom<i64>>(&self, name: &str) -> Option<N> {
        N::try_from(self.0.try_get::<i64, _>(name).ok()?).ok()
    }

    pub(super) fn optional_number<N: TryFrom<i64>>(&self, name: &str) -> Option<Option<N>> {
        match self.0.try_get::<Option<i64>, _>(name).ok()? {
            Some(number) => N::try_from(number).ok().map(Some),
            None => Some(None),
        }
    }

    fn credentials(&self) -> Option<Ha1> {
        let columns = [
            ("ha1_md5", Algorithm::Md5),
            ("ha1_sha256", Algorithm::Sha256),
            ("ha1_sha512_256", Algorithm::Sha512_256),
        ];
        let mut credentials = Ha1::default();
        for (name, algorithm) in columns {
            if let Some(digits) = self.optional_text(name)? {
                credentials.insert_hex(algorithm, digits.as_bytes()).ok()?;
            }
        }
        Some(credentials)
    }
}

fn digest_text(credentials: &Ha1, algorithm: Algorithm) -> Option<String> {
    let digits = credentials.hex(algorithm)?;
    core::str::from_utf8(digits.as_bytes()).ok().map(str::to_owned)
}

/// A list of a record as text. There is nothing in it that JSON could not say.
fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

/// SQLite's integers are signed; figures beyond are held at the end.
pub(super) fn integer(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

impl Key for BindingKey {
    type Of = StoredBinding;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let (instance, reg_id) = match &self.flow {
            Some(flow) => (&flow.instance[..], flow.reg_id.get()),
            None => (&[][..], 0),
        };
        query
            .bind(&*self.domain)
            .bind(&*self.user)
            .bind(&self.contact[..])
            .bind(instance)
            .bind(i64::from(reg_id))
    }
}

impl Table for StoredBinding {
    const NAME: &'static str = "bindings";
    const KEYS: &'static [&'static str] = &["domain", "user", "contact", "flow_instance", "reg_id"];
    const VALUES: &'static [&'static str] = &[
        "instance",
        "call_id",
        "cseq",
        "q",
        "expires_at_unix_ms",
        "transport",
        "source",
        "local",
        "user_agent",
        "path",
    ];

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        Key::bind(&self.key, query)
            .bind(self.instance.as_deref())
            .bind(&self.call_id[..])
            .bind(i64::from(self.cseq))
            .bind(i64::from(self.q))
            .bind(integer(self.expires_at_unix_ms))
            .bind(self.transport.name())
            .bind(self.source.to_string())
            .bind(self.local.to_string())
            .bind(&self.user_agent[..])
            .bind(join_path(&self.path))
    }

    fn read(row: &Columns<'_>) -> Option<StoredBinding> {
        Some(StoredBinding {
            key: BindingKey {
                domain: row.text("domain")?,
                user: row.text("user")?,
                contact: row.bytes("contact")?,
                flow: match NonZeroU32::new(row.number("reg_id")?) {
                    Some(reg_id) => Some(FlowKey { instance: row.bytes("flow_instance")?, reg_id }),
                    None => None,
                },
            },
            instance: row.optional_bytes("instance")?,
            call_id: row.bytes("call_id")?,
            cseq: row.number("cseq")?,
            q: row.number("q")?,
            expires_at_unix_ms: row.number("expires_at_unix_ms")?,
            transport: transport(&row.text::<String>("transport")?)?,
            source: row.text::<String>("source")?.parse().ok()?,
            local: row.text::<String>("local")?.parse().ok()?,
            user_agent: row.bytes("user_agent")?,
            path: split_path(&row.bytes("path")?),
        })
    }
}

/// The transport of that name (RFC 3261 §20.42).
fn transport(name: &str) -> Option<Transport> {
    [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss]
        .into_iter()
        .find(|transport| transport.name() == name)
}

/// Path values one to a line: a header value holds no line end that is not folding, and the parser has unfolded it.
fn join_path(path: &[Bytes]) -> Vec<u8> {
    path.join(&b'\n')
}

fn split_path(joined: &[u8]) -> Vec<Bytes> {
    joined
        .split(|byte| *byte == b'\n')
        .filter(|value| !value.is_empty())
        .map(Bytes::copy_from_slice)
        .collect()
}

impl Key for UserKey {
    type Of = StoredUser;

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query.bind(&*self.0).bind(&*self.1)
    }
}

impl Table for StoredUser {
    const NAME: &'static str = "users";
    const KEYS: &'static [&'static str] = &["domain", "id"];
    const VALUES: &'static [&'static str] = &[
        "ha1_md5",
        "ha1_sha256",
        "ha1_sha512_256",
        "display_name",
        "ring_s",
        "latching",
        "dtmf",
        "language",
        "record",
        "record_on_request",
        "format",
        "layout",
    ];

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        query
            .bind(&*self.domain)
            .bind(&*self.id)
            .bind(digest_text(&self.credentials, Algorithm::Md5))
            .bind(digest_text(&self.credentials, Algorithm::Sha256))
            .bind(digest_text(&self.credentials, Algorithm::Sha512_256))
            .bind(self.display_name.as_deref())
            .bind(i64::from(self.ring_s))
            .bind(self.latching.to_string())
            .bind(self.dtmf.word())
            .bind(self.language.as_deref())
            .bind(self.recording.always)
            .bind(self.recording.on_request)
            .bind(container_word(self.recording.form.format))
            .bind(self.recording.form.layout.word())
    }

    fn read(row: &Columns<'_>) -> Option<StoredUser> {
        Some(StoredUser {
            domain: row.text("domain")?,
            id: row.text("id")?,
            credentials: row.credentials()?,
            display_name: row.optional_text("display_name")?,
            ring_s: row.number("ring_s")?,
            latching: Latching::parse(&row.text::<String>("latching")?)?,
            dtmf: Dtmf::parse(&row.text::<String>("dtmf")?)?,
            language: row.optional_text("language")?,
            recording: UserRecording {
                form: Recording {
                    format: parse_container(&row.text::<String>("format")?)?,
                    layout: Layout::parse(&row.text::<String>("layout")?)?,
                },
                always: row.number::<u8>("record")? != 0,
                on_request: row.number::<u8>("record_on_request")? != 0,
            },
        })
    }
}

impl Table for CallRecord {
    const NAME: &'static str = "calls";
    const KEYS: &'static [&'static str] = &["domain", "id"];
    const VALUES: &'static [&'static str] = &[
        "caller",
        "callee",
        "started_unix_ms",
        "answered_unix_ms",
        "ended_unix_ms",
        "status",
        "ended_by",
        "caller_packets",
        "caller_octets",
        "caller_lost",
        "caller_refused",
        "caller_jitter_us",
        "callee_packets",
        "callee_octets",
        "callee_lost",
        "callee_refused",
        "callee_jitter_us",
        "caller_sent",
        "caller_discarded",
        "caller_concealed_ms",
        "caller_delay_us",
        "caller_round_trip_us",
        "caller_r_factor",
        "caller_mos_tenths",
        "caller_reported_lost",
        "caller_reported_jitter_us",
        "caller_reported_r_factor",
        "caller_reported_mos_tenths",
        "callee_sent",
        "callee_discarded",
        "callee_concealed_ms",
        "callee_delay_us",
        "callee_round_trip_us",
        "callee_r_factor",
        "callee_mos_tenths",
        "callee_reported_lost",
        "callee_reported_jitter_us",
        "callee_reported_r_factor",
        "callee_reported_mos_tenths",
        "recordings",
        "referred_by",
        "number",
        "cause",
        "missed",
        "route",
        "caller_codec",
        "callee_codec",
        "transferred_into",
        "attempts",
        "journal",
        "variables",
    ];

    fn bind<'q>(&self, query: Query<'q>) -> Query<'q> {
        let query = query
            .bind(&*self.domain)
            .bind(&*self.id)
            .bind(&*self.caller)
            .bind(&*self.callee)
            .bind(integer(self.started_unix_ms))
            .bind(self.answered_unix_ms.map(integer))
            .bind(integer(self.ended_unix_ms))
            .bind(i64::from(self.status))
            .bind(self.ended_by.name());
        let sides = [&self.caller_media, &self.callee_media];
        let query = sides.into_iter().fold(query, |query, media| bind_media(media, query));
        let query = sides.into_iter().fold(query, |query, media| bind_quality(media, query));
        query
            .bind(self.recordings.join("\n"))
            .bind(self.referred_by.as_deref())
            .bind(integer(self.number))
            .bind(self.cause.word())
            .bind(self.missed)
            .bind(self.route.as_deref())
            .bind(self.caller_codec.as_deref())
            .bind(self.callee_codec.as_deref())
            .bind(self.transferred_into.as_deref())
            .bind(json(&self.attempts))
            .bind(json(&self.journal))
            .bind(json(&self.variables))
    }

    fn read(row: &Columns<'_>) -> Option<CallRecord> {
        let (status, answered_unix_ms) = (row.number("status")?, row.optional_number("answered_unix_ms")?);
        let ended_by = EndedBy::named(&row.text::<String>("ended_by")?)?;
        let cause = match &*row.text::<String>("cause")? {
            "" => Cause::of_old(answered_unix_ms.is_some(), status, ended_by),
            word => Cause::named(word)?,
        };
        Some(CallRecord {
            id: row.text("id")?,
            number: row.number("number")?,
            domain: row.text("domain")?,
            caller: row.text("caller")?,
            callee: row.text("callee")?,
            started_unix_ms: row.number("started_unix_ms")?,
            answered_unix_ms,
            ended_unix_ms: row.number("ended_unix_ms")?,
            status,
            ended_by,
            cause,
            missed: row.number::<u8>("missed")? != 0,
            route: row.optional_text("route")?,
            caller_codec: row.optional_text("caller_codec")?,
            callee_codec: row.optional_text("callee_codec")?,
            transferred_into: row.optional_text("transferred_into")?.map(Into::into),
            // What another version has written there may say things that this one does not know.
            attempts: serde_json::from_str(&row.text::<String>("attempts")?).unwrap_or_default(),
            journal: serde_json::from_str(&row.text::<String>("journal")?).unwrap_or_default(),
            variables: serde_json::from_str(&row.text::<String>("variables")?).unwrap_or_default(),
            caller_media: read_media("caller", row)?,
            callee_media: read_media("callee", row)?,
            // One to a line: there is no line end in a path of ours.
            recordings: row.text::<String>("recordings")?.lines().map(Into::into).collect(),
            referred_by: row.optional_text("referred_by")?,
        })
    }
}

/// The figures in the columns of one side.
fn read_media(side: &str, row: &Columns<'_>) -> Option<MediaFigures> {
    let column = |name: &str| format!("{side}_{name}");
    let count = |name: &str| row.number(&column(name));
    let count_or_none = |name: &str| row.optional_number::<u64>(&column(name));
    let small = |name: &str| row.optional_number::<u32>(&column(name));
    let quality = |r_factor: &str, mos_tenths: &str| {
        let pair = (row.optional_number(&column(r_factor))?, row.optional_number(&column(mos_tenths))?);
        Some(match pair {
            (Some(r_factor), Some(mos_tenths)) => Some(QualityFigures { r_factor, mos_tenths }),
            (Some(_), None) | (None, Some(_)) | (None, None) => None,
        })
    };
    let (lost, jitter_us) = (count_or_none("reported_lost")?, small("reported_jitter_us")?);
    let heard = quality("reported_r_factor", "reported_mos_tenths")?;
    Some(MediaFigures {
        packets: count("packets")?,
        octets: count("octets")?,
        lost: count("lost")?,
        refused: count("refused")?,
        jitter_us: row.number(&column("jitter_us"))?,
        discarded: count("discarded")?,
        concealed_ms: count("concealed_ms")?,
        delay_us: small("delay_us")?,
        round_trip_us: small("round_trip_us")?,
        quality: quality("r_factor", "mos_tenths")?,
        sent: count("sent")?,
        reported: lost.zip(jitter_us).zip(heard).map(|((lost, jitter_us), quality)| ReportedFigures {
            lost,
            jitter_us,
            quality,
        }),
    })
}

fn bind_media<'q>(media: &MediaFigures, query: Query<'q>) -> Query<'q> {
    query
        .bind(integer(media.packets))
        .bind(integer(media.octets))
        .bind(integer(media.lost))
        .bind(integer(media.refused))
        .bind(i64::from(media.jitter_us))
}

fn bind_quality<'q>(media: &MediaFigures, query: Query<'q>) -> Query<'q> {
    let reported = media.reported;
    query
        .bind(integer(media.sent))
        .bind(integer(media.discarded))
        .bind(integer(media.concealed_ms))
        .bind(media.delay_us.map(i64::from))
        .bind(media.round_trip_us.map(i64::from))
        .bind(media.quality.map(|quality| i64::from(quality.r_factor)))
        .bind(media.quality.map(|quality| i64::from(quality.mos_tenths)))
        .bind(reported.map(|reported| integer(reported.lost)))
        .bind(reported.map(|reported| i64::from(reported.jitter_us)))
        .bind(reported.map(|reported| i64::from(reported.quality.r_factor)))
        .bind(reported.map(|reported| i64::from(reported.quality.mos_tenths)))
}

impl EndedBy {
    const fn name(self) -> &'static str {
        match self {
            EndedBy::Caller => "caller",
            EndedBy::Callee => "callee",
            EndedBy::Switch => "switch",
        }
    }

    fn named(name: &str) -> Option<EndedBy> {
        [EndedBy::Caller, EndedBy::Callee, EndedBy::Switch]
            .into_iter()
            .find(|ended_by| ended_by.name() == name)
    }
}

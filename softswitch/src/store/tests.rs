//! The store over real files: what outlives a restart, and what a database that refuses does.

use super::samples::{binding, record, user};
use super::thread::{Timing, open_with};
use super::*;
use crate::config::{Dtmf, Recording, UserRecording};
use crate::records::Cause;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use sip_stack::transport::Transport;
use sqlx::{ConnectOptions as _, Connection as _};
use std::path::{Path, PathBuf};

/// Waits that do not slow the tests.
const QUICK: Timing = Timing {
    gather: Duration::from_millis(1),
    retry: Duration::from_millis(1),
    busy: Duration::from_millis(1),
    beat: Duration::from_millis(1),
    slice: Duration::from_millis(1),
};

/// A directory that is removed at the end of a test.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Scratch {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("softswitch-store-{}-{number}", std::process::id()));
        let _not_there = std::fs::remove_dir_all(&path);
        Scratch(path)
    }

    fn reopened(&self) -> Loaded {
        open(&self.0).unwrap().1
    }
}

impl core::ops::Deref for Scratch {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _left_behind = std::fs::remove_dir_all(&self.0);
    }
}

/// Runs statements on the database, as another process would, and what is to be done before they are undone.
fn beside<T>(directory: &Path, statements: &'static str, meanwhile: impl FnOnce() -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.join(DATABASE));
        let mut connection = options.connect().await.unwrap();
        sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        let result = meanwhile();
        connection.close().await.unwrap();
        result
    })
}

#[test]
fn bindings_and_users_outlive_a_restart_in_every_field() {
    let directory = Scratch::new();
    let (store, loaded) = open(&directory).unwrap();
    assert_eq!(loaded, Loaded::default());
    let mut plain = binding("1002", 7);
    (plain.instance, plain.path, plain.user_agent) = (None, Vec::new(), bytes::Bytes::new());
    store.submit([
        StoreOp::from(binding("1001", u32::MAX)),
        StoreOp::from(plain.clone()),
        StoreOp::from(user("1003")),
    ]);
    store.close().unwrap();
    let loaded = directory.reopened();
    assert_eq!(loaded.bindings, [binding("1001", u32::MAX), plain]);
    assert_eq!(loaded.users, [user("1003")]);
    assert_eq!(loaded.unreadable, 0);
}

#[test]
fn flows_of_a_phone_with_one_contact_are_kept_side_by_side_with_their_transports() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    let flow = |reg_id: u32, transport| {
        let mut flow = binding("1001", 1);
        let instance = flow.instance.clone().unwrap();
        flow.key.flow = NonZeroU32::new(reg_id).map(|reg_id| FlowKey { instance, reg_id });
        flow.transport = transport;
        flow
    };
    let flows =
        [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss].into_iter().zip(0..);
    let flows: Vec<StoredBinding> = flows.map(|(transport, reg_id)| flow(reg_id, transport)).collect();
    store.submit(flows.iter().cloned().map(StoreOp::from));
    store.close().unwrap();
    let (store, loaded) = open(&directory).unwrap();
    assert_eq!(loaded.bindings, flows);
    store.submit([StoreOp::RemoveBinding(flows[1].key.clone())]);
    store.close().unwrap();
    assert_eq!(directory.reopened().bindings.len(), 4);
}

/// A directory with the database of an older version, and a row in it.
fn older(steps: usize, row: &'static str) -> Scratch {
    let directory = Scratch::new();
    std::fs::create_dir_all(&*directory).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().create_if_missing(true);
        let mut connection = options.filename(directory.join(DATABASE)).connect().await.unwrap();
        for statements in schema::STEPS[..steps].iter().copied().chain([row]) {
            sqlx::raw_sql(statements).execute(&mut connection).await.unwrap();
        }
        connection.close().await.unwrap();
    });
    directory
}

#[test]
fn a_database_of_the_second_version_keeps_its_call_records_without_the_new_figures() {
    let directory = older(
        2,
        "INSERT INTO calls VALUES ('a.example', 'old', '1001', '1002', 1800000000000, NULL, 1800000001000, 486,
        'callee', 10, 1600, 0, 1, 0, 0, 0, 0, 0, 0)",
    );
    let (store, _) = open(&directory).unwrap();
    store.submit([StoreOp::from(record("new"))]);
    store.close().unwrap();
    let records = calls_list(&directory, 9).unwrap();
    let [new, old] = &records[..] else { panic!("two records, not {records:?}") };
    assert_eq!(new, &record("new"));
    let figures = MediaFigures { packets: 10, octets: 1_600, refused: 1, ..MediaFigures::default() };
    assert_eq!((old.status, old.caller_media, old.callee_media), (486, figures, MediaFigures::default()));
}

#[test]
fn a_user_made_by_an_older_version_has_the_settings_that_it_had() {
    let directory =
        older(4, "INSERT INTO users VALUES ('a.example', '1001', NULL, NULL, NULL, NULL, 60, 'symmetric')");
    let users = users_list(&directory).unwrap();
    let [user] = &users[..] else { panic!("one user, not {users:?}") };
    assert_eq!((user.dtmf, &user.language, user.recording), (Dtmf::Auto, &None, UserRecording::default()));
}

#[test]
fn a_database_of_the_first_version_opens_and_its_bindings_came_over_udp() {
    let directory = older(
        1,
        "INSERT INTO bindings VALUES ('a.example', '1001', CAST('sip:1001@192.0.2.10' AS BLOB), NULL,
        CAST('call' AS BLOB), 3, 700, 1800000000123, '192.0.2.10:5060', '192.0.2.1:5060', x'', x'')",
    );
    let loaded = directory.reopened();
    let [kept] = &loaded.bindings[..] else { panic!("one binding, not {:?}", loaded.bindings) };
    assert_eq!((&kept.key.contact[..], kept.cseq), (&b"sip:1001@192.0.2.10"[..], 3));
    assert_eq!((kept.transport, &kept.key.flow, loaded.unreadable), (Transport::Udp, &None, 0));
    assert_eq!(directory.reopened().bindings.len(), 1, "once");
}

#[test]
fn what_was_removed_stays_removed_after_a_restart() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    store.submit(["1001", "1002", "1003"].map(|user| StoreOp::from(binding(user, 1))));
    store.submit(["1001", "1002"].map(|id| StoreOp::from(user(id))));
    store.close().unwrap();
    let (store, _) = open(&directory).unwrap();
    store.submit([
        StoreOp::RemoveBinding(binding("1002", 0).key),
        StoreOp::RemoveUser { domain: "a.example".into(), id: "1001".into() },
        StoreOp::RemoveBinding(binding("9999", 0).key),
    ]);
    store.close().unwrap();
    let loaded = directory.reopened();
    assert_eq!(loaded.bindings, [binding("1001", 1), binding("1003", 1)]);
    assert_eq!(loaded.users, [user("1002")]);
}

#[test]
fn a_binding_refreshed_many_times_is_written_once_in_a_transaction() {
    let directory = Scratch::new();
    let (mut store, _) = open(&directory).unwrap();
    for cseq in 1..=200 {
        store.submit((0..100).map(|number| StoreOp::from(binding(&format!("{number:02}"), cseq))));
    }
    store.finish().unwrap();
    let figures = store.figures();
    assert_eq!(figures.submitted, 20_000);
    assert!(figures.written <= 100 * figures.commits, "{figures:?}");
    assert_eq!((figures.waiting, figures.refused, figures.failures), (0, 0, 0));
    drop(store);
    let loaded = directory.reopened();
    assert_eq!(loaded.bindings.len(), 100);
    assert!(loaded.bindings.iter().all(|binding| binding.cseq == 200));
}

#[test]
fn a_flood_that_overfills_the_inbox_keeps_the_order_of_changes() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    let refresh = |cseq: u32| StoreOp::from(binding(&(cseq % 10).to_string(), cseq));
    store.submit((0..100_000).map(refresh));
    store.submit((100_000..100_005).map(refresh));
    store.close().unwrap();
    let kept: Vec<u32> = directory.reopened().bindings.iter().map(|binding| binding.cseq).collect();
    let expected: Vec<u32> = (100_000..100_005).chain(99_995..100_000).collect();
    assert_eq!(kept, expected);
}

#[test]
fn numbers_of_rows_around_the_sizes_of_statements_are_all_written() {
    for count in [1, 3, 4, 5, 255, 256, 257, 600] {
        let directory = Scratch::new();
        let (store, _) = open(&directory).unwrap();
        store.submit((0..count).map(|number| StoreOp::from(binding(&number.to_string(), 1))));
        store.close().unwrap();
        let (store, loaded) = open(&directory).unwrap();
        assert_eq!(loaded.bindings.len(), count);
        let but_last = loaded.bindings.split_last().unwrap().1;
        store.submit(but_last.iter().map(|binding| StoreOp::RemoveBinding(binding.key.clone())));
        store.close().unwrap();
        assert_eq!(directory.reopened().bindings.len(), 1, "of {count}");
    }
}

#[test]
fn call_records_are_listed_newest_first_in_every_field_and_once_for_each_id() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    let mut unanswered = record("b");
    (unanswered.answered_unix_ms, unanswered.status, unanswered.ended_by) = (None, 486, EndedBy::Switch);
    unanswered.ended_unix_ms += 1;
    let mut last = record("c");
    last.ended_unix_ms += 2;
    store.submit([record("a"), unanswered.clone(), record("a"), last.clone()].map(StoreOp::from));
    store.close().unwrap();
    assert_eq!(calls_list(&directory, 10).unwrap(), [last.clone(), unanswered, record("a")]);
    assert_eq!(calls_list(&directory, 1).unwrap(), [last]);
}

#[test]
fn a_locked_database_is_reported_once_and_what_came_meanwhile_is_written_when_it_is_free() {
    let directory = Scratch::new();
    let (store, _) = open_with(&directory, QUICK).unwrap();
    beside(&directory, "BEGIN IMMEDIATE", || {
        store.submit([StoreOp::from(binding("1001", 1)), StoreOp::from(record("a"))]);
        assert_eq!(store.wait_event(), StoreEvent::Failing { reason: StoreFault::Locked });
        store.submit([StoreOp::from(binding("1001", 2)), StoreOp::from(binding("1002", 1))]);
    });
    assert_eq!(store.wait_event(), StoreEvent::Recovered { emptied: false });
    assert_eq!(store.poll_event(), None);
    assert!(store.figures().failures >= 1);
    store.close().unwrap();
    assert_eq!(directory.reopened().bindings, [binding("1001", 2), binding("1002", 1)]);
    assert_eq!(calls_list(&directory, 10).unwrap(), [record("a")]);
}

#[test]
fn a_full_and_a_read_only_database_are_told_apart() {
    let directory = Scratch::new();
    drop(open(&directory).unwrap());
    let refusal = |options: sqlx::sqlite::SqliteConnectOptions, statement: &'static str| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let mut connection = options.filename(directory.join(DATABASE)).connect().await.unwrap();
            let refused = sqlx::raw_sql(statement).execute(&mut connection).await.unwrap_err();
            connection.close().await.unwrap();
            StoreFault::of(&refused)
        })
    };
    let options = sqlx::sqlite::SqliteConnectOptions::new;
    let growth = "PRAGMA max_page_count = 1; CREATE TABLE filler AS SELECT randomblob(100000)";
    assert_eq!(refusal(options(), growth), StoreFault::Full);
    assert_eq!(refusal(options().read_only(true), "DELETE FROM users"), StoreFault::ReadOnly);
}

#[test]
fn a_store_closed_while_the_database_refuses_says_what_was_lost() {
    let directory = Scratch::new();
    let (store, _) = open_with(&directory, QUICK).unwrap();
    let closed = beside(&directory, "BEGIN IMMEDIATE", || {
        store.submit([StoreOp::from(binding("1001", 1)), StoreOp::from(binding("1002", 1))]);
        store.close()
    });
    assert!(
        matches!(closed, Err(StoreError::Unwritten { changes: 2, fault: StoreFault::Locked })),
        "{closed:?}"
    );
}

#[cfg(unix)]
#[test]
fn a_lost_database_is_made_anew_and_the_core_is_told_that_it_was_emptied() {
    let directory = Scratch::new();
    let (store, _) = open_with(&directory, QUICK).unwrap();
    std::fs::remove_dir_all(&*directory).unwrap();
    store.submit([StoreOp::from(binding("1001", 1))]);
    assert_eq!(store.wait_event(), StoreEvent::Failing { reason: StoreFault::Lost });
    assert_eq!(store.wait_event(), StoreEvent::Recovered { emptied: true });
    store.close().unwrap();
    assert_eq!(directory.reopened().bindings, [binding("1001", 1)]);
}

#[test]
fn rows_that_make_no_sense_are_counted_and_left_out() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    store.submit(["1001", "1002"].map(|user| StoreOp::from(binding(user, 1))));
    store.submit(["1001", "1002"].map(|id| StoreOp::from(user(id))));
    store.close().unwrap();
    let damage = "UPDATE bindings SET source = 'nowhere' WHERE user = '1001'; \
                  UPDATE users SET ha1_md5 = 'xyz' WHERE id = '1002'";
    beside(&directory, damage, || ());
    let loaded = directory.reopened();
    assert_eq!((loaded.bindings, loaded.users), (vec![binding("1002", 1)], vec![user("1001")]));
    assert_eq!(loaded.unreadable, 2);
}

#[test]
fn a_database_of_a_newer_version_is_refused() {
    let directory = Scratch::new();
    drop(open(&directory).unwrap());
    beside(&directory, "PRAGMA user_version = 1000", || ());
    let refused = open(&directory).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::Newer { found: 1_000, .. }), "{refused}");
}

#[test]
fn a_second_switch_on_the_same_directory_is_refused() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    let refused = open(&directory).map(|_| ()).unwrap_err();
    assert!(matches!(refused, StoreError::InUse { .. }), "{refused}");
    store.close().unwrap();
    open(&directory).unwrap();
}

#[cfg(unix)]
#[test]
fn the_files_are_for_their_owner_alone() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = Scratch::new();
    std::fs::create_dir_all(&*directory).unwrap();
    std::fs::write(directory.join(DATABASE), "").unwrap();
    let (store, _) = open_with(&directory, QUICK).unwrap();
    for name in [DATABASE, "switch.db-wal", "switch.db-shm"] {
        let mode = std::fs::metadata(directory.join(name)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    store.close().unwrap();
}

#[test]
fn users_are_added_listed_and_removed_by_command_while_the_switch_runs() {
    let directory = Scratch::new();
    let (store, _) = open_with(&directory, QUICK).unwrap();
    let new = StoredUser::of_password("a.example", "2001", "secret", &UserSettings::default()).unwrap();
    users_add(&directory, &new).unwrap();
    users_add(&directory, &user("2002")).unwrap();
    let mut other_domain = new.clone();
    other_domain.domain = "b.example".into();
    users_add(&directory, &other_domain).unwrap();
    assert!(matches!(users_add(&directory, &new), Err(StoreError::UserExists { .. })));
    assert_eq!(users_list(&directory).unwrap(), [new.clone(), user("2002"), other_domain.clone()]);
    users_remove(&directory, "a.example", "2001").unwrap();
    assert!(matches!(users_remove(&directory, "a.example", "2001"), Err(StoreError::NoSuchUser { .. })));
    store.close().unwrap();
    assert_eq!(directory.reopened().users, [user("2002"), other_domain]);
}

#[test]
fn a_user_made_by_command_obeys_the_rules_of_the_file() {
    let make = |id, password, settings| StoredUser::of_password("a.example", id, password, &settings);
    let none = UserSettings::default();
    assert_eq!(make("20 01", "secret", none), Err(InvalidUser::Id));
    assert_eq!(make("2001", "", none), Err(InvalidUser::Password));
    let refused = |settings| make("2001", "secret", settings).unwrap_err();
    assert_eq!(refused(UserSettings { display_name: Some("a\nb"), ..none }), InvalidUser::DisplayName);
    assert_eq!(refused(UserSettings { dtmf: Some("tones"), ..none }), InvalidUser::Dtmf);
    assert_eq!(refused(UserSettings { language: Some("../en"), ..none }), InvalidUser::Language);
    assert_eq!(refused(UserSettings { format: Some("mp3"), ..none }), InvalidUser::Format);
    assert_eq!(refused(UserSettings { layout: Some("both"), ..none }), InvalidUser::Layout);
    let made =
        make("2001", "secret", UserSettings { display_name: Some("a"), record: true, ..none }).unwrap();
    assert_eq!((made.dtmf, made.language, made.recording.always), (Dtmf::Auto, None, true));
    assert!(!made.recording.on_request && made.recording.form == Recording::default());
}

#[test]
fn changes_survive_the_scenario_log() {
    let ops = vec![
        StoreOp::from(binding("1001", 1)),
        StoreOp::RemoveBinding(binding("1001", 1).key),
        StoreOp::from(record("a")),
        StoreOp::from(user("1001")),
        StoreOp::RemoveUser { domain: "a.example".into(), id: "1001".into() },
    ];
    let bytes = postcard::to_allocvec(&ops).unwrap();
    assert_eq!(postcard::from_bytes::<Vec<StoreOp>>(&bytes).unwrap(), ops);
}

#[test]
fn a_mailbox_is_set_over_and_over_and_reaches_the_user_that_is_there() {
    let directory = Scratch::new();
    std::fs::create_dir_all(&*directory).unwrap();
    let set = |user: &str, new, old| {
        let mailbox = crate::config::Mailbox { new, old, urgent_new: 0, urgent_old: 1 };
        let stored = StoredMailbox { domain: "default".into(), user: user.into(), mailbox };
        mailboxes_set(&directory, &stored).unwrap();
        stored
    };
    set("1001", 1, 0);
    let stored = [set("1001", 2, 5), set("1002", 9, 9)];
    let listed = mailboxes_list(&directory).unwrap();
    assert_eq!(listed, stored);
    let text = "[[listener]]\naddress = \"127.0.0.1:5060\"\n[[user]]\nid = \"1001\"\npassword = \"x\"\n";
    let mut config = crate::config::parse("x.toml", text).unwrap();
    config.merge_mailboxes(listed);
    let domain = config.domains.values().next().unwrap();
    assert_eq!(domain.mailboxes.len(), 1);
    assert_eq!(domain.mailboxes.get("1001"), Some(&stored[0].mailbox));
}

/// A call that is up, of which a party is known.
fn open_call(number: u64, answered: bool) -> crate::records::OpenCall {
    let sample = record(&format!("call-{number}"));
    let answered_unix_ms = sample.answered_unix_ms.filter(|_| answered);
    let record = CallRecord { number, answered_unix_ms, ended_unix_ms: 0, status: 0, ..sample };
    crate::records::OpenCall { record, parties: Vec::new() }
}

#[test]
fn a_call_that_was_up_when_the_switch_was_killed_gets_its_record_at_the_next_start_and_once() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    store.submit([open_call(1, true), open_call(2, false), open_call(3, true)].map(StoreOp::from));
    store.submit([StoreOp::from(CallRecord { number: 3, ..record("call-3") })]);
    // A switch that is killed writes nothing that says that it stops; one that closes its store and has calls is the same to the next.
    store.close().unwrap();
    let loaded = {
        let (store, loaded) = open(&directory).unwrap();
        store.submit([StoreOp::from(open_call(1, false))]);
        store.close().unwrap();
        loaded
    };
    let keys: Vec<(u64, &str)> = loaded.interrupted.iter().map(|call| (call.number, &*call.id)).collect();
    assert_eq!(keys, [(1, "call-1"), (2, "call-2")]);
    let records = calls_list(&directory, 9).unwrap();
    let of = |id: &str| records.iter().find(|record| &*record.id == id).unwrap();
    assert_eq!((of("call-1").cause, of("call-1").status), (Cause::Interrupted, 200));
    assert_eq!((of("call-2").cause, of("call-2").status), (Cause::Interrupted, 503));
    assert_eq!(of("call-3").cause, Cause::Completed);
    assert!(of("call-1").ended_unix_ms > 1_700_000_000_000, "the last sign of life");
    assert_eq!(records.len(), 3);
    // The parties of the first run have been told; the call of the second run is another one, though it has the number of one of them.
    let (store, loaded) = open(&directory).unwrap();
    let keys: Vec<(i64, u64)> = loaded.interrupted.iter().map(|call| (call.run, call.number)).collect();
    let [(first, 1), (again, 2), (second, 1)] = keys[..] else { panic!("{keys:?}") };
    assert!(first == again && first < second);
    store.submit(keys.iter().map(|(run, number)| StoreOp::ForgetInterrupted { run: *run, number: *number }));
    store.close().unwrap();
    assert_eq!(directory.reopened().interrupted, []);
}

#[test]
fn what_another_version_kept_of_a_call_still_makes_a_record() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    store.submit([StoreOp::from(open_call(5, true))]);
    store.close().unwrap();
    beside(&directory, "UPDATE open_calls SET form = 99, state = x'ffff'", || {});
    assert_eq!(directory.reopened().interrupted.len(), 1);
    let [found] = &calls_list(&directory, 9).unwrap()[..] else { panic!("one record") };
    assert_eq!(
        (&*found.id, &*found.caller, found.number, found.cause),
        ("call-5", "1001", 5, Cause::Interrupted)
    );
    assert_eq!(found.attempts, []);
}

#[test]
fn while_calls_are_up_the_switch_says_again_and_again_that_it_is_alive() {
    let directory = Scratch::new();
    let (store, _) = open_with(&directory, QUICK).unwrap();
    store.submit([StoreOp::from(open_call(1, true))]);
    let commits = |more: u64| {
        let before = store.figures().commits;
        while store.figures().commits < before + more {
            std::thread::yield_now();
        }
    };
    commits(5);
    store.submit([StoreOp::from(CallRecord { number: 1, ..record("call-1") })]);
    store.close().unwrap();
}

#[test]
fn a_damaged_database_is_set_aside_and_what_can_be_read_of_it_is_in_the_new_one() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    store.submit([StoreOp::from(user("1003")), StoreOp::from(binding("1001", 1))]);
    store.submit((0..2_000).map(|number| StoreOp::from(record(&format!("r{number}")))));
    store.close().unwrap();
    // An interrupted run, and a page of the records that was never written.
    beside(&directory, "UPDATE runs SET stopped = 0; PRAGMA wal_checkpoint(TRUNCATE)", || {});
    let path = directory.join(DATABASE);
    let mut octets = std::fs::read(&path).unwrap();
    let bindings = octets.windows(14).rposition(|window| window == b";transport=udp").unwrap();
    let page = bindings / 4_096 * 4_096;
    octets[page..page + 8].fill(0xff);
    std::fs::write(&path, octets).unwrap();
    let (store, loaded) = open(&directory).unwrap();
    let aside = loaded.set_aside.expect("it was set aside");
    assert!(aside.exists());
    assert_eq!(loaded.users, [user("1003")]);
    assert_eq!(loaded.bindings, []);
    store.submit([StoreOp::from(binding("1001", 2))]);
    store.close().unwrap();
    assert!(calls_list(&directory, 9_999).unwrap().len() >= 2_000);
    assert_eq!(directory.reopened().set_aside, None);
}

#[test]
fn a_file_that_is_no_database_is_refused_to_commands_and_does_not_keep_the_switch_from_starting() {
    let directory = Scratch::new();
    std::fs::create_dir_all(&*directory).unwrap();
    let text = "not a database ".repeat(100);
    std::fs::write(directory.join(DATABASE), &text).unwrap();
    let refused = users_list(&directory).unwrap_err();
    assert!(matches!(refused, StoreError::Database { fault: StoreFault::Corrupt, .. }), "{refused}");
    assert_eq!(std::fs::read_to_string(directory.join(DATABASE)).unwrap(), text);
    let (store, loaded) = open(&directory).unwrap();
    assert_eq!(std::fs::read_to_string(loaded.set_aside.unwrap()).unwrap(), text, "nothing is thrown away");
    store.submit([StoreOp::from(binding("1001", 1))]);
    store.close().unwrap();
    assert_eq!(directory.reopened().bindings.len(), 1);
}

#[test]
fn records_whose_days_are_over_are_removed_in_slices_and_others_stay() {
    let directory = Scratch::new();
    let (store, _) = open_with(&directory, QUICK).unwrap();
    let now = crate::io::unix_ms();
    let ended = |id: String, days: u64| CallRecord { ended_unix_ms: now - days * 86_400_000, ..record(&id) };
    store.submit((0..600).map(|number| StoreOp::from(ended(format!("old{number}"), 40))));
    store.submit([StoreOp::from(ended("young".into(), 20))]);
    store.keep_records_for(Some(30));
    while calls_list(&directory, 9_999).unwrap().len() != 1 || store.figures().commits == 0 {
        std::thread::yield_now();
    }
    store.close().unwrap();
    assert_eq!(&*calls_list(&directory, 9).unwrap()[0].id, "young");
}

#[test]
fn records_are_found_by_user_time_id_and_whether_they_were_missed() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    let missed = CallRecord { missed: true, caller: "1009".into(), ended_unix_ms: 5, ..record("m") };
    store.submit([record("a"), missed.clone()].map(StoreOp::from));
    store.close().unwrap();
    let all = Wanted { since_unix_ms: 0, user: None, id: None, missed: false, limit: 9 };
    let found = |wanted: Wanted<'_>| {
        let found = calls_wanted(&directory, &wanted).unwrap();
        found.iter().map(|record| record.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(found(all), ["a", "m"]);
    assert_eq!(found(Wanted { missed: true, ..all }), ["m"]);
    assert_eq!(found(Wanted { user: Some("1001"), ..all }), ["a"]);
    assert_eq!(found(Wanted { user: Some("1002"), ..all }), ["a", "m"]);
    assert_eq!(found(Wanted { id: Some("m"), ..all }), ["m"]);
    assert_eq!(found(Wanted { since_unix_ms: 6, ..all }), ["a"]);
    assert_eq!(found(Wanted { limit: 1, ..all }), ["a"]);
}

#[test]
fn legs_and_journals_can_be_asked_for_as_rows() {
    let directory = Scratch::new();
    let (store, _) = open(&directory).unwrap();
    store.submit([StoreOp::from(record("a"))]);
    store.close().unwrap();
    beside(&directory, "SELECT 1", || {});
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let rows: (i64, String, i64) = runtime.block_on(async {
        let options = sqlx::sqlite::SqliteConnectOptions::new().filename(directory.join(DATABASE));
        let mut connection = options.connect().await.unwrap();
        let row = sqlx::query_as(
            "SELECT (SELECT COUNT(*) FROM call_events), (SELECT outcome FROM call_attempts),
            (SELECT status FROM call_attempts WHERE user = '1002')",
        );
        row.fetch_one(&mut connection).await.unwrap()
    });
    assert_eq!(rows, (2, "answered".to_owned(), 200));
}

//! The thread that owns the database, and the core's end of it.
//!
//! The core leaves changes in a bounded inbox and never waits. The thread is woken by the first change, gathers more for
//! half a second, and writes them in one transaction; what cannot be written is kept, coalesced, and tried again.
//! The wake-up is the only system call on the core's side: one per transaction and per 8,192 changes, not one per change.

use super::database::{Database, Identity};
use super::error::{StoreError, StoreEvent, StoreFault};
use super::pending::Pending;
use super::profiles::StoredProfile;
use super::record::{StoreOp, StoredBinding, StoredUser};
use super::{open_calls, spoiled};
use crate::io::unix_ms;
use crate::records::Interrupted;
use core::time::Duration;
use std::collections::VecDeque;
use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use tokio::sync::Notify;

/// Name of the file that keeps a second switch from the same directory.
const LOCK: &str = "switch.lock";

/// Changes in the inbox at which the thread comes to coalesce them, before the time to write.
const CROWD: usize = 8_192;

/// Changes in the inbox at which the core coalesces them itself: the thread was not given a processor.
const INBOX_LIMIT: usize = 65_536;

/// Distinct changes that are written without waiting for more.
const BATCH: usize = 16_384;

/// Reports kept for the core; the state is told again with the next report.
const EVENTS_LIMIT: usize = 64;

/// The thread's waits.
#[derive(Clone, Copy, Debug)]
pub(super) struct Timing {
    /// From the first change to its transaction.
    pub(super) gather: Duration,
    /// From a failure to the next attempt.
    pub(super) retry: Duration,
    /// For another process's transaction.
    pub(super) busy: Duration,
    /// Between signs of life, while calls are up.
    pub(super) beat: Duration,
    /// Between slices of records whose time is over.
    pub(super) slice: Duration,
}

/// A change is on the disk within a second: half of it to gather, the rest to write.
const TIMING: Timing = Timing {
    gather: Duration::from_millis(500),
    retry: Duration::from_millis(1_000),
    busy: Duration::from_millis(500),
    beat: Duration::from_millis(500),
    slice: Duration::from_secs(1),
};

/// How often records whose time is over are looked for.
const CLEAN: Duration = Duration::from_secs(3_600);

const DAY_MS: u64 = 86_400_000;

/// Attempts to write when the store is closed.
const LAST_ATTEMPTS: u32 = 2;

/// What the database held when it was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Loaded {
    /// All bindings, expired ones too: wall time is not known here, and the core removes what has expired.
    pub bindings: Vec<StoredBinding>,
    /// Users made by command.
    pub users: Vec<StoredUser>,
    /// What users have set.
    pub profiles: Vec<StoredProfile>,
    /// Calls that the switch was interrupted in; their records are written.
    pub interrupted: Vec<Interrupted>,
    /// Rows that made no sense and were left out.
    pub unreadable: u32,
    /// The database was damaged: it is there now, and a new one has what could be read of it.
    pub set_aside: Option<PathBuf>,
}

/// Counters since the opening.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreFigures {
    /// Changes handed in.
    pub submitted: u64,
    /// Changes written, after coalescing.
    pub written: u64,
    /// Transactions.
    pub commits: u64,
    /// Attempts that failed.
    pub failures: u64,
    /// Changes refused because too many waited.
    pub refused: u64,
    /// Changes that wait in the thread.
    pub waiting: u64,
}

/// The core's end of the store. Dropping it closes the store.
pub struct StoreHandle {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<Result<(), StoreError>>>,
    /// Held until the thread has ended.
    _lock: File,
}

#[derive(Default)]
struct Shared {
    inbox: Mutex<Inbox>,
    wake: Notify,
    outbox: Mutex<Outbox>,
    reported: Condvar,
}

#[derive(Default)]
struct Inbox {
    ops: Vec<StoreOp>,
    /// Older than `ops`: what the core had to coalesce.
    spilled: Pending,
    submitted: u64,
    /// The thread waits for the first change.
    idle: bool,
    /// Days that call records are kept; `None`: for ever.
    keep_days: Option<u32>,
    closing: bool,
}

#[derive(Default)]
struct Outbox {
    events: VecDeque<StoreEvent>,
    figures: StoreFigures,
}

/// Opens the database in the data directory, making it when it is not there, and starts the thread that writes to it.
///
/// # Errors
///
/// The directory or database cannot be used, is of a newer version, or belongs to a running switch.
pub fn open(directory: &Path) -> Result<(StoreHandle, Loaded), StoreError> {
    open_with(directory, TIMING)
}

pub(super) fn open_with(directory: &Path, timing: Timing) -> Result<(StoreHandle, Loaded), StoreError> {
    let unusable = |source| StoreError::File { path: directory.into(), source };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().map_err(unusable)?;
    let (database, run, lock, loaded) = runtime.block_on(async {
        make_directory(directory)?;
        // Nobody else has it when a damaged database is set aside.
        let lock = lock(directory)?;
        let (mut database, set_aside) = spoiled::open(directory, timing.busy, unix_ms()).await?;
        let (bindings, unreadable_bindings) = database.all().await?;
        let (users, unreadable_users) = database.all().await?;
        let (profiles, unreadable_profiles) = database.all().await?;
        let unreadable =
            unreadable_bindings.saturating_add(unreadable_users).saturating_add(unreadable_profiles);
        let closed = open_calls::close_interrupted(database.connection()).await;
        let interrupted = closed.map_err(|source| database.refused(source))?;
        let begun = open_calls::begin(database.connection(), unix_ms()).await;
        let run = begun.map_err(|source| database.refused(source))?;
        let loaded = Loaded { bindings, users, profiles, interrupted, unreadable, set_aside };
        Ok::<_, StoreError>((database, run, lock, loaded))
    })?;
    let shared = Arc::new(Shared::default());
    let writer = Writer {
        identity: *database.identity(),
        database: Some(database),
        run,
        calls_are_up: false,
        clean_at: None,
        aside: None,
        directory: directory.into(),
        timing,
        intake: Intake { shared: Arc::clone(&shared), ..Intake::default() },
        failing: false,
        told: false,
        emptied: false,
    };
    let thread = std::thread::Builder::new().name("store".into());
    let thread = thread.spawn(move || runtime.block_on(writer.run())).map_err(unusable)?;
    Ok((StoreHandle { shared, thread: Some(thread), _lock: lock }, loaded))
}

fn make_directory(directory: &Path) -> Result<(), StoreError> {
    super::database::create_directory(directory)
        .map_err(|source| StoreError::File { path: directory.into(), source })
}

fn lock(directory: &Path) -> Result<File, StoreError> {
    let path = directory.join(LOCK);
    let file = File::options().append(true).create(true).open(&path);
    let file = file.map_err(|source| StoreError::File { path: path.clone(), source })?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path }),
        Err(TryLockError::Error(source)) => Err(StoreError::File { path, source }),
    }
}

impl StoreHandle {
    /// Hands changes in; they are on the disk within a second while the database works. Never waits for the database.
    pub fn submit(&self, ops: impl IntoIterator<Item = StoreOp>) {
        let mut inbox = acquire(&self.shared.inbox);
        let before = inbox.ops.len();
        inbox.ops.extend(ops);
        let after = inbox.ops.len();
        inbox.submitted = inbox.submitted.wrapping_add(after.abs_diff(before) as u64);
        if after > INBOX_LIMIT {
            inbox.spill();
        }
        let first = after > 0 && core::mem::take(&mut inbox.idle);
        drop(inbox);
        if first || (before < CROWD && after >= CROWD) {
            self.shared.wake.notify_one();
        }
    }

    /// Keeps call records for so many days after their end; `None`: for ever. Older ones are removed in small slices.
    pub fn keep_records_for(&self, days: Option<u32>) {
        acquire(&self.shared.inbox).keep_days = days;
        self.shared.wake.notify_one();
    }

    /// The next report, if there is one.
    pub fn poll_event(&self) -> Option<StoreEvent> {
        acquire(&self.shared.outbox).events.pop_front()
    }

    /// Counters.
    pub fn figures(&self) -> StoreFigures {
        let submitted = acquire(&self.shared.inbox).submitted;
        StoreFigures { submitted, ..acquire(&self.shared.outbox).figures }
    }

    /// Writes all that waits and ends the thread. Takes about two seconds when the database refuses.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unwritten`] when the database refused to the end.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.finish()
    }

    pub(super) fn finish(&mut self) -> Result<(), StoreError> {
        let Some(thread) = self.thread.take() else { return Ok(()) };
        acquire(&self.shared.inbox).closing = true;
        self.shared.wake.notify_one();
        thread.join().unwrap_or(Err(StoreError::ThreadEnded))
    }

    /// Waits for the next report.
    #[cfg(test)]
    pub(super) fn wait_event(&self) -> StoreEvent {
        let outbox = acquire(&self.shared.outbox);
        let waited = self.shared.reported.wait_while(outbox, |outbox| outbox.events.is_empty());
        let mut outbox = waited.unwrap_or_else(PoisonError::into_inner);
        outbox.events.pop_front().expect("a report has been waited for")
    }
}

impl Drop for StoreHandle {
    fn drop(&mut self) {
        if let Err(error) = self.finish() {
            tracing::error!(%error, "the store was dropped");
        }
    }
}

impl Inbox {
    fn spill(&mut self) {
        let Inbox { ops, spilled, .. } = self;
        spilled.absorb(ops.drain(..));
    }
}

/// What the thread has taken up and not written.
#[derive(Default)]
struct Intake {
    shared: Arc<Shared>,
    pending: Pending,
    /// Changes places with the inbox's, so that neither grows anew each time.
    spare: Vec<StoreOp>,
    keep_days: Option<u32>,
    closing: bool,
}

impl Intake {
    /// Waits until there is something in the inbox, and leaves it there for more to gather.
    async fn idle(&mut self) {
        {
            let mut inbox = acquire(&self.shared.inbox);
            if inbox.closing || !inbox.ops.is_empty() {
                return;
            }
            inbox.idle = true;
        }
        self.shared.wake.notified().await;
    }

    /// Waits until the inbox is crowded or closed, and takes up what is in it.
    async fn woken(&mut self) {
        self.shared.wake.notified().await;
        self.take();
    }

    /// Moves the inbox into what waits.
    fn take(&mut self) {
        let spilled = {
            let mut inbox = acquire(&self.shared.inbox);
            self.closing |= inbox.closing;
            self.keep_days = inbox.keep_days;
            core::mem::swap(&mut inbox.ops, &mut self.spare);
            core::mem::take(&mut inbox.spilled)
        };
        self.pending.absorb_pending(spilled);
        self.pending.absorb(self.spare.drain(..));
    }
}

/// The thread.
struct Writer {
    /// `None` after a failure: the next attempt opens it anew.
    database: Option<Database>,
    directory: PathBuf,
    /// The file that was last written to.
    identity: Identity,
    /// The run of the switch, as that file numbers it.
    run: i64,
    /// Calls are up, as the last transaction found.
    calls_are_up: bool,
    /// When records whose time is over are removed next.
    clean_at: Option<tokio::time::Instant>,
    /// Where the damaged database is, before a new one is open.
    aside: Option<PathBuf>,
    timing: Timing,
    intake: Intake,
    /// The last attempt failed.
    failing: bool,
    /// The core knows of the failure.
    told: bool,
    /// The database was made anew, and the core does not know.
    emptied: bool,
}

impl Writer {
    async fn run(mut self) -> Result<(), StoreError> {
        while !self.intake.closing {
            let mut is_beat = false;
            if self.intake.pending.is_empty() {
                is_beat = self.rest().await;
            }
            if !self.failing && !is_beat {
                self.wait(self.timing.gather).await;
            }
            let has_work = is_beat || !self.intake.pending.is_empty();
            if has_work && self.write().await.is_err() {
                self.wait(self.timing.retry).await;
            }
            self.clean().await;
        }
        let result = self.write_last().await;
        if let Some(mut database) = self.database.take() {
            if result.is_ok() {
                // Then the next start looks more closely.
                let _unsaid = open_calls::note_stopped(database.connection(), self.run).await;
            }
            database.close().await;
        }
        result
    }

    /// Waits for changes; true when it is time for a sign of life first.
    async fn rest(&mut self) -> bool {
        let beats = self.calls_are_up || self.failing;
        let clean_at = self.clean_at.filter(|_| self.intake.keep_days.is_some());
        let clean = async {
            match clean_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => core::future::pending().await,
            }
        };
        tokio::select! {
            () = self.intake.idle() => false,
            () = tokio::time::sleep(self.timing.beat), if beats => true,
            () = clean => false,
        }
    }

    /// Removes a slice of the records whose time is over.
    async fn clean(&mut self) {
        let Some(days) = self.intake.keep_days else {
            self.clean_at = None;
            return;
        };
        let now = tokio::time::Instant::now();
        let Some(database) = self.database.as_mut().filter(|_| self.clean_at.is_none_or(|at| at <= now))
        else {
            return;
        };
        let before = unix_ms().saturating_sub(u64::from(days).saturating_mul(DAY_MS));
        let has_more = database.forget_records(before).await.unwrap_or(false);
        self.clean_at = Some(now + if has_more { self.timing.slice } else { CLEAN });
    }

    /// Takes changes up for a time; ends early when the store is closed, or when enough are together to be written.
    async fn wait(&mut self, time: Duration) {
        let until = tokio::time::sleep(time);
        tokio::pin!(until);
        while !self.intake.closing && (self.failing || self.intake.pending.len() < BATCH) {
            tokio::select! {
                () = &mut until => break,
                () = self.intake.woken() => {}
            }
        }
        self.intake.take();
    }

    /// Writes what waits, and takes changes up meanwhile.
    async fn write(&mut self) -> Result<(), StoreFault> {
        let mut batch = core::mem::take(&mut self.intake.pending);
        self.intake.pending.refused = core::mem::take(&mut batch.refused);
        let result = {
            let Writer { database, directory, identity, run, aside, timing, intake, emptied, .. } = self;
            let attempt =
                attempt(Attempt { database, directory, run, aside, timing, identity, emptied }, &batch);
            tokio::pin!(attempt);
            loop {
                tokio::select! {
                    result = &mut attempt => break result,
                    () = intake.woken() => {}
                }
            }
        };
        match result {
            Ok(calls_are_up) => {
                self.calls_are_up = calls_are_up;
                self.on_success(batch.len());
            }
            Err(reason) => {
                let since = core::mem::replace(&mut self.intake.pending, batch);
                self.intake.pending.absorb_pending(since);
                self.on_failure(reason);
            }
        }
        result.map(drop)
    }

    fn on_success(&mut self, written: usize) {
        self.failing = false;
        let news = self.told || self.emptied;
        let event = StoreEvent::Recovered { emptied: self.emptied };
        let reported = self.report(news.then_some(event), |figures| {
            figures.written = figures.written.wrapping_add(written as u64);
            figures.commits = figures.commits.wrapping_add(1);
        });
        if reported {
            (self.told, self.emptied) = (false, false);
        }
    }

    fn on_failure(&mut self, reason: StoreFault) {
        self.database = None;
        self.failing = true;
        if reason == StoreFault::Corrupt
            && let Ok(aside) = spoiled::set_aside(&self.directory, unix_ms())
        {
            self.aside = Some(aside);
            self.report(Some(StoreEvent::SetAside), |_| {});
        }
        let event = (!self.told).then_some(StoreEvent::Failing { reason });
        self.told |= self.report(event, |figures| figures.failures = figures.failures.wrapping_add(1));
    }

    /// Counts, and tells the core; false when there is no room for the event, which is then told later.
    fn report(&mut self, event: Option<StoreEvent>, count: impl FnOnce(&mut StoreFigures)) -> bool {
        let pending = &mut self.intake.pending;
        let mut outbox = acquire(&self.intake.shared.outbox);
        count(&mut outbox.figures);
        outbox.figures.refused = outbox.figures.refused.wrapping_add(core::mem::take(&mut pending.refused));
        outbox.figures.waiting = pending.len() as u64;
        let Some(event) = event else { return true };
        if outbox.events.len() >= EVENTS_LIMIT {
            return false;
        }
        outbox.events.push_back(event);
        self.intake.shared.reported.notify_all();
        true
    }

    /// The attempts at the end.
    async fn write_last(&mut self) -> Result<(), StoreError> {
        let mut attempts = 0;
        loop {
            self.intake.take();
            if self.intake.pending.is_empty() {
                return Ok(());
            }
            attempts += 1;
            match self.write().await {
                Err(fault) if attempts == LAST_ATTEMPTS => {
                    return Err(StoreError::Unwritten { changes: self.intake.pending.len(), fault });
                }
                Ok(()) | Err(_) => {}
            }
        }
    }
}

/// What an attempt to write needs of the writer.
struct Attempt<'a> {
    database: &'a mut Option<Database>,
    directory: &'a Path,
    run: &'a mut i64,
    aside: &'a mut Option<PathBuf>,
    timing: &'a Timing,
    identity: &'a mut Identity,
    emptied: &'a mut bool,
}

/// Writes the batch, opening the database anew where the last attempt failed; whether calls are up.
async fn attempt(of: Attempt<'_>, batch: &Pending) -> Result<bool, StoreFault> {
    let database = match of.database {
        Some(database) => database,
        None => {
            let opened = Database::open(of.directory, of.timing.busy).await;
            let mut opened = opened.map_err(|error| fault_of(&error))?;
            if opened.identity() != of.identity {
                if let Some(aside) = of.aside.take() {
                    spoiled::salvage(&mut opened, &aside, of.timing.busy).await;
                }
                let begun = open_calls::begin(opened.connection(), unix_ms()).await;
                *of.run = begun.map_err(|error| StoreFault::of(&error))?;
                *of.emptied = true;
                *of.identity = *opened.identity();
            }
            of.database.insert(opened)
        }
    };
    database.write(*of.run, unix_ms(), batch).await
}

fn fault_of(error: &StoreError) -> StoreFault {
    match error {
        StoreError::Database { fault, .. } | StoreError::Unwritten { fault, .. } => *fault,
        StoreError::File { source, .. } => match source.kind() {
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => StoreFault::Full,
            std::io::ErrorKind::ReadOnlyFilesystem | std::io::ErrorKind::PermissionDenied => {
                StoreFault::ReadOnly
            }
            _ => StoreFault::Lost,
        },
        StoreError::Newer { .. } => StoreFault::Lost,
        StoreError::InUse { .. } => StoreFault::Locked,
        StoreError::UserExists { .. } | StoreError::NoSuchUser { .. } | StoreError::ThreadEnded => {
            StoreFault::Other { code: 0 }
        }
    }
}

/// A panic elsewhere leaves whole values behind: each is changed by single assignments and pushes.
fn acquire<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

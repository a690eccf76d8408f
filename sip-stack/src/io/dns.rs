//! The thread that asks the DNS what [`crate::resolve`] wants to know, with the servers and the hosts file of the
//! system.
//!
//! Names of one label are looked up as the system would, along its search list; all others are absolute. Left out on
//! purpose: a cache, which the resolver has; noticing that the system's servers have changed ([`start`] anew does);
//! DNS over TLS or HTTPS, and DNSSEC.

mod convert;
#[cfg(test)]
mod tests;

use crate::resolve::{Answer, Query};
use core::net::SocketAddr;
use core::time::Duration;
use hickory_resolver::TokioResolver;
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

/// Questions that wait for the thread; further ones are refused.
const QUEUE: usize = 1_024;
/// Questions under way at a time.
const IN_FLIGHT: usize = 256;
/// Longest wait for one server before a question is repeated: two of them fit into the resolver's time limit.
const ATTEMPT: Duration = Duration::from_millis(1_500);

/// Whom to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Servers {
    /// Those the system is configured with.
    System,
    /// These, over UDP, and over TCP where an answer is truncated; nothing of the system's configuration.
    Listed(Vec<SocketAddr>),
}

/// Called from the thread after each answer, to wake who takes it. Must not block.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// Why the thread could not be started.
#[derive(Debug, thiserror::Error)]
pub enum DnsError {
    /// The system's configuration cannot be read or names no servers.
    #[error("the system's configuration of the DNS cannot be used: {0}")]
    Configuration(#[from] NetError),
    /// The system refused a thread or what it waits with.
    #[error("the thread for the DNS cannot be started: {0}")]
    Thread(#[from] io::Error),
}

/// The caller's end of the thread. Dropping it ends the thread; questions under way are given up.
#[derive(Debug)]
pub struct Dns {
    queries: Option<Sender<Query>>,
    answers: Receiver<(Query, Answer)>,
    thread: Option<JoinHandle<()>>,
}

/// Starts the thread.
///
/// # Errors
/// [`DnsError`] when the configuration cannot be used or the system refuses a thread.
pub fn start(servers: &Servers, wake: Wake) -> Result<Dns, DnsError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().enable_time().build()?;
    // Entered, because a resolver may look for the runtime when it is built.
    let resolver = {
        let _entered = runtime.enter();
        resolver(servers)?
    };
    let (queries, asked) = mpsc::channel(QUEUE);
    let (told, answers) = mpsc::channel(QUEUE);
    let thread = std::thread::Builder::new().name("dns".into());
    let thread = thread.spawn(move || runtime.block_on(run(resolver, asked, told, wake)))?;
    Ok(Dns { queries: Some(queries), answers, thread: Some(thread) })
}

impl Dns {
    /// Asks; never waits. One answer follows for each question that is taken.
    ///
    /// # Errors
    /// Returns the question when too many wait or the thread is gone: to the resolver that is [`Answer::Failed`].
    pub fn ask(&self, query: Query) -> Result<(), Query> {
        match &self.queries {
            Some(queries) => queries.try_send(query).map_err(|refused| refused.into_inner()),
            None => Err(query),
        }
    }

    /// The next answer, if there is one, and its question.
    pub fn poll_answer(&mut self) -> Option<(Query, Answer)> {
        self.answers.try_recv().ok()
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.queries = None;
        self.answers.close();
        if let Some(thread) = self.thread.take() {
            // A thread that panicked has said so itself.
            let _ = thread.join();
        }
    }
}

fn resolver(servers: &Servers) -> Result<TokioResolver, NetError> {
    let mut builder = match servers {
        Servers::System => TokioResolver::builder_tokio()?,
        Servers::Listed(addresses) => {
            let servers = addresses.iter().copied().map(name_server).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        }
    };
    let options = builder.options_mut();
    options.cache_size = 0;
    options.timeout = options.timeout.min(ATTEMPT);
    // The life of an answer is that of its shortest record, aliases on the way included.
    options.preserve_intermediates = true;
    builder.build()
}

fn name_server(address: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = address.port();
        connection
    });
    NameServerConfig::new(address.ip(), true, connections.into())
}

/// Asks what comes in, [`IN_FLIGHT`] at a time, until the caller's end is gone.
async fn run(resolver: TokioResolver, mut asked: Receiver<Query>, told: Sender<(Query, Answer)>, wake: Wake) {
    let mut under_way = JoinSet::new();
    loop {
        tokio::select! {
            query = asked.recv(), if under_way.len() < IN_FLIGHT => {
                let Some(query) = query else { return };
                under_way.spawn(answer(resolver.clone(), query));
            }
            Some(answered) = under_way.join_next() => {
                // A look-up that panicked has no answer; the resolver's time limit ends it.
                let Ok(answered) = answered else { continue };
                if told.send(answered).await.is_err() {
                    return;
                }
                wake();
            }
        }
    }
}

async fn answer(resolver: TokioResolver, query: Query) -> (Query, Answer) {
    let answer = match convert::name(&query.name) {
        Some(name) => convert::answer(query.kind, resolver.lookup(name, convert::kind(query.kind)).await),
        None => Answer::NoSuchName,
    };
    (query, answer)
}

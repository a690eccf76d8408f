//! The log on standard error.

use super::CliError;
use crate::io::LinesThread;
use std::io::{IsTerminal, stderr};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;

/// Sets the log up. `RUST_LOG` goes before `level`; both are `level` or `module=level,…`. What is returned has to be
/// kept: the last lines are written when it is dropped.
pub(super) fn start(level: &str) -> Result<LinesThread, CliError> {
    let wanted = std::env::var("RUST_LOG").ok().filter(|wanted| !wanted.is_empty());
    let wanted = wanted.as_deref().unwrap_or(level);
    let targets: Targets = wanted.parse().map_err(|_| CliError::LogLevel(wanted.to_owned()))?;
    let thread = LinesThread::start(stderr()).map_err(CliError::Log)?;
    let into = thread.lines();
    let lines =
        tracing_subscriber::fmt::layer().with_writer(move || into.clone()).with_ansi(stderr().is_terminal());
    let subscriber = tracing_subscriber::registry().with(targets).with(lines);
    // It is set already when a program runs a second switch; then that log serves both.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(thread)
}

//! The edge: sockets, clocks, signals, threads and files. Everything else of the switch is pure.

mod append;
mod batch;
mod clock;
mod connections;
mod control;
mod control_socket;
mod interfaces;
pub mod limits;
mod lines;
mod log_file;
mod media;
mod names;
mod prompts;
pub mod random;
mod run;
mod sip;
mod tell;
mod trace;

pub(crate) use clock::unix_ms;
pub use connections::load_tls;
pub use control::Loaded;
pub(crate) use control_socket::SOCKET;
pub use lines::{Lines, LinesThread};
pub use log_file::{LogPlace, load_key, load_or_make_key};
pub use prompts::{PromptsError, PromptsFound, load_prompts};
pub use run::{KeepMailbox, Ready, RunError, Setup, run};

//! The bytes that wait to be written.

use bytes::Bytes;
use std::collections::VecDeque;

/// Whole messages and frames in order; before the WebSocket handshake is done they are held back.
#[derive(Debug, Default)]
pub(super) struct Unsent {
    ready: VecDeque<Bytes>,
    held: Option<VecDeque<Bytes>>,
    bytes: usize,
}

impl Unsent {
    /// Holds back what is pushed until [`Unsent::release`].
    pub(super) fn holding() -> Unsent {
        Unsent { held: Some(VecDeque::new()), ..Unsent::default() }
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends a message or a frame.
    pub(super) fn push(&mut self, bytes: Bytes) {
        self.bytes += bytes.len();
        self.held.as_mut().unwrap_or(&mut self.ready).push_back(bytes);
    }

    /// Appends what is never held back: the handshake itself, and what is said at the end.
    pub(super) fn push_now(&mut self, bytes: Bytes) {
        if !bytes.is_empty() {
            self.bytes += bytes.len();
            self.ready.push_back(bytes);
        }
    }

    /// The handshake is done.
    pub(super) fn release(&mut self) {
        self.ready.extend(self.held.take().into_iter().flatten());
    }

    /// Drops what is held back: the handshake failed.
    pub(super) fn drop_held(&mut self) {
        let held = self.held.take().into_iter().flatten();
        self.bytes -= held.map(|bytes| bytes.len()).sum::<usize>();
    }

    /// The next bytes to be written.
    pub(super) fn pop(&mut self) -> Option<Bytes> {
        let bytes = self.ready.pop_front()?;
        self.bytes -= bytes.len();
        Some(bytes)
    }

    /// Whether nothing can be written.
    pub(super) fn is_drained(&self) -> bool {
        self.ready.is_empty()
    }
}

//! One socket, with or without TLS: what it read, what it took.
//!
//! Events come once (edge-triggered), so that a reader goes on until the socket is drained. With epoll, a read that
//! leaves room in the buffer has drained it: that saves the second read which would only say so.

use bytes::{Buf, Bytes};
use mio::net::TcpStream;
use rustls::Connection as TlsConnection;
use std::collections::VecDeque;
use std::io::{self, BufRead, ErrorKind, IoSlice, Read, Write};

use super::identity::Identity;
use super::streams::Ended;

/// Pieces that one system call takes.
const PIECES: usize = 16;

/// A stream, and the TLS on it.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) tcp: TcpStream,
    tls: Option<Box<TlsConnection>>,
    /// Whether the end was announced: then a read that leaves room has not drained it.
    pub(super) end_is_near: bool,
    /// Whether it came.
    pub(super) at_end: bool,
}

/// What is left in a socket after one read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Left {
    /// Perhaps more.
    More,
    /// Nothing for now.
    Nothing,
    /// Nothing, ever: the peer has closed its side.
    End,
}

/// Whether a socket took all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Took {
    /// All.
    All,
    /// Some of it; an event tells when it takes more.
    Some,
    /// None of it; an event tells when it takes more.
    None,
}

impl Socket {
    pub(super) fn new(tcp: TcpStream, tls: Option<TlsConnection>) -> Socket {
        Socket { tcp, tls: tls.map(Box::new), end_is_near: false, at_end: false }
    }

    /// Whether the TLS handshake is still to be done.
    pub(super) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.is_handshaking())
    }

    /// The peer by its certificate, once the handshake is done.
    pub(super) fn identity(&self) -> Identity {
        let certificates = self.tls.as_ref().and_then(|tls| tls.peer_certificates());
        certificates.and_then(|chain| chain.first()).map(Identity::of).unwrap_or_default()
    }

    /// Reads once, up to the length of `buffer`, and gives what it means to `sink`. In a handshake, all that was read
    /// is worked off.
    pub(super) fn read(&mut self, buffer: &mut [u8], mut sink: impl FnMut(&[u8])) -> Result<Left, Ended> {
        let length = match self.tcp.read(buffer) {
            Ok(length) => length,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => return Ok(Left::Nothing),
                ErrorKind::Interrupted => return Ok(Left::More),
                kind => return Err(Ended::Socket(kind)),
            },
        };
        if length == 0 {
            self.at_end = true;
            return Ok(Left::End);
        }
        let more = self.left(length == buffer.len());
        let read = buffer.get(..length).unwrap_or_default();
        match &mut self.tls {
            None => {
                sink(read);
                Ok(more)
            }
            Some(tls) => match decrypt(tls, read, sink) {
                Ok(true) => {
                    self.at_end = true;
                    Ok(Left::End)
                }
                Ok(false) => Ok(more),
                Err(error) => Err(Ended::Tls(error)),
            },
        }
    }

    /// Writes as much of `pieces` as the socket takes, and what TLS has to say of itself.
    pub(super) fn write(&mut self, pieces: &mut VecDeque<Bytes>) -> Result<Took, Ended> {
        let taken = match &mut self.tls {
            None => write_plain(&mut self.tcp, pieces),
            Some(tls) => write_tls(tls, &mut self.tcp, pieces),
        };
        taken.map_err(|error| Ended::Socket(error.kind()))
    }

    /// Says that nothing more will be written; in TLS also why, if it failed.
    pub(super) fn finish(&mut self) {
        if let Some(tls) = &mut self.tls {
            tls.send_close_notify();
            // Courtesy: a peer whose socket is full does without.
            let _ = tls.write_tls(&mut self.tcp);
        }
        // It fails only when the connection is gone already.
        let _ = self.tcp.shutdown(std::net::Shutdown::Write);
    }

    /// What is left after a read that filled the buffer, or not.
    fn left(&self, filled: bool) -> Left {
        let drained = cfg!(target_os = "linux") && !filled && !self.end_is_near;
        if drained { Left::Nothing } else { Left::More }
    }

    /// Reads and forgets; what is left.
    pub(super) fn discard(&mut self, buffer: &mut [u8]) -> Left {
        let left = match self.tcp.read(buffer) {
            Ok(0) => Left::End,
            Ok(length) => self.left(length == buffer.len()),
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => Left::Nothing,
                ErrorKind::Interrupted => Left::More,
                _ => Left::End,
            },
        };
        self.at_end |= left == Left::End;
        left
    }
}

/// Hands the plain text of what was read to `sink`; whether the peer has closed its side (RFC 8446 §6.1).
fn decrypt(
    tls: &mut TlsConnection,
    mut read: &[u8],
    mut sink: impl FnMut(&[u8]),
) -> Result<bool, rustls::Error> {
    let mut closed = false;
    while !read.is_empty() && !closed {
        // The library refuses bytes only while plain text waits; below, none is left to wait.
        if !matches!(tls.read_tls(&mut read), Ok(1..)) {
            return Err(rustls::Error::General("no progress".into()));
        }
        closed = tls.process_new_packets()?.peer_has_closed();
        let mut reader = tls.reader();
        // An error says that there is nothing more for now.
        while let Ok(plain) = reader.fill_buf() {
            let length = plain.len();
            if length == 0 {
                break;
            }
            sink(plain);
            reader.consume(length);
        }
    }
    Ok(closed)
}

fn write_plain(tcp: &mut TcpStream, pieces: &mut VecDeque<Bytes>) -> io::Result<Took> {
    let mut took = Took::None;
    while !pieces.is_empty() {
        let mut slices = [IoSlice::new(&[]); PIECES];
        for (slice, piece) in slices.iter_mut().zip(pieces.iter()) {
            *slice = IoSlice::new(piece);
        }
        let slices = slices.get(..pieces.len().min(PIECES)).unwrap_or_default();
        match tcp.write_vectored(slices) {
            Ok(length) => advance(pieces, length),
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(took),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        took = Took::Some;
    }
    Ok(Took::All)
}

fn write_tls(tls: &mut TlsConnection, tcp: &mut TcpStream, pieces: &mut VecDeque<Bytes>) -> io::Result<Took> {
    let mut took = Took::None;
    loop {
        while tls.wants_write() {
            match tls.write_tls(tcp) {
                Ok(_) => took = Took::Some,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(took),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // Up to the library's limit at a time, and only when what it had is gone: what waits is counted in one place.
        while let Some(piece) = pieces.front() {
            let length = tls.writer().write(piece)?;
            if length == 0 && !piece.is_empty() {
                break;
            }
            advance(pieces, length);
        }
        if !tls.wants_write() {
            return Ok(Took::All);
        }
    }
}

/// Drops `length` bytes from the front.
fn advance(pieces: &mut VecDeque<Bytes>, mut length: usize) {
    while let Some(piece) = pieces.front_mut() {
        let step = length.min(piece.len());
        piece.advance(step);
        length -= step;
        if !piece.is_empty() {
            return;
        }
        pieces.pop_front();
    }
}

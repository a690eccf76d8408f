//! Bodies that are composed once for many watchers, who differ in the version of the document alone.

use super::discretion::Hidden;
use bytes::Bytes;

/// Octets of a document at most: with the head of its NOTIFY it fits into a datagram.
const LARGEST: usize = 48 * 1_024;

/// Composes a document of up to so many rows. Of one that would be too large the last ones are left out.
pub(super) fn fitting(rows: usize, mut compose: impl FnMut(usize) -> Bytes) -> Bytes {
    let mut rows = rows;
    loop {
        let body = compose(rows);
        if body.len() <= LARGEST || rows == 0 {
            return body;
        }
        rows /= 2;
    }
}

/// A document without its version.
#[derive(Clone, Debug)]
pub(super) struct Document {
    body: Bytes,
    /// Where the version stands: before it and after it.
    hole: Option<(usize, usize)>,
}

/// How a version zero is written. A quotation mark within a value is escaped, so that none can look so.
const VERSION: &[u8] = b" version=\"0\"";

impl Document {
    /// A document that was composed with version 0.
    pub(super) fn versioned(body: Bytes) -> Document {
        let at = body.windows(VERSION.len()).position(|part| part == VERSION);
        let hole = at.map(|at| (at + VERSION.len() - 2, at + VERSION.len() - 1));
        Document { body, hole }
    }

    /// A document of a package without versions.
    pub(super) const fn plain(body: Bytes) -> Document {
        Document { body, hole: None }
    }

    /// The body for one watcher.
    pub(super) fn body(&self, version: u32) -> Bytes {
        let Some((before, after)) = self.hole else { return self.body.clone() };
        let (Some(head), Some(tail)) = (self.body.get(..before), self.body.get(after..)) else {
            return self.body.clone();
        };
        [head, version.to_string().as_bytes(), tail].concat().into()
    }
}

/// The documents of one topic that were composed for one change.
#[derive(Debug, Default)]
pub(super) struct Sheets(Vec<Sheet>);

#[derive(Debug)]
struct Sheet {
    host: Vec<u8>,
    /// The last change that its readers heard, and whether it is to be told whole.
    told: (u64, bool),
    hidden: Hidden,
    document: Document,
}

impl Sheets {
    /// The document for those who call us by `host` and are to be told alike, of the same people.
    pub(super) fn document(
        &mut self,
        host: &[u8],
        told: (u64, bool),
        hidden: &Hidden,
        compose: impl FnOnce() -> Option<Document>,
    ) -> Option<Document> {
        let same = |sheet: &&Sheet| sheet.told == told && sheet.hidden == *hidden && sheet.host == host;
        if let Some(sheet) = self.0.iter().find(same) {
            return Some(sheet.document.clone());
        }
        let document = compose()?;
        // Watchers that have fallen behind differ from each other; beyond a few there is little to share.
        if self.0.len() < 16 {
            let (host, hidden) = (host.to_vec(), hidden.clone());
            self.0.push(Sheet { host, told, hidden, document: document.clone() });
        }
        Some(document)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sip_stack::event::body::DocumentState;
    use sip_stack::event::body::dialog_info::{Dialog, DialogInfo, DialogState};

    #[test]
    fn each_watcher_has_its_version_whatever_a_name_looks_like() {
        let entity = "sip:a\" version=\"0\"@h";
        let info = DialogInfo {
            version: 0,
            state: DocumentState::Full,
            entity: entity.into(),
            dialogs: vec![Dialog::new(" version=\"0\"", DialogState::Early)],
        };
        let document = Document::versioned(info.compose());
        for version in [0, 7, u32::MAX] {
            let read = DialogInfo::parse(&document.body(version)).unwrap();
            assert_eq!((read.version, &*read.entity), (version, entity));
            assert_eq!(&*read.dialogs[0].id, " version=\"0\"");
        }
    }

    #[test]
    fn a_document_that_would_be_too_large_has_fewer_rows() {
        let compose = |rows: usize| Bytes::from(vec![b'x'; 100 + rows * 1_000]);
        assert_eq!(fitting(40, compose), compose(40));
        assert_eq!(fitting(128, compose), compose(32));
        assert_eq!(fitting(1, |rows| vec![0; 1 + rows * 100_000].into()).len(), 1);
    }

    #[test]
    fn one_document_serves_all_who_were_told_the_same() {
        let mut sheets = Sheets::default();
        let mut composed = 0;
        for since in [3, 3, 3, 4, 3] {
            let document = sheets.document(b"h", (since, false), &Hidden::default(), || {
                composed += 1;
                Some(Document::plain(Bytes::new()))
            });
            assert!(document.is_some());
        }
        assert_eq!(composed, 2);
    }
}

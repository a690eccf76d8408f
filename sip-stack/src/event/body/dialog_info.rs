//! `application/dialog-info+xml` (RFC 4235 §4): the calls of a user, as a busy lamp shows them.
//!
//! Left out on purpose: session descriptions, route sets and CSeq numbers of a dialog, which no lamp shows.

pub use super::dialog_table::DialogTable;

use super::composer::Composer;
use super::version::DocumentState;
use super::word::words;
use super::xml::{Element, Space};
use super::{BodyError, MAX_ROWS};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const NAMESPACE: &str = "urn:ietf:params:xml:ns:dialog-info";

/// A document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DialogInfo {
    /// Its number within the subscription, from 0.
    pub version: u32,
    /// Whether it names every dialog or those that have changed.
    pub state: DocumentState,
    /// The URI of the observed user.
    pub entity: Box<str>,
    /// The dialogs.
    pub dialogs: Vec<Dialog>,
}

/// One dialog of the observed user, or the beginning of one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dialog {
    /// Names it among those of the user, for as long as it lasts.
    pub id: Box<str>,
    /// Call-ID.
    pub call_id: Option<Box<str>>,
    /// The tag of the observed user.
    pub local_tag: Option<Box<str>>,
    /// The tag of the other side.
    pub remote_tag: Option<Box<str>>,
    /// Who began it.
    pub direction: Option<Direction>,
    /// How far it is.
    pub state: DialogState,
    /// What has ended it.
    pub event: Option<StateEvent>,
    /// The status that has ended it, or moved it on: 100 to 699.
    pub code: Option<u16>,
    /// For how many seconds it has lasted.
    pub duration_s: Option<u64>,
    /// The dialog whose place it took (RFC 3891).
    pub replaces: Option<Replaced>,
    /// Who has sent the user there (RFC 3892).
    pub referred_by: Option<Identity>,
    /// The observed user.
    pub local: Participant,
    /// The other side.
    pub remote: Participant,
}

impl Dialog {
    /// A dialog of which nothing is known but its state.
    pub fn new(id: impl Into<Box<str>>, state: DialogState) -> Dialog {
        Dialog {
            id: id.into(),
            call_id: None,
            local_tag: None,
            remote_tag: None,
            direction: None,
            state,
            event: None,
            code: None,
            duration_s: None,
            replaces: None,
            referred_by: None,
            local: Participant::default(),
            remote: Participant::default(),
        }
    }
}

/// One side of a dialog.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Participant {
    /// Who it is; without it as before.
    pub identity: Option<Identity>,
    /// Where it is reached; without it as before.
    pub target: Option<Target>,
}

/// A name and its URI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The URI.
    pub uri: Box<str>,
    /// The display name, without quotes.
    pub display: Option<Box<str>>,
}

/// A contact of a dialog.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The URI.
    pub uri: Box<str>,
    /// Its parameters (RFC 3840), such as `sip.rendering` with `no` for a call on hold (§5.2).
    pub params: Vec<(Box<str>, Box<str>)>,
}

/// The identifier of a dialog as the observed user sees it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replaced {
    /// Call-ID.
    pub call_id: Box<str>,
    /// The tag of the observed user.
    pub local_tag: Box<str>,
    /// The tag of the other side.
    pub remote_tag: Box<str>,
}

words! {
    /// Who began a dialog.
    Direction {
        /// The observed user.
        Initiator = "initiator",
        /// The other side.
        Recipient = "recipient",
    }
}

words! {
    /// How far a dialog is (§3.7.1).
    DialogState {
        /// The INVITE is on its way.
        Trying = "trying",
        /// Somebody works on it.
        Proceeding = "proceeding",
        /// It rings.
        Early = "early",
        /// It was answered.
        Confirmed = "confirmed",
        /// It is over.
        Terminated = "terminated",
    }
}

words! {
    /// What has ended a dialog (§3.7.1).
    StateEvent {
        /// The caller gave up.
        Cancelled = "cancelled",
        /// It was refused.
        Rejected = "rejected",
        /// Another one took its place.
        Replaced = "replaced",
        /// The observed user hung up.
        LocalBye = "local-bye",
        /// The other side hung up.
        RemoteBye = "remote-bye",
        /// Something went wrong.
        Error = "error",
        /// Nobody answered.
        Timeout = "timeout",
    }
}

impl DialogInfo {
    /// The document as a body.
    pub fn compose(&self) -> Bytes {
        let mut to = Composer::new("dialog-info", NAMESPACE);
        to.attribute("version", &self.version.to_string())
            .attribute("state", self.state.word())
            .attribute("entity", &self.entity);
        for dialog in &self.dialogs {
            compose_dialog(&mut to, dialog);
        }
        to.finish()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`BodyError`]; [`BodyError::TooMany`] when there are more than [`MAX_ROWS`] dialogs.
    pub fn parse(body: &[u8]) -> Result<DialogInfo, BodyError> {
        let root = Element::parse(body, Space::DialogInfo, "dialog-info")?;
        let dialogs: Vec<Dialog> = root.all("dialog").map(read_dialog).collect::<Result<_, _>>()?;
        if dialogs.len() > MAX_ROWS {
            return Err(BodyError::TooMany);
        }
        Ok(DialogInfo {
            version: root.required_number("version")?,
            state: root.word("state", DocumentState::of_word)?,
            entity: root.required("entity")?.into(),
            dialogs,
        })
    }
}

fn compose_dialog(to: &mut Composer, dialog: &Dialog) {
    to.open("dialog")
        .attribute("id", &dialog.id)
        .attribute_if("call-id", dialog.call_id.as_deref())
        .attribute_if("local-tag", dialog.local_tag.as_deref())
        .attribute_if("remote-tag", dialog.remote_tag.as_deref())
        .attribute_if("direction", dialog.direction.map(Direction::word));
    to.open("state")
        .attribute_if("event", dialog.event.map(StateEvent::word))
        .attribute_if("code", dialog.code)
        .text(dialog.state.word())
        .close();
    to.element_if("duration", dialog.duration_s);
    if let Some(replaced) = &dialog.replaces {
        to.open("replaces")
            .attribute("call-id", &replaced.call_id)
            .attribute("local-tag", &replaced.local_tag)
            .attribute("remote-tag", &replaced.remote_tag)
            .close();
    }
    compose_identity(to, "referred-by", dialog.referred_by.as_ref());
    for (name, participant) in [("local", &dialog.local), ("remote", &dialog.remote)] {
        if participant.identity.is_none() && participant.target.is_none() {
            continue;
        }
        to.open(name);
        compose_identity(to, "identity", participant.identity.as_ref());
        if let Some(target) = &participant.target {
            to.open("target").attribute("uri", &target.uri);
            for (name, value) in &target.params {
                to.open("param").attribute("pname", name).attribute("pval", value).close();
            }
            to.close();
        }
        to.close();
    }
    to.close();
}

/// The attribute is `display` in the text and the examples (§4.1.5, §4.1.6.1), `display-name` in the schema; phones write the first.
fn compose_identity(to: &mut Composer, name: &'static str, identity: Option<&Identity>) {
    if let Some(identity) = identity {
        to.open(name).attribute_if("display", identity.display.as_deref()).text(&identity.uri).close();
    }
}

fn read_dialog(element: &Element) -> Result<Dialog, BodyError> {
    let state = element.one("state").ok_or(BodyError::Missing("state"))?;
    let side = |name| element.one(name).map(read_participant).unwrap_or_default();
    Ok(Dialog {
        id: element.required("id")?.into(),
        call_id: element.owned("call-id"),
        local_tag: element.owned("local-tag"),
        remote_tag: element.owned("remote-tag"),
        direction: element.attribute("direction").and_then(Direction::of_word),
        state: DialogState::of_word(state.text()).ok_or(BodyError::Value("state"))?,
        event: state.attribute("event").and_then(StateEvent::of_word),
        code: state.number("code").filter(|code| (100..700).contains(code)),
        duration_s: element.number_of("duration"),
        replaces: element.one("replaces").and_then(read_replaced),
        referred_by: element.one("referred-by").map(read_identity),
        local: side("local"),
        remote: side("remote"),
    })
}

fn read_participant(element: &Element) -> Participant {
    let target = element.one("target").and_then(|target| {
        let param = |param: &Element| Some((param.owned("pname")?, param.owned("pval")?));
        let params = target.all("param").filter_map(param).collect();
        Some(Target { uri: target.owned("uri")?, params })
    });
    Participant { identity: element.one("identity").map(read_identity), target }
}

fn read_identity(element: &Element) -> Identity {
    let display = element.owned("display").or_else(|| element.owned("display-name"));
    Identity { uri: element.text().into(), display: display.filter(|display| !display.is_empty()) }
}

fn read_replaced(element: &Element) -> Option<Replaced> {
    let named = |name| element.owned(name);
    Some(Replaced {
        call_id: named("call-id")?,
        local_tag: named("local-tag")?,
        remote_tag: named("remote-tag")?,
    })
}

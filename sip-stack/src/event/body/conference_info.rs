//! `application/conference-info+xml` (RFC 4575): who is in a conference, and since when.
//!
//! Left out on purpose: sidebars, URIs of the conference and of its host, languages, associated addresses, call information of
//! endpoints: elements that our rooms do not have and no roster shows.

pub use super::conference_table::{ConferenceTable, MAX_ENDPOINTS};

use super::composer::Composer;
use super::word::words;
use super::xml::{Element, Space};
use super::{BodyError, MAX_ROWS};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const NAMESPACE: &str = "urn:ietf:params:xml:ns:conference-info";

words! {
    /// How much is said of an element (§4.4).
    PartState {
        /// Everything.
        Full = "full",
        /// What has changed.
        Partial = "partial",
        /// It is no more.
        Deleted = "deleted",
    }
}

/// A document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConferenceInfo {
    /// The URI of the conference.
    pub entity: Box<str>,
    /// How much is said; [`PartState::Deleted`]: the conference is over.
    pub state: PartState,
    /// Its number within the subscription.
    pub version: u32,
    /// What the conference is; without it as before.
    pub description: Option<Description>,
    /// How the conference stands; without it as before.
    pub conference_state: Option<ConferenceState>,
    /// Who takes part; without it as before.
    pub users: Option<Users>,
}

/// What a conference is (§5.3).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its name.
    pub display_text: Option<Box<str>>,
    /// Its subject.
    pub subject: Option<Box<str>>,
    /// How many users there may be.
    pub maximum_user_count: Option<u32>,
}

/// How a conference stands (§5.5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConferenceState {
    /// How many users take part.
    pub user_count: Option<u32>,
    /// Whether one who calls is let in.
    pub active: Option<bool>,
    /// Whether nobody more is let in.
    pub locked: Option<bool>,
}

/// The users (§5.6).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Users {
    /// Whether all of them are named.
    pub state: PartState,
    /// Those who are named.
    pub users: Vec<User>,
}

/// One user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// The URI.
    pub entity: Box<str>,
    /// How much is said.
    pub state: PartState,
    /// The name.
    pub display_text: Option<Box<str>>,
    /// What they are in the conference, for human eyes.
    pub roles: Vec<Box<str>>,
    /// Their devices.
    pub endpoints: Vec<Endpoint>,
}

impl User {
    /// A user of whom no more is known.
    pub fn new(entity: impl Into<Box<str>>, state: PartState) -> User {
        User { entity: entity.into(), state, display_text: None, roles: Vec::new(), endpoints: Vec::new() }
    }
}

/// A device of a user (§5.7).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    /// Names it among those of the user, such as its Contact.
    pub entity: Box<str>,
    /// How much is said.
    pub state: PartState,
    /// Its name.
    pub display_text: Option<Box<str>>,
    /// How it takes part.
    pub status: Option<EndpointStatus>,
    /// How it has come.
    pub joining_method: Option<JoiningMethod>,
    /// When it has come, as RFC 3339 writes it.
    pub joined_at: Option<Box<str>>,
    /// How it has gone.
    pub disconnection_method: Option<DisconnectionMethod>,
    /// When it has gone, as RFC 3339 writes it.
    pub disconnected_at: Option<Box<str>>,
    /// Its streams.
    pub media: Vec<Media>,
}

impl Endpoint {
    /// A device of which no more is known.
    pub fn new(entity: impl Into<Box<str>>, state: PartState) -> Endpoint {
        Endpoint {
            entity: entity.into(),
            state,
            display_text: None,
            status: None,
            joining_method: None,
            joined_at: None,
            disconnection_method: None,
            disconnected_at: None,
            media: Vec::new(),
        }
    }
}

/// A stream of a device (§5.8).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Media {
    /// Names it among those of the device.
    pub id: Box<str>,
    /// `audio`, for us.
    pub kind: Option<Box<str>>,
    /// The SSRC (RFC 3550) of what the device sends.
    pub src_id: Option<u32>,
    /// Who sends.
    pub status: Option<MediaStatus>,
}

words! {
    /// How a device takes part (§5.7.3).
    EndpointStatus {
        /// It is in the conference.
        Connected = "connected",
        /// It is not, or no longer.
        Disconnected = "disconnected",
        /// It hears something else meanwhile, and is not heard.
        OnHold = "on-hold",
        /// It hears, and is not heard.
        MutedViaFocus = "muted-via-focus",
        /// It is expected.
        Pending = "pending",
        /// It rings.
        Alerting = "alerting",
        /// It calls, and is not let in yet.
        DialingIn = "dialing-in",
        /// It was called, and is not let in yet.
        DialingOut = "dialing-out",
        /// It is being disconnected.
        Disconnecting = "disconnecting",
    }
}

words! {
    /// How a device has come (§5.7.4).
    JoiningMethod {
        /// It has called.
        DialedIn = "dialed-in",
        /// It was called.
        DialedOut = "dialed-out",
        /// It is the conference.
        FocusOwner = "focus-owner",
    }
}

words! {
    /// How a device has gone (§5.7.6).
    DisconnectionMethod {
        /// It has hung up.
        Departed = "departed",
        /// It was put out.
        Booted = "booted",
        /// It could not be reached.
        Failed = "failed",
        /// It was busy.
        Busy = "busy",
    }
}

words! {
    /// Who sends, as the device sees it (§5.8.5).
    MediaStatus {
        /// Both.
        SendRecv = "sendrecv",
        /// The device.
        SendOnly = "sendonly",
        /// The conference.
        RecvOnly = "recvonly",
        /// Nobody.
        Inactive = "inactive",
    }
}

impl ConferenceInfo {
    /// The document as a body.
    pub fn compose(&self) -> Bytes {
        let mut to = Composer::new("conference-info", NAMESPACE);
        to.attribute("entity", &self.entity)
            .attribute("state", self.state.word())
            .attribute("version", &self.version.to_string());
        if let Some(description) = &self.description {
            to.open("conference-description")
                .element_if("display-text", description.display_text.as_deref())
                .element_if("subject", description.subject.as_deref())
                .element_if("maximum-user-count", description.maximum_user_count)
                .close();
        }
        if let Some(state) = &self.conference_state {
            to.open("conference-state")
                .element_if("user-count", state.user_count)
                .element_if("active", state.active)
                .element_if("locked", state.locked)
                .close();
        }
        if let Some(users) = &self.users {
            to.open("users").attribute("state", users.state.word());
            for user in &users.users {
                compose_user(&mut to, user);
            }
            to.close();
        }
        to.finish()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`BodyError`]; [`BodyError::TooMany`] when there are more than [`MAX_ROWS`] users, or devices or streams of all of them.
    pub fn parse(body: &[u8]) -> Result<ConferenceInfo, BodyError> {
        let root = Element::parse(body, Space::ConferenceInfo, "conference-info")?;
        let users = root.one("users").map(read_users).transpose()?;
        let all = users.iter().flat_map(|users| &users.users);
        let endpoints = all.clone().flat_map(|user| &user.endpoints);
        let media: usize = endpoints.clone().map(|endpoint| endpoint.media.len()).sum();
        if all.count().max(endpoints.count()).max(media) > MAX_ROWS {
            return Err(BodyError::TooMany);
        }
        Ok(ConferenceInfo {
            entity: root.required("entity")?.into(),
            state: part(&root)?,
            version: root.required_number("version")?,
            description: root.one("conference-description").map(read_description),
            conference_state: root.one("conference-state").map(read_state),
            users,
        })
    }
}

fn compose_user(to: &mut Composer, user: &User) {
    to.open("user")
        .attribute("entity", &user.entity)
        .attribute("state", user.state.word())
        .element_if("display-text", user.display_text.as_deref());
    if !user.roles.is_empty() {
        to.open("roles");
        for role in &user.roles {
            to.element("entry", role);
        }
        to.close();
    }
    for endpoint in &user.endpoints {
        compose_endpoint(to, endpoint);
    }
    to.close();
}

fn compose_endpoint(to: &mut Composer, endpoint: &Endpoint) {
    let when = |to: &mut Composer, name: &'static str, when: Option<&str>| {
        if let Some(when) = when {
            to.open(name).element("when", when).close();
        }
    };
    to.open("endpoint")
        .attribute("entity", &endpoint.entity)
        .attribute("state", endpoint.state.word())
        .element_if("display-text", endpoint.display_text.as_deref())
        .element_if("status", endpoint.status.map(EndpointStatus::word))
        .element_if("joining-method", endpoint.joining_method.map(JoiningMethod::word));
    when(to, "joining-info", endpoint.joined_at.as_deref());
    to.element_if("disconnection-method", endpoint.disconnection_method.map(DisconnectionMethod::word));
    when(to, "disconnection-info", endpoint.disconnected_at.as_deref());
    for media in &endpoint.media {
        to.open("media")
            .attribute("id", &media.id)
            .element_if("type", media.kind.as_deref())
            .element_if("src-id", media.src_id)
            .element_if("status", media.status.map(MediaStatus::word))
            .close();
    }
    to.close();
}

/// §4.4: full where it is not said.
fn part(element: &Element) -> Result<PartState, BodyError> {
    match element.attribute("state") {
        None => Ok(PartState::Full),
        Some(word) => PartState::of_word(word.trim()).ok_or(BodyError::Value("state")),
    }
}

fn read_description(element: &Element) -> Description {
    Description {
        display_text: element.text_of("display-text"),
        subject: element.text_of("subject"),
        maximum_user_count: element.number_of("maximum-user-count"),
    }
}

fn read_state(element: &Element) -> ConferenceState {
    let boolean = |name| match element.one(name)?.text() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    };
    ConferenceState {
        user_count: element.number_of("user-count"),
        active: boolean("active"),
        locked: boolean("locked"),
    }
}

fn read_users(element: &Element) -> Result<Users, BodyError> {
    let users = element.all("user").map(read_user).collect::<Result<_, _>>()?;
    Ok(Users { state: part(element)?, users })
}

fn read_user(element: &Element) -> Result<User, BodyError> {
    let roles = element.one("roles").into_iter().flat_map(|roles| roles.all("entry"));
    Ok(User {
        entity: element.required("entity")?.into(),
        state: part(element)?,
        display_text: element.text_of("display-text"),
        roles: roles.map(Element::text).map(Box::from).collect(),
        endpoints: element.all("endpoint").map(read_endpoint).collect::<Result<_, _>>()?,
    })
}

fn read_endpoint(element: &Element) -> Result<Endpoint, BodyError> {
    let word = |name| element.one(name).map(Element::text);
    let when = |name| element.one(name)?.text_of("when");
    Ok(Endpoint {
        entity: element.required("entity")?.into(),
        state: part(element)?,
        display_text: element.text_of("display-text"),
        status: word("status").and_then(EndpointStatus::of_word),
        joining_method: word("joining-method").and_then(JoiningMethod::of_word),
        joined_at: when("joining-info"),
        disconnection_method: word("disconnection-method").and_then(DisconnectionMethod::of_word),
        disconnected_at: when("disconnection-info"),
        media: element.all("media").map(read_media).collect::<Result<_, _>>()?,
    })
}

fn read_media(element: &Element) -> Result<Media, BodyError> {
    Ok(Media {
        id: element.required("id")?.into(),
        kind: element.text_of("type"),
        src_id: element.number_of("src-id"),
        status: element.one("status").map(Element::text).and_then(MediaStatus::of_word),
    })
}

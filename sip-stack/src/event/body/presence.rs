//! `application/pidf+xml` (RFC 3863): whether somebody can be reached, and what they are doing (`person` of RFC 4479,
//! `activities` of RFC 4480).
//!
//! Left out on purpose: devices, and everything else of RFC 4480; the times between which an activity lasts; languages of notes.

use super::composer::Composer;
use super::word::words;
use super::xml::{Element, Space};
use super::{BodyError, MAX_ROWS};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

const PIDF: &str = "urn:ietf:params:xml:ns:pidf";
const DATA_MODEL: &str = "urn:ietf:params:xml:ns:pidf:data-model";
const RPID: &str = "urn:ietf:params:xml:ns:pidf:rpid";
/// The thousandths of the highest priority.
const ONE: u16 = 1_000;

/// A document: all that is known of somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Presence {
    /// The URI of whom it is about.
    pub entity: Box<str>,
    /// The ways to reach them.
    pub tuples: Vec<Tuple>,
    /// The human, more than one where several things are said of one (RFC 4479 §3.2).
    pub persons: Vec<Person>,
    /// Comments.
    pub notes: Vec<Box<str>>,
}

/// One way to reach somebody.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tuple {
    /// Names it within the document.
    pub id: Box<str>,
    /// Whether it can be used.
    pub basic: Option<Basic>,
    /// Where.
    pub contact: Option<Contact>,
    /// Comments.
    pub notes: Vec<Box<str>>,
    /// Since when, as RFC 3339 writes it.
    pub timestamp: Option<Box<str>>,
}

/// A contact address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The URI.
    pub uri: Box<str>,
    /// How it is preferred to others, in thousandths, 0 to 1000; the lowest when it is not said.
    pub priority: Option<u16>,
}

/// The human.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Person {
    /// Names it within the document.
    pub id: Box<str>,
    /// What they are doing.
    pub activities: Vec<Activity>,
    /// Comments.
    pub notes: Vec<Box<str>>,
    /// Since when, as RFC 3339 writes it.
    pub timestamp: Option<Box<str>>,
}

words! {
    /// Whether somebody can be reached (RFC 3863 §4.1.4).
    Basic {
        /// They can.
        Open = "open",
        /// They can not.
        Closed = "closed",
    }
}

words! {
    /// What somebody is doing (RFC 4480 §3.2).
    Activity {
        /// An appointment of whatever kind.
        Appointment = "appointment",
        /// Away from every device.
        Away = "away",
        /// The first meal of the day.
        Breakfast = "breakfast",
        /// Busy, and no more is said.
        Busy = "busy",
        /// The main meal of the day.
        Dinner = "dinner",
        /// A public holiday.
        Holiday = "holiday",
        /// Carried by a vehicle.
        InTransit = "in-transit",
        /// Looking for work.
        LookingForWork = "looking-for-work",
        /// The meal at midday.
        Lunch = "lunch",
        /// A meal.
        Meal = "meal",
        /// With others.
        Meeting = "meeting",
        /// Talking on the phone.
        OnThePhone = "on-the-phone",
        /// Something that has no word; what it is was not read.
        Other = "other",
        /// A play, a concert, a lecture.
        Performance = "performance",
        /// Gone for good.
        PermanentAbsence = "permanent-absence",
        /// Play or sport.
        Playing = "playing",
        /// Presents something.
        Presentation = "presentation",
        /// Shopping.
        Shopping = "shopping",
        /// Asleep.
        Sleeping = "sleeping",
        /// Watches an event.
        Spectator = "spectator",
        /// Drives a vehicle.
        Steering = "steering",
        /// On a journey.
        Travel = "travel",
        /// Watches television.
        Tv = "tv",
        /// Nobody knows.
        Unknown = "unknown",
        /// On holiday.
        Vacation = "vacation",
        /// At work.
        Working = "working",
        /// At worship.
        Worship = "worship",
    }
}

impl Presence {
    /// Whether there is a way to reach them: one that is open, and none that is preferred to it is closed. `None` where nothing is
    /// said.
    pub fn basic(&self) -> Option<Basic> {
        let priority = |tuple: &Tuple| tuple.contact.as_ref().and_then(|contact| contact.priority);
        let said = self.tuples.iter().filter_map(|tuple| Some((priority(tuple), tuple.basic?)));
        // Of two that are equally preferred the open one counts.
        said.max_by_key(|(priority, basic)| (*priority, *basic == Basic::Open)).map(|(_, basic)| basic)
    }

    /// Whether they are doing that.
    pub fn is_doing(&self, activity: Activity) -> bool {
        self.persons.iter().any(|person| person.activities.contains(&activity))
    }

    /// The first comment: of the document, of the human, of a way to reach them.
    pub fn note(&self) -> Option<&str> {
        let persons = self.persons.iter().flat_map(|person| &person.notes);
        let tuples = self.tuples.iter().flat_map(|tuple| &tuple.notes);
        self.notes.iter().chain(persons).chain(tuples).map(|note| &**note).next()
    }

    /// The document as a body.
    pub fn compose(&self) -> Bytes {
        let mut to = Composer::new("presence", PIDF);
        if !self.persons.is_empty() {
            to.attribute("xmlns:dm", DATA_MODEL).attribute("xmlns:rpid", RPID);
        }
        to.attribute("entity", &self.entity);
        for tuple in &self.tuples {
            to.open("tuple").attribute("id", &tuple.id);
            to.open("status").element_if("basic", tuple.basic.map(Basic::word)).close();
            if let Some(contact) = &tuple.contact {
                let priority = contact.priority.map(|priority| decimal(priority.min(ONE)));
                to.open("contact").attribute_if("priority", priority).text(&contact.uri).close();
            }
            for note in &tuple.notes {
                to.element("note", note);
            }
            to.element_if("timestamp", tuple.timestamp.as_deref()).close();
        }
        for note in &self.notes {
            to.element("note", note);
        }
        for person in &self.persons {
            compose_person(&mut to, person);
        }
        to.finish()
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`BodyError`]; [`BodyError::TooMany`] when there are more than [`MAX_ROWS`] tuples.
    pub fn parse(body: &[u8]) -> Result<Presence, BodyError> {
        let root = Element::parse(body, Space::Pidf, "presence")?;
        let tuples: Vec<Tuple> = root.all("tuple").map(read_tuple).collect::<Result<_, _>>()?;
        let persons: Vec<Person> = root
            .of_space(Space::DataModel)
            .filter(|element| element.name() == "person")
            .map(read_person)
            .collect();
        if tuples.len() > MAX_ROWS || persons.len() > MAX_ROWS {
            return Err(BodyError::TooMany);
        }
        Ok(Presence { entity: root.required("entity")?.into(), tuples, persons, notes: notes(&root) })
    }
}

fn compose_person(to: &mut Composer, person: &Person) {
    to.open("dm:person").attribute("id", &person.id);
    if !person.activities.is_empty() {
        to.open("rpid:activities");
        for activity in &person.activities {
            to.open(format!("rpid:{}", activity.word())).close();
        }
        to.close();
    }
    for note in &person.notes {
        to.element("dm:note", note);
    }
    to.element_if("dm:timestamp", person.timestamp.as_deref()).close();
}

fn read_tuple(element: &Element) -> Result<Tuple, BodyError> {
    let basic = element.one("status").and_then(|status| status.one("basic"));
    // Deviation: RFC 3863 §4.1.4 has `open` and `closed` alone. baresip 1.0 publishes `unknown` until it is told: nothing is said.
    let basic = basic.and_then(|basic| Basic::of_word(basic.text()));
    let contact = element.one("contact").map(|contact| Contact {
        uri: contact.text().into(),
        // §4.1.5: one that is out of range is as none.
        priority: contact.attribute("priority").and_then(thousandths),
    });
    Ok(Tuple {
        id: element.required("id")?.into(),
        basic,
        contact,
        notes: notes(element),
        timestamp: element.text_of("timestamp"),
    })
}

fn read_person(element: &Element) -> Person {
    let mut activities = Vec::new();
    let said = element.of_space(Space::Rpid).filter(|element| element.name() == "activities");
    for activity in said.flat_map(|element| element.of_space(Space::Rpid)) {
        if let Some(activity) = Activity::of_word(activity.name()).filter(|known| !activities.contains(known))
        {
            activities.push(activity);
        }
    }
    Person {
        id: element.attribute("id").unwrap_or_default().into(),
        activities,
        notes: notes(element),
        timestamp: element.text_of("timestamp"),
    }
}

fn notes(element: &Element) -> Vec<Box<str>> {
    element.all("note").map(Element::text).filter(|text| !text.is_empty()).map(Box::from).collect()
}

/// `0.8` for 800.
pub(super) fn decimal(thousandths: u16) -> String {
    let text = format!("{}.{:03}", thousandths / ONE, thousandths % ONE);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// A number between 0 and 1 with at most three digits behind the point.
pub(super) fn thousandths(text: &str) -> Option<u16> {
    let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(part) || part.len() > 3 || !matches!(whole, "0" | "1") {
        return None;
    }
    let value = if whole == "1" { ONE } else { 0 } + format!("{part:0<3}").parse::<u16>().ok()?;
    (value <= ONE).then_some(value)
}

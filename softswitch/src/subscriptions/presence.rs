//! Whether and how a user can be reached (RFC 3856, PIDF): what the switch knows, and what devices publish (RFC 3903), composed.
//!
//! | the user | is shown as |
//! |---|---|
//! | has no binding | `closed`, whatever is published: nobody could reach it |
//! | has published nothing | `open` |
//! | has published | what it has published: the tuples of all devices, those whose contact has the highest priority first, of those alike the one published last; and what the person does, that published last first |
//! | is in a call that was answered | besides, a person that is `on-the-phone` |

use super::bodies::{Document, fitting};
use super::subject::uri;
use crate::core::environment::brief;
use core::cmp::Reverse;
use sip_stack::event::body::presence::{Activity, Basic, Contact, Person, Presence, Tuple};

/// What the switch itself knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(super) struct Known {
    pub(super) is_registered: bool,
    pub(super) is_talking: bool,
}

/// The document.
pub(super) fn compose<'a>(
    known: Known,
    published: impl DoubleEndedIterator<Item = &'a Presence>,
    user: &str,
    host: &str,
) -> Document {
    let entity = uri(Some(user), host);
    let mut composed = Presence { entity: entity.clone().into(), ..Presence::default() };
    if known.is_registered {
        // The latest first.
        for (place, presence) in published.rev().enumerate() {
            take(&mut composed, presence, place);
        }
        composed
            .tuples
            .sort_by_key(|tuple| Reverse(tuple.contact.as_ref().and_then(|contact| contact.priority)));
    }
    if composed.tuples.iter().all(|tuple| tuple.basic.is_none()) {
        let basic = if known.is_registered { Basic::Open } else { Basic::Closed };
        let contact = known.is_registered.then(|| Contact { uri: entity.into(), priority: None });
        composed.tuples.push(Tuple { id: "switch".into(), basic: Some(basic), contact, ..Tuple::default() });
    }
    if known.is_registered && known.is_talking && !composed.is_doing(Activity::OnThePhone) {
        let activities = vec![Activity::OnThePhone];
        composed.persons.push(Person { id: "switch".into(), activities, ..Person::default() });
    }
    let whole = 2 * composed.tuples.len().max(composed.persons.len());
    Document::plain(fitting(whole, |rows| {
        if rows < whole {
            // Comments go first.
            composed.notes.clear();
            composed.tuples.iter_mut().for_each(|tuple| tuple.notes.clear());
            composed.persons.iter_mut().for_each(|person| person.notes.clear());
        }
        composed.tuples.truncate(rows);
        composed.persons.truncate(rows);
        composed.compose()
    }))
}

/// Adds what one device has published; ids are those of the device and its place, so that no two are alike.
fn take(composed: &mut Presence, presence: &Presence, place: usize) {
    let own = |id: &str| format!("p{place}-{id}").into();
    let cut = |notes: &[Box<str>]| notes.iter().map(|note| brief(note).into()).collect::<Vec<_>>();
    composed.tuples.extend(presence.tuples.iter().map(|tuple| Tuple {
        id: own(&tuple.id),
        notes: cut(&tuple.notes),
        ..tuple.clone()
    }));
    composed.persons.extend(presence.persons.iter().map(|person| Person {
        id: own(&person.id),
        notes: cut(&person.notes),
        ..person.clone()
    }));
    composed.notes.extend(cut(&presence.notes));
}

#[cfg(test)]
mod tests {
    use super::*;

    const REACHED: Known = Known { is_registered: true, is_talking: false };

    fn device(basic: Basic, priority: Option<u16>) -> Presence {
        let contact = Some(Contact { uri: "sip:1001@h".into(), priority });
        let tuple = Tuple { id: "t".into(), basic: Some(basic), contact, ..Tuple::default() };
        Presence { entity: "sip:1001@h".into(), tuples: vec![tuple], ..Presence::default() }
    }

    fn composed(known: Known, published: &[Presence]) -> Presence {
        Presence::parse(&compose(known, published.iter(), "1001", "h").body(0)).unwrap()
    }

    #[test]
    fn who_is_not_registered_is_closed_whatever_is_published() {
        let known = Known { is_registered: false, is_talking: true };
        let presence = composed(known, &[device(Basic::Open, Some(1_000))]);
        assert_eq!((presence.basic(), presence.tuples.len()), (Some(Basic::Closed), 1));
        assert!(!presence.is_doing(Activity::OnThePhone));
    }

    #[test]
    fn the_highest_priority_wins_and_among_alike_the_latest_stands_first() {
        assert_eq!(composed(REACHED, &[]).basic(), Some(Basic::Open));
        let published =
            [device(Basic::Closed, Some(900)), device(Basic::Open, Some(100)), device(Basic::Open, None)];
        let presence = composed(REACHED, &published);
        assert_eq!(presence.basic(), Some(Basic::Closed));
        let ids: Vec<&str> = presence.tuples.iter().map(|tuple| &*tuple.id).collect();
        assert_eq!(ids, ["p2-t", "p1-t", "p0-t"]);
        let alike = [device(Basic::Open, None), device(Basic::Closed, None)];
        assert_eq!(&*composed(REACHED, &alike).tuples[0].id, "p0-t");
        assert_eq!(composed(REACHED, &alike).tuples[0].basic, Some(Basic::Closed));
    }

    #[test]
    fn what_is_told_fits_into_a_datagram_whatever_is_published() {
        let notes = vec!["\"".repeat(4_096).into(); 128];
        let tuple = |place: usize| Tuple {
            id: format!("t{place}").into(),
            contact: Some(Contact { uri: "<".repeat(800).into(), priority: Some(1_000) }),
            notes: notes.clone(),
            ..device(Basic::Open, None).tuples.remove(0)
        };
        let published = Presence { tuples: (0..20).map(tuple).collect(), notes, ..Presence::default() };
        let body = compose(REACHED, [published].iter(), "1001", "h").body(0);
        assert!(body.len() < 50_000, "{}", body.len());
        let told = Presence::parse(&body).unwrap();
        assert_eq!((told.basic(), told.tuples.len(), told.notes.len()), (Some(Basic::Open), 10, 0));
        let short = Presence { notes: vec!["n".repeat(100).into()], ..Presence::default() };
        assert_eq!(composed(REACHED, &[short]).notes[0].len(), 64);
    }

    #[test]
    fn a_call_is_told_beside_what_the_user_does() {
        let person = Person { id: "me".into(), activities: vec![Activity::Meeting], ..Person::default() };
        let published = Presence { persons: vec![person], ..Presence::default() };
        let presence = composed(Known { is_talking: true, ..REACHED }, &[published]);
        assert!(presence.is_doing(Activity::OnThePhone) && presence.is_doing(Activity::Meeting));
        assert_eq!(presence.basic(), Some(Basic::Open), "who says nothing of it is where it is registered");
    }
}

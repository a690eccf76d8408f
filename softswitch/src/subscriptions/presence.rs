//! Whether and how a user can be reached (RFC 3856, PIDF): what the switch knows, and what devices publish (RFC 3903), composed.
//!
//! | the user | is shown as |
//! |---|---|
//! | has no binding | `closed`, whatever is published: nobody could reach it |
//! | has published nothing | `open` |
//! | has published | what it has published: the tuples of all devices, those whose contact has the highest priority first, of those alike the one published last; and what the person does, that published last first |
//! | is in a call that was answered | besides, a person that is `on-the-phone` |

use super::bodies::Document;
use super::subject::uri;
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
    Document::plain(composed.compose())
}

/// Adds what one device has published; ids are those of the device and its place, so that no two are alike.
fn take(composed: &mut Presence, presence: &Presence, place: usize) {
    let own = |id: &str| format!("p{place}-{id}").into();
    composed.tuples.extend(presence.tuples.iter().map(|tuple| Tuple { id: own(&tuple.id), ..tuple.clone() }));
    composed
        .persons
        .extend(presence.persons.iter().map(|person| Person { id: own(&person.id), ..person.clone() }));
    composed.notes.extend(presence.notes.iter().cloned());
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
    fn a_call_is_told_beside_what_the_user_does() {
        let person = Person { id: "me".into(), activities: vec![Activity::Meeting], ..Person::default() };
        let published = Presence { persons: vec![person], ..Presence::default() };
        let presence = composed(Known { is_talking: true, ..REACHED }, &[published]);
        assert!(presence.is_doing(Activity::OnThePhone) && presence.is_doing(Activity::Meeting));
        assert_eq!(presence.basic(), Some(Basic::Open), "who says nothing of it is where it is registered");
    }
}

//! What is composed reads back as it was, whatever text is in it, and no bytes at all break a parser.

use super::conference_info::{ConferenceInfo, ConferenceState, ConferenceTable, Description, Endpoint};
use super::conference_info::{EndpointStatus, JoiningMethod, Media, MediaStatus, PartState, User, Users};
use super::dialog_info::{
    Dialog, DialogInfo, DialogState, DialogTable, Direction, Identity, Participant, Replaced, StateEvent,
    Target,
};
use super::message_summary::{Counts, MessageClass, MessageSummary};
use super::presence::{Activity, Basic, Contact as PresenceContact, Person, Presence, Tuple};
use super::reg_info::{Contact, ContactEvent, RegInfo, Registration, RegistrationState, RegistrationTable};
use super::{DocumentState, xml::Space};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;
use proptest::sample::select;

/// Text as it may stand in an element: blanks around it are not part of it.
fn text() -> impl Strategy<Value = Box<str>> {
    "[!-~äé€]([ -~äé€]{0,10}[!-~äé€])?".prop_map(Box::from)
}

/// Text as it may stand in an attribute.
fn value() -> impl Strategy<Value = Box<str>> {
    "[ -~äé€]{0,12}".prop_map(Box::from)
}

fn identity() -> impl Strategy<Value = Identity> {
    (text(), of(text())).prop_map(|(uri, display)| Identity { uri, display })
}

fn participant() -> impl Strategy<Value = Participant> {
    let target = (value(), vec((value(), value()), 0..3)).prop_map(|(uri, params)| Target { uri, params });
    (of(identity()), of(target)).prop_map(|(identity, target)| Participant { identity, target })
}

fn dialog() -> impl Strategy<Value = Dialog> {
    let names = (value(), of(value()), of(value()), of(value()), of(select(Direction::ALL)));
    let states = (select(DialogState::ALL), of(select(StateEvent::ALL)), of(100..700_u16), of(any::<u64>()));
    let replaced = (value(), value(), value()).prop_map(|(call_id, local_tag, remote_tag)| Replaced {
        call_id,
        local_tag,
        remote_tag,
    });
    let others = (of(replaced), of(identity()), participant(), participant());
    (names, states, others).prop_map(|(names, states, others)| {
        let (id, call_id, local_tag, remote_tag, direction) = names;
        let (state, event, code, duration_s) = states;
        let (replaces, referred_by, local, remote) = others;
        Dialog {
            id,
            call_id,
            local_tag,
            remote_tag,
            direction,
            state,
            event,
            code,
            duration_s,
            replaces,
            referred_by,
            local,
            remote,
        }
    })
}

fn tuple() -> impl Strategy<Value = Tuple> {
    let contact = (text(), of(0..=1_000_u16)).prop_map(|(uri, priority)| PresenceContact { uri, priority });
    (value(), of(select(Basic::ALL)), of(contact), vec(text(), 0..2), of(text()))
        .prop_map(|(id, basic, contact, notes, timestamp)| Tuple { id, basic, contact, notes, timestamp })
}

fn person() -> impl Strategy<Value = Person> {
    (value(), proptest::sample::subsequence(Activity::ALL, 0..4), vec(text(), 0..2), of(text()))
        .prop_map(|(id, activities, notes, timestamp)| Person { id, activities, notes, timestamp })
}

fn contact() -> impl Strategy<Value = Contact> {
    let numbers = (of(any::<u64>()), of(any::<u64>()), of(any::<u64>()), of(0..=1_000_u16), of(any::<u32>()));
    (value(), text(), select(ContactEvent::ALL), of(text()), of(value()), numbers).prop_map(
        |(id, uri, event, display_name, call_id, numbers)| {
            let (expires_s, retry_after_s, duration_registered_s, q, cseq) = numbers;
            let rest = Contact::new(id, uri, event);
            Contact {
                display_name,
                call_id,
                expires_s,
                retry_after_s,
                duration_registered_s,
                q,
                cseq,
                ..rest
            }
        },
    )
}

fn endpoint() -> impl Strategy<Value = Endpoint> {
    let media = (value(), of(text()), of(any::<u32>()), of(select(MediaStatus::ALL)))
        .prop_map(|(id, kind, src_id, status)| Media { id, kind, src_id, status });
    let how = (of(select(EndpointStatus::ALL)), of(select(JoiningMethod::ALL)));
    (value(), select(PartState::ALL), of(text()), how, of(text()), vec(media, 0..2)).prop_map(
        |(entity, state, display_text, (status, joining_method), joined_at, media)| Endpoint {
            display_text,
            status,
            joining_method,
            joined_at,
            media,
            ..Endpoint::new(entity, state)
        },
    )
}

fn conference() -> impl Strategy<Value = ConferenceInfo> {
    let description =
        (of(text()), of(text()), of(any::<u32>())).prop_map(|(display_text, subject, maximum_user_count)| {
            Description { display_text, subject, maximum_user_count }
        });
    let state = (of(any::<u32>()), of(any::<bool>()), of(any::<bool>()))
        .prop_map(|(user_count, active, locked)| ConferenceState { user_count, active, locked });
    let user = (value(), select(PartState::ALL), of(text()), vec(text(), 0..2), vec(endpoint(), 0..3))
        .prop_map(|(entity, state, display_text, roles, endpoints)| User {
            entity,
            state,
            display_text,
            roles,
            endpoints,
        });
    let users = (select(PartState::ALL), vec(user, 0..4)).prop_map(|(state, users)| Users { state, users });
    (value(), select(PartState::ALL), any::<u32>(), of(description), of(state), of(users)).prop_map(
        |(entity, state, version, description, conference_state, users)| ConferenceInfo {
            entity,
            state,
            version,
            description,
            conference_state,
            users,
        },
    )
}

/// Every parser and table is given the same bytes; that they return is all that is asked.
fn read_everything(bytes: &[u8]) {
    let _dialogs = DialogTable::default().read(bytes);
    let _registrations = RegistrationTable::default().read(bytes);
    let _conference = ConferenceTable::default().read(bytes);
    let _presence = Presence::parse(bytes).map(|presence| (presence.basic(), presence.compose()));
    let _summary = MessageSummary::parse(bytes).map(|summary| summary.compose());
}

proptest! {
    #[test]
    fn dialogs_read_back(
        version: u32, state in select(DocumentState::ALL), entity in value(), dialogs in vec(dialog(), 0..4),
    ) {
        let document = DialogInfo { version, state, entity, dialogs };
        prop_assert_eq!(DialogInfo::parse(&document.compose()), Ok(document));
    }

    #[test]
    fn presence_reads_back(
        entity in value(), tuples in vec(tuple(), 0..3), persons in vec(person(), 0..2), notes in vec(text(), 0..2),
    ) {
        let document = Presence { entity, tuples, persons, notes };
        prop_assert_eq!(Presence::parse(&document.compose()), Ok(document));
    }

    #[test]
    fn registrations_read_back(
        version: u32, state in select(DocumentState::ALL), aor in value(), id in value(),
        of_it in select(RegistrationState::ALL), contacts in vec(contact(), 0..4),
    ) {
        let registrations = vec![Registration { aor, id, state: of_it, contacts }];
        let document = RegInfo { version, state, registrations };
        prop_assert_eq!(RegInfo::parse(&document.compose()), Ok(document));
    }

    #[test]
    fn conferences_read_back(document in conference()) {
        prop_assert_eq!(ConferenceInfo::parse(&document.compose()), Ok(document));
    }

    #[test]
    fn summaries_read_back(
        waiting: bool, account in of("sip:[a-z0-9]{1,9}@[a-z.]{1,9}"),
        classes in proptest::sample::subsequence(MessageClass::ALL, 0..=6),
        counts in vec((any::<u32>(), any::<u32>(), of(any::<(u32, u32)>())), 6),
    ) {
        let counts = classes.into_iter().zip(counts).map(|(class, (new, old, urgent))| (class, Counts { new, old, urgent }));
        let document = MessageSummary { waiting, account: account.map(Box::from), counts: counts.collect() };
        prop_assert_eq!(MessageSummary::parse(&document.compose()), Ok(document));
    }

    #[test]
    fn any_text_at_all_is_composed_into_what_reads(entity in any::<String>(), note in any::<String>()) {
        let notes = vec![note.into()];
        let document = Presence { entity: entity.into(), notes, ..Presence::default() };
        prop_assert!(Presence::parse(&document.compose()).is_ok());
    }

    #[test]
    fn no_bytes_break_a_parser(bytes in vec(any::<u8>(), 0..300)) {
        read_everything(&bytes);
    }

    #[test]
    fn no_marks_in_any_order_break_a_parser(
        root in select(&Space::KNOWN[..]), name in "[a-z-]{1,12}",
        marks in vec(select(MARKS), 0..40),
    ) {
        let inside = marks.concat();
        read_everything(format!("<{name} xmlns='{}' version='1' state='full' entity='e'>{inside}</{name}>", root.1).as_bytes());
        read_everything(inside.as_bytes());
    }

    #[test]
    fn a_document_with_other_bytes_in_it_breaks_no_parser(
        document in conference(), at: proptest::sample::Index, other in vec(any::<u8>(), 0..6), cut in 0..8_usize,
    ) {
        let mut bytes = document.compose().to_vec();
        let at = at.index(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, other);
        read_everything(&bytes);
    }
}

/// What XML and our documents are made of.
const MARKS: &[&str] = &[
    "<",
    ">",
    "/",
    "&",
    ";",
    "=",
    "'",
    "\"",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?",
    "?>",
    "<!DOCTYPE",
    "[",
    "]",
    "&lt;",
    "&#x41;",
    "&#0;",
    "&#99999999999;",
    "xmlns",
    ":",
    "<dialog id='1'>",
    "<state>",
    "early",
    "</state>",
    "</dialog>",
    "<registration aor='a' id='1' state='active'>",
    "<contact id='1' state='active' event='created'>",
    "<uri/>",
    "</contact>",
    "</registration>",
    "<users>",
    "<user entity='u'>",
    "</user>",
    "</users>",
    "<tuple id='1'>",
    "</tuple>",
    "Messages-Waiting: yes\r\n",
    "Voice-Message: ",
    "1/2 (3/4)",
    "\r\n",
    " ",
    "\u{feff}",
    "é",
];

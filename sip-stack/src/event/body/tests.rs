//! Documents as other programs write them, and what tables make of rows of them.

use super::conference_info::{
    ConferenceInfo, ConferenceState, ConferenceTable, DisconnectionMethod, Endpoint, EndpointStatus,
    JoiningMethod, MAX_ENDPOINTS, MediaStatus, PartState, User, Users,
};
use super::dialog_info::{
    Dialog, DialogInfo, DialogState, DialogTable, Direction, Identity, Participant, StateEvent, Target,
};
use super::presence::{Activity, Basic, Contact as PresenceContact, Person, Presence, Tuple};
use super::reg_info::{
    Contact, ContactEvent, ContactState, RegInfo, Registration, RegistrationState, RegistrationTable,
};
use super::{BodyError, DocumentState, MAX_ROWS, Order};

/// In the form of RFC 4235 §4.2, with the prefixes and blanks that phones write.
const DIALOGS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<di:dialog-info xmlns:di="urn:ietf:params:xml:ns:dialog-info" xmlns:x="urn:x" version="1" state="full"
    entity="sip:1002@pbx.example">
  <di:dialog id="d-1" call-id="&quot;c&quot;" local-tag="l" remote-tag="r" direction="recipient" x:more="yes">
    <di:state event="rejected" code="486">terminated</di:state>
    <di:duration>274</di:duration>
    <di:referred-by display="Bob">sip:1003@pbx.example</di:referred-by>
    <x:unknown><di:state>early</di:state></x:unknown>
    <di:local>
      <di:identity display="Office &amp; Desk"> sip:1002@pbx.example </di:identity>
      <di:target uri="sip:1002@192.0.2.7">
        <di:param pname="sip.rendering" pval="no"/>
      </di:target>
    </di:local>
    <di:remote><di:identity display-name="Ann">sip:1001@pbx.example</di:identity></di:remote>
  </di:dialog>
</di:dialog-info>"#;

#[test]
fn a_dialog_is_read_with_all_that_is_said_of_it() {
    let document = DialogInfo::parse(DIALOGS.as_bytes()).unwrap();
    assert_eq!((document.version, document.state), (1, DocumentState::Full));
    assert_eq!(&*document.entity, "sip:1002@pbx.example");
    let dialog = &document.dialogs[0];
    assert_eq!((&*dialog.id, dialog.call_id.as_deref()), ("d-1", Some("\"c\"")));
    assert_eq!(dialog.direction, Some(Direction::Recipient));
    assert_eq!(
        (dialog.state, dialog.event, dialog.code, dialog.duration_s),
        (DialogState::Terminated, Some(StateEvent::Rejected), Some(486), Some(274))
    );
    let identity =
        |uri: &str, display: &str| Some(Identity { uri: uri.into(), display: Some(display.into()) });
    assert_eq!(dialog.referred_by, identity("sip:1003@pbx.example", "Bob"));
    assert_eq!(dialog.local.identity, identity("sip:1002@pbx.example", "Office & Desk"));
    let params = vec![("sip.rendering".into(), "no".into())];
    assert_eq!(dialog.local.target, Some(Target { uri: "sip:1002@192.0.2.7".into(), params }));
    assert_eq!(dialog.remote.identity, identity("sip:1001@pbx.example", "Ann"));
}

#[test]
fn a_document_without_what_has_to_be_there_is_refused() {
    let dialogs = |root: &str, dialog: &str| {
        let text =
            format!("<dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' {root}>{dialog}</dialog-info>");
        DialogInfo::parse(text.as_bytes()).map(|_| ())
    };
    let whole = "version='0' state='full' entity='sip:a@h'";
    assert_eq!(dialogs(whole, "<dialog id='1'><state>early</state></dialog>"), Ok(()));
    for (root, dialog, error) in [
        ("state='full' entity=''", "", BodyError::Missing("version")),
        ("version='-1' state='full' entity=''", "", BodyError::Value("version")),
        ("version='4294967296' state='full' entity=''", "", BodyError::Value("version")),
        ("version='0' state='some' entity=''", "", BodyError::Value("state")),
        ("version='0' state='full'", "", BodyError::Missing("entity")),
        (whole, "<dialog><state>early</state></dialog>", BodyError::Missing("id")),
        (whole, "<dialog id='1'/>", BodyError::Missing("state")),
        (whole, "<dialog id='1'><state>somehow</state></dialog>", BodyError::Value("state")),
    ] {
        assert_eq!(dialogs(root, dialog), Err(error), "{root} {dialog}");
    }
}

fn dialogs(version: u32, state: DocumentState, dialogs: Vec<Dialog>) -> DialogInfo {
    DialogInfo { version, state, entity: "sip:1002@h".into(), dialogs }
}

#[test]
fn partial_documents_change_the_dialogs_they_name_and_a_terminated_one_is_gone() {
    use DocumentState::{Full, Partial};
    let mut table = DialogTable::default();
    let caller =
        Participant { identity: Some(Identity { uri: "sip:1001@h".into(), display: None }), target: None };
    let early = Dialog { remote: caller.clone(), ..Dialog::new("1", DialogState::Early) };
    let other = Dialog::new("2", DialogState::Trying);
    assert_eq!(table.take(dialogs(0, Full, vec![early, other.clone()])), Order::Next);
    assert_eq!(table.take(dialogs(1, Partial, vec![Dialog::new("1", DialogState::Confirmed)])), Order::Next);
    // Who calls is not said again, and is as before (§4.1.6.1).
    let confirmed = Dialog { remote: caller, ..Dialog::new("1", DialogState::Confirmed) };
    assert_eq!(table.dialogs(), [confirmed.clone(), other]);
    assert_eq!(table.take(dialogs(2, Partial, vec![Dialog::new("2", DialogState::Terminated)])), Order::Next);
    assert_eq!(table.dialogs(), [confirmed]);
    assert_eq!(table.take(dialogs(1, Full, Vec::new())), Order::Stale);
    assert_eq!(table.take(dialogs(4, Partial, Vec::new())), Order::Gap);
    assert_eq!(table.dialogs().len(), 1);
    assert_eq!(table.take(dialogs(5, Full, Vec::new())), Order::Next);
    assert!(table.dialogs().is_empty());
}

#[test]
fn a_table_has_its_bound_and_counts_what_it_leaves_out() {
    let mut table = DialogTable::default();
    let row = |at: usize| Dialog::new(at.to_string(), DialogState::Early);
    table.take(dialogs(0, DocumentState::Full, (0..MAX_ROWS).map(row).collect()));
    table.take(dialogs(1, DocumentState::Partial, vec![row(MAX_ROWS)]));
    assert_eq!((table.dialogs().len(), table.left_out()), (MAX_ROWS, 1));
}

#[test]
fn presence_says_the_same_with_and_without_prefixes() {
    let plain = "<presence xmlns='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
        xmlns:rpid='urn:ietf:params:xml:ns:pidf:rpid' entity='pres:ann@h'><tuple id='t1'><status><basic>open</basic></status>\
        <contact priority='0.8'>sip:ann@192.0.2.7</contact><note>at my desk</note><timestamp>2026-01-01T00:00:00Z</timestamp>\
        </tuple><dm:person id='p1'><rpid:activities><rpid:on-the-phone/><rpid:on-the-phone/><rpid:dreaming/><rpid:other>x\
        </rpid:other></rpid:activities><dm:note>later</dm:note></dm:person></presence>";
    let named = plain
        .replace("<presence xmlns=", "<p:presence xmlns:p=")
        .replace("</presence", "</p:presence")
        .replace("<tuple", "<p:tuple")
        .replace("</tuple", "</p:tuple");
    let presence = Presence::parse(plain.as_bytes()).unwrap();
    let contact = Some(PresenceContact { uri: "sip:ann@192.0.2.7".into(), priority: Some(800) });
    let tuple = Tuple {
        id: "t1".into(),
        basic: Some(Basic::Open),
        contact,
        notes: vec!["at my desk".into()],
        timestamp: Some("2026-01-01T00:00:00Z".into()),
    };
    let person = Person {
        id: "p1".into(),
        activities: vec![Activity::OnThePhone, Activity::Other],
        notes: vec!["later".into()],
        timestamp: None,
    };
    let (tuples, persons) = (vec![tuple], vec![person]);
    assert_eq!(presence, Presence { entity: "pres:ann@h".into(), tuples, persons, notes: Vec::new() });
    assert!(presence.is_doing(Activity::OnThePhone) && !presence.is_doing(Activity::Away));
    assert_eq!(presence.note(), Some("later"));
    // Children of a tuple in the default namespace that is no longer there are somebody else's.
    let named = Presence::parse(named.as_bytes()).unwrap();
    assert_eq!((&*named.tuples[0].id, named.tuples[0].basic), ("t1", None));
}

#[test]
fn of_several_ways_the_preferred_one_says_whether_somebody_is_reached() {
    let tuple = |basic, priority| Tuple {
        basic: Some(basic),
        contact: Some(PresenceContact { uri: "sip:a@h".into(), priority }),
        ..Tuple::default()
    };
    let basic = |tuples| Presence { tuples, ..Presence::default() }.basic();
    assert_eq!(basic(Vec::new()), None);
    assert_eq!(basic(vec![tuple(Basic::Closed, Some(0)), tuple(Basic::Open, None)]), Some(Basic::Closed));
    assert_eq!(
        basic(vec![tuple(Basic::Closed, Some(500)), tuple(Basic::Open, Some(500))]),
        Some(Basic::Open)
    );
}

#[test]
fn priorities_out_of_range_count_as_none() {
    use super::presence::{decimal, thousandths};
    for (text, value) in
        [("0", Some(0)), ("0.8", Some(800)), ("1.00", Some(1_000)), ("0.021", Some(21)), ("1", Some(1_000))]
    {
        assert_eq!(thousandths(text), value, "{text}");
    }
    for wrong in ["", "1.001", "2", "0.0001", "-0.1", "+1", "0.x", ".5", "1.0.0"] {
        assert_eq!(thousandths(wrong), None, "{wrong}");
    }
    assert!((0..=1_000).all(|value| thousandths(&decimal(value)) == Some(value)));
}

#[test]
fn registrations_come_together_from_what_has_changed() {
    let contact = |id: &str, event| Contact::new(id, format!("sip:{id}@192.0.2.7"), event);
    let document = |version, state, of: RegistrationState, contacts| RegInfo {
        version,
        state,
        registrations: vec![Registration { aor: "sip:1001@h".into(), id: "a7".into(), state: of, contacts }],
    };
    use RegistrationState::{Active, Terminated};
    let mut table = RegistrationTable::default();
    let first = vec![contact("1", ContactEvent::Registered)];
    assert_eq!(table.take(document(0, DocumentState::Full, Active, first)), Order::Next);
    let second = vec![contact("2", ContactEvent::Created), contact("1", ContactEvent::Unregistered)];
    assert_eq!(table.take(document(1, DocumentState::Partial, Active, second)), Order::Next);
    let ids = |table: &RegistrationTable| {
        let contacts = table.registrations().iter().flat_map(|registration| &registration.contacts);
        contacts.map(|contact| contact.id.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(ids(&table), ["2"]);
    let last = vec![contact("2", ContactEvent::Expired)];
    assert_eq!(table.take(document(2, DocumentState::Partial, Terminated, last)), Order::Next);
    assert!(ids(&table).is_empty());
    assert_eq!(table.registrations()[0].state, Terminated);
}

#[test]
fn a_registration_is_read_in_the_form_of_rfc_3680() {
    let text = r#"<?xml version="1.0"?><reginfo xmlns="urn:ietf:params:xml:ns:reginfo" version="3" state="partial">
        <registration aor="sip:1001@pbx.example" id="as9" state="active">
        <contact id="76" state="active" event="shortened" expires="60" duration-registered="7322" q="0.8" callid="c@h" cseq="9">
        <uri> sip:1001@192.0.2.7 </uri><display-name xml:lang="en">Ann</display-name>
        <unknown-param name="audio"/></contact></registration></reginfo>"#;
    let document = RegInfo::parse(text.as_bytes()).unwrap();
    let contact = &document.registrations[0].contacts[0];
    assert_eq!((contact.state, contact.event), (ContactState::Active, ContactEvent::Shortened));
    assert_eq!(
        (contact.expires_s, contact.duration_registered_s, contact.q),
        (Some(60), Some(7_322), Some(800))
    );
    assert_eq!((&*contact.uri, contact.display_name.as_deref()), ("sip:1001@192.0.2.7", Some("Ann")));
    assert_eq!((contact.call_id.as_deref(), contact.cseq), (Some("c@h"), Some(9)));
    assert_eq!(RegInfo::parse(&document.compose()), Ok(document));
}

#[test]
fn a_conference_is_read_in_the_form_of_rfc_4575() {
    let text = r#"<conference-info xmlns="urn:ietf:params:xml:ns:conference-info" entity="sip:3000@h" version="1">
        <conference-description><subject>Plans for the month</subject><maximum-user-count>100</maximum-user-count>
        </conference-description><conference-state><user-count>2</user-count><active>true</active><locked>0</locked>
        </conference-state><users><user entity="sip:1001@h"><display-text>Ann</display-text><roles><entry>chair</entry></roles>
        <endpoint entity="sip:1001@192.0.2.7"><status>disconnected</status><joining-method>dialed-in</joining-method>
        <joining-info><when>2026-01-01T00:00:00Z</when><by>sip:x@h</by></joining-info>
        <disconnection-method>departed</disconnection-method><media id="1"><type>audio</type><src-id>432424</src-id>
        <status>sendrecv</status></media></endpoint></user></users></conference-info>"#;
    let document = ConferenceInfo::parse(text.as_bytes()).unwrap();
    assert_eq!(document.state, PartState::Full);
    let state = ConferenceState { user_count: Some(2), active: Some(true), locked: Some(false) };
    assert_eq!(document.conference_state, Some(state));
    let user = &document.users.as_ref().unwrap().users[0];
    assert_eq!(user.roles, ["chair".into()]);
    let endpoint = &user.endpoints[0];
    assert_eq!(endpoint.status, Some(EndpointStatus::Disconnected));
    assert_eq!(endpoint.joining_method, Some(JoiningMethod::DialedIn));
    assert_eq!(endpoint.joined_at.as_deref(), Some("2026-01-01T00:00:00Z"));
    assert_eq!(endpoint.disconnection_method, Some(DisconnectionMethod::Departed));
    assert_eq!(
        (endpoint.media[0].src_id, endpoint.media[0].status),
        (Some(432_424), Some(MediaStatus::SendRecv))
    );
    assert_eq!(ConferenceInfo::parse(&document.compose()), Ok(document));
}

fn roster(version: u32, state: PartState, users: Vec<User>) -> ConferenceInfo {
    let users = Some(Users { state, users });
    ConferenceInfo {
        entity: "sip:3000@h".into(),
        state,
        version,
        description: None,
        conference_state: None,
        users,
    }
}

#[test]
fn a_roster_follows_who_comes_and_goes() {
    use PartState::{Deleted, Full, Partial};
    let mut table = ConferenceTable::default();
    let names = |table: &ConferenceTable| {
        table.users().iter().map(|user| user.entity.to_string()).collect::<Vec<_>>()
    };
    let ann = User { display_text: Some("Ann".into()), ..User::new("ann", Full) };
    assert_eq!(table.take(roster(1, Full, vec![ann, User::new("bob", Full)])), Order::Next);
    let device = Endpoint { status: Some(EndpointStatus::OnHold), ..Endpoint::new("pc", Full) };
    let change = User { endpoints: vec![device], ..User::new("ann", Partial) };
    let document = roster(2, Partial, vec![change, User::new("bob", Deleted), User::new("eve", Full)]);
    assert_eq!(table.take(document), Order::Next);
    assert_eq!(names(&table), ["ann", "eve"]);
    assert_eq!(table.users()[0].display_text.as_deref(), Some("Ann"));
    assert_eq!(table.users()[0].endpoints[0].status, Some(EndpointStatus::OnHold));
    // After a gap everything is asked for, and what is known stays (§4.6).
    assert_eq!(table.take(roster(4, Partial, vec![User::new("eve", Deleted)])), Order::Gap);
    assert_eq!(names(&table), ["ann", "eve"]);
    assert_eq!(table.take(roster(4, Full, vec![User::new("ann", Full)])), Order::Next);
    assert_eq!(names(&table), ["ann"]);
    assert_eq!(table.take(roster(5, Deleted, Vec::new())), Order::Next);
    assert!(table.is_over() && table.users().is_empty());
}

#[test]
fn devices_of_a_user_have_their_bound() {
    let mut table = ConferenceTable::default();
    table.take(roster(1, PartState::Full, vec![User::new("ann", PartState::Full)]));
    for at in 0..=MAX_ENDPOINTS as u32 {
        let endpoints = vec![Endpoint::new(at.to_string(), PartState::Full)];
        let ann = User { endpoints, ..User::new("ann", PartState::Partial) };
        table.take(roster(2 + at, PartState::Partial, vec![ann]));
    }
    assert_eq!((table.users()[0].endpoints.len(), table.left_out()), (MAX_ENDPOINTS, 1));
}

//! Fuzz target `event_body`: any bytes into the parsers of the documents of event packages, and into their tables.
//!
//! Asserted, besides that nothing panics: what is composed of a document is composed of what it reads back as, too; tables keep
//! their bounds.

use bytes::Bytes;
use sip_stack::event::body::conference_info::{ConferenceInfo, ConferenceTable};
use sip_stack::event::body::dialog_info::{DialogInfo, DialogTable};
use sip_stack::event::body::message_summary::MessageSummary;
use sip_stack::event::body::presence::Presence;
use sip_stack::event::body::reg_info::{RegInfo, RegistrationTable};
use sip_stack::event::body::{BodyError, MAX_ROWS};
use std::hint::black_box;

/// Documents to begin with.
pub const DOCUMENTS: [&str; 5] = [
    "<?xml version='1.0'?><dialog-info xmlns='urn:ietf:params:xml:ns:dialog-info' version='1' state='partial' entity='sip:a@h'>\
     <dialog id='1' call-id='c' local-tag='l' direction='recipient'><state event='rejected' code='486'>terminated</state>\
     <duration>9</duration><remote><identity display='B &amp; C'>sip:b@h</identity><target uri='sip:b@192.0.2.7'>\
     <param pname='sip.rendering' pval='no'/></target></remote></dialog></dialog-info>",
    "<p:presence xmlns:p='urn:ietf:params:xml:ns:pidf' xmlns:dm='urn:ietf:params:xml:ns:pidf:data-model' \
     xmlns:r='urn:ietf:params:xml:ns:pidf:rpid' entity='sip:a@h'><p:tuple id='t'><p:status><p:basic>open</p:basic></p:status>\
     <p:contact priority='0.8'>sip:a@192.0.2.7</p:contact><p:note>&lt;here&#62;</p:note></p:tuple><dm:person id='p'>\
     <r:activities><r:on-the-phone/></r:activities></dm:person></p:presence>",
    "Messages-Waiting: yes\r\nMessage-Account: sip:a@h\r\nVoice-Message: 2/8 (0/2)\r\nFax-Message: 1/0\r\n",
    "<reginfo xmlns='urn:ietf:params:xml:ns:reginfo' version='0' state='full'><registration aor='sip:a@h' id='1' state='active'>\
     <contact id='7' state='active' event='shortened' expires='60' q='0.8' cseq='9'><uri>sip:a@192.0.2.7</uri>\
     <display-name>A</display-name></contact></registration></reginfo>",
    "<conference-info xmlns='urn:ietf:params:xml:ns:conference-info' entity='sip:3000@h' version='2' state='partial'><users \
     state='partial'><user entity='sip:a@h' state='deleted'/><user entity='sip:b@h'><roles><entry>chair</entry></roles>\
     <endpoint entity='e'><status>connected</status><media id='1'><src-id>7</src-id></media></endpoint></user></users>\
     </conference-info>",
];

/// Runs the target once.
///
/// # Panics
/// When a property does not hold.
pub fn event_body(data: &[u8]) {
    stays(data, DialogInfo::parse, DialogInfo::compose);
    stays(data, Presence::parse, Presence::compose);
    stays(data, MessageSummary::parse, MessageSummary::compose);
    stays(data, RegInfo::parse, RegInfo::compose);
    stays(data, ConferenceInfo::parse, ConferenceInfo::compose);
    if let Ok(presence) = Presence::parse(data) {
        let _read = black_box((presence.basic(), presence.note()));
    }
    // Several documents, as a notifier would send them one after the other.
    let (mut dialogs, mut registrations, mut conference) =
        (DialogTable::default(), RegistrationTable::default(), ConferenceTable::default());
    for part in data.split(|byte| *byte == 0).take(8) {
        let _orders = black_box((dialogs.read(part), registrations.read(part), conference.read(part)));
    }
    assert!(dialogs.dialogs().len() <= MAX_ROWS);
    assert!(registrations.registrations().len() <= MAX_ROWS);
    assert!(conference.users().len() <= MAX_ROWS);
}

/// Characters that XML has no place for are replaced once, and then it stays as it is.
fn stays<T>(data: &[u8], parse: fn(&[u8]) -> Result<T, BodyError>, compose: fn(&T) -> Bytes) {
    let Ok(document) = parse(data) else { return };
    let composed = compose(&document);
    // What is replaced is longer, and may be too long.
    if let Ok(again) = parse(&composed) {
        assert_eq!(compose(&again), composed);
    }
}

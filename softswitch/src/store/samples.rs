//! Records for the tests.

use super::record::*;
use crate::config::{Dtmf, Latching, Layout, Recording, UserRecording};
use crate::records::{Attempt, Cause, Entry, Happening, Journal, Outcome};
use media::tap::Container;
use sip_stack::auth::{Algorithm, Ha1};
use sip_stack::transport::Transport;

pub(super) fn binding(user: &str, cseq: u32) -> StoredBinding {
    StoredBinding {
        key: BindingKey {
            domain: "a.example".into(),
            user: user.into(),
            contact: format!("sip:{user}@192.0.2.10:5060;transport=udp").into(),
            flow: None,
        },
        instance: Some(b"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>".as_slice().into()),
        call_id: b"843817637684230@998sdasdh09".as_slice().into(),
        cseq,
        q: 700,
        expires_at_unix_ms: 1_800_000_000_123,
        transport: Transport::Udp,
        source: "192.0.2.10:5060".parse().unwrap(),
        local: "[2001:db8::1]:5060".parse().unwrap(),
        user_agent: b"Tester/\xff".as_slice().into(),
        path: vec![
            b"<sip:p1.example.com;lr>".as_slice().into(),
            b"<sip:p2.example.com;lr>".as_slice().into(),
        ],
    }
}

pub(super) fn user(id: &str) -> StoredUser {
    StoredUser {
        domain: "a.example".into(),
        id: id.into(),
        credentials: Ha1::compute(&[Algorithm::Md5], id.as_bytes(), b"a.example", b"secret"),
        display_name: Some("Приёмная".into()),
        ring_s: 25,
        latching: Latching::parse("192.0.2.0/24,2001:db8::/32").unwrap(),
        dtmf: Dtmf::Inband,
        language: Some("ru".into()),
        recording: UserRecording {
            form: Recording { format: Container::OggOpus, layout: Layout::Stereo },
            always: true,
            on_request: true,
        },
    }
}

pub(super) fn record(id: &str) -> CallRecord {
    CallRecord {
        id: id.into(),
        number: 7,
        domain: "a.example".into(),
        caller: "1001".into(),
        callee: "1002".into(),
        started_unix_ms: 1_800_000_000_000,
        answered_unix_ms: Some(1_800_000_003_000),
        ended_unix_ms: 1_800_000_063_000,
        status: 200,
        ended_by: EndedBy::Callee,
        cause: Cause::Completed,
        missed: false,
        route: Some("carrier".into()),
        caller_codec: Some("PCMU/8000".into()),
        callee_codec: None,
        caller_media: MediaFigures {
            packets: 3_000,
            octets: 480_000,
            lost: 2,
            refused: 1,
            jitter_us: 900,
            discarded: 3,
            concealed_ms: 60,
            delay_us: Some(22_000),
            round_trip_us: Some(31_000),
            quality: Some(QualityFigures { r_factor: 92, mos_tenths: 43 }),
            sent: 2_999,
            reported: Some(ReportedFigures {
                lost: 7,
                jitter_us: 1_100,
                quality: QualityFigures { r_factor: 88, mos_tenths: 42 },
            }),
        },
        callee_media: MediaFigures {
            packets: 2_999,
            octets: 479_840,
            jitter_us: 450,
            quality: Some(QualityFigures { r_factor: 93, mos_tenths: 44 }),
            sent: 2_998,
            ..MediaFigures::default()
        },
        recordings: vec!["/calls/2027-01-15T08-00-03Z-call-1-caller.wav".into(), "/calls/1.wav".into()],
        referred_by: Some("1003".into()),
        transferred_into: Some("other".into()),
        attempts: vec![attempt()],
        journal: Journal {
            entries: vec![
                Entry { at_unix_ms: 1_800_000_000_000, what: Happening::Began },
                Entry { at_unix_ms: 1_800_000_063_000, what: Happening::Ended { status: 200 } },
            ],
            left_out: 3,
        },
        variables: [("order".into(), "4711".into())].into(),
    }
}

fn attempt() -> Attempt {
    Attempt {
        user: "1002".into(),
        contact: "sip:1002@192.0.2.11".into(),
        address: ([192, 0, 2, 11], 5060).into(),
        asked_unix_ms: 1_800_000_000_010,
        rang_unix_ms: Some(1_800_000_000_100),
        answered_unix_ms: Some(1_800_000_003_000),
        ended_unix_ms: Some(1_800_000_063_000),
        status: Some(200),
        outcome: Outcome::Answered,
        ended_by: Some(EndedBy::Callee),
    }
}

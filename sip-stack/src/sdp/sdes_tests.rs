//! Tests of `a=crypto` (RFC 4568), apart from the code for its length.

use super::sdes::{Crypto, CryptoSession, CryptoSuite, InlineKey, Mki};
use super::writer::SdpWriter;

/// 30 bytes, as RFC 4568 §9.1 shows one.
const KEY: &str = "d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj";

fn read(value: &str) -> Option<Crypto> {
    Crypto::read(value.as_bytes())
}

#[test]
fn a_line_has_tag_suite_key_lifetime_and_mki() {
    let crypto = read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|2^20|1:4")).unwrap();
    assert_eq!((crypto.tag, crypto.suite), (1, CryptoSuite::AesCm128HmacSha1_80));
    let key = &crypto.keys[0];
    assert_eq!((key.key_and_salt.len(), key.lifetime), (30, Some(1 << 20)));
    assert_eq!(key.mki, Some(Mki { value: 1, bytes: 4 }));
    let key =
        |rest: &str| read(&format!("1 AES_CM_128_HMAC_SHA1_32 inline:{KEY}{rest}")).unwrap().keys[0].clone();
    assert_eq!((key("").lifetime, key("").mki), (None, None));
    assert_eq!((key("|1066:4").lifetime, key("|1066:4").mki), (None, Some(Mki { value: 1066, bytes: 4 })));
    assert_eq!(key("|1048577").lifetime, Some(1_048_577));
}

#[test]
fn the_key_is_as_long_as_the_suite_wants_with_or_without_padding() {
    let gcm = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, [7_u8; 28]);
    assert!(gcm.ends_with('='));
    for key in [gcm.as_str(), gcm.trim_end_matches('=')] {
        assert_eq!(read(&format!("2 AEAD_AES_128_GCM inline:{key}")).unwrap().keys[0].key_and_salt.len(), 28);
    }
    assert_eq!(read(&format!("2 AES_CM_128_HMAC_SHA1_80 inline:{gcm}")), None);
    assert_eq!(read(&format!("2 AES_256_CM_HMAC_SHA1_80 inline:{KEY}")), None);
}

#[test]
fn malformed_lines_and_unknown_suites_and_parameters_are_left_out() {
    for (value, rest) in [
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", "|2^49"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", "|2^99999"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", "|0"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", "|1:0"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", "|1:129"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", "|256:1"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", "|1:4|1:4"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", "|1:4|2^20"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", " NEW_PARAMETER"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", " FEC_ORDER=FEC_SRTP"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", " KDR=25"),
        ("1 AES_CM_128_HMAC_SHA1_80 inline:", " WSH=63"),
        ("1 AES_CM_128_HMAC_SHA1_80 prompt:", ""),
        ("1 F8_128_HMAC_SHA1_80 inline:", ""),
        ("1234567890 AES_CM_128_HMAC_SHA1_80 inline:", ""),
        ("x AES_CM_128_HMAC_SHA1_80 inline:", ""),
    ] {
        assert_eq!(read(&format!("{value}{KEY}{rest}")), None, "{value}KEY{rest}");
    }
    for value in ["", "1", "1 AES_CM_128_HMAC_SHA1_80", "1 AES_CM_128_HMAC_SHA1_80 inline:%%%%"] {
        assert_eq!(read(value), None, "{value}");
    }
}

#[test]
fn several_keys_are_told_apart_by_mki_of_one_length() {
    let line = |first: &str, second: &str| {
        read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{first};inline:{KEY}{second}"))
    };
    assert_eq!(line("|2^20|1:4", "|2^20|2:4").unwrap().keys.len(), 2);
    assert_eq!(line("", ""), None);
    assert_eq!(line("|1:4", "|2:2"), None);
}

#[test]
fn the_offerers_first_line_that_we_support_and_that_does_not_weaken_is_chosen() {
    let offered: Vec<Crypto> = [
        format!("1 AEAD_AES_256_GCM inline:{}", "A".repeat(59)),
        format!("2 AES_CM_128_HMAC_SHA1_80 inline:{KEY} UNENCRYPTED_SRTP"),
        format!("3 AES_CM_128_HMAC_SHA1_80 inline:{KEY} KDR=1"),
        format!("4 AES_CM_128_HMAC_SHA1_32 inline:{KEY} WSH=128 -OPTIONAL"),
        format!("5 AES_CM_128_HMAC_SHA1_80 inline:{KEY}"),
    ]
    .iter()
    .map(|value| read(value).unwrap())
    .collect();
    let supported = [CryptoSuite::AesCm128HmacSha1_80, CryptoSuite::AesCm128HmacSha1_32];
    let chosen = Crypto::choose(&offered, &supported).unwrap();
    assert_eq!(chosen.tag, 4);
    let answer = chosen.answer(InlineKey::new(&[9; 30]));
    assert_eq!((answer.tag, answer.suite), (4, CryptoSuite::AesCm128HmacSha1_32));
    assert_eq!(answer.session, CryptoSession::default());
    assert_eq!(answer.accepted_of(&offered), Some(&offered[3]));
    assert_eq!(Crypto { tag: 1, ..answer }.accepted_of(&offered), None, "the tag of another suite");
    assert_eq!(Crypto::choose(&offered, &[CryptoSuite::AeadAes128Gcm]), None);
}

#[test]
fn what_is_written_is_read_back_the_same() {
    for rest in [
        "",
        "|2^31",
        "|77|5:1",
        "|340282366920938463463374607431768211455:16",
        " KDR=3 UNENCRYPTED_SRTCP WSH=64",
    ] {
        let value = format!("7 AES_CM_128_HMAC_SHA1_80 inline:{KEY}{rest}");
        let mut out = Vec::new();
        read(&value).unwrap().write(&mut SdpWriter::new(&mut out));
        assert_eq!(String::from_utf8(out).unwrap(), format!("v=0\r\na=crypto:{value}\r\n"));
    }
}

#[test]
fn a_key_is_not_shown() {
    let shown = format!("{:?}", read(&format!("1 AES_CM_128_HMAC_SHA1_80 inline:{KEY}|1:4")).unwrap());
    assert!(shown.contains("mki") && !shown.contains("key_and_salt") && !shown.contains("119"), "{shown}");
}

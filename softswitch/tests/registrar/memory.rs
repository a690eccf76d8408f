//! What a binding costs, and what is left of one that is gone.

use crate::phone::{Phone, contacts};

/// Bindings at a time.
const BINDINGS: u64 = 2_000;
/// Bytes of a binding with everything that the switch keeps for it: texts, index, timer, nonce count.
const BOUND: u64 = 1_536;

#[test]
fn a_binding_takes_no_more_than_one_and_a_half_kilobytes() {
    let config = "[[listener]]\naddress = \"192.0.2.1:5060\"\n[[domain]]\nname = \"a.example\"\ndefault = true\n\
                  digest = [\"MD5\"]\n[[users]]\nfrom = 100000\nto = 101999\npassword = \"secret\"\n";
    let mut phone = Phone::of(config, "100000", "secret");
    let kept = allocation_counter::measure(|| {
        for number in 0..BINDINGS {
            let user = (100_000 + number).to_string();
            phone.user(&user);
            let response = phone.register(&format!(
                "Contact: <sip:{user}@192.0.2.7:5070;transport=udp;line=g3k5x8vq>;expires=3600;\
                 +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-{number:012}>\"\r\n\
                 User-Agent: Yealink SIP-T46S 66.86.0.15\r\n"
            ));
            assert_eq!(contacts(&response).len(), 1);
        }
        // The transactions have ended.
        phone.pass(60);
        phone.outputs = Vec::new();
    });
    let held = phone.switch.holdings();
    assert_eq!((held.transactions, held.dialogs), (0, 0));
    let each = u64::try_from(kept.bytes_current).expect("memory is kept") / BINDINGS;
    assert!(each <= BOUND, "{each} bytes for each binding");
}

#[test]
fn a_phone_that_comes_and_goes_leaves_nothing_behind_each_time() {
    let mut phone = Phone::new("1001", "secret");
    let mut rounds = |number: u32| {
        for _ in 0..number {
            phone.register("Contact: <sip:1001@192.0.2.7:5070>\r\n");
            phone.register("Contact: <sip:1001@192.0.2.7:5070>;expires=0\r\n");
        }
        // The transactions have ended, the lifetimes have not.
        phone.pass(33);
    };
    // What is kept for reuse has its full size after that.
    (0..4).for_each(|_| rounds(500));
    let left = allocation_counter::measure(|| rounds(500)).bytes_current;
    assert!(left < 2 * 500, "{left} bytes more");
}

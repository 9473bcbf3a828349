//! Two phones stand in for any two devices: the code is the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use super::{Device, Phone, Sealed};
use waproto::whatsapp as wa;

const GROUP: &str = "120363000000000001@g.us";

fn text(body: &str) -> wa::Message {
    wa::Message { conversation: Some(body.to_owned()), ..Default::default() }
}

fn body(message: &wa::Message) -> &str {
    message.conversation.as_deref().unwrap()
}

fn two() -> (Phone, Device, Phone, Device) {
    let phone = |number: &str| (Phone::new(number).unwrap(), Device::new(number, 0));
    let ((ann, ann_is), (bob, bob_is)) = (phone("15550100001"), phone("15550100002"));
    (ann, ann_is, bob, bob_is)
}

#[test]
fn a_session_begun_from_a_bundle_carries_messages_both_ways() {
    let (mut ann, ann_is, mut bob, bob_is) = two();
    ann.meet(&bob_is, &bob.bundle().unwrap()).unwrap();
    let first = ann.seal(&bob_is, &text("hello")).unwrap();
    assert_eq!(first.kind, "pkmsg");
    assert_eq!(body(&bob.open(&ann_is, first.kind, &first.bytes).unwrap()), "hello");
    let answer = bob.seal(&ann_is, &text("hi")).unwrap();
    assert_eq!(answer.kind, "msg", "whoever was written to has a session");
    assert_eq!(body(&ann.open(&bob_is, answer.kind, &answer.bytes).unwrap()), "hi");
    assert_eq!(ann.seal(&bob_is, &text("more")).unwrap().kind, "msg");
}

#[test]
fn a_message_opens_once() {
    let (mut ann, ann_is, mut bob, bob_is) = two();
    ann.meet(&bob_is, &bob.bundle().unwrap()).unwrap();
    let Sealed { kind, bytes } = ann.seal(&bob_is, &text("hello")).unwrap();
    bob.open(&ann_is, kind, &bytes).unwrap();
    assert!(bob.open(&ann_is, kind, &bytes).is_err());
}

#[test]
fn a_device_that_lost_its_session_meets_anew() {
    let (mut ann, ann_is, mut bob, bob_is) = two();
    ann.meet(&bob_is, &bob.bundle().unwrap()).unwrap();
    let first = ann.seal(&bob_is, &text("hello")).unwrap();
    bob.open(&ann_is, first.kind, &first.bytes).unwrap();
    bob.forget(&ann_is);
    bob.meet(&ann_is, &ann.bundle().unwrap()).unwrap();
    let again = bob.seal(&ann_is, &text("once more")).unwrap();
    assert_eq!(again.kind, "pkmsg");
    assert_eq!(body(&ann.open(&bob_is, again.kind, &again.bytes).unwrap()), "once more");
}

#[test]
fn a_chain_that_was_told_opens_what_its_owner_writes_to_the_group() {
    let (mut ann, ann_is, mut bob, _) = two();
    let told = ann.chain(GROUP).unwrap();
    let sealed = ann.seal_for_group(GROUP, &text("to all")).unwrap();
    assert!(bob.open_from_group(&ann_is, GROUP, &sealed.bytes).is_err(), "nobody told the chain");
    bob.learn_chain(&ann_is, &told).unwrap();
    assert_eq!(body(&bob.open_from_group(&ann_is, GROUP, &sealed.bytes).unwrap()), "to all");
    ann.break_chain(GROUP);
    ann.chain(GROUP).unwrap();
    let sealed = ann.seal_for_group(GROUP, &text("without bob")).unwrap();
    assert!(bob.open_from_group(&ann_is, GROUP, &sealed.bytes).is_err());
}

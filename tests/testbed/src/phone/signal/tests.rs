//! Two phones stand for any two devices; the code is the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use waproto::whatsapp as wa;

use super::{Bundle, Ciphertext, Device, Signal};
use crate::phone::SignedPrekeyPair;
use crate::phone::keys;
use crate::server::state::{Prekey, SignedPrekey};

const GROUP: &str = "120363000000000001@g.us";

fn text(body: &str) -> wa::Message {
    wa::Message { conversation: Some(body.to_owned()), ..Default::default() }
}

fn body(message: &wa::Message) -> &str {
    message.conversation.as_deref().unwrap()
}

/// A phone and its public keys.
struct Owner {
    signal: Signal,
    is: Device,
    identity: [u8; 32],
    signed: SignedPrekey,
}

impl Owner {
    fn new(number: &str) -> Self {
        let (identity, pair) = (keys::pair(), keys::pair());
        let signature = keys::sign(&identity, &pair.public_key.serialize()).unwrap();
        let public = keys::public(&pair);
        let signed = SignedPrekey { id: 1, public, signature: signature.clone().try_into().unwrap() };
        let signal = Signal::new(&identity, 7, &SignedPrekeyPair { id: 1, pair, signature });
        Self { signal, is: Device::new(number, 0), identity: keys::public(&identity), signed }
    }

    fn bundle(&mut self) -> Bundle {
        let (id, public) = self.signal.one_time_key();
        Bundle {
            registration: 7,
            identity: self.identity,
            signed: self.signed.clone(),
            one_time: Some(Prekey { id, public }),
        }
    }
}

fn two() -> (Owner, Owner) {
    (Owner::new("15550100001"), Owner::new("15550100002"))
}

#[test]
fn session_from_bundle_works_both_ways() {
    let (mut ann, mut bob) = two();
    let bundle = bob.bundle();
    ann.signal.establish(&bob.is, &bundle).unwrap();
    let first = ann.signal.encrypt(&bob.is, &text("hello")).unwrap();
    assert_eq!(first.kind, "pkmsg");
    assert_eq!(body(&bob.signal.decrypt(&ann.is, first.kind, &first.bytes).unwrap()), "hello");
    let answer = bob.signal.encrypt(&ann.is, &text("hi")).unwrap();
    assert_eq!(answer.kind, "msg", "the receiver has a session");
    assert_eq!(body(&ann.signal.decrypt(&bob.is, answer.kind, &answer.bytes).unwrap()), "hi");
    assert_eq!(ann.signal.encrypt(&bob.is, &text("more")).unwrap().kind, "msg");
}

#[test]
fn message_decrypts_once() {
    let (mut ann, mut bob) = two();
    let bundle = bob.bundle();
    ann.signal.establish(&bob.is, &bundle).unwrap();
    let Ciphertext { kind, bytes } = ann.signal.encrypt(&bob.is, &text("hello")).unwrap();
    bob.signal.decrypt(&ann.is, kind, &bytes).unwrap();
    assert!(bob.signal.decrypt(&ann.is, kind, &bytes).is_err());
}

#[test]
fn lost_session_is_established_again() {
    let (mut ann, mut bob) = two();
    let bundle = bob.bundle();
    ann.signal.establish(&bob.is, &bundle).unwrap();
    let first = ann.signal.encrypt(&bob.is, &text("hello")).unwrap();
    bob.signal.decrypt(&ann.is, first.kind, &first.bytes).unwrap();
    bob.signal.forget(&ann.is);
    let bundle = ann.bundle();
    bob.signal.establish(&ann.is, &bundle).unwrap();
    let again = bob.signal.encrypt(&ann.is, &text("once more")).unwrap();
    assert_eq!(again.kind, "pkmsg");
    assert_eq!(body(&ann.signal.decrypt(&bob.is, again.kind, &again.bytes).unwrap()), "once more");
}

#[test]
fn chain_decrypts_group_messages_of_its_owner() {
    let (mut ann, mut bob) = two();
    let distribution = ann.signal.chain(GROUP).unwrap();
    let ciphertext = ann.signal.encrypt_for_group(GROUP, &text("to all")).unwrap();
    assert!(
        bob.signal.decrypt_from_group(&ann.is, GROUP, &ciphertext.bytes).is_err(),
        "the chain was not sent"
    );
    bob.signal.store_chain(&ann.is, &distribution).unwrap();
    assert_eq!(body(&bob.signal.decrypt_from_group(&ann.is, GROUP, &ciphertext.bytes).unwrap()), "to all");
}

//! `encrypt`: uploads, counts, compares and downloads prekeys.

use anyhow::{Context as _, Result, ensure};
use sha1::{Digest as _, Sha1};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::World;
use super::dispatch::Session;
use super::iq::Answer;
use super::state::{Account, Companion, Prekey, SignedPrekey};
use crate::phone::{Phone, keys};
use crate::wire::nodes::{self, holding};

/// Curve25519, the only key type.
const KEY_TYPE: u8 = 5;
/// The most prekeys of a companion.
const MOST: usize = 5_000;

/// Answers the IQ.
pub async fn answer(session: &Session, iq: &Node) -> Answer {
    let set = nodes::attr(iq, "type") == "set";
    Answer::of(match () {
        () if is_upload(iq) => upload(session, iq),
        () if set => rotate(session, iq),
        () if iq.get_optional_child("digest").is_some() => digest(session),
        () if iq.get_optional_child("count").is_some() => count(session),
        () => fetch(&session.world, iq),
    })
}

/// Whether the IQ uploads prekeys.
#[must_use]
pub fn is_upload(iq: &Node) -> bool {
    nodes::attr(iq, "type") == "set" && iq.get_optional_child("list").is_some()
}

fn upload(session: &Session, iq: &Node) -> Result<Vec<Node>> {
    let identity = nodes::exactly::<32>(iq, "identity")?;
    let signed = read_signed(nodes::child(iq, "skey")?, &identity)?;
    let registration_id = nodes::number(nodes::child(iq, "registration")?);
    let keys = nodes::child(iq, "list")?.get_children_by_tag("key").map(read).collect::<Result<Vec<_>>>()?;
    session
        .account
        .with(session.device, |companion| {
            ensure!(companion.identity == identity, "another identity than the one that was linked");
            ensure!(companion.prekeys.len() + keys.len() <= MOST, "more than {MOST} prekeys");
            companion.registration_id = registration_id;
            companion.signed_prekey = signed;
            for key in keys {
                companion.prekeys.retain(|kept| kept.id != key.id);
                companion.prekeys.push_back(key);
            }
            Ok(Vec::new())
        })
        .context("the companion was unlinked")?
}

fn rotate(session: &Session, iq: &Node) -> Result<Vec<Node>> {
    let skey = nodes::child(nodes::child(iq, "rotate")?, "skey")?;
    session
        .account
        .with(session.device, |companion| {
            companion.signed_prekey = read_signed(skey, &companion.identity)?;
            Ok(Vec::new())
        })
        .context("the companion was unlinked")?
}

fn count(session: &Session) -> Result<Vec<Node>> {
    let count = session.account.with(session.device, |companion| companion.prekeys.len());
    let count = count.context("the companion was unlinked")?;
    Ok(vec![NodeBuilder::new("count").attr("value", u64::try_from(count)?).build()])
}

fn digest(session: &Session) -> Result<Vec<Node>> {
    let answer = session.account.with(session.device, |companion| {
        let mut hash = Sha1::new();
        hash.update(companion.identity);
        hash.update(companion.signed_prekey.public);
        hash.update(companion.signed_prekey.signature);
        for key in &companion.prekeys {
            hash.update(key.public);
        }
        let ids = companion.prekeys.iter().map(|key| holding("id", id(key.id)));
        NodeBuilder::new("digest")
            .children([
                holding("registration", companion.registration_id.to_be_bytes()),
                holding("type", [KEY_TYPE]),
                holding("identity", companion.identity),
                signed_node(&companion.signed_prekey),
                NodeBuilder::new("list").children(ids).build(),
                holding("hash", hash.finalize().to_vec()),
            ])
            .build()
    });
    Ok(vec![answer.context("the companion was unlinked")?])
}

fn fetch(world: &World, iq: &Node) -> Result<Vec<Node>> {
    let users = nodes::child(iq, "key")?.get_children_by_tag("user").map(|user| {
        let jid = nodes::jid(user, "jid").context("<user> with no jid")?;
        Ok(bundle(world, &jid).unwrap_or_else(|| unknown(&jid)))
    });
    let users = users.collect::<Result<Vec<_>>>()?;
    Ok(vec![NodeBuilder::new("list").children(users).build()])
}

fn unknown(jid: &Jid) -> Node {
    let error = NodeBuilder::new("error").attr("code", 404_u16).attr("text", "item-not-found").build();
    NodeBuilder::new("user").attr("jid", jid).children([error]).build()
}

/// The keys for starting a session with a device; uses up a prekey of a companion.
fn bundle(world: &World, jid: &Jid) -> Option<Node> {
    let account = world.directory.of(jid)?;
    let parts =
        if jid.device == 0 { phone_parts(&account) } else { account.with(jid.device, companion_parts)? };
    Some(
        NodeBuilder::new("user").attr("jid", jid).attr("t", wacore::time::now_secs()).children(parts).build(),
    )
}

fn phone_parts(account: &Account) -> Vec<Node> {
    let registration = holding("registration", account.phone.registration_id.to_be_bytes());
    std::iter::once(registration).chain(phone_keys(&account.phone)).collect()
}

/// The keys with which a session with a phone is started: its identity, signed prekey, and a new
/// one-time key.
pub(super) fn phone_keys(phone: &Phone) -> [Node; 4] {
    let (one_time, public) = phone.signal().one_time_key();
    let signed = &phone.signed_prekey;
    [
        holding("type", [KEY_TYPE]),
        holding("identity", phone.public_identity()),
        NodeBuilder::new("key").children([holding("id", id(one_time)), holding("value", public)]).build(),
        NodeBuilder::new("skey")
            .children([
                holding("id", id(signed.id)),
                holding("value", keys::public(&signed.pair)),
                holding("signature", signed.signature.clone()),
            ])
            .build(),
    ]
}

fn companion_parts(companion: &mut Companion) -> Vec<Node> {
    let mut parts = vec![
        holding("registration", companion.registration_id.to_be_bytes()),
        holding("type", [KEY_TYPE]),
        holding("identity", companion.identity),
        signed_node(&companion.signed_prekey),
    ];
    if let Some(key) = companion.prekeys.pop_front() {
        parts.push(
            NodeBuilder::new("key")
                .children([holding("id", id(key.id)), holding("value", key.public)])
                .build(),
        );
    }
    parts.push(holding("device-identity", companion.device_identity.clone()));
    parts
}

fn signed_node(key: &SignedPrekey) -> Node {
    NodeBuilder::new("skey")
        .children([
            holding("id", id(key.id)),
            holding("value", key.public),
            holding("signature", key.signature),
        ])
        .build()
}

fn read(key: &Node) -> Result<Prekey> {
    Ok(Prekey { id: nodes::number(nodes::child(key, "id")?), public: nodes::exactly(key, "value")? })
}

fn read_signed(key: &Node, identity: &[u8; 32]) -> Result<SignedPrekey> {
    let id = nodes::number(nodes::child(key, "id")?);
    signed_prekey(id, nodes::exactly(key, "value")?, nodes::exactly(key, "signature")?, identity)
}

/// A signed prekey with a verified signature.
///
/// # Errors
/// If the identity did not sign it.
pub fn signed_prekey(
    id: u32,
    public: [u8; 32],
    signature: [u8; 64],
    identity: &[u8; 32],
) -> Result<SignedPrekey> {
    let typed = [&[KEY_TYPE][..], &public].concat();
    ensure!(keys::signed_by(identity, &typed, &signature), "the identity did not sign the prekey");
    Ok(SignedPrekey { id, public, signature })
}

/// Ids have three bytes on the wire.
fn id(id: u32) -> Vec<u8> {
    id.to_be_bytes().into_iter().skip(1).collect()
}

//! Answers `usync`: whether people are on the network, with which ids and devices.

use std::sync::Arc;

use anyhow::Result;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::buffa::Message as _;
use waproto::whatsapp::{ADVKeyIndexList, ADVSignedKeyIndexList};

use super::dispatch::Session;
use super::iq::Answer;
use super::state::Account;
use crate::phone::keys;
use crate::scene::PersonRef;
use crate::wire::nodes::{self, child};

/// Prefix of the signed device list.
const KEY_INDEX_PREFIX: [u8; 2] = [6, 2];
/// The most people of one query.
const MAX_USERS: usize = 2_000;

/// Answers the IQ.
pub async fn answer(session: &Session, iq: &Node) -> Answer {
    Answer::of(look_up(session, iq))
}

fn look_up(session: &Session, iq: &Node) -> Result<Vec<Node>> {
    let usync = child(iq, "usync")?;
    let protocols: Vec<&str> =
        child(usync, "query")?.children().unwrap_or_default().iter().map(|node| node.tag.as_ref()).collect();
    let users = child(usync, "list")?.get_children_by_tag("user").take(MAX_USERS);
    let found = users.filter_map(|user| about(session, user, &protocols));
    let list = NodeBuilder::new("list").children(found).build();
    let states = protocols.iter().map(|tag| NodeBuilder::new_dynamic((*tag).to_owned()).build());
    let result = NodeBuilder::new("result").children(states).build();
    let answer = NodeBuilder::new("usync")
        .attr("sid", nodes::attr(usync, "sid"))
        .attr("mode", nodes::attr(usync, "mode"))
        .children([result, list]);
    Ok(vec![answer.build()])
}

/// The answer about one person; none for an unregistered LID.
fn about(session: &Session, user: &Node, protocols: &[&str]) -> Option<Node> {
    let typed = user.get_optional_child("contact").and_then(Node::content_as_string);
    let by_jid = nodes::jid(user, "jid").or_else(|| nodes::jid(user, "pn_jid"));
    let who = match (&typed, &by_jid) {
        (Some(typed), _) => PersonRef::parse(typed).ok()?,
        (None, Some(jid)) => PersonRef::of_jid(jid)?,
        (None, None) => return None,
    };
    let account = match &who {
        PersonRef::Number(number) => session.world.directory.get_or_create(number),
        PersonRef::Lid(lid) => session.world.directory.by_lid(lid),
    };
    let Some(account) = account else { return absent(&who, protocols) };
    let node = NodeBuilder::new("user");
    let node = match &who {
        PersonRef::Number(_) => node.attr("jid", account.jid(0)),
        // A hidden number is omitted.
        PersonRef::Lid(_) if session.account.lock().hides(&account.number) => {
            node.attr("jid", account.lid_jid(0))
        }
        PersonRef::Lid(_) => node.attr("jid", account.lid_jid(0)).attr("pn_jid", account.jid(0)),
    };
    let parts = protocols.iter().filter_map(|protocol| match *protocol {
        "contact" => Some(contact("in", typed.as_deref())),
        "lid" => Some(NodeBuilder::new("lid").attr("val", account.lid_jid(0)).build()),
        "devices" => devices(&account).ok(),
        "status" => Some(status(&account)),
        "picture" => picture(session, &account),
        _ => None,
    });
    Some(node.children(parts).build())
}

/// An unregistered number.
fn absent(who: &PersonRef, protocols: &[&str]) -> Option<Node> {
    let PersonRef::Number(number) = who else { return None };
    let parts = protocols.iter().filter(|protocol| **protocol == "contact");
    let parts = parts.map(|_| contact("out", Some(number)));
    Some(NodeBuilder::new("user").attr("jid", Jid::pn(number.as_str())).children(parts).build())
}

fn contact(kind: &'static str, typed: Option<&str>) -> Node {
    let node = NodeBuilder::new("contact").attr("type", kind);
    match typed {
        Some(typed) => node.string_content(typed).build(),
        None => node.build(),
    }
}

fn status(account: &Account) -> Node {
    let text = account.lock().scene.status.clone();
    NodeBuilder::new("status").attr("t", 0_u32).string_content(text).build()
}

fn picture(session: &Session, account: &Account) -> Option<Node> {
    let id = super::pictures::id_of(session, &account.number)?;
    Some(NodeBuilder::new("picture").attr("id", id).build())
}

/// The devices of an account, with the phone's signature over the linked ones.
fn devices(account: &Arc<Account>) -> Result<Node> {
    let companions: Vec<(u16, u32)> =
        account.lock().companions.values().map(|companion| (companion.device, companion.key_index)).collect();
    let phone = NodeBuilder::new("device").attr("id", 0_u32).build();
    let others = companions.iter().map(|(device, index)| {
        NodeBuilder::new("device").attr("id", u32::from(*device)).attr("key-index", *index).build()
    });
    let list = NodeBuilder::new("device-list").children(std::iter::once(phone).chain(others)).build();
    let mut children = vec![list];
    if !companions.is_empty() {
        let now = wacore::time::now_secs();
        let signed = key_indexes(account, &companions, u64::try_from(now)?)?;
        children.push(NodeBuilder::new("key-index-list").attr("ts", now).bytes(signed).build());
    }
    Ok(NodeBuilder::new("devices").children(children).build())
}

fn key_indexes(account: &Account, companions: &[(u16, u32)], now: u64) -> Result<Vec<u8>> {
    let phone = &account.phone;
    let list = ADVKeyIndexList {
        raw_id: Some(phone.raw_id),
        timestamp: Some(now),
        current_index: companions.iter().map(|(_, index)| *index).max(),
        valid_indexes: std::iter::once(0).chain(companions.iter().map(|(_, index)| *index)).collect(),
        ..ADVKeyIndexList::default()
    };
    let details = list.encode_to_vec();
    let signature = keys::sign(&phone.identity, &[&KEY_INDEX_PREFIX[..], &details].concat())?;
    let signed = ADVSignedKeyIndexList {
        details: Some(details),
        account_signature: Some(signature),
        account_signature_key: Some(phone.public_identity().to_vec()),
    };
    Ok(signed.encode_to_vec())
}

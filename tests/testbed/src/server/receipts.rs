//! `<receipt>` and `<ack>` in both directions.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde_json::json;
use tokio::sync::oneshot;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::dispatch::Session;
use super::network_view::ViewList;
use super::offline::{self, Confirmation};
use super::state::{Account, Prekey, SignedPrekey};
use super::{World, phone_messages};
use crate::id::Id;
use crate::media::reupload;
use crate::phone::signal::Bundle;
use crate::wire::nodes;

/// The level of a receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Delivered to the recipient's device.
    Delivered,
    /// Read by the recipient.
    Read,
    /// Played by the recipient.
    Played,
}

impl Level {
    fn on_wire(self) -> Option<&'static str> {
        match self {
            Self::Delivered => None,
            Self::Read => Some("read"),
            Self::Played => Some("played"),
        }
    }
}

/// The server's ack for a message, or a refusal.
#[must_use]
pub fn ack(chat: &Jid, id: &str, error: Option<u16>) -> Node {
    let ack = NodeBuilder::new("ack")
        .attr("class", "message")
        .attr("id", id)
        .attr("from", chat)
        .attr("t", wacore::time::now_secs());
    match error {
        Some(code) => ack.attr("error", code).build(),
        None => ack.build(),
    }
}

/// A person's receipt.
#[must_use]
pub fn receipt(chat: &Jid, id: &str, level: Level, participant: Option<&Jid>) -> Node {
    let mut receipt =
        NodeBuilder::new("receipt").attr("from", chat).attr("id", id).attr("t", wacore::time::now_secs());
    if let Some(kind) = level.on_wire() {
        receipt = receipt.attr("type", kind);
    }
    if let Some(participant) = participant {
        receipt = receipt.attr("participant", participant);
    }
    receipt.build()
}

/// Sends the companions the messages that the account's owner read on the phone. Each returned receiver
/// completes when a companion has confirmed.
pub async fn read_on_phone(account: &Arc<Account>, chat: &Jid, ids: &[String]) -> Vec<oneshot::Receiver<()>> {
    let Some((first, others)) = ids.split_first() else { return Vec::new() };
    let mut receipt = NodeBuilder::new("receipt")
        .attr("from", chat)
        .attr("id", first.as_str())
        .attr("type", "read-self")
        .attr("t", wacore::time::now_secs());
    if !others.is_empty() {
        let items = others.iter().map(|id| NodeBuilder::new("item").attr("id", id.as_str()).build());
        receipt = receipt.children([NodeBuilder::new("list").children(items).build()]);
    }
    offline::post(account, &receipt.build(), true).await
}

/// Sends a receipt to all companions of an account after a delay.
pub fn later(world: &World, account: &Arc<Account>, receipt: Node, after: Duration) {
    let account = Arc::clone(account);
    world.spawn(async move {
        tokio::time::sleep(after).await;
        offline::post(&account, &receipt, true).await;
    });
}

/// Handles a receipt.
pub async fn handle(session: &Session, receipt: &Node) {
    let (to, kind) = (nodes::attr(receipt, "to"), nodes::attr(receipt, "type"));
    let ids = ids(receipt);
    record(session, receipt, &kind, &ids);
    if kind == "retry" {
        if let Err(error) = retry(session, receipt, &to).await {
            tracing::warn!(%error, "a requested message is not available");
        }
        return;
    }
    if kind == "server-error" {
        if let Err(error) = reupload::answer(session, receipt).await {
            tracing::warn!(%error, "a requested file is not available");
        }
        answer(session, receipt).await;
        return;
    }
    for id in &ids {
        let what = Confirmation { tag: "message", id, from: &to, kind: None, bare: false };
        confirmed(session, what);
    }
    answer(session, receipt).await;
    relay(session, receipt).await;
}

/// Handles an ack for a stanza of the server.
pub async fn acknowledged(session: &Session, ack: &Node) {
    let (tag, id) = (nodes::attr(ack, "class"), nodes::attr(ack, "id"));
    let (from, kind) = (nodes::attr(ack, "to"), nodes::attr(ack, "type"));
    let kind = (!kind.is_empty()).then_some(kind.as_str());
    confirmed(session, Confirmation { tag: &tag, id: &id, from: &from, kind, bare: true });
}

fn confirmed(session: &Session, what: Confirmation<'_>) {
    let phone_message = offline::confirm(&session.account, session.device, what).flatten();
    if let Some(phone_message) =
        phone_message.filter(|phone_message| phone_message.place != phone_messages::Destination::Peer)
    {
        session.account.lock().network_view.confirmed(&phone_message.id);
    }
}

fn ids(receipt: &Node) -> Vec<String> {
    let mut ids = vec![nodes::attr(receipt, "id")];
    if let Some(list) = receipt.get_optional_child("list") {
        ids.extend(list.get_children_by_tag("item").map(|item| nodes::attr(item, "id")));
    }
    ids
}

/// Records receipts and read messages.
fn record(session: &Session, receipt: &Node, kind: &str, ids: &[String]) {
    let named = |name| {
        nodes::jid(receipt, name).and_then(|jid| session.world.directory.id_for(&session.account, &jid))
    };
    let Some(chat) = named("to") else { return };
    let participant = named("participant");
    let at = wacore::time::now_millis();
    let mut state = session.account.lock();
    let said = if kind.is_empty() { "delivered" } else { kind };
    state
        .network_view
        .record(ViewList::Receipts, json!({ "chat": chat.to_string(), "type": said, "ids": ids, "at": at }));
    if matches!(kind, "read" | "read-self") {
        let message_ids: Vec<String> =
            ids.iter().map(|id| message_id(&chat, id, participant.as_ref())).collect();
        let entry = json!({ "chat": chat.to_string(), "messageIds": message_ids, "at": at });
        state.network_view.record(ViewList::Read, entry);
    }
}

fn message_id(chat: &Id, id: &str, participant: Option<&Id>) -> String {
    match participant.filter(|_| chat.is_group()) {
        Some(member) => format!("false_{chat}_{id}_{member}"),
        None => format!("false_{chat}_{id}"),
    }
}

/// Acknowledges a receipt.
async fn answer(session: &Session, receipt: &Node) {
    let mut ack = NodeBuilder::new("ack")
        .attr("class", "receipt")
        .attr("id", nodes::attr(receipt, "id"))
        .attr("from", nodes::attr(receipt, "to"));
    for name in ["type", "participant"] {
        let value = nodes::attr(receipt, name);
        if !value.is_empty() {
            ack = ack.attr(name, value);
        }
    }
    session.send(ack.build()).await;
}

/// Passes a companion's receipt on to the author's companions.
async fn relay(session: &Session, receipt: &Node) {
    let author = nodes::jid(receipt, "participant").or_else(|| nodes::jid(receipt, "to"));
    let Some(to) = author.and_then(|jid| session.world.directory.of(&jid)) else { return };
    let mut kind = nodes::attr(receipt, "type");
    if kind == "inactive" {
        // The companion leaves it to the account's phone to report the delivery, and the phone does.
        kind.clear();
    }
    if Arc::ptr_eq(&to, &session.account) || !matches!(kind.as_str(), "" | "read" | "played") {
        return;
    }
    let chat = nodes::jid(receipt, "to").filter(Id::is_group_jid);
    let mut relayed = NodeBuilder::new("receipt")
        .attr("id", nodes::attr(receipt, "id"))
        .attr("t", wacore::time::now_secs());
    relayed = match &chat {
        Some(group) => relayed.attr("from", group).attr("participant", session.jid()),
        None => relayed.attr("from", session.jid()),
    };
    if !kind.is_empty() {
        relayed = relayed.attr("type", kind);
    }
    if let Some(list) = receipt.get_optional_child("list") {
        relayed = relayed.children([list.clone()]);
    }
    offline::post(&to, &relayed.build(), true).await;
}

/// Encrypts a message again that a companion could not decrypt; it replaces the queued stanza.
async fn retry(session: &Session, receipt: &Node, to: &str) -> Result<()> {
    let id = nodes::attr(receipt, "id");
    let count = receipt
        .get_optional_child("retry")
        .and_then(|retry| nodes::attr(retry, "count").parse().ok())
        .unwrap_or(1);
    let (account, device) = (&session.account, session.device);
    let Some(phone_message) = offline::waiting(account, device, &id, to) else {
        return relay_retry(session, receipt).await;
    };
    let stanza = phone_messages::again(&phone_message, account, device, bundle(receipt)?, count)?;
    offline::replace(account, device, &id, to, stanza);
    answer(session, receipt).await;
    offline::flush(account, device).await;
    Ok(())
}

/// Passes a request on to the companion that wrote the message.
async fn relay_retry(session: &Session, receipt: &Node) -> Result<()> {
    let asked = nodes::jid(receipt, "participant").or_else(|| nodes::jid(receipt, "to"));
    let asked = asked.filter(|asked| asked.device > 0).context("the message was confirmed before")?;
    let account = session.world.directory.of(&asked).context("the author does not exist")?;
    let mut relayed = receipt.clone();
    relayed.attrs.0.retain(|(name, _)| name != "to");
    match nodes::jid(receipt, "to").filter(Id::is_group_jid) {
        Some(group) => {
            relayed.attrs.0.retain(|(name, _)| name != "participant");
            relayed.attrs.push("from", group);
            relayed.attrs.push("participant", session.jid());
        }
        None => relayed.attrs.push("from", session.jid()),
    }
    relayed.attrs.push("t", wacore::time::now_secs().to_string());
    answer(session, receipt).await;
    offline::queue(&account, asked.device, offline::QueuedStanza::new(relayed))
        .context("its queue is full")?;
    offline::flush(&account, asked.device).await;
    Ok(())
}

/// The keys in the request.
fn bundle(receipt: &Node) -> Result<Option<Bundle>> {
    let Some(keys) = receipt.get_optional_child("keys") else { return Ok(None) };
    let signed = nodes::child(keys, "skey")?;
    let one_time = keys.get_optional_child("key").map(|key| {
        anyhow::Ok(Prekey {
            id: nodes::number(nodes::child(key, "id")?),
            public: nodes::exactly(key, "value")?,
        })
    });
    Ok(Some(Bundle {
        registration: nodes::number(nodes::child(receipt, "registration")?),
        identity: nodes::exactly(keys, "identity")?,
        signed: SignedPrekey {
            id: nodes::number(nodes::child(signed, "id")?),
            public: nodes::exactly(signed, "value")?,
            signature: nodes::exactly(signed, "signature")?,
        },
        one_time: one_time.transpose()?,
    }))
}

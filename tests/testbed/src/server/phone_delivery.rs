//! Delivers a companion's message to phones: decrypts it, records it, and requests it again if that fails.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::{Value, json};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp as wa;

use super::dispatch::Session;
use super::messages::{self, MessageInTransit};
use super::network_view::ViewList;
use super::state::Account;
use super::{offline, prekeys};
use crate::id::Id;
use crate::phone::inbound::{Change, Edited, Received, What, parse};
use crate::phone::signal::Device;
use crate::wire::nodes::{self, holding};

/// Pause before a phone requests a message again.
const REMINDED: Duration = Duration::from_secs(5);

/// A message that a person sees for the first time.
pub(super) struct DecryptedMessage {
    /// The recipient.
    pub(super) by: Arc<Account>,
    /// Whether it is the first recipient who sees it.
    pub(super) first: bool,
    /// The text, or the kind of message.
    pub(super) gist: String,
}

/// The parts for single devices: those in `<participants>`, or that of a bare `<enc>`.
pub(super) fn addressed(in_transit: &MessageInTransit) -> Vec<(Jid, Node)> {
    let mut found = Vec::new();
    if let Some(participants) = in_transit.stanza.get_optional_child("participants") {
        for to in participants.get_children_by_tag("to") {
            if let (Some(jid), Some(enc)) = (nodes::jid(to, "jid"), to.get_optional_child("enc")) {
                found.push((jid, enc.clone()));
            }
        }
    }
    // A message that was requested again is for the device that requested it.
    let asked = nodes::jid(&in_transit.stanza, "participant").unwrap_or_else(|| in_transit.to.clone());
    let bare = in_transit.stanza.get_children_by_tag("enc");
    found.extend(
        bare.filter(|enc| nodes::attr(enc, "type") != "skmsg").map(|enc| (asked.clone(), enc.clone())),
    );
    found
}

/// The members of a group and the account itself.
pub(super) fn members(session: &Session, group: &Id) -> Vec<Arc<Account>> {
    let group_state = session.world.groups.find(&session.account.number, &group.to_string());
    let members = group_state.map(|group_state| group_state.members).unwrap_or_default();
    let mut members: Vec<Arc<Account>> =
        members.iter().filter_map(|member| session.world.directory.get_or_create(&member.number)).collect();
    members.retain(|member| !Arc::ptr_eq(member, &session.account));
    members.push(Arc::clone(&session.account));
    members
}

/// The account's own phone processes a peer message of its companion.
pub(super) fn peer(in_transit: &MessageInTransit) {
    for enc in in_transit.stanza.get_children_by_tag("enc") {
        let sender = sender(in_transit);
        let opened = in_transit.session.account.phone.signal().decrypt(
            &sender,
            &nodes::attr(enc, "type"),
            nodes::bytes(enc),
        );
        if let Err(error) = opened {
            record_failure(in_transit, &in_transit.session.account, &error);
        }
    }
}

/// Decrypts the message on all recipients' phones.
pub(super) async fn decrypt_all(in_transit: &MessageInTransit) -> Vec<DecryptedMessage> {
    let mut shown = Vec::new();
    for (jid, enc) in addressed(in_transit) {
        let Some(account) = in_transit.session.world.directory.of(&jid).filter(|_| jid.device == 0) else {
            continue;
        };
        let opened = account.phone.signal().decrypt(
            &sender(in_transit),
            &nodes::attr(&enc, "type"),
            nodes::bytes(&enc),
        );
        shown.extend(outcome(in_transit, &account, opened).await);
    }
    let skmsg = in_transit.stanza.get_children_by_tag("enc").find(|enc| nodes::attr(enc, "type") == "skmsg");
    let Some(skmsg) = skmsg else { return shown };
    for account in members(&in_transit.session, &in_transit.chat) {
        let group = in_transit.to.to_string();
        let opened =
            account.phone.signal().decrypt_from_group(&sender(in_transit), &group, nodes::bytes(skmsg));
        shown.extend(outcome(in_transit, &account, opened).await);
    }
    shown
}

fn sender(in_transit: &MessageInTransit) -> Device {
    Device::new(in_transit.session.account.number.as_str(), in_transit.session.device)
}

async fn outcome(
    in_transit: &MessageInTransit,
    by: &Arc<Account>,
    opened: Result<wa::Message>,
) -> Option<DecryptedMessage> {
    match opened {
        Ok(message) => {
            in_transit.session.account.lock().network_view.recovered(&in_transit.id, &by.number);
            store_chain(in_transit, by, &message);
            process(in_transit, by, &message)
        }
        Err(error) => {
            record_failure(in_transit, by, &error);
            ask_again(in_transit, by).await;
            None
        }
    }
}

/// Any message may carry a sender-key chain.
fn store_chain(in_transit: &MessageInTransit, by: &Account, message: &wa::Message) {
    let Some(distribution) = message.sender_key_distribution_message.as_option() else { return };
    let stored = by.phone.signal().store_chain(&sender(in_transit), distribution);
    if let Err(error) = stored {
        record_failure(in_transit, by, &error);
    }
}

fn process(
    in_transit: &MessageInTransit,
    by: &Arc<Account>,
    message: &wa::Message,
) -> Option<DecryptedMessage> {
    let world = &in_transit.session.world;
    let (chat, id) = (&in_transit.chat, in_transit.id.as_str());
    let account = &in_transit.session.account;
    let by_itself = Arc::ptr_eq(by, account);
    let own_chat = matches!(chat, Id::Number(number) if *number == account.number);
    match parse(message, &|id| world.directory.by_number(id)) {
        Received::Message(body, rich) => {
            by.lock().remember(id, message, &account.number, &account.lid);
            if by_itself && !own_chat {
                account.lock().network_view.on_own_phone(chat, id, body, rich);
                return None;
            }
            let gist = messages::gist(world, message);
            let (first, first_copy) = account.lock().network_view.read_by(chat, id, &by.number, body, rich);
            first_copy.then(|| DecryptedMessage { by: Arc::clone(by), first, gist })
        }
        Received::Change(change) => {
            if by_itself && !own_chat && !chat.is_group() {
                return None;
            }
            changed(in_transit, by, &change);
            None
        }
        Received::Ignored => None,
    }
}

/// Records a change to a message, once.
fn changed(in_transit: &MessageInTransit, by: &Account, change: &Change) {
    let Change { key, what } = change;
    let target = key.id.as_deref().unwrap_or_default();
    let author = key.participant.as_deref().and_then(|participant| participant.parse::<Jid>().ok());
    let author = author.and_then(|jid| in_transit.session.world.directory.id_of(&jid));
    let from_me = key.from_me == Some(true);
    let member = author.filter(|_| in_transit.chat.is_group() && !from_me);
    let message_id = match member {
        Some(member) => format!("{from_me}_{}_{target}_{member}", in_transit.chat),
        None => format!("{from_me}_{}_{target}", in_transit.chat),
    };
    let at = wacore::time::now_millis();
    let entry = match what {
        What::Edit(edited) => edit_entry(&message_id, edited, at),
        What::React(emoji) => json!({ "kind": "react", "messageId": message_id, "emoji": emoji, "at": at }),
        What::Revoke => json!({ "kind": "revoke", "messageId": message_id, "at": at }),
        What::Vote(payload, iv) => {
            let voter = in_transit.session.account.as_ref();
            let options = by.lock().choice(voter, target, payload, iv);
            json!({ "kind": "vote", "messageId": message_id, "options": options, "at": at })
        }
    };
    let seen = &mut in_transit.session.account.lock().network_view;
    if seen.not_a_message(&in_transit.chat, &in_transit.id) {
        seen.record(ViewList::Changes, entry);
    }
}

/// A ledger entry with the kept parts that the edit has.
fn edit_entry(message_id: &str, edited: &Edited, at: i64) -> Value {
    let mut entry = json!({ "kind": "edit", "messageId": message_id, "body": edited.body, "at": at });
    if let Some(kind) = edited.caption_of {
        entry["captionOf"] = json!(kind);
    }
    if let Some(quoted) = &edited.quoted {
        entry["quotedNetworkId"] = json!(quoted);
    }
    if !edited.mentions.is_empty() {
        entry["mentions"] = json!(edited.mentions);
    }
    entry
}

fn record_failure(in_transit: &MessageInTransit, by: &Account, error: &anyhow::Error) {
    tracing::debug!(error = format!("{error:#}"), "a phone could not decrypt a message");
    let entry = json!({
        "networkId": in_transit.id,
        "to": in_transit.chat.to_string(),
        "by": by.number,
        "error": format!("{error:#}"),
        "at": wacore::time::now_millis(),
    });
    in_transit.session.account.lock().network_view.record(ViewList::Undecryptable, entry);
}

/// Requests the message again, repeatedly up to the limit, until it can be decrypted.
async fn ask_again(in_transit: &MessageInTransit, by: &Arc<Account>) {
    if ask_once_more(in_transit, by).await != Some(1) {
        return;
    }
    let (in_transit, by) = (in_transit.clone(), Arc::clone(by));
    in_transit.session.world.clone().spawn(async move {
        loop {
            tokio::time::sleep(REMINDED).await;
            if !in_transit.session.account.lock().network_view.is_asked(&in_transit.id, &by.number) {
                return;
            }
            if ask_once_more(&in_transit, &by).await.is_none() {
                return;
            }
        }
    });
}

/// Requests the message with keys for a new session; returns the number of requests, `None` at the limit.
async fn ask_once_more(in_transit: &MessageInTransit, by: &Arc<Account>) -> Option<u32> {
    let count = in_transit.session.account.lock().network_view.asked_again(&in_transit.id, &by.number)?;
    let phone = &by.phone;
    let keys = NodeBuilder::new("keys").children(prekeys::phone_keys(phone));
    let now = wacore::time::now_secs();
    let retry = NodeBuilder::new("retry")
        .attr("v", 1_u32)
        .attr("id", in_transit.id.as_str())
        .attr("t", now)
        .attr("count", count)
        .build();
    let mut receipt =
        NodeBuilder::new("receipt").attr("id", in_transit.id.as_str()).attr("type", "retry").attr("t", now);
    let own = Arc::ptr_eq(by, &in_transit.session.account);
    receipt = if in_transit.chat.is_group() {
        receipt.attr("from", &in_transit.to).attr("participant", by.jid(0))
    } else if own {
        receipt.attr("from", by.jid(0)).attr("recipient", in_transit.to.to_non_ad())
    } else {
        receipt.attr("from", in_transit.to.to_non_ad())
    };
    let children = [retry, holding("registration", phone.registration_id.to_be_bytes()), keys.build()];
    let entry = offline::QueuedStanza::new(receipt.children(children).build());
    let (account, device) = (&in_transit.session.account, in_transit.session.device);
    if offline::queue(account, device, entry).is_some() {
        offline::flush(account, device).await;
    }
    Some(count)
}

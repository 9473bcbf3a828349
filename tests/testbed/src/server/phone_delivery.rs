//! The phones that a message is for open it: what they show, what they learn, and what they ask for again.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};
use waproto::whatsapp as wa;

use super::dispatch::Session;
use super::messages::{self, Passing};
use super::network_view::List;
use super::offline;
use super::state::Account;
use crate::id::Id;
use crate::phone::inbound::{Change, Heard, What, heard};
use crate::phone::keys;
use crate::phone::signal::Device;
use crate::wire::nodes::{self, holding};

/// After so long a phone asks once more for what it did not get.
const REMINDED: Duration = Duration::from_secs(5);

/// A message that somebody was shown for the first time.
pub(super) struct Opened {
    /// Who.
    pub(super) by: Arc<Account>,
    /// Whether nobody was shown it before.
    pub(super) first: bool,
    /// What it said, in short.
    pub(super) gist: String,
}

/// What is addressed to single devices: those of `<participants>`, or the one of a bare `<enc>`.
pub(super) fn addressed(passing: &Passing) -> Vec<(Jid, Node)> {
    let mut found = Vec::new();
    if let Some(participants) = passing.stanza.get_optional_child("participants") {
        for to in participants.get_children_by_tag("to") {
            if let (Some(jid), Some(enc)) = (nodes::jid(to, "jid"), to.get_optional_child("enc")) {
                found.push((jid, enc.clone()));
            }
        }
    }
    // A message that was asked for again goes to the one who asked.
    let asked = nodes::jid(&passing.stanza, "participant").unwrap_or_else(|| passing.to.clone());
    let bare = passing.stanza.get_children_by_tag("enc");
    found.extend(
        bare.filter(|enc| nodes::attr(enc, "type") != "skmsg").map(|enc| (asked.clone(), enc.clone())),
    );
    found
}

/// Who is in a group besides this very companion, the account itself included.
pub(super) fn members(session: &Session, group: &Id) -> Vec<Arc<Account>> {
    let circle = session.world.groups.find(&session.account.number, &group.to_string());
    let members = circle.map(|circle| circle.members).unwrap_or_default();
    let mut members: Vec<Arc<Account>> =
        members.iter().filter_map(|member| session.world.directory.somebody(&member.number)).collect();
    members.retain(|member| !Arc::ptr_eq(member, &session.account));
    members.push(Arc::clone(&session.account));
    members
}

/// The own phone takes what its companion tells or asks it.
pub(super) fn peer(passing: &Passing) {
    for enc in passing.stanza.get_children_by_tag("enc") {
        let sender = sender(passing);
        let opened = passing.session.account.phone.signal().open(
            &sender,
            &nodes::attr(enc, "type"),
            nodes::bytes(enc),
        );
        if let Err(error) = opened {
            note_failure(passing, &passing.session.account, &error);
        }
    }
}

/// Every phone opens what is for it.
pub(super) async fn open(passing: &Passing) -> Vec<Opened> {
    let mut shown = Vec::new();
    for (jid, enc) in addressed(passing) {
        let Some(account) = passing.session.world.directory.of(&jid).filter(|_| jid.device == 0) else {
            continue;
        };
        let opened =
            account.phone.signal().open(&sender(passing), &nodes::attr(&enc, "type"), nodes::bytes(&enc));
        shown.extend(outcome(passing, &account, opened).await);
    }
    let skmsg = passing.stanza.get_children_by_tag("enc").find(|enc| nodes::attr(enc, "type") == "skmsg");
    let Some(skmsg) = skmsg else { return shown };
    for account in members(&passing.session, &passing.chat) {
        let group = passing.to.to_string();
        let opened = account.phone.signal().open_from_group(&sender(passing), &group, nodes::bytes(skmsg));
        shown.extend(outcome(passing, &account, opened).await);
    }
    shown
}

fn sender(passing: &Passing) -> Device {
    Device::new(passing.session.account.number.as_str(), passing.session.device)
}

async fn outcome(passing: &Passing, by: &Arc<Account>, opened: Result<wa::Message>) -> Option<Opened> {
    match opened {
        Ok(message) => {
            passing.session.account.lock().seen.recovered(&passing.id, &by.number);
            learn(passing, by, &message);
            hear(passing, by, &message)
        }
        Err(error) => {
            note_failure(passing, by, &error);
            ask_again(passing, by).await;
            None
        }
    }
}

/// A chain of the sender may come along with anything.
fn learn(passing: &Passing, by: &Account, message: &wa::Message) {
    let Some(told) = message.sender_key_distribution_message.as_option() else { return };
    let learnt = by.phone.signal().learn_chain(&sender(passing), told);
    if let Err(error) = learnt {
        note_failure(passing, by, &error);
    }
}

fn hear(passing: &Passing, by: &Arc<Account>, message: &wa::Message) -> Option<Opened> {
    let world = &passing.session.world;
    let (chat, id) = (&passing.chat, passing.id.as_str());
    let account = &passing.session.account;
    let by_itself = Arc::ptr_eq(by, account);
    let own_chat = matches!(chat, Id::Number(number) if *number == account.number);
    match heard(message, &|id| world.directory.by_number(id)) {
        Heard::Said(body, rich) => {
            by.lock().remember(id, message, &account.number, &account.lid);
            if by_itself && !own_chat {
                account.lock().seen.on_own_phone(chat, id, body, rich);
                return None;
            }
            let gist = messages::gist(world, message);
            let (first, news) = account.lock().seen.read_by(chat, id, &by.number, body, rich);
            news.then(|| Opened { by: Arc::clone(by), first, gist })
        }
        Heard::Change(change) => {
            if by_itself && !own_chat && !chat.is_group() {
                return None;
            }
            changed(passing, by, &change);
            None
        }
        Heard::Aside => None,
    }
}

/// Notes what becomes of a message, once.
fn changed(passing: &Passing, by: &Account, change: &Change) {
    let Change { key, what } = change;
    let target = key.id.as_deref().unwrap_or_default();
    let author = key.participant.as_deref().and_then(|participant| participant.parse::<Jid>().ok());
    let author = author.and_then(|jid| passing.session.world.directory.named(&jid));
    let from_me = key.from_me == Some(true);
    let member = author.filter(|_| passing.chat.is_group() && !from_me);
    let message_id = match member {
        Some(member) => format!("{from_me}_{}_{target}_{member}", passing.chat),
        None => format!("{from_me}_{}_{target}", passing.chat),
    };
    let at = wacore::time::now_millis();
    let entry = match what {
        What::Edit(body) => json!({ "kind": "edit", "messageId": message_id, "body": body, "at": at }),
        What::React(emoji) => json!({ "kind": "react", "messageId": message_id, "emoji": emoji, "at": at }),
        What::Revoke => json!({ "kind": "revoke", "messageId": message_id, "at": at }),
        What::Vote(payload, iv) => {
            let voter = passing.session.account.as_ref();
            let options = by.lock().choice(voter, target, payload, iv);
            json!({ "kind": "vote", "messageId": message_id, "options": options, "at": at })
        }
    };
    let seen = &mut passing.session.account.lock().seen;
    if seen.not_a_message(&passing.chat, &passing.id) {
        seen.note(List::Changes, entry);
    }
}

fn note_failure(passing: &Passing, by: &Account, error: &anyhow::Error) {
    tracing::debug!(error = format!("{error:#}"), "a phone cannot open a message");
    let entry = json!({
        "networkId": passing.id,
        "to": passing.chat.to_string(),
        "by": by.number,
        "error": format!("{error:#}"),
        "at": wacore::time::now_millis(),
    });
    passing.session.account.lock().seen.note(List::Undecryptable, entry);
}

/// The phone asks the companion for the message once more, now and again until it has it; not for ever.
async fn ask_again(passing: &Passing, by: &Arc<Account>) {
    if ask_once_more(passing, by).await != Some(1) {
        return;
    }
    let (passing, by) = (passing.clone(), Arc::clone(by));
    passing.session.world.clone().spawn(async move {
        loop {
            tokio::time::sleep(REMINDED).await;
            if !passing.session.account.lock().seen.is_asked(&passing.id, &by.number) {
                return;
            }
            if ask_once_more(&passing, &by).await.is_none() {
                return;
            }
        }
    });
}

/// Asks with keys for a new session: how often it was asked then, `None` when that was enough before.
async fn ask_once_more(passing: &Passing, by: &Arc<Account>) -> Option<u32> {
    let count = passing.session.account.lock().seen.asked_again(&passing.id, &by.number)?;
    let (one_time, public) = by.phone.signal().one_time_key();
    let phone = &by.phone;
    let three = |id: u32| id.to_be_bytes().into_iter().skip(1).collect::<Vec<u8>>();
    let keys = NodeBuilder::new("keys").children([
        holding("type", [5]),
        holding("identity", phone.public_identity()),
        NodeBuilder::new("key").children([holding("id", three(one_time)), holding("value", public)]).build(),
        NodeBuilder::new("skey")
            .children([
                holding("id", three(phone.signed_prekey.id)),
                holding("value", keys::public(&phone.signed_prekey.pair)),
                holding("signature", phone.signed_prekey.signature.clone()),
            ])
            .build(),
    ]);
    let now = wacore::time::now_secs();
    let retry = NodeBuilder::new("retry")
        .attr("v", 1_u32)
        .attr("id", passing.id.as_str())
        .attr("t", now)
        .attr("count", count)
        .build();
    let mut receipt =
        NodeBuilder::new("receipt").attr("id", passing.id.as_str()).attr("type", "retry").attr("t", now);
    let own = Arc::ptr_eq(by, &passing.session.account);
    receipt = if passing.chat.is_group() {
        receipt.attr("from", &passing.to).attr("participant", by.jid(0))
    } else if own {
        receipt.attr("from", by.jid(0)).attr("recipient", passing.to.to_non_ad())
    } else {
        receipt.attr("from", passing.to.to_non_ad())
    };
    let children = [retry, holding("registration", phone.registration_id.to_be_bytes()), keys.build()];
    let entry = offline::Entry::new(receipt.children(children).build());
    let (account, device) = (&passing.session.account, passing.session.device);
    if offline::queue(account, device, entry).is_some() {
        offline::flush(account, device).await;
    }
    Some(count)
}

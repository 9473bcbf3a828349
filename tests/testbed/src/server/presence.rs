//! `<presence>` and `<chatstate>`; a companion whose connection has ended is unavailable ([`disconnected`]).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde_json::json;
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node};

use super::dispatch::Session;
use super::network_view::ViewList;
use super::state::Account;
use crate::scene::PersonRef;
use crate::wire::nodes;

/// The most people whose presence an account follows.
const MAX_WATCHED: usize = 5_000;

/// The presence state of an account.
#[derive(Default)]
pub struct Presences {
    /// The numbers of people whose presence it follows.
    pub watched: HashSet<String>,
    /// The last presence of people, by number.
    pub last: HashMap<String, Presence>,
    /// Its companions that declared themselves available.
    available: HashSet<u16>,
}

/// A person's presence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Presence {
    /// Whether the person is online.
    pub online: bool,
    /// The last time online, in seconds.
    pub last_seen: Option<i64>,
}

/// Handles a presence or subscription.
pub async fn handle(session: &Session, presence: &Node) {
    match nodes::attr(presence, "type").as_str() {
        "subscribe" => subscribe(session, presence).await,
        "unsubscribe" => {
            if let Some(account) = named(session, presence) {
                session.account.lock().presence.watched.remove(&account.number);
            }
        }
        "unavailable" => declared(session, false).await,
        _ => declared(session, true).await,
    }
}

async fn subscribe(session: &Session, presence: &Node) {
    let Some(watched) = named(session, presence) else { return };
    let last = {
        let mut state = session.account.lock();
        if state.presence.watched.len() < MAX_WATCHED {
            state.presence.watched.insert(watched.number.clone());
        }
        state.presence.last.get(&watched.number).copied()
    };
    let there = !watched.lock().presence.available.is_empty();
    let last = last.or_else(|| there.then_some(Presence { online: true, last_seen: None }));
    if let Some(last) = last {
        session.send(presence_node(&session.account, &watched, last)).await;
    }
}

/// Records a companion's own declaration and applies it.
async fn declared(session: &Session, on: bool) {
    let entry = json!({ "available": on, "at": wacore::time::now_millis() });
    session.account.lock().network_view.record(ViewList::Presence, entry);
    available(session, on).await;
}

/// Updates a companion's availability and informs the account's followers.
async fn available(session: &Session, on: bool) {
    let (before, after) = {
        let available = &mut session.account.lock().presence.available;
        let before = !available.is_empty();
        if on {
            available.insert(session.device);
        } else {
            available.remove(&session.device);
        }
        (before, !available.is_empty())
    };
    if before == after {
        return;
    }
    let last_seen = (!after).then(wacore::time::now_secs);
    let now = Presence { online: after, last_seen };
    for watcher in session.world.directory.all() {
        if watcher.lock().presence.watched.contains(&session.account.number) {
            let node = presence_node(&watcher, &session.account, now);
            for link in watcher.links() {
                link.send(node.clone()).await;
            }
        }
    }
}

/// Records a chat state and passes it on to the companions of its recipient.
pub async fn chat_state(session: &Session, state: &Node) {
    let Some(to) = nodes::jid(state, "to") else { return };
    let Some(what) = state.children().and_then(<[Node]>::first) else { return };
    let (audio, on) = (nodes::attr(what, "media") == "audio", what.tag.as_ref() == "composing");
    if let Some(chat) = session.world.directory.id_for(&session.account, &to) {
        let kind = if audio { "audio" } else { "text" };
        let at = wacore::time::now_millis();
        let entry = json!({ "to": chat.to_string(), "kind": kind, "on": on, "at": at });
        session.account.lock().network_view.record(ViewList::Typing, entry);
    }
    let Some(account) = PersonRef::of_jid(&to).and_then(|who| session.world.directory.resolve(&who)) else {
        return;
    };
    if account.number != session.account.number {
        send_typing(&account, &session.account, None, audio, on).await;
    }
}

/// Sends a chat state to an account's companions; `true` if one is online.
pub async fn send_typing(me: &Account, from: &Account, group: Option<&Jid>, audio: bool, on: bool) -> bool {
    let mut what = NodeBuilder::new(if on { "composing" } else { "paused" });
    if on && audio {
        what = what.attr("media", "audio");
    }
    let node = NodeBuilder::new("chatstate").children([what.build()]);
    let person = visible_jid(me, from);
    let node = match group {
        Some(group) => node.attr("from", group.clone()).attr("participant", person).build(),
        None => node.attr("from", person).build(),
    };
    to_all(me, &node).await
}

/// Sends a presence to an account's companions; `true` if one is online.
pub async fn send_presence(me: &Account, from: &Account, now: Presence) -> bool {
    me.lock().presence.last.insert(from.number.clone(), now);
    to_all(me, &presence_node(me, from, now)).await
}

async fn to_all(me: &Account, node: &Node) -> bool {
    let mut sent = false;
    for link in me.links() {
        sent |= link.send(node.clone()).await;
    }
    sent
}

fn presence_node(me: &Account, from: &Account, now: Presence) -> Node {
    let node = NodeBuilder::new("presence").attr("from", visible_jid(me, from));
    if now.online {
        return node.build();
    }
    let last = now.last_seen.map_or_else(|| "deny".to_owned(), |last| last.to_string());
    node.attr("type", "unavailable").attr("last", last).build()
}

/// A person's JID as an account sees it.
#[must_use]
pub fn visible_jid(me: &Account, them: &Account) -> Jid {
    if me.lock().hides(&them.number) { them.lid_jid(0) } else { them.jid(0) }
}

fn named(session: &Session, presence: &Node) -> Option<Arc<Account>> {
    let who = PersonRef::of_jid(&nodes::jid(presence, "to")?)?;
    session.world.directory.resolve(&who)
}

/// A companion's connection has ended.
pub async fn disconnected(session: &Session) {
    available(session, false).await;
}

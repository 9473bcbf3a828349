//! Lists of the server, read page by page. How much a page has is the server's to say, whatever it is asked for; what it
//! tells twice, because something came meanwhile, counts once.

use std::collections::HashSet;

use serde_json::Value;

use super::client::Failure;
use super::convert::ids;
use super::convert::message_in::{self, Message};
use super::session::WahaSession;
use crate::domain::jid::Jid;

/// Things that are asked for at once.
const PAGE: &str = "100";

/// A chat's messages.
pub(super) struct Listed {
    /// The oldest first.
    pub(super) messages: Vec<Message>,
    /// Whether there may be older ones, beyond as many as were asked for.
    pub(super) is_cut: bool,
}

/// A chat's messages since, and no more than `most` of the newest. Their files stay at the server.
pub(super) async fn messages(
    session: &WahaSession,
    chat: &Jid,
    since: Option<i64>,
    most: usize,
) -> Result<Listed, Failure> {
    let (chat, me) = (ids::to_chat(chat), session.me());
    let since = since.map(|since| since.div_euclid(1_000).max(0).to_string());
    let mut query = vec![("downloadMedia", "false")];
    query.extend(since.as_deref().map(|since| ("filter.timestamp.gte", since)));
    let mut messages: Vec<Message> = Vec::new();
    let is_cut =
        all(session, &["chats", &chat, "messages"], &query, most, |told| {
            match message_in::message(told, me.as_ref(), session.now()) {
                Some(message) => messages.push(message),
                None if message_in::is_none(told) => {}
                None => session.not_read("a message of a chat"),
            }
        })
        .await?;
    messages.sort_by_key(|message| message.incoming.timestamp);
    Ok(Listed { messages, is_cut })
}

/// Reads what stands at `path` until nothing new comes, or there are `most`; says whether that is why it ended.
pub(super) async fn all(
    session: &WahaSession,
    path: &[&str],
    query: &[(&str, &str)],
    most: usize,
    mut each: impl FnMut(&Value) + Send,
) -> Result<bool, Failure> {
    let mut seen: HashSet<String> = HashSet::new();
    let mut offset = 0;
    while seen.len() < most {
        let at = offset.to_string();
        let mut query = query.to_vec();
        query.extend([("limit", PAGE), ("offset", at.as_str())]);
        let answer = session.client.of_session(path, &query).await?;
        let list = answer.as_array().map(Vec::as_slice).unwrap_or_default();
        let before = seen.len();
        for one in list {
            if seen.insert(named(one)) {
                each(one);
            }
        }
        if seen.len() == before {
            return Ok(false);
        }
        offset += list.len();
    }
    Ok(true)
}

/// What tells things of a list apart.
fn named(one: &Value) -> String {
    one.get("id").unwrap_or(one).to_string()
}

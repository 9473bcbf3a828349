//! How lists are divided into pages: by offset, and for messages from a message on.

use serde::Serialize;
use url::Url;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::input::Fields;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::service::{MessagePage, PageRequest};

/// Entries of a page where nothing is said.
pub const DEFAULT_LIMIT: usize = 50;
/// Most entries of a page.
pub const MAX_LIMIT: usize = 100;
const MAX_OFFSET: i64 = 1_000_000_000;
const MAX_PAGE: i64 = 10_000_000;

/// A page of a list by offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// At most so many entries.
    pub limit: usize,
    /// After so many.
    pub offset: usize,
}

/// `limit`, or an older name for it.
pub fn limit(fields: &mut Fields, default: usize) -> usize {
    let name = fields.given(&["limit", "take", "pageSize"]);
    let limit = fields.integer(name, &(1..=100));
    limit.and_then(|limit| usize::try_from(limit).ok()).unwrap_or(default).min(MAX_LIMIT)
}

/// `limit` and `offset`, `take` and `skip`, or `page` (from 1) and `pageSize`.
pub fn window(fields: &mut Fields) -> Window {
    let limit = limit(fields, DEFAULT_LIMIT);
    let name = fields.given(&["offset", "skip"]);
    let skipped = fields.integer(name, &(0..=MAX_OFFSET)).and_then(|n| usize::try_from(n).ok());
    let page = fields.integer("page", &(1..=MAX_PAGE)).and_then(|n| usize::try_from(n - 1).ok());
    let offset = skipped.or_else(|| page.map(|page| page.saturating_mul(limit))).unwrap_or(0);
    Window { limit, offset }
}

/// Where a page of messages stands.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessagePagination {
    /// Messages in the chat.
    #[schema(minimum = 0)]
    total: i64,
    /// Messages on this page.
    #[schema(minimum = 0)]
    returned: usize,
    /// Messages asked for.
    #[schema(minimum = 1, maximum = 100)]
    requested_limit: usize,
    /// Whether there are more in the direction that was asked for.
    has_more: bool,
    /// Whether the message named by `before` or `after` was found; the page is the newest without it.
    reference_found: bool,
    /// `before` or `after`.
    reference_type: Option<&'static str>,
    /// The message named by `before` or `after`.
    reference_id: Option<String>,
    /// The pages next to this one.
    cursors: Cursors,
}

/// The pages next to a page.
#[derive(Debug, Serialize, ToSchema)]
struct Cursors {
    /// Newer messages, where there are any.
    newer: Option<Newer>,
    /// Older messages, where there are any.
    older: Option<Older>,
}

/// The page of newer messages.
#[derive(Debug, Serialize, ToSchema)]
struct Newer {
    /// The message after which it begins.
    after: String,
    /// Its URL.
    url: String,
}

/// The page of older messages.
#[derive(Debug, Serialize, ToSchema)]
struct Older {
    /// The message before which it ends.
    before: String,
    /// Its URL.
    url: String,
}

impl MessagePagination {
    /// Of this page. `base` is the chat's messages' URL; see [`messages_url`].
    #[must_use]
    pub fn new(base: &str, request: &PageRequest, page: &MessagePage) -> Self {
        let url = |direction: &str, id: &MessageId| page_url(base, request.limit, direction, id);
        let newer = page.newer.as_ref().map(|id| Newer { after: id.to_string(), url: url("after", id) });
        let older = page.older.as_ref().map(|id| Older { before: id.to_string(), url: url("before", id) });
        let before = request.before.as_ref().map(|id| ("before", id));
        let reference = before.or_else(|| request.after.as_ref().map(|id| ("after", id)));
        Self {
            total: page.total,
            returned: page.messages.len(),
            requested_limit: request.limit,
            has_more: page.has_more,
            reference_found: page.reference_found,
            reference_type: reference.map(|(direction, _)| direction),
            reference_id: reference.map(|(_, id)| id.to_string()),
            cursors: Cursors { newer, older },
        }
    }
}

/// The URL of a chat's messages: under the public URL where that is known, else without host.
#[must_use]
pub fn messages_url(public_url: &str, device: &DeviceId, chat: &Jid) -> String {
    let path = format!("/api/v1/devices/{device}/chats/{chat}/messages");
    match Url::parse(public_url) {
        Ok(base) => format!("{}{path}", base.as_str().trim_end_matches('/')),
        Err(_) => path,
    }
}

fn page_url(base: &str, limit: usize, direction: &str, id: &MessageId) -> String {
    let mut query = form_urlencoded::Serializer::new(String::new());
    query.append_pair("limit", &limit.to_string()).append_pair(direction, &id.to_string());
    format!("{base}?{}", query.finish())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window_of(query: &str) -> Window {
        window(&mut Fields::of_query(query))
    }

    #[test]
    fn all_three_ways_to_name_a_page_are_understood() {
        let expected = Window { limit: 20, offset: 40 };
        for query in ["limit=20&offset=40", "take=20&skip=40", "page=3&pageSize=20"] {
            assert_eq!(window_of(query), expected, "{query}");
        }
        assert_eq!(window_of(""), Window { limit: DEFAULT_LIMIT, offset: 0 });
    }

    #[test]
    fn neighbours_are_named_with_their_urls() {
        let id: MessageId = "true_15550100001@c.us_A+B".parse().unwrap();
        let request = PageRequest { limit: 5, before: Some(id.clone()), after: None };
        let page = MessagePage {
            messages: Vec::new(),
            total: 9,
            has_more: true,
            reference_found: true,
            newer: Some(id.clone()),
            older: None,
        };
        let base = messages_url("https://wharf.example.com/in/", &"shop".parse().unwrap(), &id.chat);
        let json = serde_json::to_value(MessagePagination::new(&base, &request, &page)).unwrap();
        assert_eq!(json["referenceType"], "before");
        assert_eq!(json["cursors"]["older"], serde_json::Value::Null);
        assert_eq!(
            json["cursors"]["newer"]["url"],
            "https://wharf.example.com/in/api/v1/devices/shop/chats/15550100001@c.us/messages?limit=5&after=true_15550100001%40c.us_A%2BB"
        );
        assert!(messages_url("", &"shop".parse().unwrap(), &id.chat).starts_with("/api/v1/devices/shop/"));
    }
}

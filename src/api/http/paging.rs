//! Pages of lists: by offset, and for messages relative to a message. A page has at most 100 entries.

use serde::Serialize;
use serde_json::{Map, Value};
use url::Url;
use url::form_urlencoded;
use utoipa::ToSchema;

use super::input::{Alias, Report};
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::service::{MessagePage, PageRequest};

/// Entries of a page by default.
const DEFAULT_LIMIT: usize = 50;
/// Most entries of a page.
pub const MAX_LIMIT: usize = 100;
const MAX_PAGE: i64 = 10_000_000;

/// Other names of `limit`.
pub const LIMIT: Alias = ("limit", &["take", "pageSize"]);
/// Another name of `offset`.
pub const OFFSET: Alias = ("offset", &["skip"]);
/// Another name of `search`.
pub const SEARCH: Alias = ("search", &["q"]);

/// The `limit` of a request without one.
pub const fn default_limit() -> usize {
    DEFAULT_LIMIT
}

/// Replaces `page`, counted from 1, by the `offset` where it begins.
pub fn move_page(object: &mut Map<String, Value>, report: &mut Report) {
    let Some(page) = object.remove("page") else { return };
    let number = |value: &Value| match value {
        Value::String(text) => text.trim().parse().ok(),
        value => value.as_i64(),
    };
    let Some(page) = number(&page).filter(|page| (1..=MAX_PAGE).contains(page)) else {
        return report.error("page", format!("must be a whole number from 1 to {MAX_PAGE}"));
    };
    let limit = object.get("limit").and_then(number).filter(|limit| (1..=100).contains(limit));
    let offset = (page - 1) * limit.unwrap_or(50);
    object.entry("offset").or_insert_with(|| offset.into());
}

/// The position of a page of messages.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct MessagePagination {
    /// Messages in the chat.
    #[schema(minimum = 0)]
    total: i64,
    /// Messages on this page.
    #[schema(minimum = 0)]
    returned: usize,
    /// The limit of the request.
    #[schema(minimum = 1, maximum = 100)]
    requested_limit: usize,
    /// Whether there are more in the requested direction.
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
    /// Newer messages, if there are any.
    newer: Option<Newer>,
    /// Older messages, if there are any.
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
    /// The position of this page. `base` is the chat's messages' URL; see [`messages_url`].
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

/// The URL of a chat's messages: below the public URL if it is configured, else without a host.
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
    use crate::api::http::input::{Request, read_query};

    #[derive(Debug, PartialEq, Eq, serde::Deserialize, utoipa::IntoParams)]
    #[into_params(parameter_in = Query)]
    struct Window {
        #[serde(default = "default_limit")]
        #[param(minimum = 1, maximum = 100)]
        limit: usize,
        #[serde(default)]
        offset: usize,
    }

    impl Request for Window {
        const ALIASES: &'static [Alias] = &[LIMIT, OFFSET];

        fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
            move_page(object, report);
        }
    }

    #[test]
    fn all_three_spellings_of_a_page_are_equal() {
        let window = |query: &str| read_query::<Window>(query).unwrap();
        for query in
            ["limit=20&offset=40", "take=20&skip=40", "page=3&pageSize=20", "page=9&limit=20&skip=40"]
        {
            assert_eq!(window(query), Window { limit: 20, offset: 40 }, "{query}");
        }
        assert_eq!(window(""), Window { limit: DEFAULT_LIMIT, offset: 0 });
        assert_eq!(window("page=2").offset, DEFAULT_LIMIT);
        assert!(read_query::<Window>("page=0").is_err());
        assert!(read_query::<Window>("page=x").is_err());
    }

    #[test]
    fn neighbouring_pages_have_urls() {
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

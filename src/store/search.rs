//! Searches messages by their text, the newest first.
//!
//! The index is read from its newest entry on and no further than [`MAX_COUNTED`] matches.

use rusqlite::params;

use super::column_codec::to_word;
use super::error::StoreError;
use super::messages::Pk;
use super::tx::Reader;
use crate::domain::ids::DeviceId;
use crate::domain::message::MessageType;
use crate::domain::queries::{SearchQuery, SearchResult};

/// Matches beyond this number are not counted.
const MAX_COUNTED: usize = 1_000;
/// The bits of the index key that are the message's place; see `migrations/0014_reads.sql`.
const PK_BITS: i64 = 0x7fff_ffff;

impl Reader<'_> {
    /// Messages that contain all words: the newest first, to the second.
    ///
    /// # Errors
    /// When the store fails.
    pub fn search(&self, device: &DeviceId, query: &SearchQuery) -> Result<SearchResult, StoreError> {
        let kind = query.kind.map(|kind| to_word::<MessageType>(&kind, "message type")).transpose()?;
        let Some(expression) = fts_expression(device, query, kind.as_deref()) else {
            return Ok(SearchResult { messages: Vec::new(), total: 0, total_is_lower_bound: false });
        };
        let limit = i64::try_from(MAX_COUNTED + 1).unwrap_or(i64::MAX);
        let mut found: Vec<Pk> = self.all(
            "SELECT rowid FROM messages_text WHERE messages_text MATCH ?1 ORDER BY rowid DESC LIMIT ?2",
            params![expression, limit],
            |row| Ok(row.get::<_, i64>(0)? & PK_BITS),
        )?;
        let (total, total_is_lower_bound) = (found.len().min(MAX_COUNTED), found.len() > MAX_COUNTED);
        found.truncate(query.limit);
        Ok(SearchResult { messages: self.messages_at(&found)?, total, total_is_lower_bound })
    }
}

/// Quotes each word, so that no input is an operator of FTS5's query language; the last word matches as a prefix.
/// `None` when there is no word. Words of the column `scope` restrict the search; see `migrations/0014_reads.sql`.
fn fts_expression(device: &DeviceId, query: &SearchQuery, kind: Option<&str>) -> Option<String> {
    let words = query.words.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    let quoted: Vec<String> = words.take(32).map(|word| format!("\"{word}\"")).collect();
    if quoted.is_empty() {
        return None;
    }
    let mut scope = match &query.chat {
        Some(chat) => format!("c{}", hex(&format!("{device}/{chat}"))),
        None => format!("d{}", hex(device.as_str())),
    };
    if let Some(kind) = kind {
        scope = format!("{scope} AND t{}", hex(kind));
    }
    Some(format!("scope : ({scope}) AND {{body extra_text}} : ({}*)", quoted.join(" AND ")))
}

fn hex(text: &str) -> String {
    use std::fmt::Write as _;
    text.bytes().fold(String::with_capacity(text.len() * 2), |mut hex, byte| {
        let _ = write!(hex, "{byte:02X}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_input_is_never_operator() {
        let expression = |words: &str, chat: Option<&str>, kind| {
            let query = SearchQuery {
                words: words.to_owned(),
                chat: chat.map(|chat| chat.parse().unwrap()),
                kind: None,
                limit: 1,
            };
            fts_expression(&"a-1".parse().unwrap(), &query, kind)
        };
        assert_eq!(
            expression("price AND \"x\" OR*", None, None).as_deref(),
            Some(r#"scope : (d612D31) AND {body extra_text} : ("price" AND "AND" AND "x" AND "OR"*)"#)
        );
        assert_eq!(
            expression("x", Some("15550100001@c.us"), Some("chat")).as_deref(),
            Some(
                "scope : (c612D312F313535353031303030303140632E7573 AND t63686174) AND {body extra_text} : (\"x\"*)"
            )
        );
        assert_eq!(expression("  -- \" ", None, None), None);
    }
}

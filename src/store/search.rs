//! Full-text search over messages.

use rusqlite::params;

use super::column_codec::to_word;
use super::error::StoreError;
use super::messages::{COLUMNS, message};
use super::tx::Reader;
use crate::domain::ids::DeviceId;
use crate::domain::message::Message;
use crate::domain::queries::SearchQuery;

impl Reader<'_> {
    /// Messages that hold all the words, newest first, and how many there are without the limit.
    ///
    /// # Errors
    /// When the store fails.
    pub fn search(&self, device: &DeviceId, query: &SearchQuery) -> Result<(Vec<Message>, i64), StoreError> {
        let Some(expression) = fts_expression(device, &query.words) else { return Ok((Vec::new(), 0)) };
        let condition = "messages_text MATCH ?2 AND m.device_id = ?1
             AND (?3 IS NULL OR m.chat_id = ?3) AND (?4 IS NULL OR m.type = ?4)";
        let from = "FROM messages_text t JOIN messages m ON m.pk = t.rowid";
        let chat = query.chat.as_ref().map(ToString::to_string);
        let kind = query.kind.map(|kind| to_word(&kind, "message type")).transpose()?;
        let limit = i64::try_from(query.limit).unwrap_or(i64::MAX);
        let found = self.all(
            &format!("SELECT {COLUMNS} {from} WHERE {condition} ORDER BY m.at DESC, m.pk DESC LIMIT ?5"),
            params![device.as_str(), expression, chat, kind, limit],
            message,
        )?;
        let total = self.number(
            &format!("SELECT count(*) {from} WHERE {condition}"),
            params![device.as_str(), expression, chat, kind],
        )?;
        Ok((found, total))
    }
}

/// Quotes each word, so that nothing a person types is an operator of FTS5's query language; the last word
/// matches as a beginning. `None` when there is no word.
fn fts_expression(device: &DeviceId, words: &str) -> Option<String> {
    let quoted = quoted_words(words);
    if quoted.is_empty() {
        return None;
    }
    let text = format!("{{body extra_text}} : ({}*)", quoted.join(" AND "));
    // An id of nothing but hyphens has no words; then only the condition on the row tells devices apart.
    let device = quoted_words(device.as_str()).join(" + ");
    Some(if device.is_empty() { text } else { format!("device_id : ({device}) AND {text}") })
}

fn quoted_words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.take(32).map(|word| format!("\"{word}\"")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn search_input_is_never_operator() {
        let expression = |device: &str, words: &str| fts_expression(&device.parse().unwrap(), words);
        assert_eq!(
            expression("shop-1", "price AND \"x\" OR*").as_deref(),
            Some(
                r#"device_id : ("shop" + "1") AND {body extra_text} : ("price" AND "AND" AND "x" AND "OR"*)"#
            )
        );
        assert_eq!(expression("--", "x").as_deref(), Some(r#"{body extra_text} : ("x"*)"#));
        assert_eq!(expression("shop", "  -- \" "), None);
    }
}

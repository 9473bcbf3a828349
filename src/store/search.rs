//! Searches messages by their text, the newest first.
//!
//! The index is read from its newest entry on and no further than [`MAX_COUNTED`] matches. SQLite reads all matches
//! of a prefix before it returns the newest, so the last word is replaced by the stored words that begin with it.

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
/// Words of a query; further ones are ignored.
const MAX_WORDS: usize = 32;
/// Stored words that replace the last word of a query; where more begin with it, SQLite searches for the prefix.
const MAX_COMPLETIONS: usize = 64;
/// The bits of the index key that are the message's place; see `migrations/0014_reads.sql`.
const PK_BITS: i64 = 0x7fff_ffff;

/// Tables of each connection: the words of the index, and a way to split a text as the index does.
pub(super) const TEMPORARY_TABLES: &str = "
    CREATE VIRTUAL TABLE temp.message_words USING fts5vocab('main', 'messages_text', 'instance');
    CREATE VIRTUAL TABLE temp.query_text USING fts5 (
        word, content = '', tokenize = 'unicode61 remove_diacritics 2'
    );
    CREATE VIRTUAL TABLE temp.query_words USING fts5vocab('temp', 'query_text', 'row');";

/// The last word of a query.
#[derive(Debug, PartialEq)]
enum LastWord {
    /// Any of these stored words.
    AnyOf(Vec<String>),
    /// Any word that begins with it.
    Prefix(String),
}

impl Reader<'_> {
    /// Messages that contain all words, the last one also as the beginning of a word: the newest first, to the
    /// second.
    ///
    /// # Errors
    /// When the store fails.
    pub fn search(&self, device: &DeviceId, query: &SearchQuery) -> Result<SearchResult, StoreError> {
        let kind = query.kind.map(|kind| to_word::<MessageType>(&kind, "message type")).transpose()?;
        let mut words = words(&query.words);
        let Some(last) = words.pop() else { return Ok(nothing()) };
        let last = self.last_word(last)?;
        if last == LastWord::AnyOf(Vec::new()) {
            return Ok(nothing());
        }
        let expression = format!("{} AND {}", scope(device, query, kind.as_deref()), text(&words, &last));
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

    fn last_word(&self, word: &str) -> Result<LastWord, StoreError> {
        let Some(prefix) = self.as_indexed(word)? else { return Ok(LastWord::Prefix(word.to_owned())) };
        let mut completions = Vec::new();
        let mut from = prefix.clone();
        let end = format!("{prefix}{}", char::MAX);
        while let Some(next) = self.first_word_between(&from, &end)? {
            if completions.len() == MAX_COMPLETIONS {
                return Ok(LastWord::Prefix(prefix));
            }
            // No word has control characters, so this is the smallest text after it.
            from = format!("{next}\u{1}");
            completions.push(next);
        }
        Ok(LastWord::AnyOf(completions))
    }

    /// The first stored word in a range of texts.
    fn first_word_between(&self, from: &str, end: &str) -> Result<Option<String>, StoreError> {
        self.one(
            "SELECT term FROM temp.message_words WHERE term >= ?1 AND term < ?2 LIMIT 1",
            params![from, end],
            |row| Ok(row.get(0)?),
        )
    }

    /// A word as the index has it: in small letters and without diacritics. `None` if the index splits it.
    fn as_indexed(&self, word: &str) -> Result<Option<String>, StoreError> {
        if word.is_ascii() {
            return Ok(Some(word.to_ascii_lowercase()));
        }
        self.prepare("INSERT INTO temp.query_text (query_text) VALUES ('delete-all')")?.execute([])?;
        self.prepare("INSERT INTO temp.query_text (word) VALUES (?1)")?.execute([word])?;
        let mut indexed: Vec<String> =
            self.all("SELECT term FROM temp.query_words LIMIT 2", [], |row| Ok(row.get(0)?))?;
        let only = indexed.pop();
        Ok(only.filter(|_| indexed.is_empty()))
    }
}

fn nothing() -> SearchResult {
    SearchResult { messages: Vec::new(), total: 0, total_is_lower_bound: false }
}

fn words(text: &str) -> Vec<&str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).take(MAX_WORDS).collect()
}

/// The words of the column `scope` restrict the search; see `migrations/0014_reads.sql`.
fn scope(device: &DeviceId, query: &SearchQuery, kind: Option<&str>) -> String {
    let mut scope = match &query.chat {
        Some(chat) => format!("c{}", hex(&format!("{device}/{chat}"))),
        None => format!("d{}", hex(device.as_str())),
    };
    if let Some(kind) = kind {
        scope = format!("{scope} AND t{}", hex(kind));
    }
    format!("scope : ({scope})")
}

/// Quotes each word, so that no input is an operator of FTS5's query language.
fn text(words: &[&str], last: &LastWord) -> String {
    let last = match last {
        LastWord::AnyOf(words) => {
            let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
            format!("({})", quoted.join(" OR "))
        }
        LastWord::Prefix(word) => format!("\"{word}\"*"),
    };
    let all = words.iter().map(|word| format!("\"{word}\"")).chain(std::iter::once(last));
    format!("{{body extra_text}} : ({})", all.collect::<Vec<_>>().join(" AND "))
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

    fn text_of(input: &str) -> Option<String> {
        let mut words = words(input);
        let last = LastWord::Prefix(words.pop()?.to_owned());
        Some(text(&words, &last))
    }

    #[test]
    fn search_input_is_never_operator() {
        assert_eq!(
            text_of("price AND \"x\" OR*").as_deref(),
            Some(r#"{body extra_text} : ("price" AND "AND" AND "x" AND "OR"*)"#)
        );
        assert_eq!(text_of("  -- \" "), None);
        let completed = LastWord::AnyOf(vec!["or".to_owned(), "order".to_owned()]);
        assert_eq!(text(&["x"], &completed), r#"{body extra_text} : ("x" AND ("or" OR "order"))"#);
    }

    #[test]
    fn scope_names_device_or_chat_and_type() {
        let query = |chat: Option<&str>| SearchQuery {
            words: String::new(),
            chat: chat.map(|chat| chat.parse().unwrap()),
            kind: None,
            limit: 1,
        };
        let device = "a-1".parse().unwrap();
        assert_eq!(scope(&device, &query(None), None), "scope : (d612D31)");
        assert_eq!(
            scope(&device, &query(Some("15550100001@c.us")), Some("chat")),
            "scope : (c612D312F313535353031303030303140632E7573 AND t63686174)"
        );
    }
}

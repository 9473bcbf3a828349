//! Server-sent events, read from bytes as they arrive (WHATWG HTML, 9.2.6 "Interpreting an event stream").
//!
//! The parser does no IO and buffers at most [`MAX_EVENT`] bytes.

use thiserror::Error;

/// Size limit of an event, in bytes.
pub const MAX_EVENT: usize = 4 * 1024 * 1024;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// The name; `message` if the stream has none.
    pub name: String,
    /// The data lines, joined by line feeds.
    pub data: String,
}

/// An event that is longer than [`MAX_EVENT`].
#[derive(Debug, Error, PartialEq, Eq)]
#[error("an event of the stream is longer than {MAX_EVENT} bytes")]
pub struct TooLong;

/// An incremental parser of a stream.
#[derive(Debug, Default)]
pub struct SseParser {
    line: Vec<u8>,
    after_cr: bool,
    started: bool,
    name: String,
    data: String,
    has_data: bool,
    last_id: Option<String>,
}

impl SseParser {
    /// The id to resume after: that of the last event, or of a block that has an id only.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Parses the next bytes and returns the events that they complete.
    ///
    /// # Errors
    /// [`TooLong`]; the stream cannot be parsed any further.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
        let mut events = Vec::new();
        for &byte in bytes {
            match byte {
                b'\n' if std::mem::take(&mut self.after_cr) => {}
                b'\n' | b'\r' => {
                    self.after_cr = byte == b'\r';
                    self.end_line(&mut events);
                }
                _ => {
                    self.after_cr = false;
                    if self.line.len() + self.data.len() >= MAX_EVENT {
                        return Err(TooLong);
                    }
                    self.line.push(byte);
                }
            }
        }
        Ok(events)
    }

    fn end_line(&mut self, events: &mut Vec<SseEvent>) {
        let bytes = std::mem::take(&mut self.line);
        let line = String::from_utf8_lossy(&bytes);
        let line = if self.started { &*line } else { line.strip_prefix('\u{feff}').unwrap_or(&line) };
        self.started = true;
        if line.is_empty() {
            events.extend(self.end_event());
            return;
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        self.field(field, value.strip_prefix(' ').unwrap_or(value));
    }

    fn field(&mut self, field: &str, value: &str) {
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if self.has_data {
                    self.data.push('\n');
                }
                self.has_data = true;
                self.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.last_id = Some(value.to_owned()),
            // Comments have an empty field name. `retry` is ignored, because callers have their own backoff.
            _ => {}
        }
    }

    fn end_event(&mut self) -> Option<SseEvent> {
        let name = std::mem::take(&mut self.name);
        let data = std::mem::take(&mut self.data);
        if !std::mem::take(&mut self.has_data) {
            return None;
        }
        let name = if name.is_empty() { "message".to_owned() } else { name };
        Some(SseEvent { name, data })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> (Vec<(String, String)>, Option<String>) {
        let mut parser = SseParser::default();
        let events = parser.push(text.as_bytes()).unwrap();
        let last = parser.last_id().map(str::to_owned);
        (events.into_iter().map(|event| (event.name, event.data)).collect(), last)
    }

    fn pair(name: &str, data: &str) -> (String, String) {
        (name.to_owned(), data.to_owned())
    }

    #[test]
    fn sse_event_has_name_data_and_id() {
        let (events, last) = parse("id: 7\nevent: qr\ndata: {\"a\":1}\n\n: ping\n\ndata:x\ndata: y\n\n");
        assert_eq!(events, [pair("qr", "{\"a\":1}"), pair("message", "x\ny")]);
        assert_eq!(last.as_deref(), Some("7"));
    }

    #[test]
    fn sse_accepts_all_line_endings() {
        for end in ["\n", "\r\n", "\r"] {
            let (events, _) = parse(&format!("event: a{end}data: 1{end}{end}data: 2{end}{end}"));
            assert_eq!(events, [pair("a", "1"), pair("message", "2")], "{end:?}");
        }
    }

    #[test]
    fn sse_id_alone_moves_position() {
        let (events, last) = parse("\u{feff}id: 41\n\n");
        assert!(events.is_empty());
        assert_eq!(last.as_deref(), Some("41"));
    }

    #[test]
    fn partial_sse_event_is_buffered() {
        assert!(parse("data: x\n").0.is_empty());
        assert_eq!(parse("data\n\n").0, [pair("message", "")]);
        assert!(parse("event: only a name\n\n").0.is_empty());
    }

    #[test]
    fn oversized_sse_event_is_rejected() {
        let mut parser = SseParser::default();
        let line = format!("data: {}\n", "x".repeat(1024 * 1024 - 7));
        let outcome: Result<Vec<_>, TooLong> = (0..5).map(|_| parser.push(line.as_bytes())).collect();
        assert_eq!(outcome, Err(TooLong));
    }

    proptest! {
        #[test]
        fn sse_chunk_boundaries_do_not_matter(
            text in "((data|event|id|:c|x): ?[a-zé\u{feff}]{0,5}(\n|\r\n|\r)|(\n|\r\n|\r)){0,30}",
            size in 1_usize..7,
        ) {
            let whole = SseParser::default().push(text.as_bytes());
            let mut parser = SseParser::default();
            let mut parts = Vec::new();
            for chunk in text.as_bytes().chunks(size) {
                parts.extend(parser.push(chunk).unwrap());
            }
            prop_assert_eq!(whole, Ok(parts));
        }

        #[test]
        fn sse_parser_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = SseParser::default().push(&bytes);
        }
    }
}

//! An event in its encoded form, which all sockets of a dialect share.

use std::borrow::Cow;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};

use crate::domain::operator_chat::log_offset::LogOffset;

/// An event with its encoded arguments.
#[derive(Debug)]
pub(super) struct Packet {
    event: Cow<'static, str>,
    arguments: Arguments,
}

#[derive(Debug)]
enum Arguments {
    None,
    One(Box<RawValue>),
    Two(Box<RawValue>, Box<RawValue>),
}

impl Packet {
    /// An event without arguments.
    pub(super) fn bare(event: &'static str) -> Self {
        Self { event: event.into(), arguments: Arguments::None }
    }

    /// An event with one argument.
    pub(super) fn new<T: Serialize>(event: impl Into<Cow<'static, str>>, argument: &T) -> Self {
        Self { event: event.into(), arguments: Arguments::One(encode(argument)) }
    }

    /// An event with two arguments.
    pub(super) fn pair<A: Serialize, B: Serialize>(event: &'static str, first: &A, second: &B) -> Self {
        Self { event: event.into(), arguments: Arguments::Two(encode(first), encode(second)) }
    }

    /// Adds the position of a log entry to all arguments that are objects.
    pub(super) fn with_seq(mut self, seq: i64) -> Self {
        match &mut self.arguments {
            Arguments::None => {}
            Arguments::One(argument) => add_seq(argument, seq),
            Arguments::Two(first, second) => {
                add_seq(first, seq);
                add_seq(second, seq);
            }
        }
        self
    }

    /// Whether the last argument is a text. A client takes it as the offset, so that the offset must follow it.
    pub(super) fn ends_in_text(&self) -> bool {
        match &self.arguments {
            Arguments::None => false,
            Arguments::One(last) | Arguments::Two(_, last) => last.get().starts_with('"'),
        }
    }

    /// Puts the event into a socket's buffer.
    pub(super) fn emit(&self, socket: &Socket) -> Result<(), SendError> {
        match &self.arguments {
            // A tuple of no elements; a unit would be the argument null.
            Arguments::None => socket.emit(&*self.event, &[(); 0]),
            Arguments::One(argument) => socket.emit(&*self.event, argument),
            Arguments::Two(first, second) => socket.emit(&*self.event, &(first, second)),
        }
    }

    /// Puts the event with an offset as its last argument into a socket's buffer.
    pub(super) fn emit_with(&self, socket: &Socket, offset: LogOffset) -> Result<(), SendError> {
        let offset = offset.to_string();
        match &self.arguments {
            Arguments::None => socket.emit(&*self.event, &offset),
            Arguments::One(argument) => socket.emit(&*self.event, &(argument, offset)),
            Arguments::Two(first, second) => socket.emit(&*self.event, &(first, second, offset)),
        }
    }

    /// The event and its arguments, as JSON.
    #[cfg(test)]
    pub(super) fn to_json(&self) -> serde_json::Value {
        let arguments = match &self.arguments {
            Arguments::None => vec![],
            Arguments::One(argument) => vec![argument],
            Arguments::Two(first, second) => vec![first, second],
        };
        let parsed = arguments.into_iter().map(|raw| serde_json::from_str(raw.get()).unwrap());
        std::iter::once(serde_json::Value::from(&*self.event)).chain(parsed).collect()
    }
}

/// Whether a packet was refused because the socket's buffer is full.
pub(super) fn is_full(error: &SendError) -> bool {
    matches!(error, SendError::Socket(SocketError::InternalChannelFull))
}

fn add_seq(argument: &mut Box<RawValue>, seq: i64) {
    let Some(fields) = argument.get().strip_suffix('}').filter(|fields| fields.starts_with('{')) else {
        return;
    };
    let comma = if fields == "{" { "" } else { "," };
    if let Ok(added) = RawValue::from_string(format!(r#"{fields}{comma}"seq":{seq}}}"#)) {
        *argument = added;
    }
}

fn encode<T: Serialize>(argument: &T) -> Box<RawValue> {
    to_raw_value(argument).unwrap_or_else(|error| {
        // Not reached: payloads are plain data.
        tracing::error!(%error, "a chat payload cannot be encoded");
        RawValue::NULL.to_owned()
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_objects_get_the_position_of_the_entry() {
        let one = |argument| Packet::new("e", &argument).with_seq(7).to_json();
        assert_eq!(one(json!({ "a": 1 })), json!(["e", { "a": 1, "seq": 7 }]));
        assert_eq!(one(json!({})), json!(["e", { "seq": 7 }]));
        assert_eq!(one(json!("{}")), json!(["e", "{}"]));
        assert_eq!(one(json!([{}])), json!(["e", [{}]]));
        assert_eq!(Packet::bare("e").with_seq(7).to_json(), json!(["e"]));
        let pair = Packet::pair("e", &"text", &json!({ "code": "c" })).with_seq(7);
        assert_eq!(pair.to_json(), json!(["e", "text", { "code": "c", "seq": 7 }]));
    }

    #[test]
    fn text_at_the_end_is_found() {
        assert!(Packet::new("e", &"Token expired").ends_in_text());
        assert!(!Packet::pair("e", &"Token expired", &json!({})).ends_in_text());
        assert!(!Packet::new("e", &json!({})).ends_in_text() && !Packet::bare("e").ends_in_text());
    }
}

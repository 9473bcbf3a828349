//! An event in its encoded form, which all sockets of a dialect share.

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use socketioxide::socket::Socket;
use socketioxide::{SendError, SocketError};

/// An event with its encoded arguments.
#[derive(Debug)]
pub(super) struct Packet {
    event: &'static str,
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
        Self { event, arguments: Arguments::None }
    }

    /// An event with one argument.
    pub(super) fn new<T: Serialize>(event: &'static str, argument: &T) -> Self {
        Self { event, arguments: Arguments::One(encode(argument)) }
    }

    /// An event with two arguments.
    pub(super) fn pair<A: Serialize, B: Serialize>(event: &'static str, first: &A, second: &B) -> Self {
        Self { event, arguments: Arguments::Two(encode(first), encode(second)) }
    }

    /// Puts the event into a socket's buffer.
    pub(super) fn emit(&self, socket: &Socket) -> Result<(), SendError> {
        match &self.arguments {
            // A tuple of no elements; a unit would be the argument null.
            Arguments::None => socket.emit(self.event, &[(); 0]),
            Arguments::One(argument) => socket.emit(self.event, argument),
            Arguments::Two(first, second) => socket.emit(self.event, &(first, second)),
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
        std::iter::once(serde_json::Value::from(self.event)).chain(parsed).collect()
    }
}

/// Whether a packet was refused because the socket's buffer is full.
pub(super) fn is_full(error: &SendError) -> bool {
    matches!(error, SendError::Socket(SocketError::InternalChannelFull))
}

fn encode<T: Serialize>(argument: &T) -> Box<RawValue> {
    to_raw_value(argument).unwrap_or_else(|error| {
        // Not reached: payloads are plain data.
        tracing::error!(%error, "a chat payload cannot be encoded");
        RawValue::NULL.to_owned()
    })
}

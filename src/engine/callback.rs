//! What an upstream calls back with, and how it is answered.

use serde_json::Value;
use thiserror::Error;

/// An upstream's request, as it came.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'a> {
    /// How it asks.
    pub method: CallbackMethod,
    /// The query, decoded, in its order.
    pub query: &'a [(String, String)],
    /// The headers, their names in lower case.
    pub headers: &'a [(String, String)],
    /// The body, byte for byte: signatures are made over it.
    pub body: &'a [u8],
}

impl<'a> Callback<'a> {
    /// The first header of this name, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        first(self.headers, name)
    }

    /// The first value of this name in the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        first(self.query, name)
    }
}

fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
}

/// How an upstream asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackMethod {
    /// To verify an address before it sends.
    Get,
    /// To tell something.
    Post,
}

/// The answer to a callback that was taken: 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackAnswer {
    /// What an upstream wants to read back as it is, such as a challenge.
    Text(String),
    /// JSON.
    Json(Value),
}

/// A callback was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallbackError {
    /// This engine takes none, or this device is not set up for them.
    #[error("this device takes no callbacks")]
    NotTaken,
    /// The signature is missing or wrong.
    #[error("the signature is missing or wrong")]
    Unauthorized,
    /// What was to be verified is not what was agreed on.
    #[error("the verification is refused")]
    Forbidden,
    /// It is signed, and still not what this upstream sends.
    #[error("{0}")]
    Invalid(String),
    /// It could not be taken in now; the upstream should try again.
    #[error("{0}")]
    NotNow(String),
}

//! Requests of upstreams to this daemon, and the answers to them.

use serde_json::Value;
use thiserror::Error;

/// A callback of an upstream, unparsed.
#[derive(Debug, Clone, Copy)]
pub struct Callback<'a> {
    /// `GET` to verify, `POST` with events.
    pub method: CallbackMethod,
    /// The decoded query, in its order.
    pub query: &'a [(String, String)],
    /// The headers; their names are in lower case.
    pub headers: &'a [(String, String)],
    /// The unchanged body: signatures cover its bytes.
    pub body: &'a [u8],
}

impl<'a> Callback<'a> {
    /// The first header with this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&'a str> {
        first(self.headers, name)
    }

    /// The first value with this name in the query.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&'a str> {
        first(self.query, name)
    }
}

fn first<'a>(pairs: &'a [(String, String)], name: &str) -> Option<&'a str> {
    pairs.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
}

/// The method of a callback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CallbackMethod {
    /// Verifies the address.
    Get,
    /// Carries events.
    Post,
}

/// The body of the answer to an accepted callback, with status 200.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallbackAnswer {
    /// Text that the upstream compares, such as a challenge.
    Text(String),
    /// A JSON value.
    Json(Value),
}

/// Why a callback was not accepted.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CallbackError {
    /// The engine has no callbacks, or the device does not use them.
    #[error("this device accepts no callbacks")]
    NotTaken,
    /// The signature is missing or wrong.
    #[error("the signature is missing or wrong")]
    Unauthorized,
    /// The verification token is wrong.
    #[error("the verification is refused")]
    Forbidden,
    /// The callback is signed, but does not match the upstream's contract.
    #[error("{0}")]
    Invalid(String),
    /// The callback could not be ingested now; the upstream should retry.
    #[error("{0}")]
    NotNow(String),
}

//! The one guarded HTTP client, which everything outgoing uses.
//!
//! [`guard`] holds the address rules, pure; [`resolver`] applies them to what DNS answers; [`client`]
//! applies them to addresses written in URLs, and limits redirects, proxies, time and size.
//!
//! [`WebSocket`] connects under the same rules.
//!
//! Invariants: no connection is made to an address that [`guard::Guard`] refuses, however it is spelt and
//! whatever DNS says later; a redirect is followed only by [`GuardedClient::download`], which
//! checks each address; no proxy is used but one that was set, and then names are looked up and checked here before
//! it is asked; no answer is held that is larger than its limit.

pub mod client;
mod download;
mod exchange;
pub mod guard;
#[cfg(feature = "testbed")]
pub mod loopback;
mod post;
mod resolver;
pub mod sse;
pub mod standard_webhooks;
mod websocket;

pub use client::{GuardedClient, NetError, Route, check_certificates};
pub use exchange::{Exchange, ExchangeAnswer, ExchangeBody};
pub use guard::{Guard, Refused};
pub use post::{Answer, Post, is_header};
pub use reqwest::Method;
pub use websocket::{Frame, WebSocket, WebSocketError};

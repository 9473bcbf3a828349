//! The guarded HTTP client of all outgoing requests.
//!
//! [`guard`] has the address rules, [`resolver`] applies them to DNS answers, and [`client`] applies them to IP
//! addresses in URLs and limits redirects, proxies, time and size. [`WebSocket`] connects under the same rules.
//!
//! Invariants: no connection is made to an address that [`guard::Guard`] refuses, in any spelling and after any
//! later DNS answer; only [`GuardedClient::download`] follows redirects, and it checks each target; only a
//! configured proxy is used, after names were resolved and checked here; no answer exceeds its size limit in memory.

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

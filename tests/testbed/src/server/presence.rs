//! `<presence>` and `<chatstate>`: who is there, and who types.
//!
//! Called at [`came`] and [`went`] when a companion connects and when its connection has ended.

use wacore_binary::Node;

use super::dispatch::Session;

/// Takes a presence or a subscription.
pub async fn handle(_session: &Session, _presence: &Node) {}

/// Takes a chat state.
pub async fn chat_state(_session: &Session, _state: &Node) {}

/// A companion has logged in.
pub async fn came(_session: &Session) {}

/// A companion's connection has ended.
pub async fn went(_session: &Session) {}

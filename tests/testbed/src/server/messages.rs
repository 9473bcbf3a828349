//! `<message>`: what companions send.

use wacore_binary::Node;

use super::dispatch::Session;

/// Takes a message.
pub async fn handle(_session: &Session, _message: &Node) {}

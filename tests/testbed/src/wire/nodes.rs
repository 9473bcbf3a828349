//! Readers and builders of nodes that all stanzas need.

use anyhow::{Context as _, Result};
use wacore_binary::builder::NodeBuilder;
use wacore_binary::{Jid, Node, NodeContent, SERVER_JID};

/// The text of an attribute; empty if it is absent.
#[must_use]
pub fn attr(node: &Node, name: &str) -> String {
    node.attrs.get(name).map(|value| value.as_str().into_owned()).unwrap_or_default()
}

/// The JID in an attribute.
#[must_use]
pub fn jid(node: &Node, name: &str) -> Option<Jid> {
    node.attrs.get(name)?.to_jid()
}

/// The first child with this tag.
///
/// # Errors
/// If there is none.
pub fn child<'n>(node: &'n Node, tag: &str) -> Result<&'n Node> {
    node.get_optional_child(tag).with_context(|| format!("<{}> has no <{tag}>", node.tag))
}

/// The bytes in a node; empty if it has none.
#[must_use]
pub fn bytes(node: &Node) -> &[u8] {
    match &node.content {
        Some(NodeContent::Bytes(bytes)) => bytes,
        _ => &[],
    }
}

/// The bytes of a child, of this exact length.
///
/// # Errors
/// If there is no such child, or its length differs.
pub fn exactly<const N: usize>(node: &Node, tag: &str) -> Result<[u8; N]> {
    let found = bytes(child(node, tag)?);
    found.try_into().with_context(|| format!("<{tag}> has {} bytes, not {N}", found.len()))
}

/// A big-endian number of at most four bytes.
#[must_use]
pub fn number(node: &Node) -> u32 {
    bytes(node).iter().fold(0, |sum, byte| sum << 8 | u32::from(*byte))
}

/// A node with bytes.
#[must_use]
pub fn holding(tag: &'static str, bytes: impl Into<Vec<u8>>) -> Node {
    NodeBuilder::new(tag).bytes(bytes).build()
}

/// The answer to an IQ.
#[must_use]
pub fn result(iq: &Node, children: Vec<Node>) -> Node {
    let answer =
        NodeBuilder::new("iq").attr("from", SERVER_JID).attr("id", attr(iq, "id")).attr("type", "result");
    if children.is_empty() { answer.build() } else { answer.children(children).build() }
}

/// An error answer to an IQ.
#[must_use]
pub fn error(iq: &Node, code: u16, text: &str) -> Node {
    NodeBuilder::new("iq")
        .attr("from", SERVER_JID)
        .attr("id", attr(iq, "id"))
        .attr("type", "error")
        .children([NodeBuilder::new("error").attr("code", code).attr("text", text).build()])
        .build()
}

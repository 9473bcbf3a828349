//! `abt`, `privacy`, `blocklist`: preferences, with a new account's defaults.

use wacore_binary::Node;
use wacore_binary::builder::NodeBuilder;

use super::dispatch::Session;
use super::iq::Answer;
use crate::wire::nodes;

/// The default privacy settings.
const PRIVACY: &[(&str, &str)] = &[
    ("readreceipts", "all"),
    ("last", "contacts"),
    ("online", "all"),
    ("profile", "contacts"),
    ("status", "contacts"),
    ("groupadd", "all"),
    ("calladd", "all"),
];

/// Answers the IQ.
#[must_use]
pub fn answer(_session: &Session, iq: &Node) -> Answer {
    match nodes::attr(iq, "xmlns").as_str() {
        "abt" => Answer::Result(vec![
            NodeBuilder::new("props")
                .attr("protocol", 1_u32)
                .attr("hash", "testbed")
                .attr("refresh", 86_400_u32)
                .build(),
        ]),
        "privacy" if nodes::attr(iq, "type") == "get" => Answer::Result(vec![privacy()]),
        "blocklist" if nodes::attr(iq, "type") == "get" => {
            Answer::Result(vec![NodeBuilder::new("list").build()])
        }
        _ => Answer::empty(),
    }
}

fn privacy() -> Node {
    let categories = PRIVACY
        .iter()
        .map(|&(name, value)| NodeBuilder::new("category").attr("name", name).attr("value", value).build());
    NodeBuilder::new("privacy").children(categories).build()
}

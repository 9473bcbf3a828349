//! Passes IQs to their handlers by namespace. Other namespaces get an empty result, which most of a client's
//! reports expect.

use anyhow::Result;
use wacore_binary::Node;

use super::dispatch::Session;
use super::{app_state, companions, groups, offline, pictures, prekeys, settings, usync};
use crate::media;
use crate::wire::nodes;

/// The answer to an IQ.
pub enum Answer {
    /// A result with these children.
    Result(Vec<Node>),
    /// An error.
    Error(u16, &'static str),
    /// A complete stanza, if the result needs attributes of its own.
    Whole(Node),
    /// No answer here; the handler sends it.
    Silent,
}

impl Answer {
    /// An empty result.
    #[must_use]
    pub fn empty() -> Self {
        Self::Result(Vec::new())
    }

    /// A result, or 400 if the request was invalid.
    #[must_use]
    pub fn of(answer: Result<Vec<Node>>) -> Self {
        answer.map_or_else(
            |error| {
                tracing::debug!(%error, "rejected an invalid request");
                Self::Error(400, "bad-request")
            },
            Self::Result,
        )
    }
}

/// Answers an IQ and runs its follow-up.
pub async fn handle(session: &Session, iq: &Node) {
    let kind = nodes::attr(iq, "type");
    if kind == "result" || kind == "error" {
        return;
    }
    let answer = match nodes::attr(iq, "xmlns").as_str() {
        "encrypt" => prekeys::answer(session, iq).await,
        "md" => companions::answer(session, iq).await,
        "abt" | "privacy" | "blocklist" => settings::answer(session, iq),
        "usync" => usync::answer(session, iq).await,
        "w:g2" => groups::answer(session, iq).await,
        "w:sync:app:state" => app_state::answer(session, iq).await,
        "w:profile:picture" => pictures::answer(session, iq).await,
        "w:m" => media::answer(session, iq).await,
        _ => Answer::empty(),
    };
    let reply = match answer {
        Answer::Result(children) => nodes::result(iq, children),
        Answer::Error(code, text) => nodes::error(iq, code, text),
        Answer::Whole(node) => node,
        Answer::Silent => return,
    };
    session.send(reply).await;
    after(session, iq).await;
}

/// The follow-up after the answer was sent.
async fn after(session: &Session, iq: &Node) {
    match nodes::attr(iq, "xmlns").as_str() {
        "passive" => {
            let active = iq.get_optional_child("active").is_some();
            session.account.with(session.device, |companion| companion.active = active);
            if active {
                offline::active(session).await;
            }
        }
        "encrypt" if prekeys::is_upload(iq) => crate::phone::prekeys_uploaded(session).await,
        "md" => companions::removed(session, iq).await,
        _ => {}
    }
}

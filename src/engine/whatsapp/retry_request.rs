//! Requests a message again from its sender when its key was used before the message was stored, as around a
//! kill. The library requests undecryptable messages by itself. The second copy has the same id and arrives
//! like any message.

use super::boxed::boxed;
use whatsapp_rust::wacore_binary::{JidExt as _, Node};
use whatsapp_rust::{Jid as NetworkJid, NodeBuilder, RetryReason, RetryRequestOptions, RetryRequestOutcome};

use super::connection_context::ConnectionContext;
use super::storage::MissingMessage;

/// Requests a message. If that fails, it arrives again with the next connection.
pub(super) async fn ask(context: &ConnectionContext, missing: &MissingMessage) {
    let (device, message) = (&context.device, missing.id.as_str());
    let Some(stanza) = stanza(context, missing) else {
        tracing::error!(%device, message, "missing message cannot be requested: its sender is not an address");
        return;
    };
    let options = RetryRequestOptions::new().with_reason(RetryReason::UnknownError);
    let requested = boxed(context.client.request_message_retry(&stanza.as_node_ref(), options)).await;
    match requested {
        Ok(RetryRequestOutcome::Sent { .. }) => {
            tracing::warn!(%device, message, "missing message requested again from its sender");
        }
        Ok(_) => {
            tracing::error!(%device, message, "missing message not sent again by its sender");
        }
        Err(error) => {
            tracing::warn!(%device, message, %error, "missing message could not be requested now");
        }
    }
}

/// The parts of the original stanza that the request needs (`wacore` 0.7.0, `messages.rs`,
/// `parse_message_info`).
fn stanza(context: &ConnectionContext, missing: &MissingMessage) -> Option<Node> {
    let chat: NetworkJid = missing.chat.parse().ok()?;
    let sender: NetworkJid = missing.sender.parse().ok()?;
    let now = context.clock.now().0 / 1_000;
    let stanza = NodeBuilder::new("message").attr("id", missing.id.as_str()).attr("t", now);
    let shared = chat.is_group() || chat.is_broadcast_list() || chat.is_status_broadcast();
    let ids = &context.identities;
    let stanza = if shared {
        stanza.attr("from", chat).attr("participant", sender)
    } else if ids.jid(&sender).is_some_and(|sender| ids.is_me(&sender)) {
        stanza.attr("from", sender).attr("recipient", chat)
    } else {
        stanza.attr("from", sender)
    };
    Some(stanza.build())
}

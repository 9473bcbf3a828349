//! Messages whose keys were used up before they were stored, as around a kill: the sender is asked for them again.
//!
//! The same happens to what cannot be decrypted, which the library sees to by itself. What the sender sends again
//! has the id of the first, and comes in as any message does.

use super::boxed::boxed;
use whatsapp_rust::wacore_binary::{JidExt as _, Node};
use whatsapp_rust::{Jid as NetworkJid, NodeBuilder, RetryReason, RetryRequestOptions, RetryRequestOutcome};

use super::connection_context::ConnectionContext;
use super::storage::MissingMessage;

/// Asks for a message. Should that fail, it comes again with the next connection.
pub(super) async fn ask(context: &ConnectionContext, missing: &MissingMessage) {
    let (device, message) = (&context.device, missing.id.as_str());
    let Some(stanza) = stanza(context, missing) else {
        tracing::error!(%device, message, "a message that was missed cannot be asked for: its sender is not an address");
        return;
    };
    let options = RetryRequestOptions::new().with_reason(RetryReason::UnknownError);
    let requested = boxed(context.client.request_message_retry(&stanza.as_node_ref(), options)).await;
    match requested {
        Ok(RetryRequestOutcome::Sent { .. }) => {
            tracing::warn!(%device, message, "a message was missed; the sender is asked for it again");
        }
        Ok(_) => {
            tracing::error!(%device, message, "a message was missed, and the sender did not send it again");
        }
        Err(error) => {
            tracing::warn!(%device, message, %error, "a message was missed, and could not be asked for now");
        }
    }
}

/// The message as it came, as far as it matters for asking (`wacore` 0.7.0, `messages.rs`, `parse_message_info`).
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

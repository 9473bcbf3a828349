//! A message as it goes out, in the network's words.

use whatsapp_rust::waproto::whatsapp as wa;

use crate::domain::content::Content;
use crate::engine::Outgoing;

/// A message in the network's words; `None` for what it has none for. A file's message is made in `media`, once it
/// is uploaded.
pub(in super::super) fn outgoing(message: &Outgoing) -> Option<wa::Message> {
    match &message.content {
        Content::Text => Some(wa::Message { conversation: Some(message.body.clone()), ..Default::default() }),
        Content::Media(_)
        | Content::Location(_)
        | Content::Contacts(_)
        | Content::Poll(_)
        | Content::Other(_) => None,
    }
}

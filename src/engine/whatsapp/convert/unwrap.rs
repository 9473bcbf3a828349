//! Unwraps a message. Wrappers may be nested (own device, view once, disappearing, edited, captioned document
//! and others); each contains one message.

use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::message::FutureProofMessage;

/// Maximum nesting; no client nests more than four wrappers.
const DEPTH: usize = 8;

/// The innermost message.
pub(in super::super) fn unwrapped(message: &wa::Message) -> &wa::Message {
    let mut inner = message;
    for _ in 0..DEPTH {
        match wrapped(inner) {
            Some(next) => inner = next,
            None => break,
        }
    }
    inner
}

fn wrapped(message: &wa::Message) -> Option<&wa::Message> {
    if let Some(sent) = message.device_sent_message.as_option() {
        return sent.message.as_option();
    }
    let wrapper: &FutureProofMessage = [
        &message.ephemeral_message,
        &message.view_once_message,
        &message.view_once_message_v2,
        &message.view_once_message_v2_extension,
        &message.document_with_caption_message,
        &message.edited_message,
        &message.group_mentioned_message,
        &message.bot_invoke_message,
        &message.lottie_sticker_message,
        &message.associated_child_message,
        &message.poll_creation_option_image_message,
        &message.poll_creation_message_v4,
        &message.status_mention_message,
        &message.group_status_mention_message,
        &message.group_status_message,
        &message.group_status_message_v2,
        &message.bot_task_message,
        &message.bot_forwarded_message,
        &message.question_message,
        &message.question_reply_message,
        &message.spoiler_message,
        &message.limit_sharing_message,
        &message.event_cover_image,
    ]
    .into_iter()
    .find_map(|field| field.as_option())?;
    wrapper.message.as_option()
}

#[cfg(test)]
mod tests {
    use super::*;
    use whatsapp_rust::waproto::buffa::MessageField;

    fn text(text: &str) -> wa::Message {
        wa::Message { conversation: Some(text.into()), ..Default::default() }
    }

    fn wrap(message: wa::Message) -> MessageField<FutureProofMessage> {
        MessageField::some(FutureProofMessage { message: MessageField::some(message) })
    }

    #[test]
    fn nested_wrappers_are_removed() {
        let once = wa::Message { view_once_message_v2: wrap(text("hello")), ..Default::default() };
        let disappearing = wa::Message { ephemeral_message: wrap(once), ..Default::default() };
        let sent = wa::message::DeviceSentMessage {
            destination_jid: Some("15550100002@s.whatsapp.net".into()),
            message: MessageField::some(disappearing),
            phash: None,
        };
        let sent = wa::Message { device_sent_message: MessageField::some(sent), ..Default::default() };
        assert_eq!(unwrapped(&sent), &text("hello"));
    }

    #[test]
    fn empty_wrapper_stays_and_depth_is_bounded() {
        let empty = wa::Message {
            ephemeral_message: MessageField::some(FutureProofMessage::default()),
            ..Default::default()
        };
        assert_eq!(unwrapped(&empty), &empty);
        let deep = (0..40)
            .fold(text("deep"), |inner, _| wa::Message { edited_message: wrap(inner), ..Default::default() });
        assert!(unwrapped(&deep).edited_message.is_set());
    }
}

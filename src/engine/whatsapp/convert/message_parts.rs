//! Converts the content of a received message, kind by kind.

use whatsapp_rust::waproto::buffa::MessageField;
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::message as part;

use super::remote_file::RemoteFile;
use crate::domain::content::{ContactCard, Content, Location, Poll};
use crate::domain::media::MediaKind;
use crate::domain::message::MessageType;

/// The content of a message.
#[derive(Debug, Clone)]
pub(super) struct Part {
    pub(super) body: String,
    pub(super) content: Content,
    pub(super) file: Option<RemoteFile>,
    pub(super) context: Option<wa::ContextInfo>,
}

/// The content of an unwrapped message; `None` if people do not see it.
pub(super) fn part_of(message: &wa::Message) -> Option<Part> {
    text(message)
        .or_else(|| file(message))
        .or_else(|| location(message))
        .or_else(|| cards(message))
        .or_else(|| poll(message))
        .or_else(|| business(message))
        .or_else(|| other(message))
}

fn plain(body: String, context: &MessageField<wa::ContextInfo>) -> Part {
    Part { body, content: Content::Text, file: None, context: context.as_option().cloned() }
}

fn text(message: &wa::Message) -> Option<Part> {
    if let Some(extended) = message.extended_text_message.as_option() {
        return Some(plain(extended.text.clone().unwrap_or_default(), &extended.context_info));
    }
    let body = message.conversation.clone().filter(|body| !body.is_empty())?;
    Some(plain(body, &MessageField::none()))
}

macro_rules! remote_file {
    ($kind:expr, $part:expr, $filename:expr) => {
        RemoteFile {
            kind: $kind,
            filename: $filename,
            size: $part.file_length,
            path: $part.direct_path.clone(),
            key: $part.media_key.clone(),
            encrypted_hash: $part.file_enc_sha256.clone(),
            hash: $part.file_sha256.clone(),
        }
    };
}

fn file(message: &wa::Message) -> Option<Part> {
    let filed = |file: RemoteFile, body: Option<&String>, context: &MessageField<wa::ContextInfo>| Part {
        body: body.cloned().unwrap_or_default(),
        content: Content::Other(file.kind.message_type()),
        file: Some(file),
        context: context.as_option().cloned(),
    };
    if let Some(image) = message.image_message.as_option() {
        let file = remote_file!(MediaKind::Image, image, None);
        return Some(filed(file, image.caption.as_ref(), &image.context_info));
    }
    if let Some(video) = message.video_message.as_option().or(message.ptv_message.as_option()) {
        let file = remote_file!(MediaKind::Video, video, None);
        return Some(filed(file, video.caption.as_ref(), &video.context_info));
    }
    if let Some(audio) = message.audio_message.as_option() {
        let kind = if audio.ptt == Some(true) { MediaKind::Ptt } else { MediaKind::Audio };
        return Some(filed(remote_file!(kind, audio, None), None, &audio.context_info));
    }
    if let Some(document) = message.document_message.as_option() {
        let named = document.file_name.clone().or_else(|| document.title.clone());
        let file = remote_file!(MediaKind::Document, document, named.filter(|name| !name.is_empty()));
        return Some(filed(file, document.caption.as_ref(), &document.context_info));
    }
    let sticker = message.sticker_message.as_option()?;
    Some(filed(remote_file!(MediaKind::Sticker, sticker, None), None, &sticker.context_info))
}

fn location(message: &wa::Message) -> Option<Part> {
    let (location, body, context) = match message.location_message.as_option() {
        Some(location) => {
            let described =
                [&location.name, &location.address].into_iter().flatten().filter(|text| !text.is_empty());
            let described = described.map(String::as_str).collect::<Vec<_>>().join("\n");
            let at = (location.degrees_latitude, location.degrees_longitude);
            (location_at(at, described)?, location.comment.clone(), &location.context_info)
        }
        None => {
            let location = message.live_location_message.as_option()?;
            let at = (location.degrees_latitude, location.degrees_longitude);
            (location_at(at, String::new())?, location.caption.clone(), &location.context_info)
        }
    };
    Some(Part {
        body: body.unwrap_or_default(),
        content: Content::Location(location),
        file: None,
        context: context.as_option().cloned(),
    })
}

/// A location, if its coordinates are valid.
fn location_at((latitude, longitude): (Option<f64>, Option<f64>), description: String) -> Option<Location> {
    let latitude = latitude.filter(|degrees| (-90.0..=90.0).contains(degrees))?;
    let longitude = longitude.filter(|degrees| (-180.0..=180.0).contains(degrees))?;
    Some(Location { latitude, longitude, description: Some(description).filter(|text| !text.is_empty()) })
}

fn cards(message: &wa::Message) -> Option<Part> {
    let card = |contact: &part::ContactMessage| {
        ContactCard::of_vcard(contact.vcard.clone().unwrap_or_default(), contact.display_name.clone())
    };
    let (cards, context) = match message.contacts_array_message.as_option() {
        Some(several) => (several.contacts.iter().map(card).collect(), &several.context_info),
        None => {
            let contact = message.contact_message.as_option()?;
            (vec![card(contact)], &contact.context_info)
        }
    };
    if cards.is_empty() {
        return None;
    }
    let content = Content::Contacts(cards);
    Some(Part { body: String::new(), content, file: None, context: context.as_option().cloned() })
}

fn poll(message: &wa::Message) -> Option<Part> {
    let asked = [
        &message.poll_creation_message,
        &message.poll_creation_message_v2,
        &message.poll_creation_message_v3,
        &message.poll_creation_message_v5,
        &message.poll_creation_message_v6,
    ];
    let asked = asked.into_iter().find_map(|field| field.as_option())?;
    let mut options: Vec<String> = Vec::new();
    for option in asked.options.iter().filter_map(|option| option.option_name.clone()) {
        if !options.contains(&option) {
            options.push(option);
        }
    }
    let poll = Poll {
        name: asked.name.clone().unwrap_or_default(),
        options,
        // Absent or 0 means any number.
        allow_multiple_answers: asked.selectable_options_count != Some(1),
        votes: Vec::new(),
    };
    let body = poll.name.clone();
    let context = asked.context_info.as_option().cloned();
    Some(Part { body, content: Content::Poll(poll), file: None, context })
}

/// The text of business messages and of replies to them.
fn business(message: &wa::Message) -> Option<Part> {
    let (body, context) = if let Some(chosen) = message.template_button_reply_message.as_option() {
        (chosen.selected_display_text.clone(), &chosen.context_info)
    } else if let Some(chosen) = message.list_response_message.as_option() {
        (chosen.title.clone(), &chosen.context_info)
    } else if let Some(list) = message.list_message.as_option() {
        (list.description.clone().or_else(|| list.title.clone()), &list.context_info)
    } else if let Some(buttons) = message.buttons_message.as_option() {
        (buttons.content_text.clone(), &buttons.context_info)
    } else if let Some(asked) = message.interactive_message.as_option() {
        (asked.body.text.clone(), &asked.context_info)
    } else if let Some(answer) = message.interactive_response_message.as_option() {
        (answer.body.text.clone(), &answer.context_info)
    } else if let Some(template) = message.template_message.as_option() {
        (template.hydrated_template.hydrated_content_text.clone(), &template.context_info)
    } else if let Some(comment) = message.comment_message.as_option() {
        return part_of(comment.message.as_option()?);
    } else {
        return None;
    };
    body.filter(|body| !body.is_empty()).map(|body| plain(body, context))
}

/// Any other content, so that the message is not lost.
fn other(message: &wa::Message) -> Option<Part> {
    if is_errand(message) {
        return None;
    }
    let kind = if message.call_log_messsage.is_set() { MessageType::CallLog } else { MessageType::Unknown };
    let body = [
        message.group_invite_message.caption.clone(),
        message.event_message.name.clone(),
        message.sticker_pack_message.name.clone(),
        message.order_message.message.clone(),
        message.product_message.body.clone(),
    ];
    let body = body.into_iter().flatten().find(|body| !body.is_empty()).unwrap_or_default();
    Some(Part { body, content: Content::Other(kind), file: None, context: None })
}

/// Whether it is for clients only: keys, protocol messages, and announcements of other messages.
fn is_errand(message: &wa::Message) -> bool {
    let rest = wa::Message {
        conversation: None,
        sender_key_distribution_message: MessageField::none(),
        fast_ratchet_key_sender_key_distribution_message: MessageField::none(),
        message_context_info: MessageField::none(),
        protocol_message: MessageField::none(),
        device_sent_message: MessageField::none(),
        album_message: MessageField::none(),
        keep_in_chat_message: MessageField::none(),
        pin_in_chat_message: MessageField::none(),
        enc_reaction_message: MessageField::none(),
        enc_comment_message: MessageField::none(),
        enc_event_response_message: MessageField::none(),
        secret_encrypted_message: MessageField::none(),
        sticker_sync_rmr_message: MessageField::none(),
        poll_add_option_message: MessageField::none(),
        message_history_bundle: MessageField::none(),
        message_history_notice: MessageField::none(),
        group_root_key_share: MessageField::none(),
        root_secret_distribute_message: MessageField::none(),
        call: MessageField::none(),
        chat: MessageField::none(),
        ..message.clone()
    };
    rest == wa::Message::default()
}

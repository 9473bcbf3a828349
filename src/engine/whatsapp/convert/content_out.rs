//! Converts outgoing messages.

use whatsapp_rust::waproto::buffa::MessageField;
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::message as part;

use super::jid::to_network;
use crate::domain::content::{Attachment, ContactCard, Content, Location, Poll};
use crate::domain::jid::Jid;
use crate::domain::media::MediaKind;
use crate::domain::message::MessageType;
use crate::engine::{EditContext, Outgoing, Quoted};

/// An uploaded file. Never logged: it contains the file's key.
#[derive(Clone, PartialEq, Eq)]
pub(in super::super) struct UploadedMedia {
    /// The full URL.
    pub(in super::super) url: String,
    /// The path on any media host of the network.
    pub(in super::super) path: String,
    /// The encryption key.
    pub(in super::super) key: Vec<u8>,
    /// The key's creation time in seconds.
    pub(in super::super) key_made: i64,
    /// The hash of the file.
    pub(in super::super) hash: Vec<u8>,
    /// The hash of the encrypted bytes.
    pub(in super::super) encrypted_hash: Vec<u8>,
    /// The size in bytes.
    pub(in super::super) size: u64,
    /// Hashes that allow playing an incomplete download.
    pub(in super::super) sidecar: Option<Vec<u8>>,
    /// A small JPEG.
    pub(in super::super) thumbnail: Option<Vec<u8>>,
}

/// Data of a message that requires IO.
#[derive(Default)]
pub(in super::super) struct MessageExtras {
    /// The uploaded file.
    pub(in super::super) file: Option<UploadedMedia>,
    /// The key of a poll's votes.
    pub(in super::super) secret: Option<Vec<u8>>,
}

/// Converts a message; `None` if the network has no such kind, or its file is missing.
pub(in super::super) fn message_of(
    outgoing: &Outgoing,
    enclosed: MessageExtras,
    me: &Jid,
) -> Option<wa::Message> {
    let Outgoing { quoted, mentions, forwarded, chat, .. } = outgoing;
    let context = context_of(quoted.as_ref(), mentions, *forwarded, chat, me);
    match &outgoing.content {
        Content::Text => Some(text(&outgoing.body, context)),
        Content::Media(attachment) => Some(file(attachment, &outgoing.body, enclosed.file?, context)),
        Content::Location(location) => Some(place(location, &outgoing.body, context)),
        Content::Contacts(cards) => cards_message(cards, context),
        Content::Poll(poll) => Some(poll_message(poll, enclosed.secret, context)),
        Content::Template(_) | Content::Other(_) => None,
    }
}

/// The content of an edited message. A caption is in a message of its file's type, without the file.
pub(in super::super) fn edited(body: &str, kept: &EditContext, chat: &Jid, me: &Jid) -> wa::Message {
    let context = context_of(kept.quoted.as_ref(), &kept.mentions, false, chat, me);
    let caption = filled(body);
    match kept.kind {
        MessageType::Image => {
            let image = part::ImageMessage { caption, context_info: context.into(), ..Default::default() };
            wa::Message { image_message: MessageField::some(image), ..Default::default() }
        }
        MessageType::Video => {
            let video = part::VideoMessage { caption, context_info: context.into(), ..Default::default() };
            wa::Message { video_message: MessageField::some(video), ..Default::default() }
        }
        MessageType::Document => with_caption(part::DocumentMessage {
            caption,
            context_info: context.into(),
            ..Default::default()
        }),
        _ => text(body, context),
    }
}

/// A text without context.
fn bare_text(body: &str) -> wa::Message {
    text(body, None)
}

fn text(body: &str, context: Option<wa::ContextInfo>) -> wa::Message {
    let Some(context) = context else {
        return wa::Message { conversation: Some(body.to_owned()), ..Default::default() };
    };
    let extended = part::ExtendedTextMessage {
        text: Some(body.to_owned()),
        context_info: MessageField::some(context),
        ..Default::default()
    };
    wa::Message { extended_text_message: MessageField::some(extended), ..Default::default() }
}

fn context_of(
    quoted: Option<&Quoted>,
    mentions: &[Jid],
    forwarded: bool,
    chat: &Jid,
    me: &Jid,
) -> Option<wa::ContextInfo> {
    if quoted.is_none() && mentions.is_empty() && !forwarded {
        return None;
    }
    let context = wa::ContextInfo {
        mentioned_jid: mentions.iter().map(|who| to_network(who).to_string()).collect(),
        is_forwarded: forwarded.then_some(true),
        forwarding_score: forwarded.then_some(1),
        ..Default::default()
    };
    Some(match quoted {
        Some(quoted) => quoting(context, quoted, chat, me),
        None => context,
    })
}

fn quoting(context: wa::ContextInfo, quoted: &Quoted, chat: &Jid, me: &Jid) -> wa::ContextInfo {
    let author = if quoted.id.from_me { me } else { &quoted.author };
    let elsewhere = quoted.id.chat != *chat;
    wa::ContextInfo {
        stanza_id: Some(quoted.id.network.to_string()),
        participant: Some(to_network(author).to_string()),
        remote_jid: elsewhere.then(|| to_network(&quoted.id.chat).to_string()),
        quoted_message: MessageField::some(bare_text(&quoted.body)),
        ..context
    }
}

fn filled(body: &str) -> Option<String> {
    Some(body.to_owned()).filter(|body| !body.is_empty())
}

macro_rules! filed {
    ($message:ident, $attachment:expr, $at:expr, $context:expr, { $($field:ident: $value:expr),* $(,)? }) => {
        part::$message {
            url: Some($at.url),
            direct_path: Some($at.path),
            mimetype: Some($attachment.file.mimetype.clone()),
            media_key: Some($at.key),
            media_key_timestamp: Some($at.key_made),
            file_sha256: Some($at.hash),
            file_enc_sha256: Some($at.encrypted_hash),
            file_length: Some($at.size),
            context_info: $context.into(),
            $($field: $value,)*
            ..Default::default()
        }
    };
}

fn file(
    attachment: &Attachment,
    caption: &str,
    at: UploadedMedia,
    context: Option<wa::ContextInfo>,
) -> wa::Message {
    let (width, height) = attachment.file.dimensions.map(|d| (d.width, d.height)).unzip();
    let (caption, seconds) = (filled(caption), attachment.file.duration.map(whole_seconds));
    let mut message = wa::Message::default();
    match attachment.kind {
        MediaKind::Image => {
            message.image_message = MessageField::some(filed!(ImageMessage, attachment, at, context, {
                caption: caption, width: width, height: height, jpeg_thumbnail: at.thumbnail,
            }));
        }
        MediaKind::Video => {
            message.video_message = MessageField::some(filed!(VideoMessage, attachment, at, context, {
                caption: caption, width: width, height: height, seconds: seconds, streaming_sidecar: at.sidecar,
            }));
        }
        MediaKind::Audio | MediaKind::Ptt => {
            let mut audio = filed!(AudioMessage, attachment, at, context, {
                seconds: seconds, streaming_sidecar: at.sidecar,
            });
            if attachment.kind == MediaKind::Ptt {
                audio.ptt = Some(true);
                voice(&mut audio);
            }
            message.audio_message = MessageField::some(audio);
        }
        MediaKind::Sticker => {
            message.sticker_message = MessageField::some(filed!(StickerMessage, attachment, at, context, {
                width: width, height: height,
            }));
        }
        MediaKind::Document => {
            let named = attachment.filename.clone();
            let document = filed!(DocumentMessage, attachment, at, context, {
                caption: caption, title: named.clone(), file_name: named,
            });
            return with_caption(document);
        }
    }
    message
}

/// Phones play voice notes only with the complete MIME type.
fn voice(audio: &mut part::AudioMessage) {
    if audio.mimetype.as_deref() == Some("audio/ogg") {
        audio.mimetype = Some("audio/ogg; codecs=opus".to_owned());
    }
}

/// A document with a caption has its own wrapper; old phones show the caption only there.
fn with_caption(document: part::DocumentMessage) -> wa::Message {
    let captioned = document.caption.is_some();
    let message = wa::Message { document_message: MessageField::some(document), ..Default::default() };
    if !captioned {
        return message;
    }
    let wrapped = part::FutureProofMessage { message: MessageField::some(message) };
    wa::Message { document_with_caption_message: MessageField::some(wrapped), ..Default::default() }
}

/// Whole seconds, as phones show them; at least one.
fn whole_seconds(seconds: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped before")]
    let whole = seconds.ceil().clamp(0.0, 86_400.0) as u32;
    whole
}

fn place(location: &Location, body: &str, context: Option<wa::ContextInfo>) -> wa::Message {
    let description = location.description.as_deref().unwrap_or_default();
    let (name, address) = description.split_once('\n').unwrap_or((description, ""));
    let location = part::LocationMessage {
        degrees_latitude: Some(location.latitude),
        degrees_longitude: Some(location.longitude),
        name: filled(name),
        address: filled(address),
        comment: filled(body),
        context_info: context.into(),
        ..Default::default()
    };
    wa::Message { location_message: MessageField::some(location), ..Default::default() }
}

fn cards_message(cards: &[ContactCard], context: Option<wa::ContextInfo>) -> Option<wa::Message> {
    let contact = |card: &ContactCard| part::ContactMessage {
        display_name: Some(card.display_name.clone()),
        vcard: Some(card.vcard.clone()),
        ..Default::default()
    };
    match cards {
        [] => None,
        [card] => {
            let contact = part::ContactMessage { context_info: context.into(), ..contact(card) };
            Some(wa::Message { contact_message: MessageField::some(contact), ..Default::default() })
        }
        cards => {
            let several = part::ContactsArrayMessage {
                display_name: Some(format!("{} contacts", cards.len())),
                contacts: cards.iter().map(contact).collect(),
                context_info: context.into(),
            };
            Some(wa::Message { contacts_array_message: MessageField::some(several), ..Default::default() })
        }
    }
}

fn poll_message(poll: &Poll, secret: Option<Vec<u8>>, context: Option<wa::ContextInfo>) -> wa::Message {
    let option = |name: &String| part::poll_creation_message::Option {
        option_name: Some(name.clone()),
        ..Default::default()
    };
    let asked = part::PollCreationMessage {
        name: Some(poll.name.clone()),
        options: poll.options.iter().map(option).collect(),
        // 0 means any number.
        selectable_options_count: Some(u32::from(!poll.allow_multiple_answers)),
        context_info: context.into(),
        ..Default::default()
    };
    let asked = MessageField::some(asked);
    let secret = wa::MessageContextInfo { message_secret: secret, ..Default::default() };
    let message = wa::Message { message_context_info: MessageField::some(secret), ..Default::default() };
    // The message version depends on whether several options are allowed.
    if poll.allow_multiple_answers {
        wa::Message { poll_creation_message: asked, ..message }
    } else {
        wa::Message { poll_creation_message_v3: asked, ..message }
    }
}

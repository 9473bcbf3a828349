//! Builds the protocol's messages from the control API's content. Pure.

use serde::{Deserialize, Serialize};
use wacore_binary::Jid;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;

/// A contact card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Card {
    /// The contact's name.
    pub display_name: String,
    /// A vCard 3.0.
    pub vcard: String,
}

/// A location.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Location {
    /// In degrees.
    pub latitude: f64,
    /// In degrees.
    pub longitude: f64,
    /// The location's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// A poll.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PollQuestion {
    /// The question.
    pub name: String,
    /// The options to choose from.
    pub options: Vec<String>,
    /// Whether a person may choose several options.
    pub several: bool,
    /// The key of its votes, 32 bytes.
    pub secret: Vec<u8>,
}

/// The kind as which a file is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// A picture.
    Image,
    /// A video.
    Video,
    /// An audio file.
    Audio,
    /// A voice note.
    Voice,
    /// Any other file.
    Document,
    /// A sticker.
    Sticker,
}

/// An encrypted file in the media store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// The kind as which it is sent.
    pub kind: FileKind,
    /// The MIME type.
    pub mimetype: String,
    /// The file name.
    pub filename: Option<String>,
    /// The URL in the store.
    pub url: String,
    /// The path in the store.
    pub direct_path: String,
    /// 32 bytes from which its keys are derived.
    pub media_key: Vec<u8>,
    /// The hash of the file.
    pub sha256: Vec<u8>,
    /// The hash of the encrypted bytes.
    pub enc_sha256: Vec<u8>,
    /// The size of the file in bytes.
    pub length: u64,
}

/// The content of a message besides its text.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// No other content.
    Text,
    /// A location.
    Location(Location),
    /// At least one contact card.
    Contacts(Vec<Card>),
    /// A poll.
    Poll(PollQuestion),
    /// A file; the text is its caption.
    File(Box<File>),
}

/// The quoted message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quote {
    /// The network id.
    pub id: String,
    /// The quoted author.
    pub author: Jid,
    /// The quoted text.
    pub body: String,
}

/// A message to send.
#[derive(Debug, Clone, PartialEq)]
pub struct OutboundMessage {
    /// The text, or the caption.
    pub body: String,
    /// The other content.
    pub content: Content,
    /// The quoted message.
    pub quote: Option<Quote>,
    /// The mentioned people.
    pub mentions: Vec<Jid>,
    /// Whether it is marked as forwarded.
    pub forwarded: bool,
}

impl OutboundMessage {
    /// A message with text only.
    #[must_use]
    pub fn text(body: impl Into<String>) -> Self {
        Self {
            body: body.into(),
            content: Content::Text,
            quote: None,
            mentions: Vec::new(),
            forwarded: false,
        }
    }

    /// The protocol's message.
    #[must_use]
    pub fn message(&self) -> wa::Message {
        let context = self.context();
        match &self.content {
            Content::Text if context.is_unset() => {
                wa::Message { conversation: Some(self.body.clone()), ..Default::default() }
            }
            Content::Text => wa::Message {
                extended_text_message: MessageField::some(wa::message::ExtendedTextMessage {
                    text: Some(self.body.clone()),
                    context_info: context,
                    ..Default::default()
                }),
                ..Default::default()
            },
            Content::Location(place) => wa::Message {
                location_message: MessageField::some(wa::message::LocationMessage {
                    degrees_latitude: Some(place.latitude),
                    degrees_longitude: Some(place.longitude),
                    name: place.description.clone(),
                    comment: some(&self.body),
                    context_info: context,
                    ..Default::default()
                }),
                ..Default::default()
            },
            Content::Contacts(cards) => contacts_message(cards, context),
            Content::Poll(question) => poll_message(question, context),
            Content::File(file) => file_message(file, &self.body, context),
        }
    }

    fn context(&self) -> MessageField<wa::ContextInfo> {
        if self.quote.is_none() && self.mentions.is_empty() && !self.forwarded {
            return MessageField::none();
        }
        let mut context = wa::ContextInfo {
            mentioned_jid: self.mentions.iter().map(Jid::to_string).collect(),
            is_forwarded: self.forwarded.then_some(true),
            forwarding_score: self.forwarded.then_some(1),
            ..Default::default()
        };
        if let Some(quote) = &self.quote {
            context.stanza_id = Some(quote.id.clone());
            context.participant = Some(quote.author.to_string());
            context.quoted_message = MessageField::some(Self::text(quote.body.clone()).message());
        }
        MessageField::some(context)
    }
}

/// The key of a message, for reactions, edits and votes.
#[must_use]
pub fn key(chat: &Jid, from_me: bool, id: &str, participant: Option<&Jid>) -> wa::MessageKey {
    wa::MessageKey {
        remote_jid: Some(chat.to_string()),
        from_me: Some(from_me),
        id: Some(id.to_owned()),
        participant: participant.map(Jid::to_string),
    }
}

/// A reaction; an empty emoji removes it.
#[must_use]
pub fn reaction(key: wa::MessageKey, emoji: &str, at_ms: i64) -> wa::Message {
    wa::Message {
        reaction_message: MessageField::some(wa::message::ReactionMessage {
            key: MessageField::some(key),
            text: Some(emoji.to_owned()),
            sender_timestamp_ms: Some(at_ms),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// An encrypted vote in a poll.
#[must_use]
pub fn vote(key: wa::MessageKey, payload: Vec<u8>, iv: Vec<u8>, at_ms: i64) -> wa::Message {
    wa::Message {
        poll_update_message: MessageField::some(wa::message::PollUpdateMessage {
            poll_creation_message_key: MessageField::some(key),
            vote: MessageField::some(wa::message::PollEncValue {
                enc_payload: Some(payload),
                enc_iv: Some(iv),
            }),
            sender_timestamp_ms: Some(at_ms),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// An edit.
#[must_use]
pub fn edit(key: wa::MessageKey, body: &str, at_ms: i64) -> wa::Message {
    protocol(wa::message::ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(wa::message::protocol_message::Type::MESSAGE_EDIT),
        edited_message: MessageField::some(OutboundMessage::text(body).message()),
        timestamp_ms: Some(at_ms),
        ..Default::default()
    })
}

/// A revocation.
#[must_use]
pub fn revoke(key: wa::MessageKey) -> wa::Message {
    protocol(wa::message::ProtocolMessage {
        key: MessageField::some(key),
        r#type: Some(wa::message::protocol_message::Type::REVOKE),
        ..Default::default()
    })
}

/// A protocol message from the phone to one of its devices.
#[must_use]
pub fn protocol(message: wa::message::ProtocolMessage) -> wa::Message {
    wa::Message { protocol_message: MessageField::some(message), ..Default::default() }
}

/// Wraps a message of the phone for its linked devices.
#[must_use]
pub fn sent_by_me(chat: &Jid, message: wa::Message) -> wa::Message {
    wacore::messages::wrap_device_sent(message, chat.to_string())
}

/// A key of the app state, which the phone shares with a newly linked device.
#[must_use]
pub fn state_key(id: &[u8], data: &[u8], at_ms: i64) -> wa::Message {
    let key = wa::message::AppStateSyncKey {
        key_id: MessageField::some(wa::message::AppStateSyncKeyId { key_id: Some(id.to_vec()) }),
        key_data: MessageField::some(wa::message::AppStateSyncKeyData {
            key_data: Some(data.to_vec()),
            fingerprint: MessageField::some(wa::message::AppStateSyncKeyFingerprint {
                raw_id: Some(1),
                current_index: Some(1),
                device_indexes: vec![0, 1],
            }),
            timestamp: Some(at_ms),
        }),
    };
    protocol(wa::message::ProtocolMessage {
        r#type: Some(wa::message::protocol_message::Type::APP_STATE_SYNC_KEY_SHARE),
        app_state_sync_key_share: MessageField::some(wa::message::AppStateSyncKeyShare { keys: vec![key] }),
        ..Default::default()
    })
}

fn some(text: &str) -> Option<String> {
    (!text.is_empty()).then(|| text.to_owned())
}

fn contacts_message(cards: &[Card], context: MessageField<wa::ContextInfo>) -> wa::Message {
    let card = |card: &Card, context_info| wa::message::ContactMessage {
        display_name: Some(card.display_name.clone()),
        vcard: Some(card.vcard.clone()),
        context_info,
        ..Default::default()
    };
    if let [only] = cards {
        let contact_message = MessageField::some(card(only, context));
        return wa::Message { contact_message, ..Default::default() };
    }
    let several = wa::message::ContactsArrayMessage {
        display_name: Some(format!("{} contacts", cards.len())),
        contacts: cards.iter().map(|one| card(one, MessageField::none())).collect(),
        context_info: context,
    };
    wa::Message { contacts_array_message: MessageField::some(several), ..Default::default() }
}

fn poll_message(question: &PollQuestion, context_info: MessageField<wa::ContextInfo>) -> wa::Message {
    let option = |name: &String| wa::message::poll_creation_message::Option {
        option_name: Some(name.clone()),
        ..Default::default()
    };
    let poll = wa::message::PollCreationMessage {
        name: Some(question.name.clone()),
        options: question.options.iter().map(option).collect(),
        // Absent means any number.
        selectable_options_count: Some(u32::from(!question.several)),
        context_info,
        ..Default::default()
    };
    wa::Message {
        poll_creation_message_v3: MessageField::some(poll),
        message_context_info: MessageField::some(wa::MessageContextInfo {
            message_secret: Some(question.secret.clone()),
            ..Default::default()
        }),
        ..Default::default()
    }
}

/// The fields that all messages with a file have.
macro_rules! filed {
    ($kind:ident, $file:expr, $context:expr, { $($more:tt)* }) => {{
        let file: &File = $file;
        MessageField::some(wa::message::$kind {
            url: Some(file.url.clone()),
            direct_path: Some(file.direct_path.clone()),
            mimetype: Some(file.mimetype.clone()),
            file_sha256: Some(file.sha256.clone()),
            file_enc_sha256: Some(file.enc_sha256.clone()),
            file_length: Some(file.length),
            media_key: Some(file.media_key.clone()),
            context_info: $context,
            $($more)*
            ..Default::default()
        })
    }};
}

fn file_message(file: &File, caption: &str, context: MessageField<wa::ContextInfo>) -> wa::Message {
    let mut message = wa::Message::default();
    match file.kind {
        FileKind::Image => {
            message.image_message = filed!(ImageMessage, file, context, { caption: some(caption), });
        }
        FileKind::Video => {
            message.video_message = filed!(VideoMessage, file, context, { caption: some(caption), });
        }
        FileKind::Audio | FileKind::Voice => {
            let ptt = Some(file.kind == FileKind::Voice);
            message.audio_message = filed!(AudioMessage, file, context, { ptt, });
        }
        FileKind::Sticker => {
            message.sticker_message = filed!(StickerMessage, file, context, {});
        }
        FileKind::Document => {
            message.document_message = filed!(DocumentMessage, file, context, {
                caption: some(caption), file_name: file.filename.clone(), title: file.filename.clone(),
            });
        }
    }
    message
}

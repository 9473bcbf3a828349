//! Converts received messages. A message of an unsupported kind becomes one of type `unknown`, so that none
//! is lost; keys, settings and other messages between clients are [`MessageBody::Nothing`].

use whatsapp_rust::types::message::MessageInfo;
use whatsapp_rust::wacore_binary::JidExt as _;
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::message::protocol_message::Type as ProtocolType;

use super::identities::Identities;
use super::message_key::KeyContext;
use super::message_parts::{self, Part};
use super::remote_file::RemoteFile;
use super::unwrap::unwrapped;
use crate::domain::clock::Millis;
use crate::domain::content::Content;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::message::MessageType;
use crate::engine::{Incoming, IncomingChange, Quoted};

/// The body of a received message.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum MessageBody {
    /// A message of a chat.
    Message(Box<ParsedMessage>),
    /// A change to another message.
    Change(IncomingChange),
    /// An encrypted vote.
    Vote(SealedVote),
    /// Nothing that people see.
    Nothing,
}

/// A parsed message, without its header.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct ParsedMessage {
    /// The text, or the caption of a file.
    pub(in super::super) body: String,
    /// The content; only the type if there is a file.
    pub(in super::super) content: Content,
    /// The file, not downloaded yet.
    pub(in super::super) file: Option<RemoteFile>,
    pub(in super::super) quoted: Option<Quoted>,
    pub(in super::super) mentions: Vec<Jid>,
    pub(in super::super) forwarded: bool,
    /// The key of a poll's votes.
    pub(in super::super) secret: Option<Vec<u8>>,
}

/// A vote, encrypted with the poll's secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct SealedVote {
    /// The poll's message.
    pub(in super::super) poll: MessageId,
    /// The encrypted options.
    pub(in super::super) payload: Vec<u8>,
    /// The initialization vector.
    pub(in super::super) iv: Vec<u8>,
    pub(in super::super) at: Millis,
}

/// The header of a message; `None` if the API does not support its chat or author.
pub(in super::super) fn header(info: &MessageInfo, ids: &Identities) -> Option<Incoming> {
    let source = &info.source;
    let from_me = source.is_from_me;
    // A message to a broadcast list belongs to the chat with its author.
    let listed = source.chat.is_broadcast_list() && !source.chat.is_status_broadcast() && !from_me;
    let from = ids.jid(&source.sender)?;
    let chat = if listed { from.clone() } else { ids.jid(&source.chat)? };
    let from = if from_me { ids.me().cloned().unwrap_or(from) } else { from };
    let timestamp = Millis(info.timestamp.timestamp_millis());
    let text = Incoming::text(info.id.parse().ok()?, chat, from, String::new(), timestamp);
    let notify_name = Some(info.push_name.clone()).filter(|name| !name.is_empty() && !from_me);
    Some(Incoming { from_me, notify_name, ..text })
}

/// Joins header and body; the file is not downloaded yet.
pub(in super::super) fn message_of(
    header: Incoming,
    parsed: ParsedMessage,
) -> (Incoming, Option<RemoteFile>) {
    let ParsedMessage { body, content, file, quoted, mentions, forwarded, secret: _ } = parsed;
    (Incoming { body, content, quoted, mentions, forwarded, ..header }, file)
}

/// Parses a message written at `at`; a group admin may revoke the messages of others.
pub(in super::super) fn parse(
    message: &wa::Message,
    frame: &KeyContext<'_>,
    at: Millis,
    by_admin: bool,
) -> MessageBody {
    let inner = unwrapped(message);
    if let Some(protocol) = inner.protocol_message.as_option() {
        return change_of(protocol, frame, at, by_admin).map_or(MessageBody::Nothing, MessageBody::Change);
    }
    if let Some(reaction) = inner.reaction_message.as_option() {
        return reaction_of(reaction, frame, at).map_or(MessageBody::Nothing, MessageBody::Change);
    }
    if let Some(vote) = inner.poll_update_message.as_option() {
        return vote_of(vote, frame, at).map_or(MessageBody::Nothing, MessageBody::Vote);
    }
    match message_parts::part_of(inner) {
        Some(part) => MessageBody::Message(Box::new(parsed(part, message, inner, frame))),
        None => MessageBody::Nothing,
    }
}

fn parsed(part: Part, message: &wa::Message, inner: &wa::Message, frame: &KeyContext<'_>) -> ParsedMessage {
    let Part { body, content, file, context } = part;
    let context = context.unwrap_or_default();
    let secret = matches!(content, Content::Poll(_)).then(|| secret_of(message, inner)).flatten();
    ParsedMessage {
        body,
        content,
        file,
        quoted: quoted_of(&context, frame),
        mentions: mentions_of(&context, frame.ids),
        forwarded: context.is_forwarded.unwrap_or(false),
        secret,
    }
}

/// The poll's secret is inside or outside of the wrapper, depending on the client.
fn secret_of(outer: &wa::Message, inner: &wa::Message) -> Option<Vec<u8>> {
    let of = |message: &wa::Message| message.message_context_info.message_secret.clone();
    let sent = outer.device_sent_message.message.as_option();
    of(inner).or_else(|| of(outer)).or_else(|| sent.and_then(of))
}

/// Edits and revocations; other protocol messages are for clients only.
fn change_of(
    protocol: &wa::message::ProtocolMessage,
    frame: &KeyContext<'_>,
    at: Millis,
    by_admin: bool,
) -> Option<IncomingChange> {
    let key = protocol.key.as_option()?;
    match protocol.r#type? {
        ProtocolType::REVOKE => {
            let id = frame.target(key)?;
            let own = Some(&id) == frame.message(key.id.as_deref()?, frame.writer).as_ref();
            (own || by_admin && id.chat.is_group()).then_some(IncomingChange::Revoked { id })
        }
        ProtocolType::MESSAGE_EDIT => {
            // Only the author can edit, regardless of the key.
            let id = frame.message(key.id.as_deref()?, frame.writer)?;
            let body = text_of(protocol.edited_message.as_option()?);
            Some(IncomingChange::Edited { id, body, at: moment(protocol.timestamp_ms, at) })
        }
        _ => None,
    }
}

fn reaction_of(
    reaction: &wa::message::ReactionMessage,
    frame: &KeyContext<'_>,
    at: Millis,
) -> Option<IncomingChange> {
    Some(IncomingChange::Reaction {
        id: frame.target(reaction.key.as_option()?)?,
        from: frame.writer.clone(),
        from_me: frame.ids.is_me(frame.writer),
        emoji: reaction.text.clone().unwrap_or_default(),
        at: moment(reaction.sender_timestamp_ms, at),
    })
}

fn vote_of(
    update: &wa::message::PollUpdateMessage,
    frame: &KeyContext<'_>,
    at: Millis,
) -> Option<SealedVote> {
    let vote = update.vote.as_option()?;
    Some(SealedVote {
        poll: frame.target(update.poll_creation_message_key.as_option()?)?,
        payload: vote.enc_payload.clone()?,
        iv: vote.enc_iv.clone()?,
        at: moment(update.sender_timestamp_ms, at),
    })
}

/// The author's timestamp, unless it is later than the network's.
fn moment(claimed: Option<i64>, at: Millis) -> Millis {
    // The network's timestamp is in seconds, the author's in milliseconds.
    claimed.filter(|claimed| (1..at.0.saturating_add(1_000)).contains(claimed)).map_or(at, Millis)
}

fn quoted_of(context: &wa::ContextInfo, frame: &KeyContext<'_>) -> Option<Quoted> {
    let id = context.stanza_id.as_deref().filter(|id| !id.is_empty())?;
    let author = read(frame.ids, context.participant.as_deref()?)?;
    let elsewhere = context.remote_jid.as_deref().and_then(|text| read(frame.ids, text));
    // In a direct chat some clients name our own account as the chat, from their view.
    let chat = elsewhere.filter(|chat| !frame.ids.is_me(chat));
    let frame = KeyContext { chat: chat.as_ref().unwrap_or(frame.chat), ..*frame };
    let id = frame.message(id, &author)?;
    Some(Quoted { id, author, body: context.quoted_message.as_option().map(text_of).unwrap_or_default() })
}

/// Parses an id and resolves it.
fn read(ids: &Identities, text: &str) -> Option<Jid> {
    ids.jid(&text.parse().ok()?)
}

fn mentions_of(context: &wa::ContextInfo, ids: &Identities) -> Vec<Jid> {
    context.mentioned_jid.iter().filter_map(|text| read(ids, text)).collect()
}

/// The text of a message, or the caption of its file.
pub(in super::super) fn text_of(message: &wa::Message) -> String {
    message_parts::part_of(unwrapped(message)).map(|part| part.body).unwrap_or_default()
}

/// The placeholder of a view-once message, which the network sends to the phone only.
pub(in super::super) fn view_once_placeholder() -> ParsedMessage {
    ParsedMessage {
        body: String::new(),
        content: Content::Other(MessageType::Unknown),
        file: None,
        quoted: None,
        mentions: Vec::new(),
        forwarded: false,
        secret: None,
    }
}

/// All ids in a message, so that they can be resolved before it is parsed.
pub(in super::super) fn people_in(message: &wa::Message) -> Vec<String> {
    let inner = unwrapped(message);
    let context = message_parts::part_of(inner).and_then(|part| part.context).unwrap_or_default();
    let keys = [
        &inner.protocol_message.key,
        &inner.reaction_message.key,
        &inner.poll_update_message.poll_creation_message_key,
    ];
    let of_keys = keys.into_iter().filter_map(|key| key.participant.clone());
    let quoted = [context.participant, context.remote_jid].into_iter().flatten();
    of_keys.chain(quoted).chain(context.mentioned_jid).collect()
}

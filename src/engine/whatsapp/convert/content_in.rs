//! What a message of the network says, in our words.
//!
//! Nothing that somebody wrote is lost: what this version does not know becomes a message of the type `unknown`.
//! What is not written by people (keys, settings, the phone's own errands) is [`MessageBody::Nothing`].

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
use crate::engine::{EngineEvent, Incoming, Quoted};

/// What a message says.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) enum MessageBody {
    /// Something that stands in a chat.
    Message(Box<ParsedMessage>),
    /// Something was done to another message.
    Change(EngineEvent),
    /// A vote, still encrypted.
    Vote(SealedVote),
    /// Nothing that people wrote.
    Nothing,
}

/// Something that stands in a chat.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct ParsedMessage {
    /// The text, or the caption of a file.
    pub(in super::super) body: String,
    /// What it consists of besides; where it has a file, only its type.
    pub(in super::super) content: Content,
    /// Its file, which is still at the network.
    pub(in super::super) file: Option<RemoteFile>,
    /// The message that it answers.
    pub(in super::super) quoted: Option<Quoted>,
    /// Who is mentioned in the text.
    pub(in super::super) mentions: Vec<Jid>,
    /// Whether it is marked as forwarded.
    pub(in super::super) forwarded: bool,
    /// What votes in it are encrypted with, of a poll.
    pub(in super::super) secret: Option<Vec<u8>>,
}

/// A vote that only who has the poll's secret can read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) struct SealedVote {
    /// The poll's message.
    pub(in super::super) poll: MessageId,
    /// The encrypted choice.
    pub(in super::super) payload: Vec<u8>,
    /// What it was encrypted with besides the key.
    pub(in super::super) iv: Vec<u8>,
    /// When.
    pub(in super::super) at: Millis,
}

/// Everything but what a message says. `None` where the API has no name for the chat, or for who wrote it.
pub(in super::super) fn header(info: &MessageInfo, ids: &Identities) -> Option<Incoming> {
    let source = &info.source;
    let from_me = source.is_from_me;
    // What somebody sent to a list of theirs stands in the chat with them.
    let listed = source.chat.is_broadcast_list() && !source.chat.is_status_broadcast() && !from_me;
    let from = ids.jid(&source.sender)?;
    let chat = if listed { from.clone() } else { ids.jid(&source.chat)? };
    let from = if from_me { ids.me().cloned().unwrap_or(from) } else { from };
    let timestamp = Millis(info.timestamp.timestamp_millis());
    let text = Incoming::text(info.id.parse().ok()?, chat, from, String::new(), timestamp);
    let notify_name = Some(info.push_name.clone()).filter(|name| !name.is_empty() && !from_me);
    Some(Incoming { from_me, notify_name, ..text })
}

/// The message, of its header and what it says; its file is still to be fetched.
pub(in super::super) fn message_of(
    header: Incoming,
    parsed: ParsedMessage,
) -> (Incoming, Option<RemoteFile>) {
    let ParsedMessage { body, content, file, quoted, mentions, forwarded, secret: _ } = parsed;
    (Incoming { body, content, quoted, mentions, forwarded, ..header }, file)
}

/// Reads a message that was written at `at`; an admin may take back what others wrote.
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

/// Wrappers leave the secret outside or take it in; both were seen.
fn secret_of(outer: &wa::Message, inner: &wa::Message) -> Option<Vec<u8>> {
    let of = |message: &wa::Message| message.message_context_info.message_secret.clone();
    let sent = outer.device_sent_message.message.as_option();
    of(inner).or_else(|| of(outer)).or_else(|| sent.and_then(of))
}

/// Edits and what was taken back; all other errands are the clients' own.
fn change_of(
    protocol: &wa::message::ProtocolMessage,
    frame: &KeyContext<'_>,
    at: Millis,
    by_admin: bool,
) -> Option<EngineEvent> {
    let key = protocol.key.as_option()?;
    match protocol.r#type? {
        ProtocolType::REVOKE => {
            let id = frame.target(key)?;
            let own = Some(&id) == frame.message(key.id.as_deref()?, frame.writer).as_ref();
            (own || by_admin && id.chat.is_group()).then_some(EngineEvent::Revoked { id })
        }
        ProtocolType::MESSAGE_EDIT => {
            // Nobody edits what others wrote, whatever the key says.
            let id = frame.message(key.id.as_deref()?, frame.writer)?;
            let body = text_of(protocol.edited_message.as_option()?);
            Some(EngineEvent::Edited { id, body, at: moment(protocol.timestamp_ms, at) })
        }
        _ => None,
    }
}

fn reaction_of(
    reaction: &wa::message::ReactionMessage,
    frame: &KeyContext<'_>,
    at: Millis,
) -> Option<EngineEvent> {
    Some(EngineEvent::Reaction {
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

/// When a writer says that it was, unless that is later than the network says.
fn moment(claimed: Option<i64>, at: Millis) -> Millis {
    // The network counts in seconds: within the same second the writer knows better.
    claimed.filter(|claimed| (1..at.0.saturating_add(1_000)).contains(claimed)).map_or(at, Millis)
}

fn quoted_of(context: &wa::ContextInfo, frame: &KeyContext<'_>) -> Option<Quoted> {
    let id = context.stanza_id.as_deref().filter(|id| !id.is_empty())?;
    let author = read(frame.ids, context.participant.as_deref()?)?;
    let elsewhere = context.remote_jid.as_deref().and_then(|text| read(frame.ids, text));
    // Between two people some clients name our own account as the chat: theirs, from their view.
    let chat = elsewhere.filter(|chat| !frame.ids.is_me(chat));
    let frame = KeyContext { chat: chat.as_ref().unwrap_or(frame.chat), ..*frame };
    let id = frame.message(id, &author)?;
    Some(Quoted { id, author, body: context.quoted_message.as_option().map(text_of).unwrap_or_default() })
}

/// An id as the network wrote it in a text.
fn read(ids: &Identities, text: &str) -> Option<Jid> {
    ids.jid(&text.parse().ok()?)
}

fn mentions_of(context: &wa::ContextInfo, ids: &Identities) -> Vec<Jid> {
    context.mentioned_jid.iter().filter_map(|text| read(ids, text)).collect()
}

/// The text of a message: what stands in it, or the caption of its file.
pub(in super::super) fn text_of(message: &wa::Message) -> String {
    message_parts::part_of(unwrapped(message)).map(|part| part.body).unwrap_or_default()
}

/// A message that the network does not give to linked devices: seen once, on the phone only.
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

/// Every id of a person that reading this message needs, so that their numbers can be looked up before.
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

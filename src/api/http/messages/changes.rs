//! Changing messages: reactions, votes, edits, stars, taking them back, sending them on.

use std::collections::HashSet;

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::send::AcceptedMessage;
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{
    Body, Chat, Device, Fields, FromFields, IdempotencyHeader, Message as MessageParam,
};
use crate::api::http::schema::{self, MessageObject};
use crate::api::send_request::CAPTION_MAX_CHARS;
use crate::domain::access::Scope;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::message::Message;
use crate::service::{Forward, IdempotencyKey, ServiceError, Services};

/// Chats that one message is sent on to at once.
const MAX_TARGETS: usize = 20;
const EMOJI_CHARS: usize = 16;
const MAX_OPTIONS: usize = 12;

/// The operations of this file.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let refusals = [409, 422];
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(forward)))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(forward_from_chat)))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(delete)))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(delete_in_chat)))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(edit)))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(react)))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(vote)))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(star)))
}

fn message_id(fields: &mut Fields) -> Option<MessageId> {
    let id = fields.parsed("messageId");
    fields.require("messageId", id, "the message's id")
}

/// An older path names the chat as well: then the message must stand in it.
fn stands_in(chat: &Jid, message: &MessageId) -> Result<(), ApiError> {
    if message.chat == *chat { Ok(()) } else { Err(ServiceError::MessageNotFound.into()) }
}

/// A message to be sent on.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "messageId": "false_15550100001@c.us_BB886C09AEF9", "to": ["15550100002"] }))]
struct ForwardMessage {
    /// The message.
    #[schema(schema_with = schema::message_id)]
    message_id: MessageId,
    /// The chats. One alone may be given as a string, and as `chatId`.
    #[schema(schema_with = schema::forward_targets)]
    to: Vec<Jid>,
}

impl FromFields for ForwardMessage {
    fn read(fields: &mut Fields) -> Option<Self> {
        let message_id = message_id(fields);
        let name = fields.given(&["to", "chatId", "chatIds", "toChatId"]);
        let to = fields.one_or_more(name, MAX_TARGETS).filter(|list| !list.is_empty());
        let mut to = fields.require(name, to, "the chats that it is sent on to")?;
        let mut seen = HashSet::new();
        to.retain(|chat: &Jid| seen.insert(chat.clone()));
        Some(Self { message_id: message_id?, to })
    }
}

/// What was sent on.
#[derive(Serialize, ToSchema)]
struct ForwardedMessages {
    /// A message for each chat, in the order of the request.
    messages: Vec<AcceptedMessage>,
}

/// Forward a message
///
/// To each chat as a message of its own, marked as forwarded: to all of them, or to none.
#[utoipa::path(post, path = "/devices/{id}/messages/forward", operation_id = "forwardMessage", tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = ForwardMessage,
    responses((status = 201, description = "They are durable and will be sent", body = Success<ForwardedMessages>)))]
async fn forward(
    State(services): State<Services>,
    Device(device): Device,
    IdempotencyHeader(key): IdempotencyHeader,
    Body(body): Body<ForwardMessage>,
) -> Result<(StatusCode, Success<ForwardedMessages>), ApiError> {
    let idempotency = key.map(|key| IdempotencyKey { key, fingerprint: fingerprint(&body) });
    let forward = Forward { message: body.message_id, to: body.to, idempotency };
    let accepted = services.messaging.forward(&device, forward).await?;
    let messages = accepted.into_iter().map(AcceptedMessage::from).collect();
    Ok((StatusCode::CREATED, Success::new(ForwardedMessages { messages })))
}

/// Forward a message (older path)
///
/// The path names the chat in which the message stands.
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/messages/forward", operation_id = "forwardFromChat", tag = "chats",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = ForwardMessage,
    responses((status = 201, description = "They are durable and will be sent", body = Success<ForwardedMessages>)))]
async fn forward_from_chat(
    State(services): State<Services>,
    device: Device,
    Chat(chat): Chat,
    key: IdempotencyHeader,
    Body(body): Body<ForwardMessage>,
) -> Result<(StatusCode, Success<ForwardedMessages>), ApiError> {
    stands_in(&chat, &body.message_id)?;
    forward(State(services), device, key, Body(body)).await
}

/// What an idempotency key stands for.
fn fingerprint(forward: &ForwardMessage) -> Vec<u8> {
    let chats = forward.to.iter().map(ToString::to_string);
    let parts: Vec<String> = std::iter::once(forward.message_id.to_string()).chain(chats).collect();
    Sha256::digest(parts.join("\n")).to_vec()
}

/// A message to be removed.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "messageId": "true_15550100001@c.us_3EB0A1B2C3", "forEveryone": true }))]
struct DeleteMessage {
    /// The message.
    #[schema(schema_with = schema::message_id)]
    message_id: MessageId,
    /// Whether it is taken back for everyone, or removed from this account only; `false` unless said.
    #[schema(required = false)]
    for_everyone: bool,
}

impl FromFields for DeleteMessage {
    fn read(fields: &mut Fields) -> Option<Self> {
        let message_id = message_id(fields);
        let for_everyone = fields.boolean("forEveryone").unwrap_or(false);
        Some(Self { message_id: message_id?, for_everyone })
    }
}

/// A message that was removed.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeletedMessage {
    /// Its id.
    message_id: String,
    /// Whether it was taken back for everyone.
    for_everyone: bool,
}

/// Delete a message
///
/// From this account only, or for everyone. One that still waits to be sent is not sent.
#[utoipa::path(post, path = "/devices/{id}/messages/delete", operation_id = "deleteMessage", tag = "messages",
    request_body = DeleteMessage,
    responses((status = 200, description = "It is removed", body = Success<DeletedMessage>)))]
async fn delete(
    State(services): State<Services>,
    Device(device): Device,
    Body(DeleteMessage { message_id, for_everyone }): Body<DeleteMessage>,
) -> Result<Success<DeletedMessage>, ApiError> {
    if for_everyone {
        services.messaging.revoke(&device, &message_id).await?;
    } else {
        services.messaging.delete_for_me(&device, &message_id).await?;
    }
    Ok(Success::new(DeletedMessage { message_id: message_id.to_string(), for_everyone }))
}

/// Delete a message (older path)
#[utoipa::path(post, path = "/devices/{id}/chats/{chatId}/messages/delete", operation_id = "deleteMessageInChat", tag = "chats",
    request_body = DeleteMessage,
    responses((status = 200, description = "It is removed", body = Success<DeletedMessage>)))]
async fn delete_in_chat(
    State(services): State<Services>,
    device: Device,
    Chat(chat): Chat,
    Body(body): Body<DeleteMessage>,
) -> Result<Success<DeletedMessage>, ApiError> {
    stands_in(&chat, &body.message_id)?;
    delete(State(services), device, Body(body)).await
}

/// A new text for a message.
#[derive(ToSchema)]
#[schema(rename_all = "camelCase", example = json!({ "messageId": "true_15550100001@c.us_3EB0A1B2C3", "newText": "Hello!" }))]
struct EditMessage {
    /// The message.
    #[schema(schema_with = schema::message_id)]
    message_id: MessageId,
    /// The new text. `text` is accepted too.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S")]
    new_text: String,
}

impl FromFields for EditMessage {
    fn read(fields: &mut Fields) -> Option<Self> {
        let message_id = message_id(fields);
        let name = fields.given(&["newText", "text", "body"]);
        let text = fields.text(name, usize::MAX).filter(|text| !text.trim().is_empty());
        let new_text = fields.require(name, text, "the new text");
        Some(Self { message_id: message_id?, new_text: new_text? })
    }
}

/// Edit a message
///
/// The text, or the caption of a file, of a message that this account wrote.
#[utoipa::path(post, path = "/devices/{id}/messages/edit", operation_id = "editMessage", tag = "messages",
    request_body = EditMessage,
    responses((status = 200, description = "The message as it now is", body = Success<MessageObject>)))]
async fn edit(
    State(state): State<ApiState>,
    Device(device): Device,
    Body(EditMessage { message_id, new_text }): Body<EditMessage>,
) -> Result<Success<Message>, ApiError> {
    let found = state.services.messaging.message(&device, &message_id).await?;
    let most = if found.message.has_media { CAPTION_MAX_CHARS } else { state.config.text_max_chars };
    if new_text.chars().count() > most {
        return Err(ApiError::field("newText", format!("is longer than {most} characters")));
    }
    Ok(Success::new(state.services.messaging.edit(&device, &message_id, new_text).await?))
}

/// A reaction.
#[derive(ToSchema)]
#[schema(example = json!({ "emoji": "👍" }))]
struct React {
    /// One emoji; empty takes the reaction back.
    #[schema(
        max_length = 16,
        pattern = r"^$|^[^\s\x00-\x20\x7f-\xa0A-Za-z]*[^\s\x00-\xa0][^\s\x00-\x20\x7f-\xa0A-Za-z]*$"
    )]
    emoji: String,
}

impl FromFields for React {
    fn read(fields: &mut Fields) -> Option<Self> {
        let emoji = fields.text("emoji", EMOJI_CHARS);
        let emoji = fields.require("emoji", emoji, "one emoji, or an empty text to take it back");
        Some(Self { emoji: emoji? })
    }
}

/// React to a message
#[utoipa::path(post, path = "/devices/{id}/messages/{mid}/react", operation_id = "reactToMessage", tag = "messages",
    request_body = React,
    responses((status = 200, description = "The message as it now is", body = Success<MessageObject>)))]
async fn react(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
    Body(React { emoji }): Body<React>,
) -> Result<Success<Message>, ApiError> {
    Ok(Success::new(services.messaging.react(&device, &id, &emoji).await?))
}

/// A vote.
#[derive(ToSchema)]
#[schema(example = json!({ "options": ["yes"] }))]
struct Vote {
    /// The chosen answers, as the poll has them; none takes the vote back.
    #[schema(max_items = 12)]
    options: Vec<String>,
}

impl FromFields for Vote {
    fn read(fields: &mut Fields) -> Option<Self> {
        let options = fields.list("options", MAX_OPTIONS);
        let options = fields.require("options", options, "the chosen answers, or an empty list");
        Some(Self { options: options? })
    }
}

/// Vote in a poll
#[utoipa::path(post, path = "/devices/{id}/messages/{mid}/vote", operation_id = "voteInPoll", tag = "messages",
    request_body = Vote,
    responses((status = 200, description = "The message as it now is", body = Success<MessageObject>)))]
async fn vote(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
    Body(Vote { options }): Body<Vote>,
) -> Result<Success<Message>, ApiError> {
    Ok(Success::new(services.messaging.vote(&device, &id, options).await?))
}

/// Whether a message is starred.
#[derive(ToSchema)]
#[schema(example = json!({ "star": true }))]
struct StarMessage {
    /// Whether it is; `true` unless said.
    #[schema(required = false)]
    star: bool,
}

impl FromFields for StarMessage {
    fn read(fields: &mut Fields) -> Option<Self> {
        Some(Self { star: fields.boolean("star").unwrap_or(true) })
    }
}

/// Star a message, or not any more
#[utoipa::path(post, path = "/devices/{id}/messages/{mid}/star", operation_id = "starMessage", tag = "messages",
    request_body = Option<StarMessage>,
    responses((status = 200, description = "The message as it now is", body = Success<MessageObject>)))]
async fn star(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
    Body(StarMessage { star }): Body<StarMessage>,
) -> Result<Success<Message>, ApiError> {
    Ok(Success::new(services.messaging.star(&device, &id, star).await?))
}

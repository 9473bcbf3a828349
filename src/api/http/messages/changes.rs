//! Changes of messages: reactions, votes, edits, stars, deletion, and forwarding. An older path that names a
//! chat finds only messages of that chat.

use axum::extract::State;
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::send::AcceptedMessage;
use super::send_body::CAPTION_MAX_CHARS;
use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::loose::{distinct, wrap_in_list, yes};
use crate::api::http::input::{
    Alias, Body, ChatOrAny, Device, IdempotencyHeader, Message as MessageParam, Report, Request,
};
use crate::api::http::routes::older_path;
use crate::api::http::schema::{self, MessageObject};
use crate::domain::access::Scope;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::domain::message::Message;
use crate::service::{Forward, IdempotencyKey, ServiceError, Services};

/// The operations of this file.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let change = |routes| guarded(Scope::MessagesSend, &[409, 422], routes);
    let chat = "/devices/{id}/chats/{chatId}/messages";
    let forward_from_chat =
        older_path(routes!(forward), &format!("{chat}/forward"), "forwardFromChat", "chats");
    let delete_in_chat =
        older_path(routes!(delete), &format!("{chat}/delete"), "deleteMessageInChat", "chats");
    OpenApiRouter::new()
        .routes(change(routes!(forward)))
        .routes(change(forward_from_chat))
        .routes(change(routes!(delete)))
        .routes(change(delete_in_chat))
        .routes(change(routes!(edit)))
        .routes(change(routes!(react)))
        .routes(change(routes!(vote)))
        .routes(change(routes!(star)))
}

/// An older path names the chat as well: the message must be in it.
fn require_chat(chat: Option<&Jid>, message: &MessageId) -> Result<(), ApiError> {
    if chat.is_none_or(|chat| message.chat == *chat) {
        Ok(())
    } else {
        Err(ServiceError::MessageNotFound.into())
    }
}

/// A message to forward.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "messageId": "false_15550100001@c.us_BB886C09AEF9", "to": ["15550100002"] }))]
struct ForwardMessage {
    /// The message.
    #[schema(schema_with = schema::message_id)]
    message_id: MessageId,
    /// The chats. A single one may be a string, and its name `chatId`.
    #[schema(schema_with = schema::forward_targets)]
    to: Vec<Jid>,
}

impl Request for ForwardMessage {
    const ALIASES: &'static [Alias] = &[("to", &["chatId", "chatIds", "toChatId"])];

    fn is_absent(_: &str, value: &Value) -> bool {
        value.is_null() || value.as_array().is_some_and(Vec::is_empty)
    }

    fn normalize(object: &mut Map<String, Value>, report: &mut Report) {
        if wrap_in_list(object, "to") {
            report.rename("to[0]", "to");
        }
    }
}

/// The forwarded messages.
#[derive(Serialize, ToSchema)]
struct ForwardedMessages {
    /// A message for each chat, in the order of the request.
    messages: Vec<AcceptedMessage>,
}

/// Forward a message
///
/// Each chat gets a message of its own, marked as forwarded. Either all of them get one, or none.
#[utoipa::path(post, path = "/devices/{id}/messages/forward", operation_id = "forwardMessage", tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "Identifies this request", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = ForwardMessage,
    responses((status = 201, description = "The messages are durable and will be sent", body = Success<ForwardedMessages>)))]
async fn forward(
    State(services): State<Services>,
    Device(device): Device,
    ChatOrAny(chat): ChatOrAny,
    IdempotencyHeader(key): IdempotencyHeader,
    Body(ForwardMessage { message_id, to }): Body<ForwardMessage>,
) -> Result<(StatusCode, Success<ForwardedMessages>), ApiError> {
    require_chat(chat.as_ref(), &message_id)?;
    let to = distinct(to);
    let idempotency = key.map(|key| IdempotencyKey { key, fingerprint: fingerprint(&message_id, &to) });
    let forward = Forward { message: message_id, to, idempotency };
    let accepted = services.messaging.forward(&device, forward).await?;
    let messages = accepted.into_iter().map(AcceptedMessage::from).collect();
    Ok((StatusCode::CREATED, Success::new(ForwardedMessages { messages })))
}

/// The part of the request that an idempotency key covers.
fn fingerprint(message: &MessageId, to: &[Jid]) -> Vec<u8> {
    let chats = to.iter().map(ToString::to_string);
    let parts: Vec<String> = std::iter::once(message.to_string()).chain(chats).collect();
    Sha256::digest(parts.join("\n")).to_vec()
}

/// A message to delete.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "messageId": "true_15550100001@c.us_3EB0A1B2C3", "forEveryone": true }))]
struct DeleteMessage {
    /// The message.
    #[schema(schema_with = schema::message_id)]
    message_id: MessageId,
    /// Deletes the message for everyone, not only from this account.
    #[serde(default)]
    #[schema(required = false)]
    for_everyone: bool,
}

impl Request for DeleteMessage {}

/// A deleted message.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct DeletedMessage {
    /// Its id.
    message_id: String,
    /// Whether the message was deleted for everyone.
    for_everyone: bool,
}

/// Delete a message
///
/// From this account only, or for everyone. A message that is still queued is not sent. For everyone, more than
/// 60 hours after it was sent, the answer is 422 `too_late_to_revoke`.
#[utoipa::path(post, path = "/devices/{id}/messages/delete", operation_id = "deleteMessage", tag = "messages",
    request_body = DeleteMessage,
    responses((status = 200, description = "The message is deleted", body = Success<DeletedMessage>)))]
async fn delete(
    State(services): State<Services>,
    Device(device): Device,
    ChatOrAny(chat): ChatOrAny,
    Body(DeleteMessage { message_id, for_everyone }): Body<DeleteMessage>,
) -> Result<Success<DeletedMessage>, ApiError> {
    require_chat(chat.as_ref(), &message_id)?;
    if for_everyone {
        services.messaging.revoke(&device, &message_id).await?;
    } else {
        services.messaging.delete_for_me(&device, &message_id).await?;
    }
    Ok(Success::new(DeletedMessage { message_id: message_id.to_string(), for_everyone }))
}

/// The new text of a message.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(example = json!({ "messageId": "true_15550100001@c.us_3EB0A1B2C3", "newText": "Hello!" }))]
struct EditMessage {
    /// The message.
    #[schema(schema_with = schema::message_id)]
    message_id: MessageId,
    /// The new text. `text` is accepted too.
    #[schema(min_length = 1, max_length = 4096, pattern = r"\S")]
    new_text: String,
}

impl Request for EditMessage {
    const ALIASES: &'static [Alias] = &[("newText", &["text", "body"])];
    const LIMIT_IS_A_SETTING: &'static [&'static str] = &["newText"];
}

/// Edit a message
///
/// Replaces the text, or the caption of a file, of a message that this account wrote. More than 15
/// minutes after it was sent, the answer is 422 `too_late_to_edit`.
#[utoipa::path(post, path = "/devices/{id}/messages/edit", operation_id = "editMessage", tag = "messages",
    request_body = EditMessage,
    responses((status = 200, description = "The changed message", body = Success<MessageObject>)))]
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
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "emoji": "👍" }))]
struct React {
    /// One emoji; an empty text removes the reaction.
    #[schema(
        max_length = 16,
        pattern = r"^$|^[^\s\x00-\x20\x7f-\xa0A-Za-z]*[^\s\x00-\xa0][^\s\x00-\x20\x7f-\xa0A-Za-z]*$"
    )]
    emoji: String,
}

impl Request for React {}

/// React to a message
#[utoipa::path(post, path = "/devices/{id}/messages/{mid}/react", operation_id = "reactToMessage", tag = "messages",
    request_body = React,
    responses((status = 200, description = "The changed message", body = Success<MessageObject>)))]
async fn react(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
    Body(React { emoji }): Body<React>,
) -> Result<Success<Message>, ApiError> {
    Ok(Success::new(services.messaging.react(&device, &id, &emoji).await?))
}

/// A vote.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "options": ["yes"] }))]
struct Vote {
    /// The chosen answers, as the poll has them; an empty list removes the vote.
    #[schema(max_items = 12)]
    options: Vec<String>,
}

impl Request for Vote {}

/// Vote in a poll
#[utoipa::path(post, path = "/devices/{id}/messages/{mid}/vote", operation_id = "voteInPoll", tag = "messages",
    request_body = Vote,
    responses((status = 200, description = "The changed message", body = Success<MessageObject>)))]
async fn vote(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
    Body(Vote { options }): Body<Vote>,
) -> Result<Success<Message>, ApiError> {
    Ok(Success::new(services.messaging.vote(&device, &id, options).await?))
}

/// Whether to star a message.
#[derive(Deserialize, ToSchema)]
#[schema(example = json!({ "star": true }))]
struct StarMessage {
    /// `false` removes the star; `true` by default.
    #[serde(default = "yes")]
    #[schema(required = false)]
    star: bool,
}

impl Request for StarMessage {}

/// Star a message, or remove the star
#[utoipa::path(post, path = "/devices/{id}/messages/{mid}/star", operation_id = "starMessage", tag = "messages",
    request_body = Option<StarMessage>,
    responses((status = 200, description = "The changed message", body = Success<MessageObject>)))]
async fn star(
    State(services): State<Services>,
    Device(device): Device,
    MessageParam(id): MessageParam,
    Body(StarMessage { star }): Body<StarMessage>,
) -> Result<Success<Message>, ApiError> {
    Ok(Success::new(services.messaging.star(&device, &id, star).await?))
}

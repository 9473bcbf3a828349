//! Sending a message.

use axum::extract::State;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::api::http::ApiState;
use crate::api::http::envelope::Success;
use crate::api::http::error::ApiError;
use crate::api::http::guard::guarded;
use crate::api::http::input::{AnyJson, Device, IdempotencyHeader};
use crate::api::http::schema::{self, LocationObject, StatusWord};
use crate::api::send_request::{self, SendLimits};
use crate::domain::access::Scope;
use crate::domain::ack::{Ack, Status};
use crate::domain::clock::Millis;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::service::Accepted;

static REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

/// The operations of this file.
pub(super) fn routes() -> OpenApiRouter<ApiState> {
    let refusals = [409, 413, 422];
    OpenApiRouter::new()
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(send)))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(send_to_chats)))
        .routes(guarded(Scope::MessagesSend, &refusals, routes!(send_location)))
}

/// The body of a send, for the document: `send_request` reads it.
mod body {
    #![expect(dead_code, reason = "shapes, never values")]

    use super::{LocationObject, ToSchema, schema};

    /// A message to be sent: exactly one of text, media, location, contact, poll and template.
    #[derive(ToSchema)]
    #[serde(untagged)]
    #[schema(example = json!({ "to": "15550100001", "text": "Hello", "tempId": "t1" }))]
    pub enum SendMessage {
        Text(SendText),
        Media(SendMedia),
        Location(SendLocation),
        Contact(SendContact),
        Poll(SendPoll),
        Template(SendTemplate),
    }

    /// What every message to be sent may say.
    #[derive(ToSchema)]
    #[schema(rename_all = "camelCase")]
    pub struct SendOptions {
        /// A chat id or a phone number with its country code. `chatId` is accepted too.
        #[schema(schema_with = schema::chat_id)]
        to: String,
        /// The message that this one answers; one of the same chat.
        #[schema(schema_with = schema::message_id, required = false)]
        quoted_message_id: String,
        /// Who is mentioned in the text.
        #[schema(schema_with = schema::mentions, required = false)]
        mentions: Vec<String>,
        /// How urgent it is among messages to other chats; `normal` unless said.
        priority: Option<PriorityWord>,
        /// Not before this time, in milliseconds since the epoch; at most a year ahead.
        send_at: Option<i64>,
        /// Whether it is marked as forwarded, for texts that come from elsewhere. `messages/forward` does so by itself.
        is_forwarded: Option<bool>,
        /// The client's own name for it: comes back in the answer and in its events.
        #[schema(max_length = 128)]
        temp_id: Option<String>,
        /// Accepted from existing clients; every message goes through the queue.
        use_queue: Option<bool>,
        /// Accepted from existing clients; typing is a setting of the device's outbox.
        enable_typing: Option<bool>,
    }

    #[derive(ToSchema)]
    #[schema(as = Priority, rename_all = "lowercase")]
    pub enum PriorityWord {
        High,
        Normal,
        Low,
    }

    /// A text to be sent.
    #[derive(ToSchema)]
    #[schema(example = json!({ "to": "15550100001", "text": "Hello", "tempId": "t1" }))]
    pub struct SendText {
        #[serde(flatten)]
        options: SendOptions,
        /// The text. `body` is accepted too. The longest is a setting, 4,096 characters unless changed.
        #[schema(min_length = 1, max_length = 4096, pattern = r"\S", example = "Hello")]
        text: String,
    }

    /// A file to be sent.
    #[derive(ToSchema)]
    #[schema(example = json!({ "to": "15550100001", "media": { "mediaId": "3f0c1e", "caption": "Our menu" } }))]
    pub struct SendMedia {
        #[serde(flatten)]
        options: SendOptions,
        /// The file. `mediaUrl` is accepted for `media.url`.
        media: MediaToSend,
    }

    /// A file to be sent: uploaded before, fetched from an address, or in the request.
    #[derive(ToSchema)]
    #[serde(untagged)]
    pub enum MediaToSend {
        Uploaded(UploadedMedia),
        Url(MediaAtUrl),
        Inline(InlineMedia),
    }

    /// How a file is sent. At most one of `asVoice`, `asSticker` and `asDocument`.
    #[derive(ToSchema)]
    #[schema(rename_all = "camelCase")]
    pub struct MediaOptions {
        /// A claim that is not believed: the type is told by the content.
        #[schema(max_length = 255, example = "image/jpeg")]
        mimetype: Option<String>,
        /// What the recipient sees it called.
        #[schema(max_length = 255, example = "menu.jpg")]
        filename: Option<String>,
        /// The text under it.
        #[schema(max_length = 1024)]
        caption: Option<String>,
        /// As a voice note; for sound.
        as_voice: Option<bool>,
        /// As a sticker; for WebP pictures.
        as_sticker: Option<bool>,
        /// As a document, whatever it is.
        as_document: Option<bool>,
    }

    /// A file that was uploaded before.
    #[derive(ToSchema)]
    #[schema(rename_all = "camelCase")]
    pub struct UploadedMedia {
        #[serde(flatten)]
        options: MediaOptions,
        /// What `POST …/media` answered.
        #[schema(min_length = 1, max_length = 255)]
        media_id: String,
    }

    /// A file at an address, fetched when the message is accepted.
    #[derive(ToSchema)]
    pub struct MediaAtUrl {
        #[serde(flatten)]
        options: MediaOptions,
        /// An http or https address. Private networks are refused unless the settings allow them.
        #[schema(
            min_length = 1,
            max_length = 2048,
            format = "uri",
            example = "https://example.com/menu.jpg"
        )]
        url: String,
    }

    /// A small file, in the request.
    #[derive(ToSchema)]
    pub struct InlineMedia {
        #[serde(flatten)]
        options: MediaOptions,
        /// Base64, of up to 4 MiB.
        #[schema(
            min_length = 1,
            content_encoding = "base64",
            pattern = "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)$"
        )]
        data: String,
    }

    /// A place to be sent.
    #[derive(ToSchema)]
    #[schema(example = json!({ "to": "15550100001", "location": { "latitude": 52.52, "longitude": 13.405 } }))]
    pub struct SendLocation {
        #[serde(flatten)]
        options: SendOptions,
        /// The place.
        location: LocationObject,
    }

    /// Contact cards to be sent.
    #[derive(ToSchema)]
    #[schema(example = json!({ "to": "15550100001", "contact": { "name": "Ada", "phoneNumber": "+15550100002" } }))]
    pub struct SendContact {
        #[serde(flatten)]
        options: SendOptions,
        /// The card. A list of up to 20 is accepted too.
        contact: CardToSend,
    }

    /// A contact card: a person by number, or a card that is there already.
    #[derive(ToSchema)]
    #[serde(untagged)]
    pub enum CardToSend {
        Person(PersonCard),
        Ready(ReadyCard),
    }

    /// A person by number.
    #[derive(ToSchema)]
    #[schema(rename_all = "camelCase")]
    pub struct PersonCard {
        /// What people call them.
        #[schema(max_length = 255, example = "Ada")]
        name: Option<String>,
        /// With its country code.
        #[schema(pattern = r"^\+?[0-9]{5,15}$", example = "+15550100002")]
        phone_number: String,
        /// Where they work.
        #[schema(max_length = 255)]
        organization: Option<String>,
    }

    /// A card that is there already.
    #[derive(ToSchema)]
    pub struct ReadyCard {
        /// What people call them; the card's own name, when left out.
        #[schema(max_length = 255)]
        name: Option<String>,
        /// A vCard.
        #[schema(pattern = "^BEGIN:VCARD", max_length = 16384)]
        vcard: String,
    }

    /// A poll to be sent.
    #[derive(ToSchema)]
    #[schema(example = json!({ "to": "15550100001", "poll": { "name": "Lunch?", "options": ["yes", "no"] } }))]
    pub struct SendPoll {
        #[serde(flatten)]
        options: SendOptions,
        /// The poll.
        poll: PollToSend,
    }

    /// A question with answers to choose from.
    #[derive(ToSchema)]
    #[schema(rename_all = "camelCase")]
    pub struct PollToSend {
        /// The question.
        #[schema(min_length = 1, max_length = 255, pattern = r"\S", example = "Lunch?")]
        name: String,
        /// The answers, all different.
        #[schema(schema_with = schema::poll_options)]
        options: Vec<String>,
        /// Whether one person may choose several.
        allow_multiple_answers: Option<bool>,
    }

    /// A template to be sent, on devices whose network has them (`cloud-api`).
    #[derive(ToSchema)]
    #[schema(example = json!({ "to": "15550100001", "template": { "name": "order_ready", "language": "en_US",
        "components": [{ "type": "body", "parameters": [{ "type": "text", "text": "A-17" }] }],
        "text": "Your order A-17 is ready." } }))]
    pub struct SendTemplate {
        #[serde(flatten)]
        options: SendOptions,
        /// The template.
        template: TemplateToSend,
    }

    /// A text that the network approved beforehand, with what fills its gaps.
    #[derive(ToSchema)]
    pub struct TemplateToSend {
        /// What it is called there.
        #[schema(min_length = 1, max_length = 512, pattern = "^[a-z0-9_]+$", example = "order_ready")]
        name: String,
        /// Its language there.
        #[schema(min_length = 2, max_length = 16, pattern = "^[A-Za-z_]+$", example = "en_US")]
        language: String,
        /// What fills its gaps, in the network's own form.
        #[schema(schema_with = schema::template_components, required = false)]
        components: Vec<serde_json::Value>,
        /// What people read, to be shown here, as the network does not tell; the template's name unless said.
        #[schema(max_length = 4096)]
        text: Option<String>,
    }
}

use body::{SendLocation, SendMessage};

/// A message that was accepted.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct AcceptedMessage {
    /// Its permanent id.
    #[schema(value_type = String, example = "true_15550100001@c.us_3EB0A1B2C3")]
    id: MessageId,
    /// Its chat.
    #[schema(value_type = String)]
    chat_id: Jid,
    /// `queued`.
    #[schema(value_type = StatusWord)]
    status: Status,
    /// 0.
    #[schema(value_type = i32, minimum = -1, maximum = 4)]
    ack: Ack,
    /// When it was accepted.
    #[schema(value_type = i64)]
    timestamp: Millis,
    /// The client's own name for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false)]
    temp_id: Option<String>,
}

impl From<Accepted> for AcceptedMessage {
    fn from(accepted: Accepted) -> Self {
        let Accepted { id, chat_id, timestamp, temp_id, status, ack, .. } = accepted;
        Self { id, chat_id, status, ack, timestamp, temp_id }
    }
}

/// Send a message
///
/// Answers once it is durable; `message:status` and `message:ack` events tell what becomes of it. With
/// `Idempotency-Key` the same request within 24 hours gives the same answer and sends nothing again.
#[utoipa::path(post, path = "/devices/{id}/messages/send", operation_id = "sendMessage", tag = "messages",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = SendMessage,
    responses((status = 201, description = "It is durable and will be sent", body = Success<AcceptedMessage>,
        headers(("Idempotent-Replayed" = bool, description = "`true` when this is the answer to an earlier request")))))]
async fn send(
    State(state): State<ApiState>,
    Device(device): Device,
    IdempotencyHeader(key): IdempotencyHeader,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    accept(&state, &device, key, body).await
}

/// Send a message (older path)
#[utoipa::path(post, path = "/devices/{id}/chats", operation_id = "sendToChat", tag = "chats",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = SendMessage,
    responses((status = 201, description = "It is durable and will be sent", body = Success<AcceptedMessage>)))]
async fn send_to_chats(
    State(state): State<ApiState>,
    Device(device): Device,
    IdempotencyHeader(key): IdempotencyHeader,
    AnyJson(body): AnyJson,
) -> Result<Response, ApiError> {
    accept(&state, &device, key, body).await
}

async fn accept(
    state: &ApiState,
    device: &DeviceId,
    key: Option<String>,
    body: Value,
) -> Result<Response, ApiError> {
    let body = if body.is_null() { Value::Object(serde_json::Map::new()) } else { body };
    let limits = SendLimits { text_max_chars: state.config.text_max_chars, now: state.services.now() };
    let request = send_request::parse(&body, &limits)?.into_request(key);
    let accepted = state.services.messaging.send(device, request).await?;
    let replayed = accepted.replayed;
    let body = Success::new(AcceptedMessage::from(accepted));
    let mut response = (StatusCode::CREATED, body).into_response();
    if replayed {
        response.headers_mut().insert(&REPLAYED, HeaderValue::from_static("true"));
    }
    Ok(response)
}

/// Send a place (older path)
///
/// `location` as with `messages/send`, or its fields beside `to`.
#[utoipa::path(post, path = "/devices/{id}/chats/location", operation_id = "sendLocation", tag = "chats",
    params(("Idempotency-Key" = Option<String>, Header, description = "Names this request", min_length = 1, max_length = 255, pattern = "^[!-~]+$")),
    request_body = SendLocation,
    responses((status = 201, description = "It is durable and will be sent", body = Success<AcceptedMessage>)))]
async fn send_location(
    State(state): State<ApiState>,
    Device(device): Device,
    IdempotencyHeader(key): IdempotencyHeader,
    AnyJson(mut body): AnyJson,
) -> Result<Response, ApiError> {
    if let Value::Object(object) = &mut body
        && !object.contains_key("location")
    {
        let fields = ["latitude", "longitude", "description", "name"];
        let place: Map<String, Value> =
            fields.iter().filter_map(|field| Some(((*field).to_owned(), object.remove(*field)?))).collect();
        object.insert("location".to_owned(), Value::Object(place));
    }
    accept(&state, &device, key, body).await
}

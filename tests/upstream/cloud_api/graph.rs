//! The routes of the API, with the errors of the real one.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use axum::body::Bytes;
use axum::extract::{Path, Query, State as Shared};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};
use wharf::domain::content::{Attachment, ContactCard, Content, Location};
use wharf::domain::event::TypingKind;
use wharf::domain::ids::MessageId;
use wharf::domain::jid::Jid;
use wharf::domain::media::MediaKind;
use wharf::engine::{MessageChange, Outgoing, Quoted, SendOutcome};

use super::number::{Along, GraphFault, Number};
use super::{State, VERSION};

type App = (Arc<State>, String);
/// The answer to a rejected request.
type Refused = Box<Response>;

/// The largest form, in bytes: somewhat more than the largest file.
const LARGEST: usize = 110 << 20;

pub fn router(state: Arc<State>, url: String) -> Router {
    Router::new()
        .route("/{version}/{id}", get(number_info))
        .route("/{version}/{id}/messages", post(messages))
        .route("/{version}/{id}/media", post(upload))
        .route("/files/{number}/{file}/{signature}", get(download))
        .layer(axum::extract::DefaultBodyLimit::max(LARGEST))
        .with_state((state, url))
}

/// An error in the form of the Graph API.
pub fn error(status: u16, code: i64, message: &str) -> Response {
    let body = json!({ "error": {
        "message": format!("(#{code}) {message}"), "type": "OAuthException", "code": code,
        "error_data": { "messaging_product": "whatsapp", "details": message }, "fbtrace_id": "AbCdEfGhIjK",
    } });
    (StatusCode::from_u16(status).unwrap(), Json(body)).into_response()
}

fn refuse<T>(status: u16, code: i64, message: &str) -> Result<T, Refused> {
    Err(Box::new(error(status, code, message)))
}

/// Closes the connection without an answer.
fn hang_up() -> Response {
    let broken = futures_util::stream::once(async {
        Err::<Bytes, std::io::Error>(std::io::ErrorKind::ConnectionReset.into())
    });
    axum::body::Body::from_stream(broken).into_response()
}

/// The number of a request with its token and the right version.
async fn admitted(
    state: &State,
    version: &str,
    id: &str,
    headers: &HeaderMap,
) -> Result<Arc<Number>, Refused> {
    if version != VERSION {
        return refuse(400, 2_635, "Unknown API version");
    }
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
    let Some(token) = bearer.and_then(|value| value.strip_prefix("Bearer ")) else {
        return refuse(401, 190, "An access token is required to request this resource.");
    };
    let Some(owner) = state.all().into_iter().find(|number| number.token == token) else {
        return refuse(401, 190, "Invalid OAuth access token - Cannot parse access token");
    };
    if *owner.down.borrow() {
        return refuse(503, 131_016, "Service unavailable");
    }
    if owner.take_fault(|t| *t == GraphFault::Gateway).is_some() {
        return Err(Box::new((StatusCode::BAD_GATEWAY, "<html>502 Bad Gateway</html>").into_response()));
    }
    match state.number(id).filter(|number| number.id == owner.id) {
        Some(_) => Ok(owner),
        None if owner.files.lock().unwrap().contains_key(id) => Ok(owner),
        None => refuse(400, 100, "Unsupported request. Object with ID does not exist, or cannot be loaded"),
    }
}

async fn number_info(
    Shared((state, url)): Shared<App>,
    Path((version, id)): Path<(String, String)>,
    Query(_query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
) -> Response {
    let number = match admitted(&state, &version, &id, &headers).await {
        Ok(number) => number,
        Err(refused) => return *refused,
    };
    let file = number.files.lock().unwrap().get(&id).cloned();
    if let Some(file) = file {
        let address = format!("{url}/files/{}/{id}/{}", number.id, number.address());
        return Json(json!({
            "messaging_product": "whatsapp", "url": address, "mime_type": file.mimetype,
            "sha256": file.hash, "file_size": file.filesize.to_string(), "id": id,
        }))
        .into_response();
    }
    Json(json!({
        "verified_name": "Simulated business", "display_phone_number": super::callbacks::display_number(&number),
        "quality_rating": "GREEN", "id": id,
    }))
    .into_response()
}

async fn download(
    Shared((state, _)): Shared<App>,
    Path((number, file, signature)): Path<(String, String, String)>,
    headers: HeaderMap,
) -> Response {
    let Some(number) = state.number(&number) else { return StatusCode::NOT_FOUND.into_response() };
    let bearer = headers.get("authorization").and_then(|value| value.to_str().ok());
    if bearer != Some(&format!("Bearer {}", number.token)) {
        return error(401, 190, "Invalid OAuth access token");
    }
    number.downloads.fetch_add(1, Ordering::SeqCst);
    if let Some(GraphFault::RefuseMedia(status)) =
        number.take_fault(|t| matches!(t, GraphFault::RefuseMedia(_)))
    {
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    if number.take_fault(|t| *t == GraphFault::HangingMedia).is_some() {
        return std::future::pending().await;
    }
    if number.take_fault(|t| *t == GraphFault::OtherMedia).is_some() {
        return "not that file".into_response();
    }
    let is_valid = number.addresses.lock().unwrap().contains(&signature);
    if !is_valid || number.take_fault(|t| *t == GraphFault::ExpiredMedia).is_some() {
        return (StatusCode::NOT_FOUND, "URL signature expired").into_response();
    }
    let found = number.files.lock().unwrap().get(&file).cloned();
    match found.and_then(|file| number.account.media.bytes(&file.hash)) {
        Some(bytes) => bytes.into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn upload(
    Shared((state, _)): Shared<App>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    match try_upload(&state, &version, &id, &headers, body).await {
        Ok(id) => Json(json!({ "id": id })).into_response(),
        Err(refused) => *refused,
    }
}

async fn try_upload(
    state: &State,
    version: &str,
    id: &str,
    headers: &HeaderMap,
    body: Bytes,
) -> Result<String, Refused> {
    let number = admitted(state, version, id, headers).await?;
    let form = headers.get("content-type").and_then(|value| value.to_str().ok()).unwrap_or_default();
    let Ok(boundary) = multer::parse_boundary(form) else {
        return refuse(400, 100, "The request must be multipart/form-data");
    };
    let whole = futures_util::stream::once(async move { Ok::<_, std::io::Error>(body) });
    let mut form = multer::Multipart::new(whole, boundary);
    let (mut product, mut kind, mut file) = (None, None, None);
    while let Ok(Some(field)) = form.next_field().await {
        match field.name().unwrap_or_default() {
            "messaging_product" => product = field.text().await.ok(),
            "type" => kind = field.text().await.ok(),
            "file" => {
                let part_type = field.content_type().map(ToString::to_string);
                file = field.bytes().await.ok().map(|bytes| (part_type, bytes));
            }
            _ => return refuse(400, 100, "Unexpected key in the form"),
        }
    }
    if product.as_deref() != Some("whatsapp") {
        return refuse(400, 100, "The parameter messaging_product is required.");
    }
    let (Some(kind), Some((part_type, bytes))) = (kind, file) else {
        return refuse(400, 100, "The parameters file and type are required.");
    };
    if part_type.as_deref().map(essence) != Some(essence(&kind)) {
        return refuse(400, 100, "Param file must be a file with the mime type in type");
    }
    if bytes.is_empty() {
        return refuse(400, 131_053, "Media upload error");
    }
    if bytes.len() as u64 > most(essence(&kind)) {
        return refuse(400, 131_053, "Media upload error: the file is too large");
    }
    let (file_id, stored) = (number.file_id(), number.account.media.keep(bytes));
    number.files.lock().unwrap().insert(file_id.clone(), stored);
    Ok(file_id)
}

fn essence(mimetype: &str) -> &str {
    mimetype.split(';').next().unwrap_or_default().trim()
}

fn most(mimetype: &str) -> u64 {
    match mimetype.split('/').next() {
        Some("image") => 5 << 20,
        Some("audio" | "video") => 16 << 20,
        _ => 100 << 20,
    }
}

async fn messages(
    Shared((state, _)): Shared<App>,
    Path((version, id)): Path<(String, String)>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    // The request is completed, even when its client has disconnected.
    let served = async move {
        match try_messages(&state, &version, &id, &headers, &body).await {
            Ok(answer) => answer,
            Err(refused) => *refused,
        }
    };
    #[expect(clippy::disallowed_methods, reason = "it ends with the network's answer")]
    tokio::spawn(served).await.unwrap()
}

async fn try_messages(
    state: &State,
    version: &str,
    id: &str,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response, Refused> {
    let number = admitted(state, version, id, headers).await?;
    let Ok(body) = serde_json::from_slice::<Value>(body) else {
        return refuse(400, 100, "The body is not JSON");
    };
    number.record(&body);
    if body["messaging_product"] != "whatsapp" {
        return refuse(400, 100, "The parameter messaging_product is required.");
    }
    if let Some(GraphFault::Refuse(status, code, wait)) =
        number.take_fault(|t| matches!(t, GraphFault::Refuse(..)))
    {
        let mut response = error(status, code, "as the test requested");
        if let Some(seconds) = wait {
            response.headers_mut().insert("retry-after", seconds.into());
        }
        return Ok(response);
    }
    if body["status"] == "read" {
        return read(&number, &body).await;
    }
    let (to, recipient) = recipient(&body)?;
    if body["type"] == "reaction" {
        return react(&number, &body, &to).await;
    }
    let wamid = number.wamid();
    let message = outgoing(&number, &body, &to, &wamid)?;
    let data = body["biz_opaque_callback_data"].as_str().map(str::to_owned);
    number.names.lock().unwrap().insert(wamid.clone(), message.id.clone());
    number.along.lock().unwrap().insert(message.id.clone(), Along { wamid: wamid.clone(), data });
    let outcome = number.session().await.send(message).await;
    if number.take_fault(|t| *t == GraphFault::Swallow).is_some() {
        return Ok(hang_up());
    }
    match outcome {
        SendOutcome::Sent { .. } => Ok(Json(json!({
            "messaging_product": "whatsapp", "contacts": [{ "input": recipient, "wa_id": to.phone() }],
            "messages": [{ "id": wamid, "message_status": "accepted" }],
        }))
        .into_response()),
        SendOutcome::Unknown(_) => Ok(hang_up()),
        SendOutcome::Transient(failure) => refuse(
            500,
            if failure.code == "not_connected" { 131_016 } else { 131_000 },
            "Service unavailable",
        ),
        SendOutcome::Permanent(_) => refuse(400, 131_026, "Message undeliverable"),
    }
}

/// The recipient of a message, and the id that the request used.
fn recipient(body: &Value) -> Result<(Jid, String), Refused> {
    if body["recipient_type"] != "individual" {
        return refuse(400, 100, "Param recipient_type must be one of {INDIVIDUAL}");
    }
    match (body["to"].as_str(), body["recipient"].as_str()) {
        (Some(to), None) => match to.parse::<Jid>() {
            Ok(jid) => Ok((jid, to.to_owned())),
            Err(_) => refuse(400, 131_009, "Parameter value is not valid: to"),
        },
        (None, Some(user)) => {
            let jid = user.strip_prefix("US.").and_then(|lid| format!("{lid}@lid").parse().ok());
            jid.map_or_else(
                || refuse(400, 131_009, "Parameter value is not valid"),
                |jid| Ok((jid, user.into())),
            )
        }
        _ => refuse(400, 100, "The parameter to is required."),
    }
}

async fn read(number: &Number, body: &Value) -> Result<Response, Refused> {
    let Some((chat, id)) =
        body["message_id"].as_str().and_then(|wamid| super::callbacks::delivered(number, wamid))
    else {
        return refuse(400, 131_009, "Parameter value is not valid: message_id");
    };
    let session = number.session().await;
    let read = session.mark_read(&chat, &[id]).await;
    if !body["typing_indicator"].is_null() {
        if body["typing_indicator"]["type"] != "text" {
            return refuse(400, 131_009, "Parameter value is not valid: typing_indicator");
        }
        let _ = session.typing(&chat, TypingKind::Text, true).await;
    }
    match read {
        Ok(()) => Ok(Json(json!({ "success": true })).into_response()),
        Err(_) => refuse(500, 131_016, "Service unavailable"),
    }
}

async fn react(number: &Number, body: &Value, chat: &Jid) -> Result<Response, Refused> {
    let (Some(wamid), Some(emoji)) =
        (body["reaction"]["message_id"].as_str(), body["reaction"]["emoji"].as_str())
    else {
        return refuse(400, 131_008, "Required parameter is missing");
    };
    let Some(id) = id_of(number, chat, wamid) else {
        return refuse(400, 131_009, "Parameter value is not valid: message_id");
    };
    let now = wharf::domain::clock::Clock::now(&wharf::app::SystemClock);
    let change = MessageChange::React { id, emoji: emoji.to_owned(), at: now };
    match number.session().await.change_message(change).await {
        Ok(()) => {
            Ok(Json(json!({ "messaging_product": "whatsapp", "messages": [{ "id": number.wamid() }] }))
                .into_response())
        }
        Err(_) => refuse(500, 131_016, "Service unavailable"),
    }
}

/// The id of a sent or delivered message, by Meta's id.
fn id_of(number: &Number, chat: &Jid, wamid: &str) -> Option<MessageId> {
    let sent = number.names.lock().unwrap().get(wamid).cloned();
    sent.or_else(|| {
        super::callbacks::delivered(number, wamid).map(|(_, id)| id).filter(|id| id.chat == *chat)
    })
}

/// The message for the network, under the id in its callback data, so that tests find it.
fn outgoing(number: &Number, body: &Value, to: &Jid, wamid: &str) -> Result<Outgoing, Refused> {
    let kind = body["type"].as_str().unwrap_or("text");
    let part = &body[kind];
    if part.is_null() {
        return refuse(400, 131_008, &format!("Required parameter is missing: {kind}"));
    }
    let (text, content) = content(number, kind, part)?;
    let along = body["biz_opaque_callback_data"].as_str();
    if along.is_some_and(|along| along.len() > 512) {
        return refuse(400, 131_009, "Parameter value is not valid: biz_opaque_callback_data");
    }
    let fresh =
        MessageId { from_me: true, chat: to.clone(), network: wamid.parse().unwrap(), participant: None };
    let id = along.and_then(|along| along.parse().ok()).unwrap_or(fresh);
    let quoted = match body["context"]["message_id"].as_str() {
        None => None,
        Some(wamid) => match id_of(number, to, wamid) {
            Some(id) => Some(Quoted { author: to.clone(), id, body: String::new() }),
            None => return refuse(400, 131_009, "Parameter value is not valid: context"),
        },
    };
    let timestamp = wharf::domain::clock::Clock::now(&wharf::app::SystemClock);
    Ok(Outgoing {
        id,
        chat: to.clone(),
        body: text,
        content,
        quoted,
        mentions: Vec::new(),
        forwarded: false,
        timestamp,
        again: false,
    })
}

fn content(number: &Number, kind: &str, part: &Value) -> Result<(String, Content), Refused> {
    let text = |name: &str| part[name].as_str().unwrap_or_default().to_owned();
    Ok(match kind {
        "text" if text("body").is_empty() => {
            return refuse(400, 131_008, "Required parameter is missing: body");
        }
        "text" if text("body").chars().count() > 4_096 => {
            return refuse(400, 131_009, "Param text['body'] must be at most 4096 characters long.");
        }
        "text" => (text("body"), Content::Text),
        "location" => match (part["latitude"].as_f64(), part["longitude"].as_f64()) {
            (Some(latitude), Some(longitude)) => {
                let description = part["name"].as_str().map(str::to_owned);
                (String::new(), Content::Location(Location { latitude, longitude, description }))
            }
            _ => return refuse(400, 131_008, "Required parameter is missing: location"),
        },
        "contacts" => (String::new(), Content::Contacts(cards(part)?)),
        "template" => (filled(part)?, Content::Text),
        "image" | "video" | "audio" | "sticker" | "document" => (text("caption"), media(number, kind, part)?),
        _ => return refuse(400, 100, "Param type must be one of {AUDIO, CONTACTS, DOCUMENT, IMAGE, …}"),
    })
}

/// The text of the only approved template, `order_ready` in `en_US`, which has one placeholder.
fn filled(part: &Value) -> Result<String, Refused> {
    if part["language"]["code"].as_str().is_none() {
        return refuse(400, 131_008, "Required parameter is missing: language");
    }
    if (&part["name"], &part["language"]["code"]) != (&json!("order_ready"), &json!("en_US")) {
        return refuse(404, 132_001, "Template name does not exist in the translation");
    }
    let body = part["components"].as_array().and_then(|all| all.iter().find(|one| one["type"] == "body"));
    let gaps = body.and_then(|body| body["parameters"].as_array()).map_or(&[][..], Vec::as_slice);
    match gaps {
        [gap] if gap["type"] == "text" && gap["text"].is_string() => {
            Ok(format!("Your order {} is ready.", gap["text"].as_str().unwrap_or_default()))
        }
        [_] => refuse(400, 132_012, "Parameter format does not match format in the created template"),
        _ => refuse(400, 132_000, "Number of parameters does not match the expected number of params"),
    }
}

fn cards(part: &Value) -> Result<Vec<ContactCard>, Refused> {
    let cards = part.as_array().filter(|cards| !cards.is_empty());
    let Some(cards) = cards else { return refuse(400, 131_008, "Required parameter is missing: contacts") };
    let card = |card: &Value| {
        let name = card["name"]["formatted_name"].as_str()?.to_owned();
        card["name"]["first_name"].as_str()?;
        let person = card["phones"][0]["wa_id"].as_str().and_then(|number| Jid::person(number).ok());
        Some(match person {
            Some(person) => ContactCard::of_person(&person, Some(name), card["org"]["company"].as_str()),
            None => {
                ContactCard::of_vcard(format!("BEGIN:VCARD\r\nVERSION:3.0\r\nFN:{name}\r\nEND:VCARD"), None)
            }
        })
    };
    let read: Option<Vec<ContactCard>> = cards.iter().map(card).collect();
    read.map_or_else(|| refuse(400, 131_008, "Required parameter is missing: name"), Ok)
}

fn media(number: &Number, kind: &str, part: &Value) -> Result<Content, Refused> {
    let found = part["id"].as_str().and_then(|id| number.files.lock().unwrap().get(id).cloned());
    let Some(file) = found else { return refuse(400, 131_009, "Parameter value is not valid: id") };
    let (group, voice) = (file.mimetype.split('/').next().unwrap_or_default(), part["voice"] == true);
    let kind = match (kind, group) {
        ("image", "image") => MediaKind::Image,
        ("video", "video") => MediaKind::Video,
        ("audio", "audio") if voice => MediaKind::Ptt,
        ("audio", "audio") => MediaKind::Audio,
        ("sticker", _) if file.mimetype == "image/webp" => MediaKind::Sticker,
        ("document", _) => MediaKind::Document,
        _ => return refuse(400, 131_053, "Media upload error: the file is of another type"),
    };
    let filename = part["filename"].as_str().map(str::to_owned);
    Ok(Content::Media(Attachment { kind, file, filename }))
}

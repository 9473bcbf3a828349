//! Calls that send messages.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse as _, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::stream;
use serde_json::{Value, json};
use wharf::app::OsRandom;
use wharf::domain::clock::Millis;
use wharf::domain::content::{Attachment, ContactCard, Content, Location, Poll};
use wharf::domain::ids::{MessageId, NetworkId};
use wharf::domain::jid::Jid;
use wharf::domain::media::MediaKind;
use wharf::engine::{Incoming, Outgoing, Quoted, SendOutcome};

use super::api::{
    Answered, Called, Refusal, Shared, bad, created, network, ok, server, unprocessable, working,
};
use super::{Session, convert, event_sender};

/// The delay of the answer where the event comes first.
const ANSWERS_AFTER: Duration = Duration::from_millis(150);

pub async fn new_id(State(shared): Shared, Path(name): Path<String>) -> Answered {
    let server = server(&shared)?;
    working(&server, &name)?;
    if !*server.gives_ids.lock().unwrap() {
        return Err(Refusal(StatusCode::NOT_IMPLEMENTED, "Not implemented by WEBJS".to_owned()));
    }
    ok(json!({ "id": NetworkId::random(&OsRandom) }))
}

pub async fn text(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Answered {
    let called = Called::of(&shared, &body)?;
    let text = called.text("text")?.to_owned();
    send(&called, &headers, Content::Text, text).await
}

pub async fn image(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Answered {
    media(&Called::of(&shared, &body)?, &headers, MediaKind::Image).await
}

pub async fn video(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Answered {
    media(&Called::of(&shared, &body)?, &headers, MediaKind::Video).await
}

pub async fn voice(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Answered {
    media(&Called::of(&shared, &body)?, &headers, MediaKind::Ptt).await
}

pub async fn document(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Answered {
    media(&Called::of(&shared, &body)?, &headers, MediaKind::Document).await
}

async fn media(called: &Called, headers: &HeaderMap, kind: MediaKind) -> Answered {
    let file = &called.body["file"];
    let mimetype = file["mimetype"].as_str().ok_or_else(|| bad("file.mimetype must be a string"))?;
    let data = file["data"].as_str().ok_or_else(|| bad("file.url or file.data must be given"))?;
    let bytes = STANDARD.decode(data).map_err(|_| bad("file.data is not base64"))?;
    let mut stored = called.session.account.media.keep(bytes.into());
    stored.mimetype = mimetype.to_owned();
    let filename = file["filename"].as_str().map(str::to_owned);
    let caption = called.body["caption"].as_str().unwrap_or_default().to_owned();
    send(called, headers, Content::Media(Attachment { kind, file: stored, filename }), caption).await
}

pub async fn location(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Answered {
    let called = Called::of(&shared, &body)?;
    let degrees =
        |name: &str| called.body[name].as_f64().ok_or_else(|| bad(&format!("{name} must be a number")));
    let description = Some(called.text("title")?.to_owned()).filter(|title| !title.is_empty());
    let place = Location { latitude: degrees("latitude")?, longitude: degrees("longitude")?, description };
    send(&called, &headers, Content::Location(place), String::new()).await
}

pub async fn contacts(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Answered {
    let called = Called::of(&shared, &body)?;
    let cards = called.body["contacts"].as_array().ok_or_else(|| bad("contacts must be an array"))?;
    let card = |card: &Value| {
        let vcard = card["vcard"].as_str().ok_or_else(|| bad("contacts.vcard must be a string"))?;
        Ok(ContactCard::of_vcard(vcard.to_owned(), None))
    };
    let cards = cards.iter().map(card).collect::<Result<_, Refusal>>()?;
    send(&called, &headers, Content::Contacts(cards), String::new()).await
}

pub async fn poll(State(shared): Shared, headers: HeaderMap, body: Bytes) -> Answered {
    let called = Called::of(&shared, &body)?;
    let poll = &called.body["poll"];
    let options = poll["options"].as_array().ok_or_else(|| bad("poll.options must be an array"))?;
    let poll = Poll {
        name: poll["name"].as_str().ok_or_else(|| bad("poll.name must be a string"))?.to_owned(),
        options: options.iter().map(|option| option.as_str().unwrap_or_default().to_owned()).collect(),
        allow_multiple_answers: poll["multipleAnswers"].as_bool().unwrap_or(false),
        votes: Vec::new(),
    };
    send(&called, &headers, Content::Poll(poll), String::new()).await
}

async fn send(called: &Called, headers: &HeaderMap, content: Content, body: String) -> Answered {
    let session = &called.session;
    let chat = called.chat()?;
    let gives_ids = *called.server.gives_ids.lock().unwrap();
    let theirs = match called.body.get("id").filter(|_| gives_ids) {
        None => NetworkId::random(&OsRandom),
        Some(id) => id.as_str().and_then(|id| id.parse().ok()).ok_or_else(|| bad("id is not valid"))?,
    };
    let ours = headers.get("idempotency-key").and_then(|key| key.to_str().ok()?.parse().ok());
    let mut ours: NetworkId = ours.unwrap_or_else(|| theirs.clone());
    {
        let mut state = session.state.lock().unwrap();
        // WAHA identifies a message by its id: a retry under another id is a second message.
        if state.theirs.get(&ours).is_some_and(|earlier| *earlier != theirs) {
            ours = theirs.clone();
        }
        state.ours.insert(theirs.clone(), ours.clone());
        state.theirs.insert(ours.clone(), theirs);
    }
    let mentions = called.body["mentions"].as_array().into_iter().flatten();
    let message = Outgoing {
        id: MessageId { from_me: true, chat: chat.clone(), network: ours, participant: None },
        chat,
        body,
        content,
        quoted: quoted(called)?,
        mentions: mentions.filter_map(|id| id.as_str()?.parse().ok()).collect(),
        forwarded: false,
        timestamp: Millis(i64::try_from(event_sender::now_ms()).unwrap()),
        again: false,
    };
    answered(called, &message, network(session)?.send(message.clone()).await, gives_ids).await
}

/// The quoted message must exist.
fn quoted(called: &Called) -> Result<Option<Quoted>, Refusal> {
    let Some(name) = called.body.get("reply_to") else { return Ok(None) };
    let id = name
        .as_str()
        .and_then(|name| called.session.meant(name))
        .ok_or_else(|| bad("reply_to is not valid"))?;
    let state = called.session.state.lock().unwrap();
    let chat = state.messages.get(&id.chat.to_string()).into_iter().flatten();
    let kept = chat
        .into_iter()
        .find(|kept| kept["id"] == *name)
        .ok_or_else(|| unprocessable("the quoted message is not there"))?;
    let author: Option<Jid> = if id.from_me {
        kept["from"].as_str()
    } else {
        kept["participant"].as_str().or(kept["from"].as_str())
    }
    .and_then(|author| author.parse().ok());
    let author = author.ok_or_else(|| bad("reply_to has no author"))?;
    Ok(Some(Quoted { id, author, body: kept["body"].as_str().unwrap_or_default().to_owned() }))
}

async fn answered(called: &Called, message: &Outgoing, outcome: SendOutcome, gives_ids: bool) -> Answered {
    let session = &called.session;
    match outcome {
        SendOutcome::Sent { .. } => {
            let wa_message = sent_message(session, message)?;
            session.keep(wa_message.clone());
            event_sender::send_in_background(&called.server, session, "message.any", wa_message.clone());
            if !gives_ids {
                tokio::time::sleep(ANSWERS_AFTER).await;
            }
            created(wa_message)
        }
        SendOutcome::Transient(error) => Err(Refusal(StatusCode::SERVICE_UNAVAILABLE, error.message)),
        SendOutcome::Permanent(error) => Err(unprocessable(&error.message)),
        SendOutcome::Unknown(_) => Ok(broken_off()),
    }
}

/// A sent message as a WAMessage.
fn sent_message(session: &Session, message: &Outgoing) -> Result<Value, Refusal> {
    let sent = Incoming {
        from_me: true,
        content: message.content.clone(),
        quoted: message.quoted.clone(),
        mentions: message.mentions.clone(),
        ..Incoming::text(
            message.id.network.clone(),
            message.chat.clone(),
            session.me_jid().ok_or_else(|| unprocessable("not linked"))?,
            message.body.clone(),
            message.timestamp,
        )
    };
    let mut wa_message = convert::message(session, &sent, 1);
    wa_message["source"] = json!("api");
    Ok(wa_message)
}

/// An answer that breaks off.
fn broken_off() -> Response {
    let pieces = [Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("the connection broke"))];
    let body = Body::from_stream(stream::iter(pieces));
    (StatusCode::CREATED, [("content-length", "100")], body).into_response()
}

//! The server's routes: sessions, linking, people. Rejections have Nest's form: `{ statusCode, message }`.

use std::sync::{Arc, Weak};

use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post, put};
use axum::{Json, Router};
use serde_json::{Value, json};
use wharf::domain::event::TypingKind;
use wharf::domain::jid::Jid;
use wharf::domain::media::MediaHash;
use wharf::engine::{Answer, Query as Question, SessionError};

use super::{KEY, Server, Session, chats, groups, sending};
use crate::upstream::world::World;

/// The largest body, in bytes.
const LARGEST: usize = 100 << 20;

pub type Shared = State<Weak<Server>>;
pub type Params = Query<std::collections::HashMap<String, String>>;
pub type Answered = Result<Response, Refusal>;

/// Why a call is rejected: status and message.
pub struct Refusal(pub StatusCode, pub String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body =
            json!({ "statusCode": self.0.as_u16(), "message": self.1, "error": self.0.canonical_reason() });
        (self.0, Json(body)).into_response()
    }
}

pub fn bad(message: &str) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, message.to_owned())
}

pub fn not_found(message: &str) -> Refusal {
    Refusal(StatusCode::NOT_FOUND, message.to_owned())
}

pub fn unprocessable(message: &str) -> Refusal {
    Refusal(StatusCode::UNPROCESSABLE_ENTITY, message.to_owned())
}

impl From<SessionError> for Refusal {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::NotInGroup => not_found("Group not found"),
            SessionError::NotSupported => Self(StatusCode::NOT_IMPLEMENTED, "Not implemented".to_owned()),
            SessionError::Refused(why) => unprocessable(&format!("the network refused: {why}")),
            error @ (SessionError::Offline | SessionError::PresenceUnavailable) => {
                unprocessable(&error.to_string())
            }
        }
    }
}

pub fn ok(value: Value) -> Answered {
    Ok(Json(value).into_response())
}

pub fn created(value: Value) -> Answered {
    Ok((StatusCode::CREATED, Json(value)).into_response())
}

pub fn server(shared: &Weak<Server>) -> Result<Arc<Server>, Refusal> {
    shared.upgrade().ok_or_else(|| Refusal(StatusCode::SERVICE_UNAVAILABLE, "the test is over".to_owned()))
}

/// A JSON body that names a working session.
pub struct Called {
    pub server: Arc<Server>,
    pub session: Arc<Session>,
    pub body: Value,
}

impl Called {
    pub fn of(shared: &Weak<Server>, body: &Bytes) -> Result<Self, Refusal> {
        let server = server(shared)?;
        let body = json_of(body)?;
        let name = body["session"].as_str().ok_or_else(|| bad("session must be a string"))?;
        let session = working(&server, name)?;
        Ok(Self { server, session, body })
    }

    pub fn text(&self, name: &str) -> Result<&str, Refusal> {
        self.body[name].as_str().ok_or_else(|| bad(&format!("{name} must be a string")))
    }

    pub fn chat(&self) -> Result<Jid, Refusal> {
        chat_id(self.text("chatId")?)
    }
}

pub fn chat_id(text: &str) -> Result<Jid, Refusal> {
    if !text.contains('@') {
        return Err(bad("chatId must end in @c.us, @g.us, @lid or @newsletter"));
    }
    text.parse().map_err(|_| bad("chatId is not valid"))
}

pub fn json_of(body: &Bytes) -> Result<Value, Refusal> {
    if body.is_empty() {
        return Ok(json!({}));
    }
    serde_json::from_slice(body).map_err(|_| bad("the body is no JSON"))
}

pub fn existing_session(server: &Server, name: &str) -> Result<Arc<Session>, Refusal> {
    server.session(name).ok_or_else(|| not_found("Session not found"))
}

pub fn working(server: &Server, name: &str) -> Result<Arc<Session>, Refusal> {
    let session = existing_session(server, name)?;
    if session.status() == "WORKING" {
        return Ok(session);
    }
    let message = format!(
        "Session status is not as expected. Try again later or restart the session: status {}",
        session.status()
    );
    Err(unprocessable(&message))
}

pub fn router(server: &Arc<Server>) -> Router {
    let shared = Arc::downgrade(server);
    let sessions = Router::new()
        .route("/api/sessions", get(list).post(create))
        .route("/api/sessions/{s}", get(show).put(update).delete(remove))
        .route("/api/sessions/{s}/{what}", post(act))
        .route("/api/{s}/auth/qr", get(code))
        .route("/api/{s}/auth/request-code", post(typed_code))
        .route("/api/{s}/new-message-id", get(sending::new_id))
        .route("/api/files/{s}/{file}", get(file));
    let sent = Router::new()
        .route("/api/sendText", post(sending::text))
        .route("/api/sendImage", post(sending::image))
        .route("/api/sendFile", post(sending::document))
        .route("/api/sendVideo", post(sending::video))
        .route("/api/sendVoice", post(sending::voice))
        .route("/api/sendLocation", post(sending::location))
        .route("/api/sendContactVcard", post(sending::contacts))
        .route("/api/sendPoll", post(sending::poll))
        .route("/api/sendPollVote", post(chats::vote))
        .route("/api/sendSeen", post(chats::seen))
        .route("/api/reaction", put(chats::react))
        .route("/api/star", put(chats::star))
        .route("/api/startTyping", post(start_typing))
        .route("/api/stopTyping", post(stop_typing))
        .route("/api/{s}/presence", post(presence))
        .route("/api/{s}/presence/{chat}/subscribe", post(subscribe))
        .route("/api/contacts/all", get(contacts))
        .route("/api/contacts/check-exists", get(exists))
        .route("/api/contacts/profile-picture", get(picture))
        .route("/api/{s}/lids", get(lids))
        .route("/api/{s}/lids/{lid}", get(lid));
    let chats = Router::new()
        .route("/api/{s}/chats/overview", get(chats::overview))
        .route("/api/{s}/chats/{chat}", delete(chats::remove))
        .route("/api/{s}/chats/{chat}/messages", get(chats::messages).delete(chats::clear))
        .route(
            "/api/{s}/chats/{chat}/messages/{id}",
            get(chats::message).put(chats::edit).delete(chats::revoke),
        )
        .route("/api/{s}/chats/{chat}/{what}", post(chats::archive))
        .route("/api/{s}/groups", get(groups::list).post(groups::create))
        .route("/api/{s}/groups/{id}", get(groups::show))
        .route("/api/{s}/groups/{id}/{what}", get(groups::invite).post(groups::leave).put(groups::rename))
        .route("/api/{s}/groups/{id}/{of}/{what}", post(groups::members));
    sessions
        .merge(sent)
        .merge(chats)
        .layer(DefaultBodyLimit::max(LARGEST))
        .layer(middleware::from_fn_with_state(shared.clone(), guarded))
        .with_state(shared)
}

/// Rejects requests without the key.
async fn guarded(State(shared): Shared, request: Request, next: Next) -> Response {
    let by_header = request.headers().get("x-api-key").is_some_and(|key| key == KEY);
    let by_query = request
        .uri()
        .query()
        .is_some_and(|query| query.split('&').any(|pair| pair == format!("x-api-key={KEY}")));
    if let Some(server) = shared.upgrade() {
        server.asked.lock().unwrap().push(format!("{} {}", request.method(), request.uri().path()));
    }
    let fault = shared.upgrade().and_then(|server| server.fault(request.uri().path()));
    if let Some((status, after)) = fault {
        tokio::time::sleep(after).await;
        return StatusCode::from_u16(status).unwrap().into_response();
    }
    if by_header || by_query {
        return next.run(request).await;
    }
    Refusal(StatusCode::UNAUTHORIZED, "Unauthorized".to_owned()).into_response()
}

async fn list(State(shared): Shared) -> Answered {
    let server = server(&shared)?;
    let all: Vec<Value> =
        server.sessions.lock().unwrap().values().map(|session| session.described()).collect();
    ok(json!(all))
}

async fn create(State(shared): Shared, body: Bytes) -> Answered {
    let (server, body) = (server(&shared)?, json_of(&body)?);
    let name =
        body["name"].as_str().filter(|name| !name.is_empty()).ok_or_else(|| bad("name must be a string"))?;
    if server.session(name).is_some() {
        return Err(unprocessable(&format!("Session '{name}' already exists. Use PUT to update it.")));
    }
    let account = account(&server.world, name)?;
    let session = Session::new(&server, name, account);
    configure(&session, &body)?;
    server.sessions.lock().unwrap().insert(name.to_owned(), Arc::clone(&session));
    if body["start"] == true {
        session.start();
    }
    created(session.described())
}

fn account(world: &World, name: &str) -> Result<Arc<crate::upstream::world::Account>, Refusal> {
    world.existing_account(name).ok_or_else(|| unprocessable("no account of the test has this name"))
}

fn configure(session: &Session, body: &Value) -> Result<(), Refusal> {
    let config = body.get("config").cloned().unwrap_or_else(|| json!({}));
    for webhook in config["webhooks"].as_array().into_iter().flatten() {
        let wrong = |what: &str| bad(&format!("config.webhooks.{what} is not valid"));
        webhook["url"].as_str().filter(|url| url.starts_with("http")).ok_or_else(|| wrong("url"))?;
        webhook["events"].as_array().filter(|events| !events.is_empty()).ok_or_else(|| wrong("events"))?;
        let policy = webhook["retries"]["policy"].as_str();
        if !matches!(policy, None | Some("linear" | "exponential" | "constant")) {
            return Err(wrong("retries.policy"));
        }
    }
    session.state.lock().unwrap().config = config;
    Ok(())
}

async fn show(State(shared): Shared, Path(name): Path<String>) -> Answered {
    ok(existing_session(&*server(&shared)?, &name)?.described())
}

async fn update(State(shared): Shared, Path(name): Path<String>, body: Bytes) -> Answered {
    let session = existing_session(&*server(&shared)?, &name)?;
    configure(&session, &json_of(&body)?)?;
    if session.is_running() {
        session.stop().await;
        session.start();
    }
    ok(session.described())
}

async fn remove(State(shared): Shared, Path(name): Path<String>) -> Answered {
    let server = server(&shared)?;
    if let Some(session) = server.session(&name) {
        session.stop().await;
        session.account.forget_link().await;
        server.sessions.lock().unwrap().remove(&name);
    }
    Ok(StatusCode::OK.into_response())
}

async fn act(State(shared): Shared, Path((name, what)): Path<(String, String)>) -> Answered {
    let session = existing_session(&*server(&shared)?, &name)?;
    match what.as_str() {
        "start" if session.is_running() => {}
        "start" => session.start(),
        "stop" => session.stop().await,
        "restart" => {
            session.stop().await;
            session.start();
        }
        "logout" => {
            let ran = session.is_running();
            if let Some(network) = session.any_network() {
                let _ = network.log_out().await;
            }
            session.account.forget_link().await;
            session.stop().await;
            session.state.lock().unwrap().me = Value::Null;
            if ran {
                session.start();
            }
        }
        _ => return Err(not_found("Cannot POST")),
    }
    created(session.described())
}

async fn code(State(shared): Shared, Path(name): Path<String>, Query(query): Params) -> Answered {
    let session = existing_session(&*server(&shared)?, &name)?;
    let code = session.state.lock().unwrap().code.clone();
    match code.filter(|_| session.status() == "SCAN_QR_CODE") {
        Some(code) if query.get("format").is_some_and(|format| format == "raw") => {
            ok(json!({ "value": code }))
        }
        Some(_) => Err(bad("this server of the tests gives raw codes only")),
        None => Err(unprocessable("Can get QR code only in SCAN_QR_CODE status")),
    }
}

async fn typed_code(State(shared): Shared, Path(name): Path<String>, body: Bytes) -> Answered {
    let (session, body) = (existing_session(&*server(&shared)?, &name)?, json_of(&body)?);
    let number = body["phoneNumber"].as_str().ok_or_else(|| bad("phoneNumber must be a string"))?;
    if session.status() != "SCAN_QR_CODE" {
        return Err(unprocessable("Can request code only in SCAN_QR_CODE status"));
    }
    let network = session.any_network().ok_or_else(|| unprocessable("no link"))?;
    created(json!({ "code": network.pairing_code(number).await?.code }))
}

async fn file(State(shared): Shared, Path((name, file)): Path<(String, String)>) -> Answered {
    let session = existing_session(&*server(&shared)?, &name)?;
    let hash: Result<MediaHash, _> = file.split('.').next().unwrap_or_default().parse();
    let bytes = hash.ok().and_then(|hash| session.account.media.bytes(&hash));
    Ok(Body::from(bytes.ok_or_else(|| not_found("no such file"))?).into_response())
}

async fn start_typing(State(shared): Shared, body: Bytes) -> Answered {
    typing(&Called::of(&shared, &body)?, true).await
}

async fn stop_typing(State(shared): Shared, body: Bytes) -> Answered {
    typing(&Called::of(&shared, &body)?, false).await
}

async fn typing(called: &Called, on: bool) -> Answered {
    let network = network(&called.session)?;
    network.typing(&called.chat()?, TypingKind::Text, on).await?;
    created(json!(true))
}

pub fn network(session: &Session) -> Result<Arc<dyn wharf::engine::Session>, Refusal> {
    session.network().ok_or_else(|| unprocessable("Session status is not as expected."))
}

async fn presence(State(shared): Shared, Path(name): Path<String>, body: Bytes) -> Answered {
    let (session, body) = (working(&*server(&shared)?, &name)?, json_of(&body)?);
    let chat = chat_id(body["chatId"].as_str().ok_or_else(|| bad("'presence' requires 'chatId' field."))?)?;
    let (kind, on) = match body["presence"].as_str() {
        Some("typing") => (TypingKind::Text, true),
        Some("recording") => (TypingKind::Audio, true),
        Some("paused") => (TypingKind::Audio, false),
        _ => return Err(bad("presence is not valid")),
    };
    network(&session)?.typing(&chat, kind, on).await?;
    created(json!({}))
}

async fn subscribe(State(shared): Shared, Path((name, chat)): Path<(String, String)>) -> Answered {
    let session = working(&*server(&shared)?, &name)?;
    network(&session)?.subscribe_presence(&chat_id(&chat)?).await?;
    created(json!({}))
}

fn asked_of(shared: &Weak<Server>, query: &Params) -> Result<Arc<Session>, Refusal> {
    let name = query.get("session").ok_or_else(|| bad("session must be a string"))?;
    working(&*server(shared)?, name)
}

async fn contacts(State(shared): Shared, query: Params) -> Answered {
    let session = asked_of(&shared, &query)?;
    let all: Vec<Value> = session.state.lock().unwrap().contacts.values().cloned().collect();
    ok(json!(all))
}

async fn exists(State(shared): Shared, query: Params) -> Answered {
    let session = asked_of(&shared, &query)?;
    let phone = query.get("phone").ok_or_else(|| bad("phone must be a string"))?;
    let person: Jid = phone.parse().map_err(|_| bad("phone is not valid"))?;
    let there = network(&session)?.query(Question::Exists(person.clone())).await? == Answer::Exists(true);
    ok(if there {
        json!({ "numberExists": true, "chatId": person })
    } else {
        json!({ "numberExists": false })
    })
}

async fn picture(State(shared): Shared, query: Params) -> Answered {
    let session = asked_of(&shared, &query)?;
    let person = chat_id(query.get("contactId").ok_or_else(|| bad("contactId must be a string"))?)?;
    match network(&session)?.query(Question::ProfilePicture(person)).await? {
        Answer::ProfilePicture(url) => ok(json!({ "profilePictureURL": url })),
        Answer::Exists(_) => Err(unprocessable("no picture")),
    }
}

async fn lids(State(shared): Shared, Path(name): Path<String>) -> Answered {
    let session = working(&*server(&shared)?, &name)?;
    let state = session.state.lock().unwrap();
    ok(state.lids.iter().map(|(lid, pn)| json!({ "lid": lid, "pn": pn })).collect())
}

async fn lid(State(shared): Shared, Path((name, lid)): Path<(String, String)>) -> Answered {
    let session = working(&*server(&shared)?, &name)?;
    let lid = chat_id(&lid)?;
    let pn = session.state.lock().unwrap().lids.get(&lid).cloned();
    ok(json!({ "lid": lid, "pn": pn }))
}

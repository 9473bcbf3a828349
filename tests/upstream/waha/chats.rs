//! Chats, their messages, and changes of them.

use std::sync::atomic::Ordering;

use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Value, json};
use wharf::domain::clock::Millis;
use wharf::domain::ids::MessageId;
use wharf::engine::{ChatChange, EditContext, MessageChange};

use super::Session;
use super::api::{
    Answered, Called, Params, Refusal, Shared, bad, chat_id, created, json_of, network, not_found, ok,
    server, working,
};
use super::event_sender::now_ms;

fn at() -> Millis {
    Millis(i64::try_from(now_ms()).unwrap())
}

fn number(query: &Params, name: &str, otherwise: usize) -> Result<usize, Refusal> {
    query
        .get(name)
        .map_or(Ok(otherwise), |text| text.parse().map_err(|_| bad(&format!("{name} must be a number"))))
}

fn newest_first(messages: &[Value]) -> Vec<Value> {
    let mut sorted: Vec<Value> = messages.iter().rev().cloned().collect();
    sorted.sort_by_key(|message| std::cmp::Reverse(message["timestamp"].as_i64()));
    sorted
}

pub async fn overview(State(shared): Shared, Path(name): Path<String>, query: Params) -> Answered {
    let server = server(&shared)?;
    let session = working(&server, &name)?;
    let state = session.state.lock().unwrap();
    let mut all: Vec<Value> = state
        .messages
        .iter()
        .filter(|(_, messages)| !messages.is_empty())
        .map(|(id, messages)| json!({ "id": id, "name": null, "picture": null, "lastMessage": newest_first(messages)[0] }))
        .collect();
    all.sort_by_key(|chat| std::cmp::Reverse(chat["lastMessage"]["timestamp"].as_i64()));
    let (limit, offset) = (number(&query, "limit", 20)?, number(&query, "offset", 0)?);
    let limit = limit.min(server.page.load(Ordering::Relaxed));
    ok(all.into_iter().skip(offset).take(limit).collect())
}

pub async fn messages(
    State(shared): Shared,
    Path((name, chat)): Path<(String, String)>,
    query: Params,
) -> Answered {
    let server = server(&shared)?;
    let session = working(&server, &name)?;
    let chat = chat_id(&chat)?.to_string();
    let since = i64::try_from(number(&query, "filter.timestamp.gte", 0)?).unwrap();
    let downloads = query.get("downloadMedia").is_none_or(|text| text == "true");
    let (limit, offset) = (number(&query, "limit", 10)?, number(&query, "offset", 0)?);
    let limit = limit.min(server.page.load(Ordering::Relaxed));
    let state = session.state.lock().unwrap();
    let kept = state.messages.get(&chat).cloned().unwrap_or_default();
    let recent =
        newest_first(&kept).into_iter().filter(|message| message["timestamp"].as_i64() >= Some(since));
    let mut page: Vec<Value> = recent.skip(offset).take(limit).collect();
    if !downloads {
        page.iter_mut().for_each(|message| message["media"] = Value::Null);
    }
    ok(json!(page))
}

fn kept(session: &Session, chat: &str, id: &str) -> Result<(Value, MessageId), Refusal> {
    let meant = session.meant(id).ok_or_else(|| bad("messageId is not valid"))?;
    let state = session.state.lock().unwrap();
    let messages = state.messages.get(&chat_id(chat)?.to_string());
    let found = messages.into_iter().flatten().find(|message| message["id"] == id).cloned();
    Ok((found.ok_or_else(|| not_found("Message not found"))?, meant))
}

pub async fn message(
    State(shared): Shared,
    Path((name, chat, id)): Path<(String, String, String)>,
) -> Answered {
    let session = working(&*server(&shared)?, &name)?;
    ok(kept(&session, &chat, &id)?.0)
}

pub async fn edit(
    State(shared): Shared,
    Path((name, chat, id)): Path<(String, String, String)>,
    body: Bytes,
) -> Answered {
    let (session, body) = (working(&*server(&shared)?, &name)?, json_of(&body)?);
    let text = body["text"].as_str().ok_or_else(|| bad("text must be a string"))?.to_owned();
    let (_, id) = kept(&session, &chat, &id)?;
    let context = Box::new(EditContext::of_text());
    let change = MessageChange::Edit { id: id.clone(), body: text.clone(), at: at(), context };
    network(&session)?.change_message(change).await?;
    session.change(&id, |message| message["body"] = json!(text));
    ok(json!(true))
}

pub async fn revoke(
    State(shared): Shared,
    Path((name, chat, id)): Path<(String, String, String)>,
) -> Answered {
    let session = working(&*server(&shared)?, &name)?;
    let (_, id) = kept(&session, &chat, &id)?;
    network(&session)?.change_message(MessageChange::Revoke { id: id.clone() }).await?;
    session.change(&id, |message| {
        message["body"] = json!("");
        message["_data"]["type"] = json!("revoked");
    });
    ok(json!(true))
}

async fn changes(called: &Called, name: &str, change: impl FnOnce(MessageId) -> MessageChange) -> Answered {
    let id = called.session.meant(called.text(name)?).ok_or_else(|| bad(&format!("{name} is not valid")))?;
    network(&called.session)?.change_message(change(id)).await?;
    ok(json!(true))
}

pub async fn react(State(shared): Shared, body: Bytes) -> Answered {
    let called = Called::of(&shared, &body)?;
    let emoji = called.text("reaction")?.to_owned();
    changes(&called, "messageId", |id| MessageChange::React { id, emoji, at: at() }).await
}

pub async fn star(State(shared): Shared, body: Bytes) -> Answered {
    let called = Called::of(&shared, &body)?;
    called.chat()?;
    let on = called.body["star"].as_bool().ok_or_else(|| bad("star must be a boolean"))?;
    changes(&called, "messageId", |id| MessageChange::Star { id, on }).await
}

pub async fn vote(State(shared): Shared, body: Bytes) -> Answered {
    let called = Called::of(&shared, &body)?;
    called.chat()?;
    let votes = called.body["votes"].as_array().ok_or_else(|| bad("votes must be an array"))?;
    let options = votes.iter().filter_map(|vote| vote.as_str().map(str::to_owned)).collect();
    changes(&called, "pollMessageId", |id| MessageChange::Vote { id, options, at: at() }).await
}

pub async fn seen(State(shared): Shared, body: Bytes) -> Answered {
    let called = Called::of(&shared, &body)?;
    let ids = called.body["messageIds"].as_array().ok_or_else(|| bad("messageIds must be an array"))?;
    let ids: Option<Vec<MessageId>> = ids.iter().map(|id| called.session.meant(id.as_str()?)).collect();
    let ids = ids.ok_or_else(|| bad("messageIds are not valid"))?;
    network(&called.session)?.mark_read(&called.chat()?, &ids).await?;
    created(json!({}))
}

async fn done(
    shared: &std::sync::Weak<super::Server>,
    name: &str,
    chat: &str,
    change: ChatChange,
) -> Answered {
    let session = working(&*server(shared)?, name)?;
    network(&session)?.change_chat(&chat_id(chat)?, change).await?;
    ok(json!(true))
}

pub async fn archive(
    State(shared): Shared,
    Path((name, chat, what)): Path<(String, String, String)>,
) -> Answered {
    match what.as_str() {
        "archive" => done(&shared, &name, &chat, ChatChange::Archive(true)).await,
        "unarchive" => done(&shared, &name, &chat, ChatChange::Archive(false)).await,
        _ => Err(not_found("Cannot POST")),
    }
}

pub async fn clear(State(shared): Shared, Path((name, chat)): Path<(String, String)>) -> Answered {
    let answer = done(&shared, &name, &chat, ChatChange::Clear).await?;
    forget(&shared, &name, &chat)?;
    Ok(answer)
}

pub async fn remove(State(shared): Shared, Path((name, chat)): Path<(String, String)>) -> Answered {
    let answer = done(&shared, &name, &chat, ChatChange::Delete).await?;
    forget(&shared, &name, &chat)?;
    Ok(answer)
}

fn forget(shared: &std::sync::Weak<super::Server>, name: &str, chat: &str) -> Result<(), Refusal> {
    let session = working(&*server(shared)?, name)?;
    session.state.lock().unwrap().messages.remove(&chat_id(chat)?.to_string());
    Ok(())
}

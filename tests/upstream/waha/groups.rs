//! Calls about groups.

use std::sync::{Arc, Weak};

use axum::body::Bytes;
use axum::extract::{Path, State};
use serde_json::{Map, Value, json};
use wharf::domain::jid::Jid;
use wharf::engine::{GroupAnswer, GroupRequest, MembersChange};

use super::api::{
    Answered, Refusal, Shared, bad, created, json_of, network, not_found, ok, server, unprocessable, working,
};
use super::{Server, Session, convert};

fn group_id(text: &str) -> Result<Jid, Refusal> {
    let id: Result<Jid, _> = text.parse();
    id.ok().filter(Jid::is_group).ok_or_else(|| bad("the group's id must end in @g.us"))
}

async fn asked(session: &Session, request: GroupRequest) -> Result<GroupAnswer, Refusal> {
    Ok(network(session)?.group(request).await?)
}

async fn info(session: &Session, id: Jid) -> Result<Value, Refusal> {
    match asked(session, GroupRequest::Info(id)).await? {
        GroupAnswer::Group(group) => Ok(convert::group(&group)),
        _ => Err(unprocessable("no group")),
    }
}

fn of(shared: &Weak<Server>, name: &str) -> Result<Arc<Session>, Refusal> {
    working(&*server(shared)?, name)
}

pub async fn list(State(shared): Shared, Path(name): Path<String>) -> Answered {
    let session = of(&shared, &name)?;
    let ids = session.state.lock().unwrap().groups.clone();
    let mut all = Vec::new();
    for id in ids {
        if let Ok(group) = info(&session, id).await {
            all.push(group);
        }
    }
    ok(json!(all))
}

pub async fn show(State(shared): Shared, Path((name, id)): Path<(String, String)>) -> Answered {
    let session = of(&shared, &name)?;
    ok(info(&session, group_id(&id)?).await?)
}

fn people(body: &Value) -> Result<Vec<Jid>, Refusal> {
    let list = body["participants"].as_array().ok_or_else(|| bad("participants must be an array"))?;
    let ids: Option<Vec<Jid>> = list.iter().map(|one| one["id"].as_str()?.parse().ok()).collect();
    ids.ok_or_else(|| bad("participants.id must be a chat id"))
}

pub async fn create(State(shared): Shared, Path(name): Path<String>, body: Bytes) -> Answered {
    let (session, body) = (of(&shared, &name)?, json_of(&body)?);
    let subject = body["name"].as_str().ok_or_else(|| bad("name must be a string"))?.to_owned();
    match asked(&session, GroupRequest::Create { subject, participants: people(&body)? }).await? {
        GroupAnswer::Group(group) => {
            session.state.lock().unwrap().groups.insert(group.id.clone());
            created(convert::group(&group))
        }
        _ => Err(unprocessable("no group")),
    }
}

/// `invite-code`.
pub async fn invite(
    State(shared): Shared,
    Path((name, id, what)): Path<(String, String, String)>,
) -> Answered {
    let session = of(&shared, &name)?;
    if what != "invite-code" {
        return Err(not_found("Cannot GET"));
    }
    link(asked(&session, GroupRequest::InviteLink(group_id(&id)?)).await?)
}

fn link(answer: GroupAnswer) -> Answered {
    match answer {
        GroupAnswer::Link(link) => ok(json!(link.rsplit('/').next())),
        _ => Err(unprocessable("no link")),
    }
}

pub async fn leave(
    State(shared): Shared,
    Path((name, id, what)): Path<(String, String, String)>,
) -> Answered {
    let session = of(&shared, &name)?;
    if what != "leave" {
        return Err(not_found("Cannot POST"));
    }
    asked(&session, GroupRequest::Leave(group_id(&id)?)).await?;
    created(json!({}))
}

/// `subject` and `description`.
pub async fn rename(
    State(shared): Shared,
    Path((name, id, what)): Path<(String, String, String)>,
    body: Bytes,
) -> Answered {
    let (session, body, group) = (of(&shared, &name)?, json_of(&body)?, group_id(&id)?);
    let text = body[&what].as_str().ok_or_else(|| bad(&format!("{what} must be a string")))?.to_owned();
    let request = match what.as_str() {
        "subject" => GroupRequest::Subject { group, subject: text },
        "description" => GroupRequest::Description { group, description: text },
        _ => return Err(not_found("Cannot PUT")),
    };
    asked(&session, request).await?;
    ok(json!(true))
}

/// `participants/add`, `participants/remove`, `admin/promote`, `admin/demote`, `invite-code/revoke`.
pub async fn members(
    State(shared): Shared,
    Path((name, id, what, how)): Path<(String, String, String, String)>,
    body: Bytes,
) -> Answered {
    let (session, body, group) = (of(&shared, &name)?, json_of(&body)?, group_id(&id)?);
    let change = match (what.as_str(), how.as_str()) {
        ("invite-code", "revoke") => {
            return link(asked(&session, GroupRequest::RevokeInviteLink(group)).await?);
        }
        ("participants", "add") => MembersChange::Add,
        ("participants", "remove") => MembersChange::Remove,
        ("admin", "promote") => MembersChange::Promote,
        ("admin", "demote") => MembersChange::Demote,
        _ => return Err(not_found("Cannot POST")),
    };
    let request = GroupRequest::Participants { group, change, participants: people(&body)? };
    let GroupAnswer::Participants(outcomes) = asked(&session, request).await? else {
        return Err(unprocessable("no answer"));
    };
    let codes = outcomes.into_iter().map(|(person, outcome)| {
        let code = match outcome {
            Ok(()) => 200,
            Err("not_on_network") => 404,
            Err("already_in_group") => 409,
            Err(_) => 403,
        };
        (person.to_string(), json!({ "code": code }))
    });
    ok(Value::Object(codes.collect::<Map<_, _>>()))
}

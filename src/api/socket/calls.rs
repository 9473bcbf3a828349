//! The client events, one function each: from a payload to the service and back to an answer.

use serde_json::{Map, Value as Json, json};

use super::Shared;
use super::problem::Problem;
use super::reply::done;
use super::session::Session;
use crate::api::send_request::{self, SendLimits};
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::event::TypingKind;
use crate::domain::ids::MessageId;
use crate::domain::jid::Jid;
use crate::service::MuteChange;

/// Messages that one `message:read` may name.
const MAX_MESSAGE_IDS: usize = 1_000;

type Body = Map<String, Json>;
type Answer = Result<Json, Problem>;

/// Whether there is such an event.
pub(super) fn is_known(event: &str) -> bool {
    matches!(
        event,
        "subscribe"
            | "message:send"
            | "message:read"
            | "typing:start"
            | "typing:stop"
            | "presence:subscribe"
            | "notifications:mute"
            | "notifications:unmute"
    )
}

/// Serves one request.
pub(super) async fn serve(shared: &Shared, session: &Session, event: &str, body: Body) -> Answer {
    if !shared.services.access.still_valid(&session.principal) {
        return Err(Problem::new("unauthorized", "the API key of this socket is no longer valid"));
    }
    let call = Call { shared, session, body };
    match event {
        "subscribe" => call.subscribe().await,
        "message:send" => call.send().await,
        "message:read" => call.read().await,
        "typing:start" => call.typing(true).await,
        "typing:stop" => call.typing(false).await,
        "presence:subscribe" => call.presence().await,
        "notifications:mute" => call.mute(true).await,
        "notifications:unmute" => call.mute(false).await,
        _ => Err(Problem::unknown_event(event)),
    }
}

struct Call<'a> {
    shared: &'a Shared,
    session: &'a Session,
    body: Body,
}

impl Call<'_> {
    async fn subscribe(self) -> Answer {
        let services = &self.shared.services;
        let id = &self.session.device;
        if let Some(named) = self.text("deviceId")?
            && named != id.as_str()
        {
            return Err(Problem::field("deviceId", "names another device than this namespace"));
        }
        let view = services.fleet.device(id).await?;
        let mut answer = json!({ "success": true, "deviceId": id, "timestamp": services.now() });
        let state = serde_json::to_value(view.device.state.as_event()).unwrap_or_default();
        if let (Some(answer), Json::Object(state)) = (answer.as_object_mut(), state) {
            answer.extend(state);
        }
        Ok(answer)
    }

    async fn send(self) -> Answer {
        self.need(Scope::MessagesSend)?;
        let services = &self.shared.services;
        let limits = SendLimits { text_max_chars: self.shared.text_max_chars, now: services.now() };
        let parsed = send_request::parse(&Json::Object(self.body), &limits)?;
        let accepted = services.messaging.send(&self.session.device, parsed.into_request(None)).await?;
        let mut answer = json!({
            "success": true,
            "messageId": accepted.id,
            "chatId": accepted.chat_id,
            "status": accepted.status,
            "ack": accepted.ack,
            "timestamp": accepted.timestamp,
        });
        if let Some(temp_id) = accepted.temp_id {
            answer["tempId"] = temp_id.into();
        }
        Ok(answer)
    }

    async fn read(self) -> Answer {
        self.need(Scope::MessagesSend)?;
        let chat = self.jid("chatId")?;
        let only = self.message_ids()?;
        let read = self.shared.services.messaging.mark_read(&self.session.device, &chat, only).await?;
        Ok(json!({ "success": true, "chatId": chat, "messageIds": read }))
    }

    async fn typing(self, on: bool) -> Answer {
        self.need(Scope::MessagesSend)?;
        let chat = self.jid("chatId")?;
        let kind = match self.text("kind")? {
            None | Some("text") => TypingKind::Text,
            Some("audio") => TypingKind::Audio,
            Some(_) => return Err(Problem::field("kind", "must be text or audio")),
        };
        self.shared.services.messaging.typing(&self.session.device, &chat, kind, on).await?;
        Ok(done())
    }

    async fn presence(self) -> Answer {
        let contact = self.jid("contactId")?;
        self.shared.services.messaging.subscribe_presence(&self.session.device, &contact).await?;
        Ok(done())
    }

    async fn mute(self, on: bool) -> Answer {
        if let Some(field) = self.body.keys().find(|field| !matches!(field.as_str(), "until" | "chatId")) {
            let field: String = field.chars().take(64).collect();
            return Err(Problem::field(field, "is no field here: chatId and until are"));
        }
        let chat = match self.text("chatId")? {
            None => None,
            Some(_) => Some(self.jid("chatId")?),
        };
        let until = match self.body.get("until") {
            None | Some(Json::Null) => None,
            Some(until) => {
                let right = "must be a moment in milliseconds since the epoch";
                Some(Millis(until.as_i64().ok_or_else(|| Problem::field("until", right))?))
            }
        };
        let operator = Some(self.session.operator_id());
        let change = MuteChange { operator, device: Some(self.session.device.clone()), chat, until };
        match on {
            true => self.shared.services.notify.mute(change).await?,
            false => self.shared.services.notify.unmute(change).await?,
        }
        Ok(json!({ "success": true, "muted": on, "until": until.filter(|_| on) }))
    }

    fn need(&self, scope: Scope) -> Result<(), Problem> {
        if self.session.principal.grant.allows(scope) {
            return Ok(());
        }
        Err(Problem::new("missing_scope", format!("the API key of this socket lacks the scope {scope}")))
    }

    fn text(&self, field: &str) -> Result<Option<&str>, Problem> {
        match self.body.get(field) {
            None | Some(Json::Null) => Ok(None),
            Some(Json::String(text)) => Ok(Some(text.as_str()).filter(|text| !text.is_empty())),
            Some(_) => Err(Problem::field(field, "must be a string")),
        }
    }

    fn jid(&self, field: &str) -> Result<Jid, Problem> {
        let text = self.text(field)?.ok_or_else(|| Problem::field(field, "is required"))?;
        text.parse().map_err(|error| Problem::field(field, format!("is not valid: {error}")))
    }

    /// The messages named; all, where none is.
    fn message_ids(&self) -> Result<Option<Vec<MessageId>>, Problem> {
        const FIELD: &str = "messageIds";
        let list = match self.body.get(FIELD) {
            None | Some(Json::Null) => return Ok(None),
            Some(Json::Array(list)) if list.is_empty() => return Ok(None),
            Some(Json::Array(list)) if list.len() <= MAX_MESSAGE_IDS => list,
            Some(Json::Array(_)) => {
                return Err(Problem::field(FIELD, format!("may name at most {MAX_MESSAGE_IDS} messages")));
            }
            Some(_) => return Err(Problem::field(FIELD, "must be a list of message ids")),
        };
        let parse = |id: &Json| {
            let text = id.as_str().ok_or_else(|| Problem::field(FIELD, "must be a list of message ids"))?;
            text.parse()
                .map_err(|error| Problem::field(FIELD, format!("holds an id that is not valid: {error}")))
        };
        list.iter().map(parse).collect::<Result<_, _>>().map(Some)
    }
}

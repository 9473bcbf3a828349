//! The client events: each payload is a typed request, served by one function that answers the callback.

use serde::Deserialize;
use serde_json::{Map, Value as Json, json};
use utoipa::ToSchema;

use super::Shared;
use super::reply::done;
use super::request_error::RequestError;
use super::session::Session;
use crate::api::http::input::{Request, read_object};
use crate::api::http::messages::send_body::{SendBody, SendLimits};
use crate::api::http::schema;
use crate::domain::access::Scope;
use crate::domain::clock::Millis;
use crate::domain::event::TypingKind;
use crate::domain::ids::{DeviceId, MessageId};
use crate::domain::jid::Jid;
use crate::service::MuteChange;

type Body = Map<String, Json>;
type Answer = Result<Json, RequestError>;

/// Whether there is such an event.
pub(super) fn is_client_event(event: &str) -> bool {
    matches!(
        event,
        "subscribe"
            | "message:send"
            | "message:read"
            | "typing:start"
            | "typing:stop"
            | "presence:subscribe"
            | "device:active"
            | "notifications:mute"
            | "notifications:unmute"
    )
}

/// Serves one request.
pub(super) async fn serve(shared: &Shared, session: &Session, event: &str, body: Body) -> Answer {
    if !shared.services.access.still_valid(&session.principal) {
        return Err(RequestError::new("unauthorized", "the API key of this socket is no longer valid"));
    }
    let call = Call { shared, session };
    let answer = call.answer(event, body).await?;
    if is_operator_use(event) {
        shared.services.messaging.operator_active(&session.device);
    }
    Ok(answer)
}

/// Whether a request shows that an operator uses the device; an open socket does not.
fn is_operator_use(event: &str) -> bool {
    matches!(event, "message:send" | "message:read" | "typing:start" | "typing:stop" | "device:active")
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Subscribe {
    #[schema(value_type = Option<String>)]
    device_id: Option<DeviceId>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct ReadMessages {
    #[schema(schema_with = schema::chat_id)]
    chat_id: Jid,
    #[schema(schema_with = schema::message_ids, required = false)]
    message_ids: Option<Vec<MessageId>>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Typing {
    #[schema(schema_with = schema::chat_id)]
    chat_id: Jid,
    #[schema(value_type = Option<String>)]
    kind: Option<TypingKind>,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct SubscribePresence {
    #[schema(schema_with = schema::contact_id)]
    contact_id: Jid,
}

#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct Mute {
    #[schema(schema_with = schema::chat_id, required = false)]
    chat_id: Option<Jid>,
    #[schema(value_type = Option<i64>)]
    until: Option<Millis>,
}

/// Clients of sockets write `""` for absent values.
macro_rules! event_payloads {
    ($($payload:ty)*) => {$(
        impl Request for $payload {
            fn is_absent(_: &str, value: &Json) -> bool {
                value.is_null() || value == ""
            }
        }
    )*};
}

event_payloads! { Subscribe ReadMessages Typing SubscribePresence }

impl Request for Mute {
    const REJECT_UNKNOWN: Option<&'static [&'static str]> = Some(&[]);

    fn is_absent(_: &str, value: &Json) -> bool {
        value.is_null() || value == ""
    }
}

struct Call<'a> {
    shared: &'a Shared,
    session: &'a Session,
}

impl Call<'_> {
    async fn answer(self, event: &str, body: Body) -> Answer {
        match event {
            "subscribe" => self.subscribe(read_object(body)?).await,
            "message:send" => self.send(body).await,
            "message:read" => self.read(body).await,
            "typing:start" => self.typing(body, true).await,
            "typing:stop" => self.typing(body, false).await,
            "presence:subscribe" => self.presence(read_object(body)?).await,
            "device:active" => self.active(),
            "notifications:mute" => self.mute(read_object(body)?, true).await,
            "notifications:unmute" => self.mute(read_object(body)?, false).await,
            _ => Err(RequestError::unknown_event(event)),
        }
    }

    fn active(self) -> Answer {
        self.require(Scope::MessagesSend)?;
        Ok(done())
    }

    async fn subscribe(self, Subscribe { device_id }: Subscribe) -> Answer {
        let services = &self.shared.services;
        let id = &self.session.device;
        if device_id.is_some_and(|named| named != *id) {
            return Err(RequestError::field("deviceId", "names another device than this namespace"));
        }
        let state = services.logs.state(id).await?;
        let mut answer = json!({ "success": true, "deviceId": id, "timestamp": services.now() });
        let state = serde_json::to_value(state.as_event()).unwrap_or_default();
        if let (Some(answer), Json::Object(state)) = (answer.as_object_mut(), state) {
            answer.extend(state);
        }
        Ok(answer)
    }

    async fn send(self, body: Body) -> Answer {
        self.require(Scope::MessagesSend)?;
        let services = &self.shared.services;
        let limits = SendLimits { text_max_chars: self.shared.text_max_chars, now: services.now() };
        let request = read_object::<SendBody>(body)?.into_request(&limits, None)?;
        let accepted = services.messaging.send(&self.session.device, request).await?;
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

    async fn read(self, body: Body) -> Answer {
        self.require(Scope::MessagesSend)?;
        let ReadMessages { chat_id, message_ids } = read_object(body)?;
        let only = message_ids.filter(|ids| !ids.is_empty());
        let read = self.shared.services.messaging.mark_read(&self.session.device, &chat_id, only).await?;
        Ok(json!({ "success": true, "chatId": chat_id, "messageIds": read }))
    }

    async fn typing(self, body: Body, on: bool) -> Answer {
        self.require(Scope::MessagesSend)?;
        let Typing { chat_id, kind } = read_object(body)?;
        let kind = kind.unwrap_or_default();
        self.shared.services.messaging.typing(&self.session.device, &chat_id, kind, on).await?;
        Ok(done())
    }

    async fn presence(self, SubscribePresence { contact_id }: SubscribePresence) -> Answer {
        self.shared.services.messaging.subscribe_presence(&self.session.device, &contact_id).await?;
        Ok(done())
    }

    async fn mute(self, Mute { chat_id, until }: Mute, on: bool) -> Answer {
        let operator = Some(self.session.operator_id());
        let change = MuteChange { operator, device: Some(self.session.device.clone()), chat: chat_id, until };
        match on {
            true => self.shared.services.notify.mute(change).await?,
            false => self.shared.services.notify.unmute(change).await?,
        }
        Ok(json!({ "success": true, "muted": on, "until": until.filter(|_| on) }))
    }

    fn require(&self, scope: Scope) -> Result<(), RequestError> {
        if self.session.principal.grant.allows(scope) {
            return Ok(());
        }
        Err(RequestError::new("missing_scope", format!("the API key of this socket lacks the scope {scope}")))
    }
}

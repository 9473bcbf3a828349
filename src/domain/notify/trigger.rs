//! Triggers: log events that can cause a notification.

use serde::Deserialize;

use super::{Kind, Priority};
use crate::domain::clock::Millis;
use crate::domain::jid::{Jid, JidKind};
use crate::domain::reason::Reason;

/// Limit in characters of a text for rules and notifications.
const TEXT_MAX: usize = 4_096;

/// An event that can cause a notification.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// The kind of event.
    pub kind: Kind,
    /// The event's position in its device's log.
    pub seq: i64,
    /// Time of the event; of a message, the earlier of its own timestamp and the event's.
    pub at: Millis,
    /// The chat, if the event belongs to one.
    pub chat: Option<Jid>,
    /// The sender or caller.
    pub person: Option<Jid>,
    /// Whether the chat is a group.
    pub is_group: bool,
    /// Whether our account is mentioned.
    pub mention: bool,
    /// Details for the title and body.
    pub about: About,
}

/// Details for the title and body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A message.
    Message {
        /// Display name of the sender.
        name: String,
        /// The message text; for a message without text, its type in words.
        text: String,
    },
    /// A call.
    Call {
        /// Whether it is a video call.
        video: bool,
    },
    /// The connection to the network.
    Link {
        /// The reason and the advice.
        sentence: String,
    },
    /// A message that could not be sent.
    Failed {
        /// The reason.
        sentence: String,
    },
    /// A webhook.
    Webhook {
        /// The reason.
        sentence: String,
        /// Whether the event that was not delivered was itself a notification.
        of_notification: bool,
        /// Number of events.
        events: u32,
    },
    /// A summary of many triggers.
    Summary,
    /// A test without details.
    Test,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    message: Option<MessagePayload>,
    chat_id: Option<Jid>,
    from: Option<Jid>,
    video: Option<bool>,
    status: Option<String>,
    state: Option<String>,
    reason: Option<String>,
    attempt: Option<u32>,
    error: Option<String>,
    event: Option<String>,
    count: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MessagePayload {
    chat_id: Jid,
    from: Jid,
    author: Option<Jid>,
    from_me: bool,
    #[serde(default)]
    body: String,
    #[serde(rename = "type")]
    kind: String,
    timestamp: Millis,
    #[serde(default)]
    notify_name: String,
    #[serde(default)]
    mentioned_ids: Vec<Jid>,
}

impl Trigger {
    /// Whether events of this name can be triggers; checked before a payload is parsed.
    #[must_use]
    pub fn is_possible(event: &str) -> bool {
        matches!(
            event,
            "message"
                | "call"
                | "disconnected"
                | "state"
                | "qr"
                | "message:status"
                | "webhook:dead"
                | "webhook:disabled"
        )
    }

    /// Converts a log entry; `None` when the event is no trigger. `account` is the number of our account in
    /// digits, if available.
    #[must_use]
    pub fn of(event: &str, payload: &str, seq: i64, at: Millis, account: Option<&str>) -> Option<Self> {
        if !Self::is_possible(event) {
            return None;
        }
        let payload: Payload = serde_json::from_str(payload).ok()?;
        let plain = |kind, about| Self {
            kind,
            seq,
            at,
            chat: None,
            person: None,
            is_group: false,
            mention: false,
            about,
        };
        match event {
            "message" => message(payload.message?, seq, at, account),
            "call" => {
                let kind = match payload.status.as_deref()? {
                    "ringing" => Kind::Call,
                    "missed" => Kind::MissedCall,
                    _ => return None,
                };
                let from = payload.from?;
                let about = About::Call { video: payload.video.unwrap_or(false) };
                Some(Self { chat: Some(from.clone()), person: Some(from), ..plain(kind, about) })
            }
            "disconnected" => {
                let reason = reason(payload.reason.as_deref()?)?;
                (!is_intended(reason)).then(|| plain(Kind::Offline, link(reason)))
            }
            "state" => {
                let is_terminal = matches!(payload.state.as_deref()?, "failed" | "logged_out");
                let reason = reason(payload.reason.as_deref()?)?;
                (is_terminal && !is_intended(reason)).then(|| plain(Kind::Error, link(reason)))
            }
            // Later codes belong to the same attempt to link.
            "qr" => (payload.attempt? == 1).then(|| plain(Kind::Qr, About::Link { sentence: String::new() })),
            "message:status" => {
                if payload.status.as_deref()? != "failed" {
                    return None;
                }
                let sentence = payload.error.unwrap_or_default();
                let chat = payload.chat_id;
                let is_group = chat.as_ref().is_some_and(Jid::is_group);
                Some(Self { chat, is_group, ..plain(Kind::MessageFailed, About::Failed { sentence }) })
            }
            "webhook:dead" => {
                let of_notification = payload.event.as_deref() == Some("notification");
                let sentence = match (payload.event, payload.error) {
                    (_, Some(error)) if error == "too_many_waiting" => {
                        "Too much waited for it: the oldest are dead letters now.".to_owned()
                    }
                    (Some(event), Some(error)) => format!("{event}: {error}"),
                    _ => String::new(),
                };
                let events = payload.count.unwrap_or(1);
                Some(plain(Kind::WebhookDead, About::Webhook { sentence, of_notification, events }))
            }
            _ => {
                let sentence = match payload.reason.as_deref()? {
                    "operator" => return None,
                    "gone" => "Its receiver answered 410 Gone.",
                    _ => "Nothing has reached it for days.",
                };
                let sentence = sentence.to_owned();
                let about = About::Webhook { sentence, of_notification: false, events: 0 };
                Some(plain(Kind::WebhookDisabled, about))
            }
        }
    }

    /// The default priority, used when the rule sets none.
    #[must_use]
    pub fn priority(&self) -> Priority {
        if self.mention { Priority::High } else { self.kind.priority() }
    }

    /// Notifications of the same tag replace each other, for example those of one chat.
    #[must_use]
    pub fn tag(&self) -> String {
        let topic = match self.kind {
            Kind::Message => "chat",
            Kind::Call | Kind::MissedCall => "call",
            Kind::Offline | Kind::Qr | Kind::Error => "link",
            Kind::MessageFailed => "failed",
            Kind::WebhookDead | Kind::WebhookDisabled => "webhook",
            Kind::Summary => "more",
            Kind::Test => "test",
        };
        self.chat.as_ref().map_or_else(|| topic.to_owned(), |chat| format!("{topic}:{chat}"))
    }

    /// The text for the text condition of a rule.
    #[must_use]
    pub fn text(&self) -> &str {
        match &self.about {
            About::Message { text, .. } => text,
            About::Link { sentence } | About::Failed { sentence } | About::Webhook { sentence, .. } => {
                sentence
            }
            About::Call { .. } | About::Summary | About::Test => "",
        }
    }
}

fn message(message: MessagePayload, seq: i64, at: Millis, account: Option<&str>) -> Option<Trigger> {
    if message.from_me || message.kind == "revoked" {
        return None;
    }
    // Broadcasts to all contacts or subscribers are not addressed to the account.
    if matches!(message.chat_id.kind(), JidKind::Status | JidKind::Newsletter) {
        return None;
    }
    let is_group = message.chat_id.is_group();
    let mentioned = |id: &Jid| account.is_some() && id.phone() == account;
    let text = match message.body.is_empty() {
        true => what_it_is(&message.kind).to_owned(),
        false => message.body.chars().take(TEXT_MAX).collect(),
    };
    Some(Trigger {
        kind: Kind::Message,
        seq,
        at: message.timestamp.min(at),
        mention: message.mentioned_ids.iter().any(mentioned),
        person: Some(message.author.unwrap_or(message.from)),
        is_group,
        about: About::Message { name: message.notify_name.chars().take(TEXT_MAX).collect(), text },
        chat: Some(message.chat_id),
    })
}

fn what_it_is(kind: &str) -> &'static str {
    match kind {
        "image" => "A picture",
        "video" => "A video",
        "audio" => "A sound",
        "ptt" => "A voice message",
        "document" => "A document",
        "sticker" => "A sticker",
        "location" => "A place",
        "vcard" => "A contact",
        "poll_creation" => "A poll",
        "call_log" => "A call",
        _ => "A message",
    }
}

fn reason(code: &str) -> Option<Reason> {
    Reason::ALL.iter().copied().find(|reason| reason.code() == code)
}

/// Whether an operator or a restart of the daemon caused the state.
fn is_intended(reason: Reason) -> bool {
    use Reason::{DaemonRestarted, LoggedOutByOperator, StoppedByDeclaration, StoppedByOperator};
    matches!(reason, StoppedByOperator | StoppedByDeclaration | LoggedOutByOperator | DaemonRestarted)
}

fn link(reason: Reason) -> About {
    About::Link { sentence: format!("{} {}", reason.meaning(), reason.advice()) }
}

#[cfg(test)]
mod tests {
    use super::super::trigger::*;
    use serde_json::{Value, json};

    fn of(event: &str, payload: &Value) -> Option<Trigger> {
        Trigger::of(event, &payload.to_string(), 7, Millis(1_000), Some("15550109999"))
    }

    fn message(changes: &Value) -> Value {
        let mut message = json!({
            "id": "x", "chatId": "15550100001@c.us", "from": "15550100001@c.us", "to": "15550109999@c.us",
            "fromMe": false, "body": "hello", "type": "chat", "timestamp": 900, "ack": 1, "notifyName": "Anna",
        });
        for (name, value) in changes.as_object().unwrap() {
            message[name] = value.clone();
        }
        json!({ "deviceId": "shop", "timestamp": 1_000, "seq": 7, "message": message })
    }

    #[test]
    fn incoming_message_is_trigger() {
        let news = of("message", &message(&json!({}))).unwrap();
        assert_eq!((news.kind, news.at, news.text()), (Kind::Message, Millis(900), "hello"));
        assert_eq!((news.priority(), news.tag().as_str()), (Priority::Normal, "chat:15550100001@c.us"));
        let picture = of("message", &message(&json!({ "body": "", "type": "image" }))).unwrap();
        assert_eq!(picture.text(), "A picture");
        let group = json!({ "chatId": "1203630@g.us", "author": "15550100002@c.us", "mentionedIds": ["15550109999@c.us"] });
        let group = of("message", &message(&group)).unwrap();
        assert!(group.is_group && group.mention);
        assert_eq!(group.priority(), Priority::High);
        assert_eq!(group.person.unwrap().to_string(), "15550100002@c.us");
    }

    #[test]
    fn own_and_operator_actions_are_not_triggers() {
        for changes in
            [json!({ "fromMe": true }), json!({ "type": "revoked" }), json!({ "chatId": "status@broadcast" })]
        {
            assert_eq!(of("message", &message(&changes)), None, "{changes}");
        }
        assert_eq!(of("disconnected", &json!({ "reason": "stopped_by_operator" })), None);
        assert_eq!(of("state", &json!({ "state": "logged_out", "reason": "logged_out_by_operator" })), None);
        assert_eq!(of("state", &json!({ "state": "ready" })), None);
        assert_eq!(of("qr", &json!({ "qr": "x", "attempt": 2 })), None);
        assert_eq!(of("call", &json!({ "from": "15550100001@c.us", "status": "ended" })), None);
        assert_eq!(of("webhook:disabled", &json!({ "reason": "operator" })), None);
        assert_eq!(of("message:ack", &json!({})), None);
        assert_eq!(of("notification", &json!({})), None);
    }

    #[test]
    fn problems_are_triggers() {
        let kind = |event, payload: Value| of(event, &payload).map(|news| news.kind);
        assert_eq!(kind("disconnected", json!({ "reason": "link_dropped" })), Some(Kind::Offline));
        assert_eq!(kind("state", json!({ "state": "failed", "reason": "banned" })), Some(Kind::Error));
        assert_eq!(kind("qr", json!({ "attempt": 1 })), Some(Kind::Qr));
        assert_eq!(
            kind("call", json!({ "from": "15550100001@c.us", "status": "missed" })),
            Some(Kind::MissedCall)
        );
        let failed = json!({ "status": "failed", "chatId": "15550100001@c.us", "error": "no" });
        assert_eq!(kind("message:status", failed), Some(Kind::MessageFailed));
        assert_eq!(
            kind("webhook:dead", json!({ "event": "message", "error": "timeout" })),
            Some(Kind::WebhookDead)
        );
        assert_eq!(kind("webhook:disabled", json!({ "reason": "gone" })), Some(Kind::WebhookDisabled));
        for (event, of_itself) in [("message", false), ("notification", true)] {
            let dead = of("webhook:dead", &json!({ "event": event, "error": "timeout" })).unwrap();
            assert!(
                matches!(dead.about, About::Webhook { of_notification, .. } if of_notification == of_itself)
            );
        }
    }
}

//! What an event means to people.

use serde::Deserialize;

use super::{Kind, Priority};
use crate::domain::clock::Millis;
use crate::domain::jid::{Jid, JidKind};
use crate::domain::reason::Reason;

/// Characters of a text that rules look at and words are made of.
const TEXT_MAX: usize = 4_096;

/// Something that people may want to hear of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// What.
    pub kind: Kind,
    /// The event's position in its device's log.
    pub seq: i64,
    /// When it happened; of a message, when it was written, where that is earlier.
    pub at: Millis,
    /// Where.
    pub chat: Option<Jid>,
    /// Who did it.
    pub person: Option<Jid>,
    /// Whether it happened in a group.
    pub is_group: bool,
    /// Whether our account is mentioned.
    pub mention: bool,
    /// What it is made of.
    pub about: About,
}

/// What words are made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum About {
    /// A message.
    Message {
        /// Who wrote it.
        name: String,
        /// What it says; what it is, where it says nothing.
        text: String,
    },
    /// A call.
    Call {
        /// Whether it is a video call.
        video: bool,
    },
    /// The link to the network.
    Link {
        /// Why, and what to do.
        sentence: String,
    },
    /// A message that was not sent.
    Failed {
        /// Why.
        sentence: String,
    },
    /// A webhook.
    Webhook {
        /// Why.
        sentence: String,
        /// Whether what did not reach it was itself a notification.
        of_notification: bool,
        /// How many events.
        events: u32,
    },
    /// Many things.
    Summary,
    /// Nothing.
    Test,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    message: Option<Written>,
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
struct Written {
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
    /// Whether events of this name can mean anything; to be asked before a payload is read.
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

    /// What an entry of a log means; `None` when nobody wants to hear of it. `account` is our account's number in
    /// digits, where it is known.
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
                (!is_wanted(reason)).then(|| plain(Kind::Offline, link(reason)))
            }
            "state" => {
                let is_end = matches!(payload.state.as_deref()?, "failed" | "logged_out");
                let reason = reason(payload.reason.as_deref()?)?;
                (is_end && !is_wanted(reason)).then(|| plain(Kind::Error, link(reason)))
            }
            // Those after it are the same news.
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
                    "gone" => "Its receiver answered 410: it wants nothing any more.",
                    _ => "Nothing has reached it for days.",
                };
                let sentence = sentence.to_owned();
                let about = About::Webhook { sentence, of_notification: false, events: 0 };
                Some(plain(Kind::WebhookDisabled, about))
            }
        }
    }

    /// How much it matters where no rule says it.
    #[must_use]
    pub fn priority(&self) -> Priority {
        if self.mention { Priority::High } else { self.kind.priority() }
    }

    /// Whose notifications replace each other: one of the same tag is the newest news of the same thing.
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

    /// The text that a rule may look at.
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

fn message(message: Written, seq: i64, at: Millis, account: Option<&str>) -> Option<Trigger> {
    if message.from_me || message.kind == "revoked" {
        return None;
    }
    // What is told to all contacts or subscribers at once is nobody's message.
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

/// Whether somebody wanted it so, or it says nothing.
fn is_wanted(reason: Reason) -> bool {
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

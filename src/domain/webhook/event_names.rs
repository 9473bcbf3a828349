//! The names of events in each format. An event without a name in a format is not delivered; an event with
//! several names is delivered once for each subscribed name.
//!
//! Sources: the upstream contract, WAHA's list of events and the client events of whatsapp-web.js.

use super::{FilterInput, Format};

/// Wharf's own names, which are the events of the log.
pub const WHARF: [&str; 31] = [
    "authenticated",
    "call",
    "chat:cleared",
    "chat:deleted",
    "contact:update",
    "device-deleted",
    "disconnected",
    "group:update",
    "history:progress",
    "message",
    "message:ack",
    "message:created",
    "message:deleted",
    "message:edited",
    "message:media",
    "message:reaction",
    "message:read",
    "message:revoked",
    "message:starred",
    "message:status",
    "notification",
    "passkey:confirmation",
    "passkey:error",
    "passkey:request",
    "poll:vote",
    "qr",
    "ready",
    "state",
    "webhook:dead",
    "webhook:disabled",
    "webhook:test",
];

/// Names of events of operator chat. An endpoint gets them only if it subscribes to them by their full names.
pub const CONVERSATION: [&str; 7] = [
    "chat:message",
    "conversation:assigned",
    "conversation:closed",
    "conversation:created",
    "conversation:first_response",
    "conversation:note",
    "conversation:opened",
];

/// WAHA's names that correspond to an event of the log.
pub const WAHA: [&str; 15] = [
    "call.accepted",
    "call.received",
    "call.rejected",
    "group.v2.join",
    "group.v2.leave",
    "group.v2.participants",
    "group.v2.update",
    "message",
    "message.ack",
    "message.any",
    "message.edited",
    "message.reaction",
    "message.revoked",
    "poll.vote",
    "session.status",
];

/// The names of whatsapp-web.js that correspond to an event of the log.
pub const WWEBJS: [&str; 19] = [
    "authenticated",
    "call",
    "change_state",
    "chat_removed",
    "contact_changed",
    "disconnected",
    "group_admin_changed",
    "group_join",
    "group_leave",
    "group_update",
    "loading_screen",
    "message",
    "message_ack",
    "message_create",
    "message_edit",
    "message_reaction",
    "message_revoke_everyone",
    "message_revoke_me",
    "vote_update",
];
/// Further names of whatsapp-web.js, for the state of the link.
pub const WWEBJS_LINK: [&str; 2] = ["qr", "ready"];

impl Format {
    /// Whether the format has an event with this name.
    #[must_use]
    pub fn has_event(self, name: &str) -> bool {
        match self {
            Self::Wharf => WHARF.contains(&name) || CONVERSATION.contains(&name),
            Self::Waha => WAHA.contains(&name),
            Self::Wwebjs => WWEBJS.contains(&name) || WWEBJS_LINK.contains(&name),
        }
    }

    /// The names of an event in this format.
    #[must_use]
    pub fn names<'a>(self, facts: &FilterInput<'a>) -> Vec<&'a str> {
        match self {
            Self::Wharf => vec![facts.kind],
            Self::Waha => waha(facts),
            Self::Wwebjs => wwebjs(facts),
        }
    }
}

fn waha(facts: &FilterInput<'_>) -> Vec<&'static str> {
    match facts.kind {
        "state" | "passkey:confirmation" => vec!["session.status"],
        "message" if facts.from_me => vec!["message.any"],
        "message" => vec!["message", "message.any"],
        "message:created" => vec!["message.any"],
        "message:ack" => vec!["message.ack"],
        "message:reaction" => vec!["message.reaction"],
        "message:edited" => vec!["message.edited"],
        "message:revoked" => vec!["message.revoked"],
        "poll:vote" => vec!["poll.vote"],
        "group:update" => match facts.change.as_deref().unwrap_or_default() {
            "created" => vec!["group.v2.join"],
            "add" | "remove" | "leave" | "promote" | "demote" => vec!["group.v2.participants"],
            _ => vec!["group.v2.update"],
        },
        "call" => match facts.step.as_deref().unwrap_or_default() {
            "ringing" => vec!["call.received"],
            "accepted" => vec!["call.accepted"],
            _ => vec!["call.rejected"],
        },
        _ => Vec::new(),
    }
}

fn wwebjs(facts: &FilterInput<'_>) -> Vec<&'static str> {
    match facts.kind {
        "qr" => vec!["qr"],
        "authenticated" => vec!["authenticated"],
        "ready" => vec!["ready"],
        "state" => vec!["change_state"],
        "disconnected" => vec!["disconnected"],
        "message" if facts.from_me => vec!["message_create"],
        "message" => vec!["message", "message_create"],
        "message:created" => vec!["message_create"],
        "message:ack" => vec!["message_ack"],
        "message:reaction" => vec!["message_reaction"],
        "message:edited" => vec!["message_edit"],
        "message:revoked" => vec!["message_revoke_everyone"],
        "message:deleted" => vec!["message_revoke_me"],
        "poll:vote" => vec!["vote_update"],
        "chat:deleted" => vec!["chat_removed"],
        "contact:update" => vec!["contact_changed"],
        "history:progress" => vec!["loading_screen"],
        "call" if facts.step.as_deref() == Some("ringing") => vec!["call"],
        "group:update" => match facts.change.as_deref().unwrap_or_default() {
            "created" | "add" => vec!["group_join"],
            "remove" | "leave" => vec!["group_leave"],
            "promote" | "demote" => vec!["group_admin_changed"],
            _ => vec!["group_update"],
        },
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::event_names::*;

    const PAYLOADS: [&str; 6] = [
        r#"{}"#,
        r#"{"message":{"chatId":"1@c.us","fromMe":true}}"#,
        r#"{"change":"created"}"#,
        r#"{"change":"promote"}"#,
        r#"{"change":"leave"}"#,
        r#"{"status":"ringing"}"#,
    ];

    #[test]
    fn every_emitted_event_name_can_be_subscribed() {
        for (_, format) in Format::ALL {
            for (kind, payload) in WHARF.iter().flat_map(|kind| PAYLOADS.map(|payload| (kind, payload))) {
                for name in format.names(&FilterInput::of(kind, payload)) {
                    assert!(format.has_event(name), "{format:?}: {name}");
                }
            }
        }
    }

    #[test]
    fn incoming_message_has_two_names_where_format_has() {
        let from_outside = FilterInput::of("message", r#"{"message":{"chatId":"1@c.us","fromMe":false}}"#);
        assert_eq!(Format::Wharf.names(&from_outside), ["message"]);
        assert_eq!(Format::Waha.names(&from_outside), ["message", "message.any"]);
        assert_eq!(Format::Wwebjs.names(&from_outside), ["message", "message_create"]);
        let ours = FilterInput::of("message", PAYLOADS[1]);
        assert_eq!(Format::Waha.names(&ours), ["message.any"]);
    }
}

//! Converts ids of chats and messages.

use serde_json::Value;

use crate::domain::ids::{MessageId, NetworkId};
use crate::domain::jid::Jid;

/// A chat or person: a text, or the object with `_serialized` of whatsapp-web.js.
pub(in super::super) fn jid(value: Option<&Value>) -> Option<Jid> {
    let value = value?;
    let text = value.as_str().or_else(|| value.get("_serialized")?.as_str())?;
    text.parse().ok()
}

/// A message: `true|false_chatId_ID[_participant]`. Some engines append the direction to ids of own messages
/// in groups.
pub(in super::super) fn message(value: Option<&Value>) -> Option<MessageId> {
    whole(value).map(plain)
}

/// The author in a message's id.
pub(in super::super) fn author(value: Option<&Value>) -> Option<Jid> {
    whole(value)?.participant
}

fn whole(value: Option<&Value>) -> Option<MessageId> {
    let value = value?;
    let text = value.as_str().or_else(|| value.get("_serialized")?.as_str())?;
    let text = text.strip_suffix("_out").or_else(|| text.strip_suffix("_in")).unwrap_or(text);
    text.parse().ok()
}

/// The id in our form: with a participant only for messages of other members of a group.
pub(in super::super) fn plain(id: MessageId) -> MessageId {
    let participant = id.participant.filter(|_| id.chat.is_group() && !id.from_me);
    MessageId { participant, ..id }
}

/// The network's part of a message's id, given alone or in a whole id.
pub(in super::super) fn network(value: Option<&Value>) -> Option<NetworkId> {
    let text = value?.as_str()?;
    match message(value) {
        Some(id) => Some(id.network),
        None => text.parse().ok(),
    }
}

/// A chat's id in WAHA's form.
pub(in super::super) fn to_chat(jid: &Jid) -> String {
    jid.to_string()
}

/// A message's id in WAHA's form, with the network's part that it has there. Own messages in groups
/// name the account.
pub(in super::super) fn to_message(id: &MessageId, theirs: &NetworkId, me: Option<&Jid>) -> String {
    let own = || me.filter(|_| id.from_me && id.chat.is_group()).cloned();
    let participant = id.participant.clone().or_else(own);
    let id = MessageId { network: theirs.clone(), participant, ..id.clone() };
    id.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn ids_of_every_engine_are_read() {
        let read = |text: &str| message(Some(&json!(text))).map(|id| id.to_string());
        for (theirs, ours) in [
            ("false_15550100001@c.us_AAA", "false_15550100001@c.us_AAA"),
            ("false_15550100001@s.whatsapp.net_AAA", "false_15550100001@c.us_AAA"),
            ("false_123456@lid_AAA", "false_123456@lid_AAA"),
            ("false_1203@g.us_AAA_15550100001@c.us", "false_1203@g.us_AAA_15550100001@c.us"),
            ("true_1203@g.us_AAA_15550100009@c.us", "true_1203@g.us_AAA"),
            ("true_15550100001@c.us_AAA_out", "true_15550100001@c.us_AAA"),
        ] {
            assert_eq!(read(theirs).as_deref(), Some(ours), "{theirs}");
        }
        assert_eq!(read("AAA"), None);
        assert_eq!(network(Some(&json!("AAA"))).unwrap().as_str(), "AAA");
        let serialized = json!({ "_serialized": "true_15550100001@c.us_AAA" });
        assert_eq!(message(Some(&serialized)).unwrap().network.as_str(), "AAA");
    }

    #[test]
    fn outbound_id_has_the_form_of_the_server() {
        let me: Jid = "15550100009@c.us".parse().unwrap();
        let theirs: NetworkId = "BBB".parse().unwrap();
        let own: MessageId = "true_1203@g.us_AAA".parse().unwrap();
        assert_eq!(to_message(&own, &theirs, Some(&me)), "true_1203@g.us_BBB_15550100009@c.us");
        let other: MessageId = "false_15550100001@c.us_AAA".parse().unwrap();
        assert_eq!(to_message(&other, &other.network, Some(&me)), "false_15550100001@c.us_AAA");
    }
}

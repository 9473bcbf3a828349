//! Records a companion's changes to chats and messages, for `network` of the control API.

use serde_json::{Value, json};
use wacore_appstate::decode::Mutation;
use wacore_binary::Jid;
use waproto::whatsapp::syncd_mutation::SyncdOperation;

use super::dispatch::Session;
use super::network_view::ViewList;
use crate::id::Id;

/// Records the mutations of a companion's patch.
pub(super) fn record(session: &Session, mutations: &[Mutation]) {
    for mutation in mutations {
        if let Some(entry) = entry(session, mutation) {
            session.account.lock().network_view.record(ViewList::Changes, entry);
        }
    }
}

fn entry(session: &Session, mutation: &Mutation) -> Option<Value> {
    if mutation.operation != SyncdOperation::SET {
        return None;
    }
    let named = |at: usize| -> Option<Id> {
        let jid: Jid = mutation.index.get(at)?.parse().ok()?;
        session.world.directory.id_for(&session.account, &jid)
    };
    let value = mutation.action_value.as_ref()?;
    let chat = named(1)?;
    let message = || -> Option<String> {
        let (id, from_me) = (mutation.index.get(2)?, mutation.index.get(3)? == "1");
        let member = named(4).filter(|_| chat.is_group() && !from_me);
        Some(match member {
            Some(member) => format!("{from_me}_{chat}_{id}_{member}"),
            None => format!("{from_me}_{chat}_{id}"),
        })
    };
    let shown = chat.to_string();
    let mut entry = match mutation.index.first()?.as_str() {
        "archive" => json!({ "kind": "archive", "chat": shown, "on": value.archive_chat_action.archived }),
        "pin_v1" => json!({ "kind": "pin", "chat": shown, "on": value.pin_action.pinned }),
        "mute" => {
            let mut entry = json!({ "kind": "mute", "chat": shown, "on": value.mute_action.muted });
            if let Some(until) = value.mute_action.mute_end_timestamp.filter(|until| *until > 0) {
                entry["until"] = json!(until);
            }
            entry
        }
        "clearChat" => json!({ "kind": "clear", "chat": shown }),
        "deleteChat" => json!({ "kind": "delete", "chat": shown }),
        "star" => json!({ "kind": "star", "messageId": message()?, "on": value.star_action.starred }),
        "deleteMessageForMe" => json!({ "kind": "delete_for_me", "messageId": message()? }),
        _ => return None,
    };
    entry["at"] = json!(wacore::time::now_millis());
    Some(entry)
}

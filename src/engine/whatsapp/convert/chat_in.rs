//! Converts changes that another device of the account made to chats and messages, and its contacts.
//!
//! The network sends all of these changes again when a collection is read in full. Those from before the link
//! are then stored without events. Changes that apply only to a moment (clear, delete, read) are then ignored,
//! because they would affect newer messages.

use whatsapp_rust::Jid as NetworkJid;
use whatsapp_rust::types::events::Event;
use whatsapp_rust::wacore::chrono::{DateTime, Utc};
use whatsapp_rust::waproto::whatsapp::sync_action_value::{ContactAction, MuteAction};

use super::identities::Identities;
use super::message_key::KeyContext;
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::ids::MessageId;
use crate::domain::jid::JidKind;
use crate::engine::{ChatChange, EngineEvent, IncomingChange};

/// Converts an event of a device that was linked at `linked_at`; `None` if it has no counterpart.
///
/// The library reads a collection in full too when its first change arrives, and when a change arrives before
/// the first read, so a full read may contain changes from after the link.
pub(in super::super) fn event_of(
    event: &Event,
    ids: &Identities,
    linked_at: Option<Millis>,
) -> Option<EngineEvent> {
    let chat = |jid: &NetworkJid, change| Some(EngineEvent::Chat { chat: ids.jid(jid)?, change });
    let is_past = |from_full_sync: bool, at: &DateTime<Utc>| {
        from_full_sync && linked_at.is_none_or(|linked_at| at.timestamp_millis() < linked_at.0)
    };
    let state = |jid: &NetworkJid, change, is_past: bool| {
        if is_past {
            Some(EngineEvent::PastChatChange { chat: ids.jid(jid)?, change })
        } else {
            chat(jid, change)
        }
    };
    match event {
        Event::ArchiveUpdate(update) => state(
            &update.jid,
            ChatChange::Archive(update.action.archived?),
            is_past(update.from_full_sync, &update.timestamp),
        ),
        Event::PinUpdate(update) => state(
            &update.jid,
            ChatChange::Pin(update.action.pinned?),
            is_past(update.from_full_sync, &update.timestamp),
        ),
        Event::MuteUpdate(update) => {
            state(&update.jid, mute(&update.action)?, is_past(update.from_full_sync, &update.timestamp))
        }
        Event::ClearChatUpdate(update) if !update.from_full_sync => chat(&update.jid, ChatChange::Clear),
        Event::DeleteChatUpdate(update) if !update.from_full_sync => chat(&update.jid, ChatChange::Delete),
        Event::MarkChatAsReadUpdate(update) if !update.from_full_sync && update.action.read == Some(true) => {
            Some(EngineEvent::ReadElsewhere { chat: ids.jid(&update.jid)?, messages: Vec::new() })
        }
        Event::StarUpdate(update) => {
            let on = update.action.starred?;
            let of = (&update.chat_jid, update.participant_jid.as_ref(), update.from_me);
            let change = IncomingChange::Starred { id: message(of, &update.message_id, ids)?, on };
            Some(message_change(change, is_past(update.from_full_sync, &update.timestamp)))
        }
        Event::DeleteMessageForMeUpdate(update) => {
            let of = (&update.chat_jid, update.participant_jid.as_ref(), update.from_me);
            let change = IncomingChange::DeletedForMe { id: message(of, &update.message_id, ids)? };
            Some(message_change(change, is_past(update.from_full_sync, &update.timestamp)))
        }
        Event::ContactUpdate(update) => {
            Some(EngineEvent::Contacts(vec![contact(&update.jid, &update.action, ids)?]))
        }
        Event::PushNameUpdate(update) => {
            let id = ids.jid(&update.jid)?;
            let pushname = Some(update.new_push_name.clone()).filter(|name| !name.is_empty());
            Some(EngineEvent::Contacts(vec![ContactUpdate { pushname, ..ContactUpdate::seen(id) }]))
        }
        _ => None,
    }
}

fn message_change(change: IncomingChange, is_past: bool) -> EngineEvent {
    if is_past { EngineEvent::PastChanges(vec![change]) } else { EngineEvent::MessageChange(change) }
}

fn mute(action: &MuteAction) -> Option<ChatChange> {
    if !action.muted? {
        return Some(ChatChange::Mute(None));
    }
    // Absent or -1 means forever.
    let until = action.mute_end_timestamp.filter(|until| *until > 0).map(Millis);
    Some(ChatChange::Mute(Some(until)))
}

/// A message's id, from the chat, the author in a group, and whether it is ours.
fn message(
    (chat, participant, from_me): (&NetworkJid, Option<&NetworkJid>, bool),
    id: &str,
    ids: &Identities,
) -> Option<MessageId> {
    let chat = ids.jid(chat)?;
    let author = match participant.filter(|_| !from_me) {
        Some(participant) => ids.jid(participant)?,
        None if from_me => ids.me()?.clone(),
        None if chat.is_group() => return None,
        None => chat.clone(),
    };
    KeyContext { ids, chat: &chat, writer: &author }.message(id, &author)
}

fn contact(jid: &NetworkJid, action: &ContactAction, ids: &Identities) -> Option<ContactUpdate> {
    let other = [&action.lid_jid, &action.pn_jid].into_iter().flatten();
    let other: Vec<NetworkJid> = other.filter_map(|text| text.parse().ok()).collect();
    // The returned update contains the pair.
    let resolved = other.iter().filter_map(|other| ids.record_pair(jid, other)).last();
    let id = ids.jid(jid)?;
    let named = [&action.full_name, &action.first_name].into_iter().flatten().find(|name| !name.is_empty());
    let lid = resolved.and_then(|resolved| resolved.lid).filter(|_| id.kind() == JidKind::Person);
    Some(ContactUpdate { address_book_name: named.cloned(), lid, ..ContactUpdate::seen(id) })
}

#[cfg(test)]
mod tests {
    use super::super::message_key::tests::{ids, jid};
    use super::*;
    use whatsapp_rust::types::events::{
        ArchiveUpdate, ClearChatUpdate, ContactUpdate as ToldContact, DeleteMessageForMeUpdate, MuteUpdate,
        PinUpdate, StarUpdate,
    };
    use whatsapp_rust::waproto::whatsapp::sync_action_value as action;

    const PEER: &str = "15550100002@s.whatsapp.net";
    const GROUP: &str = "120363000000000001@g.us";

    fn network(text: &str) -> NetworkJid {
        text.parse().unwrap()
    }

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000, 0).unwrap()
    }

    fn chat(change: ChatChange) -> Option<EngineEvent> {
        Some(EngineEvent::Chat { chat: jid("15550100002@c.us"), change })
    }

    #[test]
    fn archive_and_mute_are_converted() {
        let past = |change| Some(EngineEvent::PastChatChange { chat: jid("15550100002@c.us"), change });
        for (full, is) in [(false, chat(ChatChange::Archive(true))), (true, past(ChatChange::Archive(true)))]
        {
            let archived = ArchiveUpdate::builder()
                .jid(network("990002@lid"))
                .timestamp(now())
                .action(Box::new(action::ArchiveChatAction { archived: Some(true), ..Default::default() }))
                .from_full_sync(full)
                .build();
            assert_eq!(event_of(&Event::ArchiveUpdate(archived), &ids(), None), is);
        }
        for (muted, until, is) in [
            (true, Some(-1), Some(None)),
            (true, None, Some(None)),
            (true, Some(1_800_000_000_000), Some(Some(Millis(1_800_000_000_000)))),
            (false, Some(0), None),
        ] {
            let action = MuteAction { muted: Some(muted), mute_end_timestamp: until, ..Default::default() };
            let update = MuteUpdate::builder()
                .jid(network(PEER))
                .timestamp(now())
                .action(Box::new(action))
                .from_full_sync(false)
                .build();
            assert_eq!(event_of(&Event::MuteUpdate(update), &ids(), None), chat(ChatChange::Mute(is)));
        }
    }

    #[test]
    fn change_after_the_link_is_live_in_full_sync() {
        for (linked_at, is_live) in
            [(None, false), (Some(1_700_000_000_001), false), (Some(1_700_000_000_000), true)]
        {
            let pinned = PinUpdate::builder()
                .jid(network(PEER))
                .timestamp(now())
                .action(Box::new(action::PinAction { pinned: Some(true) }))
                .from_full_sync(true)
                .build();
            let event = event_of(&Event::PinUpdate(pinned), &ids(), linked_at.map(Millis));
            let change = ChatChange::Pin(true);
            let past =
                Some(EngineEvent::PastChatChange { chat: jid("15550100002@c.us"), change: change.clone() });
            assert_eq!(event, if is_live { chat(change) } else { past });
        }
    }

    #[test]
    fn clear_is_ignored_in_full_sync() {
        for (again, is) in [(false, chat(ChatChange::Clear)), (true, None)] {
            let update = ClearChatUpdate::builder()
                .jid(network(PEER))
                .delete_starred(false)
                .delete_media(false)
                .timestamp(now())
                .action(Box::default())
                .from_full_sync(again)
                .build();
            assert_eq!(event_of(&Event::ClearChatUpdate(update), &ids(), None), is);
        }
    }

    #[test]
    fn starred_message_has_our_id() {
        let star = |chat: &str, participant: Option<&str>, from_me| {
            let update = StarUpdate::builder()
                .chat_jid(network(chat))
                .maybe_participant_jid(participant.map(network))
                .message_id("3EB0AA".to_owned())
                .from_me(from_me)
                .timestamp(now())
                .action(Box::new(action::StarAction { starred: Some(true) }))
                .from_full_sync(false)
                .build();
            match event_of(&Event::StarUpdate(update), &ids(), None) {
                Some(EngineEvent::MessageChange(IncomingChange::Starred { id, on: true })) => {
                    Some(id.to_string())
                }
                other => {
                    assert_eq!(other, None);
                    None
                }
            }
        };
        assert_eq!(star(PEER, None, false).as_deref(), Some("false_15550100002@c.us_3EB0AA"));
        assert_eq!(star(PEER, None, true).as_deref(), Some("true_15550100002@c.us_3EB0AA"));
        let theirs = format!("false_{GROUP}_3EB0AA_15550100002@c.us");
        assert_eq!(star(GROUP, Some("990002@lid"), false), Some(theirs));
        assert_eq!(star(GROUP, None, false), None);
    }

    #[test]
    fn delete_for_me_is_live_unless_full_sync() {
        let deleted = || IncomingChange::DeletedForMe { id: "true_15550100002@c.us_3EB0AA".parse().unwrap() };
        for (full, is) in [
            (false, EngineEvent::MessageChange(deleted())),
            (true, EngineEvent::PastChanges(vec![deleted()])),
        ] {
            let update = DeleteMessageForMeUpdate::builder()
                .chat_jid(network(PEER))
                .message_id("3EB0AA".to_owned())
                .from_me(true)
                .timestamp(now())
                .action(Box::default())
                .from_full_sync(full)
                .build();
            assert_eq!(event_of(&Event::DeleteMessageForMeUpdate(update), &ids(), None), Some(is));
        }
    }

    #[test]
    fn contact_update_has_name_and_hidden_id() {
        let action = ContactAction {
            full_name: Some("Ada".into()),
            lid_jid: Some("990007@lid".into()),
            ..Default::default()
        };
        let update = ToldContact::builder()
            .jid(network("15550100007@s.whatsapp.net"))
            .timestamp(now())
            .action(Box::new(action))
            .from_full_sync(true)
            .build();
        let expected = ContactUpdate {
            address_book_name: Some("Ada".into()),
            lid: Some(jid("990007@lid")),
            ..ContactUpdate::seen(jid("15550100007@c.us"))
        };
        let event = event_of(&Event::ContactUpdate(update), &ids(), None);
        assert_eq!(event, Some(EngineEvent::Contacts(vec![expected])));
    }
}

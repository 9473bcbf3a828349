//! Builds the history that a phone sends to a newly linked device: chats, messages and profile names. Pure;
//! `blobs` uploads it.
//!
//! The same settings give the same texts, ids and order as Wharf's simulator.

use std::collections::{BTreeMap, BTreeSet};

use wacore_binary::Jid;
use waproto::buffa::MessageField;
use waproto::whatsapp as wa;
use waproto::whatsapp::history_sync::HistorySyncType;

use crate::scene::group_rules::Role;
use crate::scene::{Scene, SimulatedGroup};

/// Seconds between two messages.
const STEP: i64 = 60;
/// Messages between a quote and its target, at most.
const REACH: usize = 60;
/// Minimum length of a history with a reaction.
const REACTION_FROM: usize = 10;
/// Newest messages, in the first blob together with all chats.
const BOOTSTRAP: usize = 50;
/// Messages in each further blob.
const CHUNK: usize = 500;

/// The input of a history.
pub struct HistoryBuilder<'a> {
    /// The scene around the account.
    pub scene: &'a Scene,
    /// The account's groups.
    pub groups: &'a [SimulatedGroup],
    /// The account's number.
    pub me: &'a str,
    /// The account's profile name.
    pub push_name: &'a str,
    /// Returns the LID of a number.
    pub lid: &'a dyn Fn(&str) -> Option<Jid>,
    /// Contacts who hide their number.
    pub hidden: &'a BTreeSet<String>,
    /// The time in seconds.
    pub now: i64,
}

/// A message and its chat.
struct HistoryMessage {
    chat: Jid,
    message: wa::WebMessageInfo,
}

impl HistoryBuilder<'_> {
    /// All blobs in sending order; none if the scene is empty.
    #[must_use]
    pub fn blobs(&self) -> Vec<wa::HistorySync> {
        let total = self.scene.settings.history;
        if total + self.groups.len() + self.scene.contacts.len() == 0 {
            return Vec::new();
        }
        let newest = total.saturating_sub(BOOTSTRAP);
        let mut blobs = vec![wa::HistorySync {
            sync_type: HistorySyncType::INITIAL_BOOTSTRAP,
            phone_number_to_lid_mappings: self.mappings(),
            conversations: self.conversations(newest..total, true),
            ..blob(1, progress(total - newest, total))
        }];
        let names = self.scene.contacts.iter().filter_map(|contact| {
            let id = Some(self.person(&contact.number).to_string());
            Some(wa::Pushname { id, pushname: Some(contact.name.clone()?) })
        });
        let own = wa::Pushname {
            id: Some(Jid::pn(self.me).to_string()),
            pushname: Some(self.push_name.to_owned()).filter(|name| !name.is_empty()),
        };
        blobs.push(wa::HistorySync {
            sync_type: HistorySyncType::PUSH_NAME,
            pushnames: names.chain([own]).collect(),
            ..blob(1, 100)
        });
        let mut end = newest;
        for order in 2.. {
            if end == 0 {
                break;
            }
            let start = end.saturating_sub(CHUNK);
            blobs.push(wa::HistorySync {
                sync_type: HistorySyncType::RECENT,
                conversations: self.conversations(start..end, false),
                ..blob(order, progress(total - start, total))
            });
            end = start;
        }
        blobs
    }

    /// The chats of these messages, newest message first; with `all`, also chats without messages.
    fn conversations(&self, messages: std::ops::Range<usize>, all: bool) -> Vec<wa::Conversation> {
        let mut chats: BTreeMap<String, wa::Conversation> = BTreeMap::new();
        if all {
            let people = self.scene.contacts.iter().map(|contact| self.person(&contact.number));
            let groups = self.groups.iter().filter_map(|group_state| group_state.id.parse().ok());
            for jid in people.chain(groups) {
                chats.insert(jid.to_string(), self.chat(&jid));
            }
        }
        for entry in messages.rev().filter_map(|at| self.message_at(at)) {
            let chat = chats.entry(entry.chat.to_string()).or_insert_with(|| self.chat(&entry.chat));
            let last = chat.last_msg_timestamp.max(entry.message.message_timestamp);
            (chat.last_msg_timestamp, chat.conversation_timestamp) = (last, last);
            let order = entry.message.message_timestamp;
            chat.messages.push(wa::HistorySyncMsg { message: entry.message.into(), msg_order_id: order });
        }
        chats.into_values().collect()
    }

    fn chat(&self, jid: &Jid) -> wa::Conversation {
        let id = jid.to_string();
        if let Some(group_state) = self.groups.iter().find(|group_state| group_state.id == id) {
            let participant = group_state.members.iter().map(|member| wa::GroupParticipant {
                user_jid: self.person(&member.number).to_string(),
                rank: Some(match member.role {
                    Role::Member => wa::group_participant::Rank::REGULAR,
                    Role::Admin => wa::group_participant::Rank::ADMIN,
                    Role::Superadmin => wa::group_participant::Rank::SUPERADMIN,
                }),
                ..wa::GroupParticipant::default()
            });
            let (name, participant) = (Some(group_state.subject.clone()), participant.collect());
            return wa::Conversation { id, name, participant, ..wa::Conversation::default() };
        }
        let contact = self.scene.contacts.iter().find(|contact| self.person(&contact.number) == *jid);
        let lid_jid = (self.lid)(&jid.user).filter(|_| jid.is_pn()).map(|lid| lid.to_string());
        let name = contact.and_then(|contact| contact.name.clone());
        wa::Conversation { id, name, lid_jid, ..wa::Conversation::default() }
    }

    fn mappings(&self) -> Vec<wa::PhoneNumberToLIDMapping> {
        let members =
            self.groups.iter().flat_map(|group_state| group_state.members.iter().map(|m| m.number.as_str()));
        let writers = (0..self.scene.settings.history.min(3)).filter_map(|at| self.scene.writer(at));
        let mut numbers: Vec<String> = self.scene.contacts.iter().map(|c| c.number.clone()).collect();
        numbers.extend(members.map(str::to_owned).chain(writers.map(|writer| writer.number)));
        numbers.sort_unstable();
        numbers.dedup();
        let shown = numbers.iter().filter(|number| !self.hidden.contains(*number));
        let mapping = |number: &String| {
            let lid_jid = Some((self.lid)(number)?.to_string());
            Some(wa::PhoneNumberToLIDMapping { pn_jid: Some(Jid::pn(number.as_str()).to_string()), lid_jid })
        };
        shown.filter_map(mapping).collect()
    }

    /// Message number `at`, the oldest first. Its id depends only on the seed and the number.
    fn message_at(&self, at: usize) -> Option<HistoryMessage> {
        let mut entry = self.text(at)?;
        match at % 10 {
            4 => entry.message.message = MessageField::some(place(at)),
            7 => self.quote(at, &mut entry),
            _ => {}
        }
        if self.reacted_to() == Some(at) {
            entry.message.reactions.extend(self.reaction());
        }
        Some(entry)
    }

    fn text(&self, at: usize) -> Option<HistoryMessage> {
        let writer = self.scene.writer(at)?;
        let person = self.person(&writer.number);
        let group = self.groups.get(at.checked_rem(self.groups.len()).unwrap_or(0)).filter(|_| at % 3 == 2);
        let chat = match group {
            Some(group_state) => group_state.id.parse().ok()?,
            None => person.clone(),
        };
        let from_me = at % 2 == 1;
        let age = i64::try_from(self.scene.settings.history - at).ok()?;
        let participant = (group.is_some() && !from_me).then(|| person.to_string());
        let message = wa::WebMessageInfo {
            key: MessageField::some(wa::MessageKey {
                remote_jid: Some(chat.to_string()),
                from_me: Some(from_me),
                id: Some(format!("51A0{:016X}{at:06}", self.scene.settings.seed)),
                participant: participant.clone(),
            }),
            message: MessageField::some(wa::Message {
                conversation: Some(format!("Earlier message {}", at + 1)),
                ..wa::Message::default()
            }),
            message_timestamp: u64::try_from(self.now - age * STEP).ok(),
            status: Some(wa::web_message_info::Status::READ),
            push_name: writer.name.filter(|_| !from_me),
            participant,
            ..wa::WebMessageInfo::default()
        };
        Some(HistoryMessage { chat, message })
    }

    /// Quotes the previous text of the same chat.
    fn quote(&self, at: usize, entry: &mut HistoryMessage) {
        let before = (at.saturating_sub(REACH)..at).rev().filter(|at| at % 10 != 4);
        let Some(earlier) = before.filter_map(|at| self.text(at)).find(|text| text.chat == entry.chat) else {
            return;
        };
        let key = &earlier.message.key;
        let author = match (key.from_me, &key.participant) {
            (Some(true), _) => Some(Jid::pn(self.me).to_string()),
            (_, Some(participant)) => Some(participant.clone()),
            _ => key.remote_jid.clone(),
        };
        let context = wa::ContextInfo {
            stanza_id: key.id.clone(),
            participant: author,
            quoted_message: earlier.message.message.clone(),
            ..wa::ContextInfo::default()
        };
        let text = wa::message::ExtendedTextMessage {
            text: entry.message.message.conversation.clone(),
            context_info: MessageField::some(context),
            ..wa::message::ExtendedTextMessage::default()
        };
        let extended_text_message = MessageField::some(text);
        entry.message.message =
            MessageField::some(wa::Message { extended_text_message, ..wa::Message::default() });
    }

    /// The message with a reaction: the account's last one.
    fn reacted_to(&self) -> Option<usize> {
        let total = self.scene.settings.history;
        (total >= REACTION_FROM).then(|| (total - 1) - (total % 2))
    }

    fn reaction(&self) -> Option<wa::Reaction> {
        let total = self.scene.settings.history;
        let from = self.person(&self.scene.writer(total - 1)?.number).to_string();
        let age = i64::try_from(total - self.reacted_to()?).ok()? * STEP;
        let at = self.now - age + STEP / 2;
        Some(wa::Reaction {
            key: MessageField::some(wa::MessageKey {
                remote_jid: Some(from.clone()),
                from_me: Some(false),
                id: Some(format!("51A1{:016X}{total:06}", self.scene.settings.seed)),
                participant: Some(from),
            }),
            text: Some("👍".to_owned()),
            sender_timestamp_ms: Some(at * 1_000),
            ..wa::Reaction::default()
        })
    }

    /// A person's visible id: the LID if the number is hidden.
    fn person(&self, number: &str) -> Jid {
        let hidden = (self.lid)(number).filter(|_| self.hidden.contains(number));
        hidden.unwrap_or_else(|| Jid::pn(number))
    }
}

fn blob(order: u32, progress: u32) -> wa::HistorySync {
    let (chunk_order, progress) = (Some(order), Some(progress));
    wa::HistorySync { chunk_order, progress, ..wa::HistorySync::default() }
}

fn progress(done: usize, total: usize) -> u32 {
    u32::try_from((done * 100).checked_div(total).unwrap_or(100)).unwrap_or(100)
}

/// A location in the middle of an ocean.
fn place(at: usize) -> wa::Message {
    let off = f64::from(u32::try_from(at % 1_000).unwrap_or(0)) / 1_000.0;
    let location_message = MessageField::some(wa::message::LocationMessage {
        degrees_latitude: Some(30.0 + off),
        degrees_longitude: Some(-40.0 - off),
        name: Some(format!("Buoy {}", at + 1)),
        ..wa::message::LocationMessage::default()
    });
    wa::Message { location_message, ..wa::Message::default() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::media::MediaStore;
    use crate::phone::blobs::{announce, fetch};
    use crate::scene::{PersonRef, Settings};

    const ME: &str = "15550100001";

    fn number(who: &PersonRef) -> Option<String> {
        match who {
            PersonRef::Number(number) => Some(number.clone()),
            PersonRef::Lid(_) => None,
        }
    }

    fn blobs_of(settings: &serde_json::Value) -> Vec<wa::HistorySync> {
        let scene = Scene::new(Settings::parse(settings).unwrap(), number);
        let groups = scene.groups(ME, number);
        let lid = |number: &str| Some(Jid::lid(format!("9{number}")));
        let (hidden, now) = (&scene.hidden, 1_700_000_000);
        let history = HistoryBuilder {
            scene: &scene,
            groups: &groups,
            me: ME,
            push_name: "Me",
            lid: &lid,
            hidden,
            now,
        };
        history.blobs()
    }

    fn messages(blobs: &[wa::HistorySync]) -> Vec<wa::WebMessageInfo> {
        let chats = blobs.iter().flat_map(|blob| &blob.conversations);
        let messages = chats.flat_map(|chat| &chat.messages).map(|message| (*message.message).clone());
        let mut messages: Vec<_> = messages.collect();
        messages.sort_by_key(|message| message.message_timestamp);
        messages
    }

    #[test]
    fn blobs_contain_every_message_once() {
        let blobs = blobs_of(&json!({ "contacts": 5, "groups": 2, "history": 1_200 }));
        let types: Vec<_> = blobs.iter().map(|blob| blob.sync_type).collect();
        let recent = HistorySyncType::RECENT;
        let first = [HistorySyncType::INITIAL_BOOTSTRAP, HistorySyncType::PUSH_NAME];
        assert_eq!(types, [first[0], first[1], recent, recent, recent]);
        let messages = messages(&blobs);
        assert_eq!(messages.len(), 1_200);
        assert_eq!(messages[0].message.conversation.as_deref(), Some("Earlier message 1"));
        let mut ids: Vec<_> = messages.iter().map(|message| message.key.id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), 1_200);
        assert_eq!(blobs.last().and_then(|blob| blob.progress), Some(100));
    }

    #[test]
    fn history_has_locations_quotes_and_one_reaction() {
        let messages = messages(&blobs_of(&json!({ "contacts": 1, "history": 20 })));
        assert!(messages[4].message.location_message.is_set());
        let answer = &messages[7].message.extended_text_message;
        assert_eq!(answer.context_info.stanza_id, messages[6].key.id);
        let reacted: Vec<_> = messages.iter().filter(|message| !message.reactions.is_empty()).collect();
        assert_eq!((reacted.len(), reacted[0].key.from_me), (1, Some(true)));
    }

    #[test]
    fn first_blob_has_all_chats_and_visible_numbers() {
        let blobs = blobs_of(&json!({
            "contacts": [{ "number": "15550110001", "name": "Open" }, { "number": "15550110002", "lidOnly": true }],
        }));
        let chats: Vec<_> = blobs[0].conversations.iter().map(|chat| chat.id.as_str()).collect();
        assert_eq!(chats, ["15550110001@s.whatsapp.net", "915550110002@lid"]);
        let mapped = &blobs[0].phone_number_to_lid_mappings;
        assert_eq!((mapped.len(), mapped[0].lid_jid.as_deref()), (1, Some("915550110001@lid")));
    }

    #[test]
    fn empty_scene_has_no_history() {
        assert!(blobs_of(&json!({})).is_empty());
    }

    #[test]
    fn announced_blob_round_trips() {
        let store = MediaStore::new("secret");
        for blob in blobs_of(&json!({ "contacts": 2, "history": 60 })) {
            let announced = announce(&store, &blob).unwrap();
            assert_eq!(fetch(&store, &announced).unwrap(), blob);
        }
    }
}

//! Converts the history sync that a phone sends to a newly linked device.

use whatsapp_rust::Jid as NetworkJid;
use whatsapp_rust::wacore::poll::compute_option_hash;
use whatsapp_rust::waproto::whatsapp as wa;
use whatsapp_rust::waproto::whatsapp::web_message_info::StubType;

use super::content_in::{MessageBody, ParsedMessage, message_of, parse};
use super::identities::Identities;
use super::message_key::KeyContext;
use super::remote_file::RemoteFile;
use crate::domain::clock::Millis;
use crate::domain::contact::ContactUpdate;
use crate::domain::content::{Content, Poll};
use crate::domain::ids::MessageId;
use crate::domain::jid::{Jid, JidKind};
use crate::domain::message::MessageType;
use crate::engine::{Incoming, IncomingChange};

/// A poll of the history, whose secret must be stored.
#[derive(Debug, Clone, PartialEq)]
pub(in super::super) struct HistoryPoll {
    pub(in super::super) parsed: ParsedMessage,
    pub(in super::super) header: Incoming,
    /// The author as the network wrote it.
    pub(in super::super) asked_by: Option<NetworkJid>,
}

/// One chat's history.
#[derive(Debug, Clone, PartialEq, Default)]
pub(in super::super) struct HistoryChat {
    /// The name, for a group.
    pub(in super::super) name: Option<(Jid, String)>,
    /// Messages, oldest first, without their files.
    pub(in super::super) messages: Vec<Incoming>,
    /// Changes to these messages.
    pub(in super::super) changes: Vec<IncomingChange>,
    /// The polls among them.
    pub(in super::super) polls: Vec<HistoryPoll>,
    /// Their files, with the author as the network wrote it.
    pub(in super::super) files: Vec<(MessageId, Option<NetworkJid>, RemoteFile)>,
}

/// The ids in a chat's history that may be unresolved.
pub(in super::super) fn people_in(source: &wa::Conversation) -> Vec<NetworkJid> {
    let messages = source.messages.iter().filter_map(|message| message.message.as_option());
    let writers =
        messages.filter_map(|message| message.participant.as_ref().or(message.key.participant.as_ref()));
    let mut people: Vec<NetworkJid> =
        std::iter::once(&source.id).chain(writers).filter_map(|text| text.parse().ok()).collect();
    people.sort_by(|one, other| (&*one.user, one.server as u8).cmp(&(&*other.user, other.server as u8)));
    people.dedup_by(|one, other| one.user == other.user && one.server == other.server);
    people
}

/// Identity pairs and profile names in the history.
pub(in super::super) fn contacts(source: &wa::HistorySync, ids: &Identities) -> Vec<ContactUpdate> {
    let pair = |mapping: &wa::PhoneNumberToLIDMapping| {
        let (number, lid) = (mapping.pn_jid.as_ref()?.parse().ok()?, mapping.lid_jid.as_ref()?.parse().ok()?);
        ids.record_pair(&number, &lid)
    };
    let resolved: Vec<ContactUpdate> = source.phone_number_to_lid_mappings.iter().filter_map(pair).collect();
    let named = |source: &wa::Pushname| {
        let id = ids.jid(&source.id.as_ref()?.parse().ok()?)?;
        // The account's own name arrives when linking.
        let person = matches!(id.kind(), JidKind::Person | JidKind::Lid) && !ids.is_me(&id);
        let pushname = source.pushname.clone().filter(|name| person && !name.is_empty() && name != "-");
        pushname.map(|name| ContactUpdate { pushname: Some(name), ..ContactUpdate::seen(id) })
    };
    resolved.into_iter().chain(source.pushnames.iter().filter_map(named)).collect()
}

/// The identity pair of a direct chat, if the history has it.
pub(in super::super) fn contact(source: &wa::Conversation, ids: &Identities) -> Option<ContactUpdate> {
    let own: NetworkJid = source.id.parse().ok()?;
    let others = [&source.pn_jid, &source.lid_jid].into_iter().flatten();
    others.filter_map(|other| ids.record_pair(&own, &other.parse().ok()?)).last()
}

/// Converts a chat; `None` if the API does not support it.
pub(in super::super) fn chat_of(source: &wa::Conversation, ids: &Identities) -> Option<HistoryChat> {
    let chat = ids.jid(&source.id.parse().ok()?)?;
    let named = source.name.clone().filter(|name| chat.is_group() && !name.is_empty());
    let mut history = HistoryChat { name: named.map(|name| (chat.clone(), name)), ..HistoryChat::default() };
    // The history has the newest first.
    for message in source.messages.iter().rev().filter_map(|message| message.message.as_option()) {
        add(&mut history, message, &chat, ids);
    }
    Some(history)
}

fn add(history: &mut HistoryChat, source: &wa::WebMessageInfo, chat: &Jid, ids: &Identities) {
    let Some(header) = header(source, chat, ids) else { return };
    let frame = KeyContext { ids, chat, writer: &header.from };
    let Some(id) = source.key.id.as_deref().and_then(|id| frame.message(id, &header.from)) else { return };
    let parsed = match source.message.as_option() {
        Some(message) => match parse(message, &frame, header.timestamp, false) {
            MessageBody::Message(parsed) => *parsed,
            MessageBody::Change(change) => return history.changes.push(change),
            MessageBody::Vote(_) | MessageBody::Nothing => return,
        },
        None if source.message_stub_type == Some(StubType::REVOKE) => revoked(),
        None => return,
    };
    if let Content::Poll(poll) = &parsed.content {
        history.changes.extend(votes(source, poll, &id, &frame));
        let asked_by = if header.from_me { None } else { writer(source) };
        history.polls.push(HistoryPoll { parsed: parsed.clone(), header: header.clone(), asked_by });
    }
    history.changes.extend(source.reactions.iter().filter_map(|reaction| reaction_of(reaction, &id, &frame)));
    if source.starred == Some(true) {
        history.changes.push(IncomingChange::Starred { id, on: true });
    }
    let (message, file) = message_of(header, parsed);
    if let Some(file) = file.filter(|file| file.path.is_some()) {
        history.files.push((message.id(), writer(source), file));
    }
    history.messages.push(message);
}

fn header(source: &wa::WebMessageInfo, chat: &Jid, ids: &Identities) -> Option<Incoming> {
    let from_me = source.key.from_me == Some(true);
    let from = match writer(source) {
        _ if from_me => ids.me()?.clone(),
        Some(writer) => ids.jid(&writer)?,
        None if chat.is_group() => return None,
        None => chat.clone(),
    };
    let seconds = i64::try_from(source.message_timestamp?).ok()?;
    let timestamp = Millis(seconds.saturating_mul(1_000));
    let text =
        Incoming::text(source.key.id.as_ref()?.parse().ok()?, chat.clone(), from, String::new(), timestamp);
    let notify_name = source.push_name.clone().filter(|name| !from_me && !name.is_empty());
    Some(Incoming { from_me, notify_name, ..text })
}

/// The author, in a group.
fn writer(source: &wa::WebMessageInfo) -> Option<NetworkJid> {
    let text = source.participant.as_ref().or(source.key.participant.as_ref())?;
    text.parse().ok()
}

fn revoked() -> ParsedMessage {
    ParsedMessage {
        body: String::new(),
        content: Content::Other(MessageType::Revoked),
        file: None,
        quoted: None,
        mentions: Vec::new(),
        forwarded: false,
        secret: None,
    }
}

/// The author of a reaction or vote; its key names the reacting message from our view.
fn author_of(key: &wa::MessageKey, frame: &KeyContext<'_>) -> Option<Jid> {
    match key.participant.as_ref() {
        _ if key.from_me == Some(true) => frame.ids.me().cloned(),
        Some(participant) => frame.ids.jid(&participant.parse().ok()?),
        None if frame.chat.is_group() => None,
        None => Some(frame.chat.clone()),
    }
}

fn reaction_of(source: &wa::Reaction, id: &MessageId, frame: &KeyContext<'_>) -> Option<IncomingChange> {
    let from = author_of(source.key.as_option()?, frame)?;
    let from_me = frame.ids.is_me(&from);
    let emoji = source.text.clone().filter(|emoji| !emoji.is_empty())?;
    let at = Millis(source.sender_timestamp_ms.unwrap_or(0));
    Some(IncomingChange::Reaction { id: id.clone(), from, from_me, emoji, at })
}

fn votes(
    source: &wa::WebMessageInfo,
    poll: &Poll,
    id: &MessageId,
    frame: &KeyContext<'_>,
) -> Vec<IncomingChange> {
    let vote = |update: &wa::PollUpdate| {
        let voter = author_of(update.poll_update_message_key.as_option()?, frame)?;
        let hashes = &update.vote.as_option()?.selected_options;
        let chosen = |option: &&String| hashes.iter().any(|hash| compute_option_hash(option)[..] == hash[..]);
        let options = poll.options.iter().filter(chosen).cloned().collect();
        let at = Millis(update.sender_timestamp_ms.unwrap_or(0));
        Some(IncomingChange::Vote { id: id.clone(), voter, options, at })
    };
    source.poll_updates.iter().filter_map(vote).collect()
}

#[cfg(test)]
mod tests {
    use super::super::message_key::tests::{ids, jid};
    use super::*;
    use whatsapp_rust::waproto::buffa::MessageField;
    use whatsapp_rust::waproto::whatsapp::message as part;

    const GROUP: &str = "120363000000000001@g.us";
    const PEER: &str = "15550100002@s.whatsapp.net";

    fn key(id: &str, from_me: bool, participant: Option<&str>) -> MessageField<wa::MessageKey> {
        MessageField::some(wa::MessageKey {
            remote_jid: Some(GROUP.into()),
            from_me: Some(from_me),
            id: Some(id.into()),
            participant: participant.map(Into::into),
        })
    }

    fn text(id: &str, from_me: bool, participant: Option<&str>, body: &str) -> wa::WebMessageInfo {
        let message = wa::Message { conversation: Some(body.into()), ..Default::default() };
        wa::WebMessageInfo {
            key: key(id, from_me, participant),
            message: MessageField::some(message),
            message_timestamp: Some(1_700_000_000),
            push_name: Some("Bo".into()),
            ..Default::default()
        }
    }

    fn conversation(id: &str, messages: Vec<wa::WebMessageInfo>) -> wa::Conversation {
        let message =
            |message| wa::HistorySyncMsg { message: MessageField::some(message), ..Default::default() };
        wa::Conversation {
            id: id.into(),
            name: Some("Trip".into()),
            messages: messages.into_iter().map(message).collect(),
            ..Default::default()
        }
    }

    #[test]
    fn group_history_is_oldest_first_with_name() {
        let newest = text("3EB0BB", true, None, "second");
        let oldest = text("3EB0AA", false, Some("990002@lid"), "first");
        let history = chat_of(&conversation(GROUP, vec![newest, oldest]), &ids()).unwrap();
        assert_eq!(history.name, Some((jid(GROUP), "Trip".into())));
        let source: Vec<_> = history.messages.iter().map(|m| (m.body.as_str(), m.from.to_string())).collect();
        assert_eq!(source, [("first", "15550100002@c.us".into()), ("second", "15550100001@c.us".into())]);
        assert_eq!(history.messages[0].notify_name.as_deref(), Some("Bo"));
        assert_eq!(
            (history.messages[1].from_me, history.messages[1].timestamp),
            (true, Millis(1_700_000_000_000))
        );
    }

    #[test]
    fn direct_chat_has_number_and_no_name() {
        let history =
            chat_of(&conversation("990002@lid", vec![text("3EB0AA", false, None, "hello")]), &ids());
        let history = history.unwrap();
        assert_eq!((history.name, history.messages[0].chat.clone()), (None, jid("15550100002@c.us")));
    }

    #[test]
    fn history_has_reactions_stars_and_revocations() {
        let mut starred = text("3EB0AA", true, None, "ours");
        starred.starred = Some(true);
        starred.reactions = vec![wa::Reaction {
            key: key("3EB0R1", false, Some(PEER)),
            text: Some("👍".into()),
            sender_timestamp_ms: Some(5),
            ..Default::default()
        }];
        let mut gone = text("3EB0CC", false, Some(PEER), "");
        gone.message = MessageField::none();
        gone.message_stub_type = Some(StubType::REVOKE);
        let history = chat_of(&conversation(GROUP, vec![gone, starred]), &ids()).unwrap();
        let id: MessageId = format!("true_{GROUP}_3EB0AA").parse().unwrap();
        let reaction = IncomingChange::Reaction {
            id: id.clone(),
            from: jid("15550100002@c.us"),
            from_me: false,
            emoji: "👍".into(),
            at: Millis(5),
        };
        assert_eq!(history.changes, [reaction, IncomingChange::Starred { id, on: true }]);
        assert_eq!(history.messages[1].content, Content::Other(MessageType::Revoked));
    }

    #[test]
    fn history_poll_has_votes_and_author() {
        let option = |name: &str| part::poll_creation_message::Option {
            option_name: Some(name.into()),
            ..Default::default()
        };
        let asked = part::PollCreationMessage {
            name: Some("Lunch?".into()),
            options: vec![option("Yes"), option("No")],
            ..Default::default()
        };
        let mut source = text("3EB0AA", false, Some(PEER), "");
        source.message = MessageField::some(wa::Message {
            poll_creation_message: MessageField::some(asked),
            ..Default::default()
        });
        source.poll_updates = vec![wa::PollUpdate {
            poll_update_message_key: key("3EB0V1", true, None),
            vote: MessageField::some(part::PollVoteMessage {
                selected_options: vec![compute_option_hash("No").to_vec()],
            }),
            ..Default::default()
        }];
        let history = chat_of(&conversation(GROUP, vec![source]), &ids()).unwrap();
        let [IncomingChange::Vote { voter, options, .. }] = &history.changes[..] else {
            panic!("{history:?}")
        };
        assert_eq!((voter, options.as_slice()), (&jid("15550100001@c.us"), ["No".to_owned()].as_slice()));
        assert_eq!(history.polls[0].asked_by.as_ref().map(ToString::to_string).as_deref(), Some(PEER));
    }

    #[test]
    fn history_has_identity_pairs_and_push_names() {
        let source = wa::HistorySync {
            phone_number_to_lid_mappings: vec![wa::PhoneNumberToLIDMapping {
                pn_jid: Some("15550100005@s.whatsapp.net".into()),
                lid_jid: Some("990005@lid".into()),
            }],
            pushnames: vec![
                wa::Pushname { id: Some("990005@lid".into()), pushname: Some("Eve".into()) },
                wa::Pushname { id: Some(PEER.into()), pushname: Some("-".into()) },
                wa::Pushname { id: Some("15550100001@s.whatsapp.net".into()), pushname: Some("Me".into()) },
            ],
            ..Default::default()
        };
        let contacts = contacts(&source, &ids());
        assert_eq!(contacts.len(), 2);
        assert_eq!(
            (contacts[0].lid.clone(), contacts[0].id.clone()),
            (Some(jid("990005@lid")), jid("15550100005@c.us"))
        );
        assert_eq!(
            (contacts[1].pushname.as_deref(), &contacts[1].id),
            (Some("Eve"), &jid("15550100005@c.us"))
        );
    }

    #[test]
    fn people_of_chat_are_listed_once() {
        let messages =
            vec![text("1", false, Some("990009@lid"), "a"), text("2", false, Some("990009:2@lid"), "b")];
        let people = people_in(&conversation(GROUP, messages));
        assert_eq!(people.iter().filter(|person| person.is_lid()).count(), 1, "{people:?}");
    }
}

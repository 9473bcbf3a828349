//! Converts message keys. A received key is relative to its writer: `fromMe` means *by the writer*, and
//! `remoteJid` is the chat as the writer sees it. The chat is therefore taken from the message that contains
//! the key.

use whatsapp_rust::waproto::whatsapp as wa;

use super::identities::Identities;
use super::jid::to_network;
use crate::domain::ids::MessageId;
use crate::domain::jid::{Jid, JidKind};

/// The message that contains a key: its chat and writer.
#[derive(Clone, Copy)]
pub(in super::super) struct KeyContext<'a> {
    pub(in super::super) ids: &'a Identities,
    pub(in super::super) chat: &'a Jid,
    pub(in super::super) writer: &'a Jid,
}

impl KeyContext<'_> {
    /// The message that `key` refers to.
    pub(in super::super) fn target(&self, key: &wa::MessageKey) -> Option<MessageId> {
        let author = self.author_of(key)?;
        self.message(key.id.as_deref()?, &author)
    }

    /// The id of a message of this chat.
    pub(in super::super) fn message(&self, id: &str, author: &Jid) -> Option<MessageId> {
        let from_me = self.ids.is_me(author);
        let participant = (self.chat.is_group() && !from_me).then(|| author.clone());
        Some(MessageId { from_me, chat: self.chat.clone(), network: id.parse().ok()?, participant })
    }

    fn author_of(&self, key: &wa::MessageKey) -> Option<Jid> {
        if key.from_me == Some(true) {
            return Some(self.writer.clone());
        }
        if let Some(participant) = key.participant.as_deref().filter(|text| !text.is_empty()) {
            return self.ids.jid(&participant.parse().ok()?);
        }
        match self.chat.kind() {
            JidKind::Group => None,
            // In a direct chat there are only two authors.
            _ if self.ids.is_me(self.writer) => Some(self.chat.clone()),
            _ => self.ids.me().cloned(),
        }
    }
}

/// Our key of a message.
pub(in super::super) fn to_network_key(id: &MessageId) -> wa::MessageKey {
    wa::MessageKey {
        remote_jid: Some(to_network(&id.chat).to_string()),
        from_me: Some(id.from_me),
        id: Some(id.network.to_string()),
        participant: id.participant.as_ref().map(|who| to_network(who).to_string()),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn jid(text: &str) -> Jid {
        text.parse().unwrap()
    }

    /// The account 15550100001, and another person with a resolved hidden id.
    pub(in super::super) fn ids() -> Identities {
        let network = |text: &str| text.parse::<whatsapp_rust::Jid>().unwrap();
        let me = ["15550100001:2@s.whatsapp.net", "990001:2@lid"].map(network);
        let ids = Identities::new(Some(&me[0]), Some(&me[1]));
        ids.record_pair(&network("990002@lid"), &network("15550100002@s.whatsapp.net"));
        ids
    }

    fn key(from_me: bool, participant: Option<&str>) -> wa::MessageKey {
        wa::MessageKey {
            remote_jid: Some("15550100001@s.whatsapp.net".into()),
            from_me: Some(from_me),
            id: Some("3EB0AA".into()),
            participant: participant.map(Into::into),
        }
    }

    fn target(chat: &str, writer: &str, key: &wa::MessageKey) -> Option<String> {
        let ids = ids();
        let frame = KeyContext { ids: &ids, chat: &jid(chat), writer: &jid(writer) };
        frame.target(key).map(|id| id.to_string())
    }

    const PEER: &str = "15550100002@c.us";
    const ME: &str = "15550100001@c.us";
    const GROUP: &str = "120363000000000001@g.us";

    #[test]
    fn direct_chat_key_is_relative_to_writer() {
        for (writer, from_me, is) in [
            (PEER, true, "false_15550100002@c.us_3EB0AA"),
            (PEER, false, "true_15550100002@c.us_3EB0AA"),
            (ME, true, "true_15550100002@c.us_3EB0AA"),
            (ME, false, "false_15550100002@c.us_3EB0AA"),
            ("990001@lid", true, "true_15550100002@c.us_3EB0AA"),
        ] {
            assert_eq!(target(PEER, writer, &key(from_me, None)).as_deref(), Some(is), "{writer} {from_me}");
        }
    }

    #[test]
    fn group_key_names_author() {
        let theirs = format!("false_{GROUP}_3EB0AA_{PEER}");
        let ours = format!("true_{GROUP}_3EB0AA");
        let by_lid = key(false, Some("990002:3@lid"));
        assert_eq!(target(GROUP, "15550100003@c.us", &by_lid), Some(theirs.clone()));
        assert_eq!(target(GROUP, PEER, &key(true, None)), Some(theirs));
        assert_eq!(target(GROUP, PEER, &key(false, Some("990001@lid"))), Some(ours.clone()));
        assert_eq!(target(GROUP, ME, &key(true, Some("15550100001@s.whatsapp.net"))), Some(ours));
        assert_eq!(target(GROUP, PEER, &key(false, None)), None);
    }

    #[test]
    fn key_without_valid_id_has_no_target() {
        assert_eq!(target(PEER, PEER, &wa::MessageKey { id: None, ..key(true, None) }), None);
        assert_eq!(target(PEER, PEER, &wa::MessageKey { id: Some("a b".into()), ..key(true, None) }), None);
    }

    #[test]
    fn our_id_becomes_network_key() {
        let id: MessageId = format!("false_{GROUP}_3EB0AA_{PEER}").parse().unwrap();
        let key = to_network_key(&id);
        assert_eq!(key.remote_jid.as_deref(), Some(GROUP));
        assert_eq!((key.from_me, key.id.as_deref()), (Some(false), Some("3EB0AA")));
        assert_eq!(key.participant.as_deref(), Some("15550100002@s.whatsapp.net"));
    }
}

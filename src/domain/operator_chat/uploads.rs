//! Uploaded messages that the uploader's own sockets do not have yet, because their client shows the answer of the
//! upload. They get a message when the client announces it, or five seconds after the answer, and never twice.

use std::collections::BTreeMap;

use super::ids::{ChatMessageId, UserPk};
use super::message::MessageView;
use crate::domain::clock::Millis;

/// Uploads that may be pending; the sockets of a further uploader get the message at once.
pub const MAX_PENDING_UPLOADS: usize = 1_000;
/// The time after the answer, in milliseconds.
const HOLD_MS: i64 = 5_000;
/// A message that has no log entry after this time was deleted, in milliseconds.
const LOST_MS: i64 = 60_000;

/// One uploaded message.
#[derive(Debug)]
struct PendingUpload {
    due: Millis,
    is_announced: bool,
    /// The message, since its log entry was read.
    view: Option<Box<MessageView>>,
}

/// The pending uploads, by message. The answer, the log entry and the announcement may come in any order.
#[derive(Debug, Default)]
pub struct PendingUploads(BTreeMap<ChatMessageId, PendingUpload>);

impl PendingUploads {
    /// Records that the upload of this message is answered now.
    pub fn answered(&mut self, message: ChatMessageId, now: Millis) {
        let (due, has_room) = (now.plus(HOLD_MS), self.has_room());
        match self.0.get_mut(&message) {
            Some(pending) => pending.due = due,
            None if has_room => {
                self.0.insert(message, PendingUpload { due, is_announced: false, view: None });
            }
            None => {}
        }
    }

    /// Holds a message whose log entry is read now. Returns `false` if all sockets get it at once.
    pub fn hold(&mut self, view: &MessageView, now: Millis) -> bool {
        let (id, has_room) = (view.message.id, self.has_room());
        match self.0.get_mut(&id) {
            Some(pending) if pending.is_announced => {
                self.0.remove(&id);
                false
            }
            Some(pending) => {
                pending.view = Some(Box::new(view.clone()));
                true
            }
            None if !has_room => false,
            None => {
                let view = Some(Box::new(view.clone()));
                self.0.insert(id, PendingUpload { due: now.plus(HOLD_MS), is_announced: false, view });
                true
            }
        }
    }

    fn has_room(&self) -> bool {
        self.0.len() < MAX_PENDING_UPLOADS
    }

    /// The uploader whose own sockets do not get this message yet.
    #[must_use]
    pub fn holder(&self, message: ChatMessageId) -> Option<UserPk> {
        Some(self.0.get(&message)?.view.as_ref()?.message.sender)
    }

    /// Records that the client announced a message. A second announcement changes nothing.
    pub fn announce(&mut self, message: ChatMessageId, now: Millis) {
        if let Some(pending) = self.0.get_mut(&message) {
            pending.is_announced = true;
            pending.due = pending.due.min(now);
        }
    }

    /// Removes a message that was deleted.
    pub fn remove(&mut self, message: ChatMessageId) {
        self.0.remove(&message);
    }

    /// The messages that the uploaders' sockets get now, oldest first.
    pub fn take_due(&mut self, now: Millis) -> Vec<MessageView> {
        let mut due = Vec::new();
        self.0.retain(|_, pending| match &pending.view {
            Some(view) if pending.due <= now => {
                due.push((**view).clone());
                false
            }
            Some(_) => true,
            None => pending.due.plus(LOST_MS) > now,
        });
        due
    }

    /// When the next message is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Millis> {
        self.0.values().filter(|pending| pending.view.is_some()).map(|pending| pending.due).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::operator_chat::ids::ConversationId;
    use crate::domain::operator_chat::message::{ChatMessage, ChatMessageKind};
    use crate::domain::operator_chat::user::{ChatUser, UserProfile};

    const ID: ChatMessageId = ChatMessageId(5);

    fn view(id: i64) -> MessageView {
        let message = ChatMessage {
            id: ChatMessageId(id),
            conversation: ConversationId(1),
            sender: UserPk(3),
            kind: ChatMessageKind::Image,
            content: String::new(),
            attachment_url: None,
            attachment_name: None,
            file: None,
            temp_id: None,
            created_at: Millis(0),
        };
        let sender = ChatUser {
            pk: UserPk(3),
            tenant: "desk".to_owned(),
            id: "anna".parse().unwrap(),
            profile: UserProfile::default(),
            last_seen_at: None,
        };
        MessageView {
            message,
            sender,
            recipient: None,
            delivered_at: None,
            read_at: None,
            inbox: None,
            room: None,
        }
    }

    #[test]
    fn message_is_held_until_announced_and_comes_once() {
        let mut uploads = PendingUploads::default();
        assert!(uploads.hold(&view(5), Millis(0)));
        uploads.answered(ID, Millis(10));
        assert_eq!(uploads.holder(ID), Some(UserPk(3)));
        assert!(uploads.take_due(Millis(20)).is_empty());
        uploads.announce(ID, Millis(30));
        assert_eq!(uploads.next_due(), Some(Millis(30)));
        assert_eq!(uploads.take_due(Millis(30)).len(), 1);
        uploads.announce(ID, Millis(40));
        assert!(uploads.take_due(Millis(9_000)).is_empty());
        assert_eq!((uploads.holder(ID), uploads.next_due()), (None, None));
    }

    #[test]
    fn message_without_announcement_is_due_after_answer() {
        let mut uploads = PendingUploads::default();
        uploads.hold(&view(5), Millis(0));
        uploads.answered(ID, Millis(1_000));
        assert_eq!(uploads.next_due(), Some(Millis(6_000)));
        assert!(uploads.take_due(Millis(5_999)).is_empty());
        assert_eq!(uploads.take_due(Millis(6_000)).len(), 1);
    }

    #[test]
    fn announcement_before_log_entry_holds_nothing() {
        let mut uploads = PendingUploads::default();
        uploads.answered(ID, Millis(0));
        uploads.announce(ID, Millis(1));
        assert!(uploads.take_due(Millis(2)).is_empty());
        assert!(!uploads.hold(&view(5), Millis(3)), "its sockets get it with all others");
        assert!(uploads.take_due(Millis(90_000)).is_empty());
    }

    #[test]
    fn deleted_and_surplus_messages_are_not_held() {
        let mut uploads = PendingUploads::default();
        uploads.hold(&view(5), Millis(0));
        uploads.remove(ID);
        assert!(uploads.take_due(Millis(9_000)).is_empty());
        uploads.answered(ID, Millis(0));
        assert!(uploads.take_due(Millis(65_000)).is_empty());
        for id in 1..=1_000 {
            assert!(uploads.hold(&view(id), Millis(65_000)));
        }
        assert!(!uploads.hold(&view(1_001), Millis(65_000)));
    }
}

//! Rooms and receipts keep their cost: a deleted room goes in steps, and a mark does not read earlier ranges.

use std::sync::Arc;

use tempfile::TempDir;

use super::chat_receipt_ranges::ReceiptOwner;
use super::{Store, StoreError, StoreOptions, Synchronous, WriterObserver};
use crate::domain::clock::Millis;
use crate::domain::operator_chat::ids::{ChatMessageId, ConversationId, UserPk};
use crate::domain::operator_chat::message::{ChatMessageKind, MessageDraft};
use crate::domain::operator_chat::receipts::ReceiptLevel;
use crate::domain::operator_chat::room::{RoomMember, RoomRole};

const NOW: Millis = Millis(1_795_341_600_000);

struct NoObserver;

impl WriterObserver for NoObserver {
    fn committed(&self, _writes: usize, _seconds: f64) {}
    fn appended(&self, _events: usize) {}
    fn refused(&self) {}
}

fn open() -> (Store, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let options =
        StoreOptions { synchronous: Synchronous::Normal, write_queue: 16, readers: 1, vault_key: None };
    (Store::open(dir.path(), options, Arc::new(NoObserver)).unwrap(), dir)
}

/// A room of three users with messages of the first one.
async fn room(store: &Store, messages: usize) -> ConversationId {
    let create = store.write::<_, StoreError, _>(move |tx| {
        let id = tx.create_room("desk", Some("Night shift"), NOW)?;
        let member = |user| RoomMember { user: UserPk(user), role: RoomRole::Member };
        tx.add_room_members(id, &[member(1), member(2), member(3)])?;
        let draft = MessageDraft {
            kind: ChatMessageKind::Text,
            content: "Hello".to_owned(),
            attachment_url: None,
            attachment_name: None,
            temp_id: None,
        };
        for _ in 0..messages {
            let message = tx.add_chat_message(id, UserPk(1), &draft, None, NOW)?;
            tx.set_last_chat_message(id, message.id, UserPk(1))?;
        }
        Ok(id)
    });
    create.await.unwrap()
}

fn read(conversation: ConversationId, user: i64) -> ReceiptOwner {
    ReceiptOwner { conversation, user: UserPk(user), level: ReceiptLevel::Read }
}

#[tokio::test]
async fn deleted_room_goes_in_steps() {
    let (store, _dir) = open();
    let (kept, gone) = (room(&store, 2).await, room(&store, 25).await);
    let purged = store.write::<_, StoreError, _>(move |tx| {
        tx.add_receipts(&read(gone, 2), 1, 40, NOW)?;
        tx.delete_room(gone, NOW)?;
        assert!(tx.conversation(gone)?.is_none());
        assert_eq!(tx.rooms_of(UserPk(2), 10)?.len(), 1);
        let mut steps = 0;
        while tx.purge_deleted_room(10)?.is_some() {
            steps += 1;
        }
        let left = tx.chat_messages_before(gone, i64::MAX, 100, 0)?.len();
        Ok((
            steps,
            left,
            tx.receipts_through(&read(gone, 2))?,
            tx.chat_messages_before(kept, i64::MAX, 100, 0)?.len(),
        ))
    });
    assert_eq!(purged.await.unwrap(), (3, 0, 0, 2));
}

#[tokio::test]
async fn unread_counts_follow_messages_and_deletions() {
    let (store, _dir) = open();
    let id = room(&store, 3).await;
    let counts = store.write::<_, StoreError, _>(move |tx| {
        tx.add_receipts(&read(id, 2), 1, 2, NOW)?;
        tx.change_unread(id, UserPk(2), -2)?;
        for deleted in [1, 3] {
            tx.count_deleted_message(id, ChatMessageId(deleted), UserPk(1))?;
            tx.delete_chat_message(ChatMessageId(deleted))?;
        }
        [1, 2, 3]
            .map(|user| tx.unread_in_conversation(id, UserPk(user)))
            .into_iter()
            .collect::<Result<Vec<_>, _>>()
    });
    assert_eq!(counts.await.unwrap(), [0, 0, 1]);
}

#[tokio::test]
async fn mark_begins_after_complete_receipts() {
    let (store, _dir) = open();
    let id = room(&store, 1).await;
    let marks = store.write::<_, StoreError, _>(move |tx| {
        let owner = read(id, 2);
        let at = |step: i64| Millis(NOW.0 + step * 60_000);
        let first = tx.add_receipts(&owner, 1, 10, at(0))?;
        let beyond = tx.add_receipts(&owner, 21, 30, at(1))?;
        let gap = tx.add_receipts(&owner, 1, 20, at(2))?;
        let again = tx.add_receipts(&owner, 1, 30, at(3))?;
        let through = tx.receipts_through(&owner)?;
        let ranges = tx.receipt_ranges(&owner, 15, 25)?;
        Ok((first, beyond, gap, again, through, ranges.ranges().len()))
    });
    let (first, beyond, gap, again, through, overlapping) = marks.await.unwrap();
    assert_eq!((first, beyond, gap, again), (vec![(1, 10)], vec![(21, 30)], vec![(11, 20)], vec![]));
    assert_eq!((through, overlapping), (30, 2));
}

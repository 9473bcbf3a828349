//! Rooms and receipts keep their cost: a deleted room goes in steps, and a mark does not read earlier ranges.

use std::sync::Arc;

use tempfile::TempDir;

use super::chat_receipt_ranges::ReceiptOwner;
use super::{Store, StoreError, StoreOptions, Synchronous, Tx, WriterObserver};
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

fn draft() -> MessageDraft {
    MessageDraft {
        kind: ChatMessageKind::Text,
        content: "Hello".to_owned(),
        attachment_url: None,
        attachment_name: None,
        temp_id: None,
    }
}

/// A room of three users with messages of the first one.
async fn room(store: &Store, messages: usize) -> ConversationId {
    let create = store.write::<_, StoreError, _>(move |tx| {
        let id = tx.create_room("desk", Some("Night shift"), NOW)?;
        let member = |user| RoomMember { user: UserPk(user), role: RoomRole::Member };
        tx.add_room_members(id, &[member(1), member(2), member(3)])?;
        let draft = draft();
        for _ in 0..messages {
            let message = tx.add_chat_message(id, UserPk(1), &draft, None, NOW)?;
            tx.set_last_of_conversation(id, Some(message.id))?;
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
        let counts = |tx: &Tx<'_>| {
            [1, 2, 3]
                .map(|user| tx.unread_in_room(id, UserPk(user)))
                .into_iter()
                .collect::<Result<Vec<_>, _>>()
        };
        tx.add_receipts(&read(id, 2), 1, 2, NOW)?;
        let before = counts(tx)?;
        for deleted in [1, 3] {
            tx.delete_chat_message(ChatMessageId(deleted))?;
        }
        let late = RoomMember { user: UserPk(4), role: RoomRole::Member };
        tx.add_room_members(id, &[late])?;
        Ok((before, counts(tx)?, tx.unread_in_room(id, late.user)?, tx.unread_of_user(UserPk(3))?))
    });
    assert_eq!(counts.await.unwrap(), (vec![0, 1, 3], vec![0, 0, 1], 0, 1));
}

#[tokio::test]
async fn removed_room_is_listed_again_with_its_next_message() {
    let (store, _dir) = open();
    let id = room(&store, 2).await;
    let listed = store.write::<_, StoreError, _>(move |tx| {
        let listed = |tx: &Tx<'_>| Ok::<_, StoreError>(tx.rooms_of(UserPk(2), 10)?.len());
        tx.remove_from_list(id, UserPk(2))?;
        let (removed, of_other) = (listed(tx)?, tx.rooms_of(UserPk(3), 10)?.len());
        let positions = tx.conversation_positions_of(UserPk(2), (i64::MAX, i64::MAX), 10)?.len();
        let draft = draft();
        let message = tx.add_chat_message(id, UserPk(1), &draft, None, NOW)?;
        tx.set_last_of_conversation(id, Some(message.id))?;
        Ok((removed, of_other, positions, listed(tx)?))
    });
    assert_eq!(listed.await.unwrap(), (0, 1, 0, 1));
}

#[tokio::test]
async fn members_are_those_of_the_snapshot() {
    let (store, _dir) = open();
    let id = room(&store, 0).await;
    let count = move |tx: &Tx<'_>| {
        let found = tx.conversation(id)?;
        Ok::<_, StoreError>(found.and_then(|found| found.room().map(|room| room.members().len())))
    };
    let failed = store.write::<(), StoreError, _>(move |tx| {
        tx.remove_room_member(id, UserPk(3))?;
        assert_eq!(count(tx)?, Some(2));
        Err(StoreError::Unreadable("a failure after the change"))
    });
    assert!(failed.await.is_err());
    let counts = store.write::<_, StoreError, _>(move |tx| {
        let kept = count(tx)?;
        tx.remove_room_member(id, UserPk(2))?;
        Ok((kept, count(tx)?))
    });
    assert_eq!(counts.await.unwrap(), (Some(3), Some(2)));
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
